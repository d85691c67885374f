//! Commands that speak to the admin API of a running gateway, as they are typed.

use std::path::PathBuf;

use clap::Args;

use super::OutputFormat;

// No text on the structures: they are flattened, and clap would take it for the help of the command.
#[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
#[derive(Debug, Args)]
pub struct OperatorArgs {
    /// Where the admin API is.
    #[arg(long, value_name = "URL", env = "POSTERN_ADMIN_URL", default_value = "https://localhost:9443")]
    pub url: String,
    /// The file that holds the token; left out, POSTERN_ADMIN_TOKEN holds it.
    #[arg(long, value_name = "FILE", env = "POSTERN_ADMIN_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// A CA to believe beside the system's, as a PEM file; may be given again.
    #[arg(long = "ca", value_name = "FILE", env = "POSTERN_ADMIN_CA")]
    pub ca_files: Vec<PathBuf>,
    /// How long to wait for the answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout: u64,
}

#[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
#[derive(Debug, Args)]
pub struct AskingArgs {
    /// How to print the answer.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: OutputFormat,
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub operator: OperatorArgs,
}

/// Lock an identity out, whatever it has open.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Lock an identity out, whatever it has open.

The lock is durable and in force when the command ends: what the identity has open is cut, and its connections and \
requests are refused with `identity-locked` until the lock ends by itself or is taken away. Locking again replaces the lock.",
    after_long_help = concat!(
        "\
Examples:
  postern lock alice-laptop --for 12h --reason 'reported stolen'
  postern lock alice-laptop --reason 'under investigation' --ca pki/ca.pem --token-file ops.token

Exit codes:
  0  the identity is locked
  1  it is not, and why is printed
  2  the command line was not understood",
        environment!()
    )
)]
pub struct LockArgs {
    /// The identity's id or name.
    pub identity: String,
    /// How long, such as 30m, 12h or 7days; left out, until it is unlocked.
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<String>,
    /// Why, for other operators and the audit trail.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub asking: AskingArgs,
}

/// Take the lock of an identity away.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Take the lock of an identity away.

Everything else decides again at once whether the identity gets in: its certificate, the policy and its device's posture.",
    after_long_help = concat!(
        "\
Examples:
  postern unlock alice-laptop

Exit codes:
  0  the identity is not locked any more
  1  nothing changed, for example because it was not locked
  2  the command line was not understood",
        environment!()
    )
)]
pub struct UnlockArgs {
    /// The identity's id or name.
    pub identity: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub operator: OperatorArgs,
}

/// List the locks on identities that hold now.
#[derive(Debug, Args)]
#[command(
    long_about = "\
List the locks on identities that hold now.",
    after_long_help = concat!(
        "\
Examples:
  postern locks
  postern locks --output json | jq -r .identity.name

Exit codes:
  0  listed; there may be none
  1  not listed, and why is printed
  2  the command line was not understood",
        environment!()
    )
)]
pub struct LocksArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub asking: AskingArgs,
}
