//! `postern sessions`: what is under way in a running gateway, and its end.

use reqwest::Method;
use serde_json::Value;

use super::Exit;
use super::args::{OutputFormat, SessionsAction, SessionsArgs, SessionsKillArgs, SessionsListArgs};
use super::operator::{Operator, OperatorError};
use super::terminal::{Style, Terminal};

/// Sessions asked for at a time; as many as an answer has room for.
const PAGE: usize = 500;

pub(super) fn run(args: &SessionsArgs, terminal: &Terminal) -> Result<Exit, OperatorError> {
    match &args.action {
        SessionsAction::List(args) => list(args, terminal),
        SessionsAction::Kill(args) => kill(args, terminal),
    }
}

fn list(args: &SessionsListArgs, terminal: &Terminal) -> Result<Exit, OperatorError> {
    let operator = Operator::new(&args.asking.operator)?;
    let mut shown = 0;
    while shown < args.limit {
        let page = PAGE.min(args.limit - shown);
        let (limit, offset) = (page.to_string(), shown.to_string());
        let mut query = vec![("limit", limit.as_str()), ("offset", offset.as_str())];
        query.extend(args.identity.as_deref().map(|identity| ("identity", identity)));
        query.extend(args.service.as_deref().map(|service| ("service", service)));
        let sessions = operator.ask_for(Method::GET, &["api", "v1", "sessions"], &query, None)?;
        let sessions = sessions.as_array().map(Vec::as_slice).unwrap_or_default();
        for session in sessions {
            match args.asking.output {
                OutputFormat::Json => terminal.json(session),
                OutputFormat::Text => show(session, terminal),
            }
        }
        shown += sessions.len();
        if sessions.len() < page {
            break;
        }
    }
    if shown == 0 && args.asking.output == OutputFormat::Text {
        terminal.line("nothing is under way");
    }
    Ok(Exit::Success)
}

fn show(session: &Value, terminal: &Terminal) {
    let service = match text(session, "/service/name") {
        "" => "-",
        name => name,
    };
    let head = format_args!(
        "{} {} {} {service}",
        text(session, "/id"),
        text(session, "/protocol"),
        text(session, "/identity/name")
    );
    terminal.line(terminal.paint(Style::Strong, head));
    terminal.line(format_args!(
        "  from {} since {}, request {}",
        text(session, "/sourceAddress"),
        text(session, "/startedAt"),
        text(session, "/requestId")
    ));
}

fn kill(args: &SessionsKillArgs, terminal: &Terminal) -> Result<Exit, OperatorError> {
    let operator = Operator::new(&args.operator)?;
    for id in &args.ids {
        operator.ask(Method::DELETE, &["api", "v1", "sessions", id], None)?;
        terminal.line(terminal.paint(Style::Strong, format_args!("session {id} is ended")));
    }
    Ok(Exit::Success)
}

fn text<'a>(session: &'a Value, pointer: &str) -> &'a str {
    session.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
