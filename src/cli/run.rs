//! `postern run`: serve until told to stop.

use std::path::Path;
use std::sync::Arc;

use super::Exit;
use super::args::RunArgs;
use super::signals::{Signal, Signals};
use crate::app::{Gateway, Postern, StartError};
use crate::clock::SystemClock;
use crate::config::{self, Environment, Findings, LogFormat, Settings};
use crate::telemetry::logs::{self, LogError};

/// Why nothing was served.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is refused, or something it names cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Log output cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system gives no threads, or no signals.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
}

pub(super) fn run(args: &RunArgs) -> Result<Exit, RunError> {
    let (settings, warnings) =
        config::load(&args.config, &Environment::of_process()).map_err(StartError::Configuration)?;
    logs::init(log_format(&settings), args.log.as_deref().unwrap_or(&settings.log.level))?;
    log_warnings(&warnings);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.workers.count())
        .thread_name("postern")
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let exit = runtime.block_on(serve(settings, &args.config));
    // Whatever still runs was given its time, or a second signal said that there is none.
    runtime.shutdown_background();
    exit
}

async fn serve(settings: Settings, config_file: &Path) -> Result<Exit, RunError> {
    let mut signals = Signals::new().map_err(RunError::Runtime)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let postern =
        tokio::task::block_in_place(|| Postern::build(settings, Arc::new(SystemClock)))?.written_in(config_file);
    let gateway = Gateway::start(postern).await?;
    while signals.next().await == Signal::Reload {
        let postern = gateway.postern().clone();
        tokio::task::block_in_place(|| reload(&postern));
    }
    tracing::info!("stopping: requests in flight may finish; a second signal ends them");
    tokio::select! {
        () = gateway.stop() => {
            tracing::info!("stopped");
            Ok(Exit::Success)
        }
        () = signals.stop() => {
            tracing::warn!("stopped at once by a second signal");
            Ok(Exit::Failure)
        }
    }
}

/// Reads everything again that can change while serving. What cannot be used leaves what is in force, and is logged there.
fn reload(postern: &Postern) {
    tracing::info!("reloading on request");
    let _ = postern.policy().load();
    postern.trust().reload_clients();
    postern.trust().reload_server_certificates();
}

fn log_format(settings: &Settings) -> logs::Format {
    match settings.log.format {
        LogFormat::Json => logs::Format::Json,
        LogFormat::Pretty => logs::Format::Pretty,
    }
}

fn log_warnings(warnings: &Findings) {
    for warning in warnings {
        tracing::warn!(place = %warning.place, key = warning.key, "{}", warning.message);
    }
}
