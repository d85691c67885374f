//! The command line as it is typed. What the words mean is decided by each command's own file.
//!
//! The help of a command stands with its arguments: what it is for, invocations to copy, what its exit code says, and the
//! environment variables it reads.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(unix)]
use super::demo;

/// What commands read that speak to a running gateway, for the end of their help.
macro_rules! environment {
    () => {
        "

Environment:
  POSTERN_ADMIN_URL, POSTERN_ADMIN_CA             where the admin API is and whose certificate it has
  POSTERN_ADMIN_TOKEN, POSTERN_ADMIN_TOKEN_FILE   the operator's token, or the file that holds it"
    };
}

mod admin;
mod agent;
mod exchange;
mod operator;
mod sessions;

pub use admin::{AdminArgs, AdminCommand};
pub use agent::{AgentArgs, AgentCli, AgentCommand, GatewayArgs};
pub use exchange::{ExportArgs, ExportDialect, ExportFormat, ImportArgs, ImportDialect};
pub use operator::{AskingArgs, LockArgs, LocksArgs, OperatorArgs, UnlockArgs};
pub use sessions::{SessionsAction, SessionsArgs, SessionsKillArgs, SessionsListArgs};

/// Longest validity a certificate may be asked for on the command line, in days.
const CERTIFICATE_DAYS_MAX: i64 = 3650;

/// Postern: a reverse proxy that opens a service only while the device behind the request is in the posture its policy asks for.
#[derive(Debug, Parser)]
#[command(
    name = "postern",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "`postern help COMMAND` or `postern COMMAND --help` explains a command with examples.",
    after_long_help = "\
Exit codes:
  0  it worked, and the answer is yes
  1  it did not work, or the answer is no
  2  the command line was not understood

Environment:
  NO_COLOR  when set, nothing is printed in colour

`postern help COMMAND` or `postern COMMAND --help` explains a command with examples."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[cfg(unix)]
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Demo(DemoArgs),
    #[cfg(unix)]
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Run(RunArgs),
    #[cfg(unix)]
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Check(CheckArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Health(HealthArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Pki(PkiArgs),
    #[cfg(unix)]
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Admin(AdminArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Agent(AgentArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Lock(LockArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Unlock(UnlockArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Locks(LocksArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Import(ImportArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Export(ExportArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Sessions(SessionsArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Completions(CompletionsArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    #[command(hide = true)]
    Schema(SchemaArgs),
    #[cfg(unix)]
    /// Play the protection agent of the demo: wait for the standard input to end.
    #[command(hide = true, name = demo::agent_program::COMMAND)]
    DemoAgent,
}

/// How a command prints its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object on each line.
    Json,
}

/// Serve: the gateway, the client API, the admin API and the operations endpoints.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Serve: the gateway, the client API, the admin API and the operations endpoints.

Configuration and policy are read and checked whole before anything listens. The policy folder, the client CAs, the \
revocation lists and the server certificates are then watched and reloaded; a change with an error in it leaves \
everything as it was. SIGHUP reads them again at once.

SIGTERM, SIGQUIT or Ctrl-C turns readiness, stops accepting, lets requests in flight finish within `shutdown.grace`, and ends; \
a second one ends at once.

With --upgrade it takes the place of the gateway that serves, which may be another version: configuration, policy and \
certificates are read and checked first, then the sockets and the store change hands. No connection is refused meanwhile; what \
is under way in the old process comes to its end there. If anything goes wrong, the old process serves on.",
    after_long_help = "\
Examples:
  postern check --config postern.yaml && postern run --config postern.yaml
  POSTERN_LISTENERS__GATEWAY__ADDRESS=0.0.0.0:443 postern run --config postern.yaml
  postern run --config postern.yaml --log info,postern=debug
  postern run --config postern.yaml --upgrade

Exit codes:
  0  it was asked to stop, and did
  1  the configuration has errors (all are printed), a listener or the store could not be opened, or a second signal
     ended it at once
  2  the command line was not understood

Environment:
  POSTERN_CONFIG  the configuration file, when --config is not given
  POSTERN_LOG     what to log, when --log is not given
  POSTERN_A__B    takes the place of the configuration key `a.b`; every key has such a variable"
)]
pub struct RunArgs {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "POSTERN_CONFIG")]
    pub config: PathBuf,
    /// What to log, instead of what the configuration says: a level, or levels by module.
    #[arg(long, value_name = "FILTER", env = "POSTERN_LOG")]
    pub log: Option<String>,
    /// Take the place of the gateway that serves with this configuration: it hands its sockets over and ends.
    #[arg(long)]
    pub upgrade: bool,
}

/// Check configuration and policy, and print every finding with its place.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Check configuration and policy, and print every finding with its place.

Reads what `postern run` would read, certificates and keys included, and opens no port. Errors are what `run` would \
refuse to start with. Warnings are what it would start with and somebody should know: policies that bypass a stricter \
one, policies that can never apply, names that refer to nothing, certificates that expired.",
    after_long_help = "\
Examples:
  postern check --config postern.yaml
  postern check --config postern.yaml --output json | jq .

Exit codes:
  0  no errors; there may be warnings
  1  at least one error
  2  the command line was not understood

Environment:
  POSTERN_CONFIG  the configuration file, when --config is not given
  POSTERN_A__B    takes the place of the configuration key `a.b`, here as in `postern run`"
)]
pub struct CheckArgs {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "POSTERN_CONFIG")]
    pub config: PathBuf,
    /// How to print the findings.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: OutputFormat,
}

/// See it work: a complete gateway on this machine, opened and closed by this machine's real posture.
#[derive(Debug, Args)]
#[command(
    long_about = "\
See it work: a complete gateway on this machine, opened and closed by this machine's real posture.

Makes a certificate authority, certificates, configuration and policy in a folder, starts a gateway with an origin \
behind it, reports the real posture of this machine and walks through what happens: a request is allowed, others are \
denied with a reason, the posture changes and the door closes, the policy is edited and reloaded, and the failures are \
read back. Each step is printed with what was expected, what came, and the curl command that repeats it. Then it keeps \
serving until Ctrl-C, so that you can try for yourself.

Everything it makes is for trying out: the keys in the folder protect nothing. A later demo in the same folder keeps \
certificates and token, and writes policy and configuration anew; what it writes over stays beside it as NAME.previous.",
    after_long_help = "\
Examples:
  postern demo
  postern demo --dir /tmp/door --port-base 20000
  postern demo --once --output json | jq -c 'select(.ok | not)'

Exit codes:
  0  every step went as expected
  1  a step did not, or the demo could not start
  2  the command line was not understood

Environment:
  NO_COLOR  when set, nothing is printed in colour"
)]
pub struct DemoArgs {
    /// The folder for certificates, configuration, policy and data; made when it is not there.
    #[arg(long, value_name = "DIR", default_value = "postern-demo")]
    pub dir: PathBuf,
    /// The first of the ports to use, one after the other; left out, the system chooses free ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=65_500))]
    pub port_base: Option<u16>,
    /// End after the walk instead of going on serving.
    #[arg(long)]
    pub once: bool,
    /// How to print the steps.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: OutputFormat,
}

