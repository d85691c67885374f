//! `postern run`: serve until told to stop.

use std::path::Path;
use std::sync::Arc;

use super::Exit;
use super::args::RunArgs;
use super::descriptors;
use super::signals::{Signal, Signals};
use crate::app::{Gateway, Handover, Inheritance, Postern, StartError, UpgradeDoor, UpgradeError};
use crate::clock::SystemClock;
use crate::config::{self, Environment, Findings, LogFormat, Settings};
use crate::telemetry::logs::{self, LogError};

/// Why nothing was served.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is refused, or something it names cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The place of the gateway that serves cannot be taken.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
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
    descriptors::raise_limit(settings.front_door.connections);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.workers.count())
        .thread_name("postern")
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let exit = runtime.block_on(serve(settings, args));
    // Whatever still runs was given its time, or a second signal said that there is none.
    runtime.shutdown_background();
    exit
}

async fn serve(settings: Settings, args: &RunArgs) -> Result<Exit, RunError> {
    let mut signals = Signals::new().map_err(RunError::Runtime)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), upgrade = args.upgrade, "starting");
    let socket = settings.upgrade_socket.clone();
    let mut gateway = if args.upgrade { take_over(&settings, args).await? } else { start(&settings, args).await? };
    loop {
        let mut door = door(&gateway, &socket);
        match next(&mut signals, &mut door, &gateway).await {
            Next::Stop => {
                // It holds the listening sockets, which would go on taking connections that nobody serves.
                drop(door);
                return stop(gateway, signals).await;
            }
            Next::HandOver(handover) => {
                tracing::info!("handing over to a successor");
                let interrupted = tokio::select! {
                    handed_over = gateway.hand_over(handover) => match handed_over {
                        Ok(()) => {
                            tracing::info!("stopped: a successor serves");
                            return Ok(Exit::Success);
                        }
                        Err(interrupted) => interrupted,
                    },
                    () = signals.stop() => return Ok(stopped_at_once()),
                };
                drop(door);
                gateway = interrupted.resume(build(&settings, args)?).await?;
            }
        }
    }
}

/// What the process does next.
enum Next {
    Stop,
    HandOver(Handover),
}

async fn next(signals: &mut Signals, door: &mut Option<UpgradeDoor>, gateway: &Gateway) -> Next {
    loop {
        let successor = async {
            match door {
                Some(door) => door.asked().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop => return Next::Stop,
                Signal::Reload => {
                    let postern = gateway.postern().clone();
                    tokio::task::block_in_place(|| reload(&postern));
                }
            },
            handover = successor => return Next::HandOver(handover),
        }
    }
}

fn build(settings: &Settings, args: &RunArgs) -> Result<Postern, StartError> {
    let build = || Postern::build(settings.clone(), Arc::new(SystemClock));
    Ok(tokio::task::block_in_place(build)?.written_in(&args.config))
}

async fn start(settings: &Settings, args: &RunArgs) -> Result<Gateway, RunError> {
    Ok(Gateway::start(build(settings, args)?).await?)
}

/// Everything is read and checked before the predecessor is asked to let go of anything.
async fn take_over(settings: &Settings, args: &RunArgs) -> Result<Gateway, RunError> {
    let inheritance = Inheritance::take(settings).await?;
    build(&Inheritance::trial(settings), args)?;
    let (predecessor, sockets) = inheritance.release().await?;
    let gateway = Gateway::start_on(build(settings, args)?, sockets).await?;
    predecessor.succeed(Arc::clone(gateway.postern().enforcer())).await.map_err(UpgradeError::from)?;
    tracing::info!("took over from the gateway before");
    Ok(gateway)
}

/// Where a successor may knock. Without it the gateway serves as well.
fn door(gateway: &Gateway, socket: &Path) -> Option<UpgradeDoor> {
    let opened = gateway.sockets().and_then(|sockets| UpgradeDoor::open(socket, sockets));
    opened.inspect_err(|error| tracing::warn!(%error, socket = %socket.display(), "nobody can take over later")).ok()
}

async fn stop(gateway: Gateway, mut signals: Signals) -> Result<Exit, RunError> {
    tracing::info!("stopping: requests in flight may finish; a second signal ends them");
    tokio::select! {
        () = gateway.stop() => {
            tracing::info!("stopped");
            Ok(Exit::Success)
        }
        () = signals.stop() => Ok(stopped_at_once()),
    }
}

fn stopped_at_once() -> Exit {
    tracing::warn!("stopped at once by a second signal");
    Exit::Failure
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
