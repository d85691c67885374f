//! `postern admin`, as it is typed.

use clap::{Args, Subcommand};

/// Prepare what operators of the admin API sign in with.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    long_about = "\
Prepare what operators of the admin API sign in with.",
    after_long_help = "\
Examples:
  postern admin hash-password
  pass show postern/grace | postern admin hash-password

Exit codes:
  0  done
  1  not done, and why is printed
  2  the command line was not understood"
)]
pub struct AdminArgs {
    /// What to prepare.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What to prepare.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Hash a password for `admin.users` of the configuration.
    #[command(
        name = "hash-password",
        long_about = "\
Hash a password for `admin.users` of the configuration.

Asks for the password without showing it; where the standard input is no terminal, its first line is the password. \
Prints an argon2id hash, each time with a new salt. The password is not kept anywhere.",
        after_long_help = "\
Examples:
  postern admin hash-password
  pass show postern/grace | postern admin hash-password

Exit codes:
  0  the hash was printed
  1  the password was empty, too short, too long or repeated otherwise, or could not be read
  2  the command line was not understood"
    )]
    HashPassword,
}
