use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

/// Every command that has arguments here, whether it is offered yet or not.
fn commands() -> Vec<clap::Command> {
    fn with_args<A: Args>(name: &'static str) -> clap::Command {
        A::augment_args(clap::Command::new(name))
    }
    let mut commands = vec![
        with_args::<RunArgs>("run"),
        with_args::<CheckArgs>("check"),
        with_args::<DemoArgs>("demo"),
        with_args::<PkiArgs>("pki"),
        with_args::<AdminArgs>("admin"),
        with_args::<LockArgs>("lock"),
        with_args::<UnlockArgs>("unlock"),
        with_args::<LocksArgs>("locks"),
        with_args::<SessionsArgs>("sessions"),
        with_args::<HealthArgs>("health"),
        with_args::<CompletionsArgs>("completions"),
        with_args::<SchemaArgs>("schema"),
    ];
    for command in &mut commands {
        command.build();
    }
    commands
}

fn for_each_command(command: &clap::Command, visit: &mut impl FnMut(&clap::Command)) {
    visit(command);
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        for_each_command(command, visit);
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    AgentCli::alone().debug_assert();
    commands().into_iter().for_each(clap::Command::debug_assert);
}

#[test]
fn the_help_of_every_command_says_what_it_is_for_with_examples_and_exit_codes() {
    for command in &commands() {
        for_each_command(command, &mut |command| {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "`{name}` does not say what it is for");
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:\n  postern "), "`{name}` shows no example");
            assert!(help.contains("Exit codes:\n"), "`{name}` does not explain its exit codes");
        });
    }
}

#[test]
fn every_argument_is_explained() {
    for command in &commands() {
        for_each_command(command, &mut |command| {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "`{}` of `{}`", argument.get_id(), command.get_name());
            }
        });
    }
}

#[test]
fn every_example_of_a_command_on_offer_is_a_command_line_that_parses() {
    every_example_parses(&Cli::command(), "postern");
    every_example_parses(&AgentCli::alone(), "postern-agent");
}

fn every_example_parses(offered: &clap::Command, program: &str) {
    let mut examples = 0;
    for_each_command(offered, &mut |command| {
        let help = command.clone().render_long_help().to_string();
        for example in help.lines().filter_map(|line| line.strip_prefix("  ")?.strip_prefix(program)?.strip_prefix(' '))
        {
            examples += 1;
            let example = example.split(['>', '|', '&']).next().unwrap();
            let words = example.split('\'').enumerate().flat_map(|(index, part)| match index % 2 {
                0 => part.split_whitespace().collect::<Vec<_>>(),
                _ => vec![part],
            });
            let parsed = offered.clone().try_get_matches_from(std::iter::once(program).chain(words));
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    });
    assert!(examples > 0, "{program} shows no example");
}

#[test]
fn a_certificate_to_revoke_is_named_in_exactly_one_way() {
    assert!(parse("postern pki revoke").is_err());
    assert!(parse("postern pki revoke --serial 01 --cert a.pem").is_err());
    assert!(parse("postern pki revoke --serial 01").is_ok());
}

#[test]
fn a_server_needs_a_name_or_an_address_and_validity_has_bounds() {
    assert!(parse("postern pki issue server a").is_err());
    assert!(parse("postern pki issue server a --ip 127.0.0.1").is_ok());
    assert!(parse("postern pki issue server a --dns localhost").is_ok());
    assert!(parse("postern pki issue client a --days 0").is_err());
    assert!(parse("postern pki issue client a --days 3651").is_err());
}

#[test]
fn the_folder_and_the_output_may_be_named_before_or_after_the_command() {
    for line in ["postern pki --dir x --output json init", "postern pki init --dir x --output json"] {
        let Command::Pki(args) = parse(line).unwrap().command else {
            panic!("`{line}` is not read as a pki command");
        };
        assert_eq!((args.dir, args.output), (PathBuf::from("x"), OutputFormat::Json));
    }
}
