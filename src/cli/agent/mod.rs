//! `postern agent`: this device's side.

mod link;
mod once;
mod run;
mod status;

use std::path::PathBuf;

use self::link::LinkError;
use super::Exit;
use super::args::{AgentArgs, AgentCommand, GatewayArgs};
use super::terminal::Terminal;
use crate::config::{self, AgentSettings, Findings, Log, LogFormat};
use crate::limits;
use crate::telemetry::logs::LogError;

/// Why an agent does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration file.
    #[error("the agent's configuration cannot be used:\n{0}")]
    Configuration(Findings),
    /// Neither the file nor the command line says it.
    #[error("{0} is not given, in the configuration file or on the command line")]
    NotGiven(&'static str),
    /// The gateway, or the way to it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Log output.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system gives no threads, or no signals.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
}

/// Does what was typed; `called` is as what, for what people are told to do.
pub(super) fn run(args: &AgentArgs, called: &str, terminal: &Terminal) -> Result<Exit, AgentError> {
    // One thread for everything: an agent is there all day and must not be felt.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AgentError::Runtime)?;
    let exit = match &args.command {
        AgentCommand::Run(gateway) => runtime.block_on(run::run(settings(gateway)?)),
        AgentCommand::Report(gateway) => runtime.block_on(once::report(&settings(gateway)?, gateway.output, terminal)),
        AgentCommand::Status(gateway) => {
            runtime.block_on(status::show(&settings(gateway)?, called, gateway.output, terminal))
        }
    };
    runtime.shutdown_background();
    exit
}

/// The configuration file with the command line over it.
fn settings(args: &GatewayArgs) -> Result<AgentSettings, AgentError> {
    let written = match &args.config {
        Some(path) => Some(config::load_agent(path).map_err(AgentError::Configuration)?.0),
        None => None,
    };
    let (gateway, cert, key, ca) = (args.gateway.clone(), args.cert.clone(), args.key.clone(), args.ca.clone());
    let file = |given: Option<PathBuf>, written: Option<&PathBuf>, name| {
        given.or_else(|| written.cloned()).ok_or(AgentError::NotGiven(name))
    };
    let written = written.as_ref();
    Ok(AgentSettings {
        gateway: gateway.or_else(|| Some(written?.gateway.clone())).ok_or(AgentError::NotGiven("the gateway"))?,
        cert_file: file(cert, written.map(|written| &written.cert_file), "the certificate")?,
        key_file: file(key, written.map(|written| &written.key_file), "the key")?,
        ca_file: file(ca, written.map(|written| &written.ca_file), "the CA")?,
        interval: written.map_or(limits::AGENT_INTERVAL, |written| written.interval),
        services: written.map(|written| written.services.clone()).unwrap_or_default(),
        log: written
            .map_or_else(|| Log { format: LogFormat::Pretty, level: "info".to_owned() }, |written| written.log.clone()),
    })
}
