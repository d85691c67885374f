//! `postern sessions`, as it is typed.

use clap::{Args, Subcommand};

use super::{AskingArgs, OperatorArgs};

/// List what is under way in a running gateway, or end some of it.
#[derive(Debug, Args)]
#[command(
    long_about = "\
List what is under way in a running gateway, or end some of it.

Every request, stream, TCP connection and client connection under way is a session. One that is ended may be begun again \
by its client; `postern lock` keeps an identity out.",
    after_long_help = concat!(
        "\
Examples:
  postern sessions list --identity alice-laptop
  postern sessions kill 4711

Exit codes:
  0  done
  1  not done, and why is printed
  2  the command line was not understood",
        environment!()
    )
)]
pub struct SessionsArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: SessionsAction,
}

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionsAction {
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    List(SessionsListArgs),
    #[expect(missing_docs, reason = "a text here would take the place of the help that stands with the arguments")]
    Kill(SessionsKillArgs),
}

/// List what is under way, the oldest first.
#[derive(Debug, Args)]
#[command(
    long_about = "\
List what is under way, the oldest first: number, protocol, identity and service of each session.",
    after_long_help = concat!(
        "\
Examples:
  postern sessions list
  postern sessions list --service payroll --output json | jq -r .id

Exit codes:
  0  listed; there may be none
  1  not listed, and why is printed
  2  the command line was not understood",
        environment!()
    )
)]
pub struct SessionsListArgs {
    /// Only those of this identity, by id or name.
    #[arg(long, value_name = "IDENTITY")]
    pub identity: Option<String>,
    /// Only those for this service, by id or name.
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// How many, at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub limit: usize,
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub asking: AskingArgs,
}

/// End sessions, now.
#[derive(Debug, Args)]
#[command(
    long_about = "\
End sessions, now, each in the way that its protocol has for that.

The first one that cannot be ended ends the command.",
    after_long_help = concat!(
        "\
Examples:
  postern sessions kill 4711 4712

Exit codes:
  0  they are ended
  1  one of them is not, for example because it was over already
  2  the command line was not understood",
        environment!()
    )
)]
pub struct SessionsKillArgs {
    /// The sessions' numbers, as the list has them.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub operator: OperatorArgs,
}
