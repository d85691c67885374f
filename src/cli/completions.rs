//! `postern completions`: the script that teaches a shell to complete.

use clap::CommandFactory;

use super::Exit;
use super::args::{Cli, CompletionsArgs};
use super::terminal::Terminal;

pub(super) fn run(args: &CompletionsArgs, terminal: &Terminal) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "postern", &mut script);
    terminal.raw(&script);
    Exit::Success
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::cli::terminal::recording;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in clap_complete::Shell::value_variants() {
            let (terminal, out, err) = recording::terminal();
            assert_eq!(run(&CompletionsArgs { shell: *shell }, &terminal), Exit::Success);
            assert!(out.text().contains("postern") && out.text().contains("revoke"), "{shell}");
            assert_eq!(err.text(), "");
        }
    }
}
