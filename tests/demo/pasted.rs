//! Every command line that the demo prints, pasted into a shell while it serves.

use std::process::Command;

use crate::support::ServingDemo;

/// A command as it was printed, and what it is said to give.
#[derive(Debug)]
struct Printed {
    command: String,
    gives: Option<String>,
}

/// The commands in what the demo told, in order.
fn commands(told: &str) -> Vec<Printed> {
    let mut printed: Vec<Printed> = Vec::new();
    let mut goes_on = false;
    for line in told.lines() {
        let line = line.trim_start().trim_start_matches("repeat").trim_start();
        if goes_on || line.starts_with("curl ") || line.starts_with("cp ") {
            if !goes_on {
                printed.push(Printed { command: String::new(), gives: None });
            }
            let current = printed.last_mut().unwrap();
            current.command.push_str(line);
            current.command.push('\n');
            goes_on = line.ends_with('\\');
        } else if let Some(answer) = line.strip_prefix("→ ") {
            printed.last_mut().unwrap().gives = Some(answer.to_owned());
        }
    }
    printed
}

#[test]
fn every_command_gives_what_is_printed_beside_it() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "curl is needed here");
        println!("skipped: there is no curl on this machine");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let demo = ServingDemo::start(&folder.path().join("demo"));
    let commands = commands(&demo.told);
    assert!(commands.iter().filter(|printed| printed.command.starts_with("curl")).count() >= 15, "{}", demo.told);
    for Printed { command, gives } in commands {
        match gives {
            None => assert!(shell(&command).0, "{command}"),
            Some(gives) => {
                let wanted = if gives.starts_with("no answer") { "000" } else { gives.as_str() };
                let quiet = command.replacen("curl", "curl -s -S -o /dev/null -w '%{http_code}'", 1);
                let (_, status) = shell(&quiet);
                assert_eq!(status, wanted, "{command}");
            }
        }
    }
    demo.running.signal("INT");
    let (status, stderr) = demo.running.wait();
    assert!(status.success(), "{stderr}");
}

/// Whether it succeeded, and what it printed.
fn shell(command: &str) -> (bool, String) {
    let done = Command::new("sh").arg("-c").arg(command).output().unwrap();
    (done.status.success(), String::from_utf8(done.stdout).unwrap())
}
