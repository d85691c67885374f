//! `postern lock`, `postern unlock` and `postern locks`: who is shut out by an operator.

use reqwest::Method;
use serde_json::{Map, Value};

use super::Exit;
use super::args::{LockArgs, LocksArgs, OutputFormat, UnlockArgs};
use super::operator::{Operator, OperatorError};
use super::terminal::{Style, Terminal};

pub(super) fn lock(args: &LockArgs, terminal: &Terminal) -> Result<Exit, OperatorError> {
    let mut body = Map::from_iter([("reason".to_owned(), Value::from(args.reason.as_str()))]);
    body.extend(args.duration.as_ref().map(|duration| ("for".to_owned(), Value::from(duration.as_str()))));
    let operator = Operator::new(&args.asking.operator)?;
    let path = ["api", "v1", "identities", &args.identity, "lock"];
    let lock = operator.ask(Method::PUT, &path, Some(&Value::Object(body)))?;
    match args.asking.output {
        OutputFormat::Json => terminal.json(&lock),
        OutputFormat::Text => {
            terminal.line(terminal.paint(Style::Strong, format_args!("{} is locked {}", who(&lock), until(&lock))));
        }
    }
    Ok(Exit::Success)
}

pub(super) fn unlock(args: &UnlockArgs, terminal: &Terminal) -> Result<Exit, OperatorError> {
    let operator = Operator::new(&args.operator)?;
    operator.ask(Method::DELETE, &["api", "v1", "identities", &args.identity, "lock"], None)?;
    terminal.line(terminal.paint(Style::Strong, format_args!("{} is not locked any more", args.identity)));
    Ok(Exit::Success)
}

pub(super) fn list(args: &LocksArgs, terminal: &Terminal) -> Result<Exit, OperatorError> {
    let locks = Operator::new(&args.asking.operator)?.ask(Method::GET, &["api", "v1", "locks"], None)?;
    let locks = locks.as_array().map(Vec::as_slice).unwrap_or_default();
    match args.asking.output {
        OutputFormat::Json => locks.iter().for_each(|lock| terminal.json(lock)),
        OutputFormat::Text if locks.is_empty() => terminal.line("nobody is locked"),
        OutputFormat::Text => {
            for lock in locks {
                terminal.line(terminal.paint(Style::Strong, format_args!("{} {}", who(lock), until(lock))));
                terminal.line(format_args!(
                    "  by {} at {}: {}",
                    text(lock, "/lockedBy"),
                    text(lock, "/lockedAt"),
                    text(lock, "/reason")
                ));
            }
        }
    }
    Ok(Exit::Success)
}

fn who(lock: &Value) -> &str {
    match text(lock, "/identity/name") {
        "" => text(lock, "/identity/id"),
        name => name,
    }
}

fn until(lock: &Value) -> String {
    match text(lock, "/until") {
        "" => "until it is unlocked".to_owned(),
        moment => format!("until {moment}"),
    }
}

fn text<'a>(lock: &'a Value, pointer: &str) -> &'a str {
    lock.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