/// Make certificates for development and trials with a small certificate authority of your own.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    long_about = "\
Make certificates for development and trials with a small certificate authority of your own.

The authority is a folder: ca.pem and ca.key, the revocation list crl.pem, and a NAME.pem with its NAME.key for each \
certificate. Nothing is ever overwritten, and keys are readable by their owner only. For production use the authority \
you already have: Postern needs only its certificate and its revocation list.",
    after_long_help = "\
Examples:
  postern pki init --name 'Example development CA'
  postern pki issue server gateway --dns localhost --ip 127.0.0.1
  postern pki issue client alice --spiffe spiffe://example.org/alice
  postern pki revoke --cert pki/alice.pem

Exit codes:
  0  done
  1  not done, and why is printed
  2  the command line was not understood

Environment:
  NO_COLOR  when set, nothing is printed in colour"
)]
pub struct PkiArgs {
    /// The folder of the authority.
    #[arg(long, value_name = "DIR", default_value = "pki", global = true)]
    pub dir: PathBuf,
    /// How to print what was made.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, global = true)]
    pub output: OutputFormat,
    /// What to do with the authority.
    #[command(subcommand)]
    pub command: PkiCommand,
}

/// What to do with the authority.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Make a new authority with an empty revocation list.
    #[command(after_long_help = "\
Examples:
  postern pki init
  postern pki init --dir /etc/postern/pki --name 'Example development CA'

Exit codes:
  0  made
  1  not made, for example because the folder holds an authority already")]
    Init {
        /// What the authority calls itself.
        #[arg(long, value_name = "NAME", default_value = "Postern development CA")]
        name: String,
    },
    /// Issue a certificate and its key.
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_long_help = "\
Examples:
  postern pki issue server gateway --dns localhost --ip 127.0.0.1
  postern pki issue client alice --spiffe spiffe://example.org/alice --days 7

Exit codes:
  0  issued
  1  not issued, for example because NAME.pem is there already"
    )]
    Issue {
        /// For whom.
        #[command(subcommand)]
        holder: PkiHolder,
    },
    /// Revoke a certificate and sign a new revocation list.
    #[command(after_long_help = "\
