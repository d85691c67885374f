//! Cloudflare's rules on devices, Access policies over their results, and requests to the API.

mod api;
mod certificates;
pub(crate) mod context;
pub(crate) mod device;
mod policies;
mod providers;

use postern::clock::Timestamp;
use postern::dialect::cloudflare::{ErrorCode, create_rule};
use postern::id::CheckId;
use postern::posture::Outcome;
use serde_json::Value;

use super::Case;
use super::openziti::default_now;
use context::Context;

pub(super) fn run(content: &Value) -> Vec<Case> {
    let now: Timestamp = content["meta"]["now"].as_str().and_then(|now| now.parse().ok()).unwrap_or_else(default_now);
    let context = Context::new(content, now);
    let list = |name: &str| content[name].as_array().into_iter().flatten();
    let rules = list("vectors").map(|vector| case(vector, |vector| judged(vector, &context)));
    let policies = list("policy_vectors").map(|vector| case(vector, |vector| policies::judged(vector, now)));
    let requests = list("api_vectors").map(|vector| api::case(vector, &context));
    rules.chain(policies).chain(requests).collect()
}

/// Runs a case whose answer is one of a few words; what follows the word is for the reader.
fn case(vector: &Value, answer: impl FnOnce(&Value) -> Result<String, String>) -> Case {
    let name = format!("{} ({})", vector["id"].as_str().unwrap_or("?"), vector["type"].as_str().unwrap_or("?"));
    let expected = vector["expected"].as_str().unwrap_or("(nothing)");
    match answer(vector) {
        Ok(got) => {
            let matches = got.split(' ').next() == Some(expected);
            Case::new(name, expected, got, matches)
        }
        Err(error) => Case::new(name, expected, error, false),
    }
}

/// `pass`, `fail` or `no_result`, and why. A rule whose input a creation refuses can pass nobody: that is a fail as well.
fn judged(vector: &Value, context: &Context) -> Result<String, String> {
    let check = match create_rule(vector["rule"].to_string().as_bytes(), CheckId::from("rule"), context.now) {
        Ok(written) => context.compiled(written.object)?,
        Err(error) => {
            let about_input =
                error.items().iter().all(|item| item.pointer().is_some_and(|at| at.starts_with("/input")));
            let semantic = error.code() == ErrorCode::Invalid && about_input;
            let refused = format!("the rule is refused: {error}");
            return if semantic { Ok(format!("fail ({refused})")) } else { Err(refused) };
        }
    };
    let posture = device::posture(&vector["device"], &vector["rule"], context)?;
    let outcome = check.assess(&posture, context.now).outcome;
    Ok(match outcome {
        Outcome::Pass => "pass".to_owned(),
        Outcome::Fail(_) => format!("fail ({})", outcome.code()),
        Outcome::NoResult(_) => format!("no_result ({})", outcome.code()),
    })
}

/// A member's text.
fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A member's moment.
fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
