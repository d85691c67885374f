//! Commands that move objects between a gateway and files, as they are typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::operator::{AskingArgs, OperatorArgs};

/// The language of a file that is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportDialect {
    /// What `ziti ops export` writes, as JSON or YAML.
    Openziti,
}

/// The language that objects are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportDialect {
    /// As `ziti ops export` does, with additions of Postern's that OpenZiti's tools pass over.
    Openziti,
    /// As Cloudflare's API shows them: rules, integrations without their secrets, lists and certificates.
    Cloudflare,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
}

/// Make the objects of a file on a running gateway.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Make the objects of a file on a running gateway.

Reads what `ziti ops export` writes: posture checks, configs, services, identities and service policies are made over the \
admin API, in this order; every object is told with what became of it. What has the name of an object that is there is left \
as it is. What a gateway has no use for (routers, authentication policies, CAs) is left, and what it cannot do is left out. A \
policy is never taken with a posture check less. Certificates are not in such a file: give identities `subjects`, or one-time \
tokens.",
    after_long_help = concat!(
        "\
Examples:
  postern import openziti export.yaml --dry-run
  postern import openziti export.json --ca pki/ca.pem --token-file ops.token
  postern import openziti export.json --output json | jq -r 'select(.outcome == \"refused\")'

Exit codes:
  0  everything that a gateway has use for is there
  1  something was refused, the file was not understood, or the gateway did not answer
  2  the command line was not understood",
        environment!()
    )
)]
pub struct ImportArgs {
    /// The language of the file.
    #[arg(value_enum, value_name = "DIALECT")]
    pub dialect: ImportDialect,
    /// The file.
    pub file: PathBuf,
    /// Only try, against a gateway that has nothing yet; none is asked.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub asking: AskingArgs,
}

/// Write the objects of a running gateway in a public language.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Write the objects of a running gateway in a public language.

Each language says what it has words for. Objects from policy files are among them; secrets and one-time tokens never are.",
    after_long_help = concat!(
        "\
Examples:
  postern export --dialect openziti > export.json
  postern export --dialect openziti --format yaml > export.yaml
  postern export --dialect cloudflare --account 699d98642c564d2e855e9661899b7252

Exit codes:
  0  written
  1  not written, and why is printed
  2  the command line was not understood",
        environment!()
    )
)]
pub struct ExportArgs {
    /// The language.
    #[arg(long, value_enum, value_name = "DIALECT")]
    pub dialect: ExportDialect,
    /// How it is written.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: ExportFormat,
    /// The account id that the gateway stands for, for Cloudflare's language.
    #[arg(long, value_name = "ID", default_value = "00000000000000000000000000000000")]
    pub account: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened: the text would be taken for the command's")]
    pub operator: OperatorArgs,
}