A running gateway that watches the list refuses the certificate from then on and cuts what is open with it.

Examples:
  postern pki revoke --cert pki/alice.pem
  postern pki revoke --serial 5f:3a:01

Exit codes:
  0  revoked, now or earlier
  1  not revoked, for example because another authority issued it")]
    Revoke(RevokeArgs),
    /// Sign the revocation list again, before it runs out.
    #[command(after_long_help = "\
A list that ran out may be refused. This one lasts a year; sign it again before then.

Examples:
  postern pki crl

Exit codes:
  0  signed
  1  not signed")]
    Crl,
}

/// Whom a certificate is for.
#[derive(Debug, Subcommand)]
pub enum PkiHolder {
    /// A server: a listener of the gateway, or an upstream.
    #[command(after_long_help = "\
Examples:
  postern pki issue server gateway --dns localhost --dns '*.app.example.org' --ip 127.0.0.1

Exit codes:
  0  issued
  1  not issued")]
    Server {
        /// The name of the files, and the certificate's common name.
        name: String,
        /// A DNS name it answers to; may be given again.
        #[arg(long = "dns", value_name = "NAME", required_unless_present = "ip_addresses")]
        dns_names: Vec<String>,
        /// An address it answers on; may be given again.
        #[arg(long = "ip", value_name = "ADDRESS")]
        ip_addresses: Vec<IpAddr>,
        #[command(flatten)]
        #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
        validity: Validity,
    },
    /// A client: one device of one identity.
    #[command(after_long_help = "\
Which of the names says who the client is, is a matter of the gateway's configuration.

Examples:
  postern pki issue client alice
  postern pki issue client alice --spiffe spiffe://example.org/alice --email alice@example.org

Exit codes:
  0  issued
  1  not issued")]
    Client {
        /// The name of the files, and the certificate's common name.
        name: String,
        /// The SPIFFE ID.
        #[arg(long, value_name = "URI")]
        spiffe: Option<String>,
        /// An e-mail address of the holder; may be given again.
        #[arg(long = "email", value_name = "ADDRESS")]
        emails: Vec<String>,
        /// A DNS name of the device; may be given again.
        #[arg(long = "dns", value_name = "NAME")]
        dns_names: Vec<String>,
        #[command(flatten)]
        #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
        validity: Validity,
    },
}

// No text on the structures below: they are flattened, and clap would take it for the help of the command.
#[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
#[derive(Clone, Copy, Debug, Args)]
pub struct Validity {
    /// How long it is valid, in days.
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=CERTIFICATE_DAYS_MAX))]
    pub days: u32,
}

#[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RevokeArgs {
    /// The certificate's serial number in hexadecimal.
    #[arg(long, value_name = "HEX")]
    pub serial: Option<String>,
    /// The certificate's file.
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
}

/// Ask a running gateway whether it is ready to serve.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Ask a running gateway whether it is ready to serve.

Meant for container health checks and scripts: it needs no shell and no curl. Asks the readiness endpoint of the \
operations listener, where --url, else the configuration, else the default address says it is.",
    after_long_help = "\
Examples:
  postern health
  postern health --url http://127.0.0.1:9901/livez
  postern health --config /etc/postern/postern.yaml

Exit codes:
  0  it is ready
  1  it is not, or did not answer in time
  2  the command line was not understood

Environment:
  POSTERN_CONFIG  the configuration file, when --config is not given"
)]
pub struct HealthArgs {
    /// The address to ask; wins over the configuration.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The configuration file that says where the operations listener is.
    #[arg(long, short, value_name = "FILE", env = "POSTERN_CONFIG")]
    pub config: Option<PathBuf>,
    /// How long to wait for the answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub timeout: u64,
}

/// Print a script that teaches your shell to complete postern's commands.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Print a script that teaches your shell to complete postern's commands.",
    after_long_help = "\
Examples:
  postern completions bash > ~/.local/share/bash-completion/completions/postern
  postern completions zsh > \"${fpath[1]}/_postern\"
  postern completions fish > ~/.config/fish/completions/postern.fish

Exit codes:
  0  printed
  2  the command line was not understood"
)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Write the JSON Schema files that let editors complete configuration and policy files.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  postern schema --dir config
  postern schema --dir config --check

Exit codes:
  0  written, or up to date
  1  not written, or out of date")]
pub struct SchemaArgs {
    /// The folder to write to.
    #[arg(long, value_name = "DIR", default_value = "config")]
    pub dir: PathBuf,
    /// Write nothing; say whether the files are up to date.
    #[arg(long)]
    pub check: bool,
}

#[cfg(test)]
mod tests;
