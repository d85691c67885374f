//! The `postern-agent` command: `postern agent` alone, for devices, which run no gateway.

use std::process::ExitCode;

fn main() -> ExitCode {
    postern::cli::agent_main()
}
