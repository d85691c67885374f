//! Locks on identities in the native API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::ReportProblem;
use crate::clock::Timestamp;
use crate::decision::Lock;
use crate::decision::lock::{LockEnd, WantedLock};

/// A lock as an operator asks for it. With neither `for` nor `until` it holds until it is taken away.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockBody {
    /// Why, for other operators and the audit trail.
    reason: String,
    /// How long it holds, such as `12h` or `1h 30m`.
    #[serde(default, rename = "for")]
    duration: Option<String>,
    /// When it ends, in RFC 3339.
    #[serde(default)]
    until: Option<String>,
}

/// A lock as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct LockDetail<'a> {
    identity: Named<'a>,
    #[serde(flatten)]
    lock: &'a Lock,
}

#[derive(Clone, Debug, Serialize)]
struct Named<'a> {
    id: &'a str,
    /// `null` when the identity is not in the policy now.
    name: Option<&'a str>,
}

/// Shows a lock.
pub fn lock<'a>(id: &'a str, name: Option<&'a str>, lock: &'a Lock) -> LockDetail<'a> {
    LockDetail { identity: Named { id, name }, lock }
}

/// Reads the body that locks an identity.
pub fn read_lock(body: &[u8]) -> Result<WantedLock, ReportProblem> {
    let problem = |path: &str, reason: String| ReportProblem { path: path.to_owned(), reason };
    let LockBody { reason, duration, until } =
        serde_json::from_slice(body).map_err(|error| problem(".", format!("cannot be read: {error}")))?;
    let ends = match (duration, until) {
        (Some(_), Some(_)) => return Err(problem("until", "cannot stand beside `for`".to_owned())),
        (Some(text), None) => {
            let duration = humantime::parse_duration(&text)
                .map_err(|_| problem("for", "is not a duration such as `30m`, `12h` or `7days`".to_owned()))?;
            LockEnd::After(duration)
        }
        (None, Some(text)) => LockEnd::At(
            text.parse::<Timestamp>().map_err(|error| problem("until", format!("cannot be read: {error}")))?,
        ),
        (None, None) => LockEnd::Never,
    };
    Ok(WantedLock { reason, ends })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_end_is_given_as_a_duration_a_moment_or_not_at_all() {
        let read = |body: &str| read_lock(body.as_bytes()).map(|wanted| wanted.ends).map_err(|problem| problem.path);
        assert_eq!(read(r#"{"reason":"x","for":"12h"}"#), Ok(LockEnd::After(Duration::from_secs(12 * 3600))));
        let moment = LockEnd::At("2026-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(read(r#"{"reason":"x","until":"2026-01-02T03:04:05Z"}"#), Ok(moment));
        assert_eq!(read(r#"{"reason":"x"}"#), Ok(LockEnd::Never));
        assert_eq!(read(r#"{"reason":"x","for":"soon"}"#), Err("for".to_owned()));
        assert_eq!(read(r#"{"reason":"x","until":"soon"}"#), Err("until".to_owned()));
        assert_eq!(read(r#"{"reason":"x","for":"1h","until":"2026-01-02T03:04:05Z"}"#), Err("until".to_owned()));
        for body in ["", "[]", "{}", r#"{"reason":1}"#, r#"{"reason":"x","fro":"12h"}"#] {
            assert_eq!(read(body), Err(".".to_owned()), "{body}");
        }
    }
}
