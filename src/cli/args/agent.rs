//! `postern agent`, as it is typed.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::OutputFormat;

#[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
#[derive(Debug, Parser)]
#[command(name = "postern-agent", version)]
pub struct AgentCli {
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub agent: AgentArgs,
}

impl AgentCli {
    /// As what people type it.
    pub const NAME: &str = "postern-agent";

    /// The command line of the program that is the agent alone, with examples that people can type there.
    pub fn alone() -> clap::Command {
        fn renamed(command: clap::Command) -> clap::Command {
            let help = command.get_after_long_help().map(|help| help.to_string());
            let command = command.mut_subcommands(renamed);
            match help {
                Some(help) => command.after_long_help(help.replace(AgentArgs::NAME, AgentCli::NAME)),
                None => command,
            }
        }
        renamed(AgentCli::command())
    }
}

/// Report this device's posture to a gateway, and see which services are open to it.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    long_about = "\
Report this device's posture to a gateway, and see which services are open to it.

The agent shows the device's certificate, asks the gateway which facts it wants, collects those and beside them only \
what the device is recognised by, signs the report with the certificate's key, and sends it. It talks only to \
a gateway whose certificate one of its own CAs issued, and follows no redirect.",
    after_long_help = "\
Examples:
  postern agent run --config /etc/postern/agent.yaml
  postern agent report --config agent.yaml
  postern agent status --config agent.yaml --gateway https://gateway.example:8444

Exit codes:
  0  it worked, and for `status`: every service is open
  1  it did not work, or a service is shut
  2  the command line was not understood

Environment:
  POSTERN_AGENT_CONFIG  the configuration file, when --config is not given"
)]
pub struct AgentArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AgentCommand,
}

impl AgentArgs {
    /// As what people type it.
    pub const NAME: &str = "postern agent";
}

/// What an agent does.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Report now, then regularly, and at once when something that is asked about changes, until told to stop.
    #[command(after_long_help = "\
Watched are the programs and files that checks ask about, network interfaces, mounts, waking from sleep and, where the \
desktop tells, unlocking. A gateway that is away is asked again ever more rarely. SIGTERM and Ctrl-C end it.

Examples:
  postern agent run --config /etc/postern/agent.yaml

Exit codes:
  0  it was asked to stop, and did
  1  the configuration, the certificate or its key cannot be used")]
    Run(GatewayArgs),
    /// Report once, and print what was sent and what could not be told.
    #[command(after_long_help = "\
Examples:
  postern agent report --config agent.yaml
  postern agent report --config agent.yaml --output json | jq .report.os

Exit codes:
  0  the gateway took the report
  1  it did not")]
    Report(GatewayArgs),
    /// Show which services are open to this device, which are shut, and what to do about it.
    #[command(after_long_help = "\
Examples:
  postern agent status --config agent.yaml
  postern agent status --config agent.yaml --output json | jq '.services[] | select(.open | not)'

Exit codes:
  0  every service is open
  1  at least one is shut, or the gateway did not answer")]
    Status(GatewayArgs),
}

/// Which gateway, and with which certificate. What is given here wins over the configuration file.
#[derive(Clone, Debug, Args)]
pub struct GatewayArgs {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "POSTERN_AGENT_CONFIG")]
    pub config: Option<PathBuf>,
    /// The gateway's client API, such as `https://gateway.example:8444`.
    #[arg(long, value_name = "URL", required_unless_present = "config")]
    pub gateway: Option<String>,
    /// The PEM file of this device's certificate.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    pub cert: Option<PathBuf>,
    /// The PEM file of the certificate's key.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    pub key: Option<PathBuf>,
    /// The PEM file of the CAs of which one must have issued the gateway's certificate.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    pub ca: Option<PathBuf>,
    /// How to print the answer; `run` prints nothing but its log.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: OutputFormat,
}
