//! `postern demo`: the whole gateway on this machine, opened and closed by this machine's real posture.
//!
//! Everything runs in this one process, on the same public calls as `postern run`: the gateway and its APIs, the origin
//! behind it, and the client that walks through. Only the protection agent is a process of its own, because it is there to
//! be ended.

pub(super) mod agent_program;
mod client;
mod folder;
mod machine;
mod manifest;
mod people;
mod report;
mod scene;
mod shell;
mod texts;
mod walk;
mod websocket;

use self::folder::{Folder, FolderError};
use self::people::CertificatesError;
use self::report::Report;
use self::scene::Scene;
use self::walk::WalkError;
use super::Exit;
use super::args::{DemoArgs, OutputFormat};
use super::signals::Signals;
use super::terminal::Terminal;
use crate::app::StartError;
use crate::telemetry::logs::LogError;

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The certificates.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// The gateway.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The walk.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// Log output.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The origin.
    #[error("the origin cannot listen on {address}: {source}")]
    Origin {
        /// Where it should listen.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no threads, or no signals.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

pub(super) fn run(args: &DemoArgs, terminal: &Terminal) -> Result<Exit, DemoError> {
    let folder = Folder::take(&args.dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(DemoError::Runtime)?;
    let exit = runtime.block_on(perform(args, &folder, terminal));
    runtime.shutdown_background();
    exit
}

async fn perform(args: &DemoArgs, folder: &Folder, terminal: &Terminal) -> Result<Exit, DemoError> {
    let mut signals = Signals::new().map_err(DemoError::Runtime)?;
    let mut report = Report::new(terminal, args.output);
    let mut scene = Scene::set(folder, args.port_base, &report).await?;
    let walk = tokio::task::block_in_place(|| scene.walk(folder))?;
    let interrupted = tokio::select! {
        () = walk.take(&mut report) => false,
        () = signals.stop() => true,
    };
    if !interrupted {
        report.summary();
        if !args.once && !report.is_unheard() {
            if args.output == OutputFormat::Json {
                terminal.remark("serving until Ctrl-C");
            }
            scene.invite(folder, &report);
            signals.stop().await;
        }
    }
    tokio::select! {
        () = scene.strike() => {}
        () = signals.stop() => {}
    }
    Ok(if report.is_good() && !interrupted { Exit::Success } else { Exit::Failure })
}
