//! The command line: one file for each command, and what they share.
//!
//! A command gets its arguments and the [`Terminal`], and answers with an [`Exit`] or an error that says what and where.
//! Nothing but the terminal writes to the process's output.

#[cfg(unix)]
mod admin;
mod agent;
pub mod args;
#[cfg(unix)]
mod check;
mod completions;
#[cfg(unix)]
mod demo;
#[cfg(unix)]
mod descriptors;
mod export;
mod health;
mod import;
mod lock;
mod operator;
pub mod origin;
mod pki;
#[cfg(unix)]
mod run;
mod schema;
mod sessions;
mod signals;
pub mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use self::args::{AgentArgs, AgentCli, Cli, Command};
use self::terminal::Terminal;
use crate::clock::SystemClock;
use crate::tls;

/// How a command ended that did what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Exit {
    /// The answer is yes.
    Success,
    /// The answer is no: there are findings, it is not ready, a step did not go as expected.
    Failure,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => ExitCode::SUCCESS,
            Exit::Failure => ExitCode::FAILURE,
        }
    }
}

/// Why a command could not do what it should.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum CommandError {
    /// Serving.
    #[cfg(unix)]
    Run(#[from] run::RunError),
    /// The demo.
    #[cfg(unix)]
    Demo(#[from] demo::DemoError),
    /// This device's side.
    Agent(#[from] agent::AgentError),
    /// The health probe.
    Health(#[from] health::HealthError),
    /// The development CA.
    Pki(#[from] tls::pki::PkiError),
    /// What operators sign in with.
    #[cfg(unix)]
    Admin(#[from] admin::AdminError),
    /// Speaking to a running gateway.
    Operator(#[from] operator::OperatorError),
    /// Importing objects.
    Import(#[from] import::ImportError),
    /// Exporting objects.
    Export(#[from] export::ExportError),
    /// The schema files.
    Schema(#[from] schema::SchemaError),
}

/// The answer could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(#[source] std::io::Error);

/// Runs the command that was typed, and says how the process should exit.
pub fn main() -> ExitCode {
    answer(Cli::command(), |cli: &Cli, terminal| run(&cli.command, terminal))
}

/// The same for the program that is the agent alone. Nothing of a gateway is reached from here, so that the linker leaves it out.
pub fn agent_main() -> ExitCode {
    answer(AgentCli::alone(), |cli: &AgentCli, terminal| agent::run(&cli.agent, AgentCli::NAME, terminal))
}

fn answer<C: FromArgMatches, E: std::error::Error>(
    line: clap::Command,
    run: impl FnOnce(&C, &Terminal) -> Result<Exit, E>,
) -> ExitCode {
    let cli = match line.try_get_matches().and_then(|words| C::from_arg_matches(&words)) {
        Ok(cli) => cli,
        Err(usage) => {
            // Also the way `--help` and `--version` come; a reader that went away does not matter.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(u8::MAX));
        }
    };
    tls::install_crypto_provider();
    let terminal = Terminal::standard();
    let failed = |error: &dyn std::error::Error| {
        terminal.error(error);
        ExitCode::FAILURE
    };
    match run(&cli, &terminal) {
        Ok(exit) => terminal.finish().map_or_else(|source| failed(&OutputError(source)), |()| exit.into()),
        Err(error) => failed(&error),
    }
}

fn run(command: &Command, terminal: &Terminal) -> Result<Exit, CommandError> {
    Ok(match command {
        #[cfg(unix)]
        Command::Run(args) => run::run(args)?,
        #[cfg(unix)]
        Command::Check(args) => check::run(args, &SystemClock, terminal),
        #[cfg(unix)]
        Command::Demo(args) => demo::run(args, terminal)?,
        Command::Health(args) => health::run(args, terminal)?,
        Command::Pki(args) => pki::run(args, &SystemClock, terminal)?,
        #[cfg(unix)]
        Command::Admin(args) => admin::run(args, terminal)?,
        Command::Agent(args) => agent::run(args, AgentArgs::NAME, terminal)?,
        Command::Lock(args) => lock::lock(args, terminal)?,
        Command::Unlock(args) => lock::unlock(args, terminal)?,
        Command::Locks(args) => lock::list(args, terminal)?,
        Command::Import(args) => import::run(args, &SystemClock, terminal)?,
        Command::Export(args) => export::run(args, terminal)?,
        Command::Sessions(args) => sessions::run(args, terminal)?,
        Command::Completions(args) => completions::run(args, terminal),
        Command::Schema(args) => schema::run(args, terminal)?,
        #[cfg(unix)]
        Command::DemoAgent => demo::agent_program::play(),
    })
}
