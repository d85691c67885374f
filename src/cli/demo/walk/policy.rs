//! Steps about policy: a file is edited, and what it says takes effect, or is refused whole.

use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::{interval, timeout};

use super::super::client::NoAnswer;
use super::super::machine::OFFICE_DOMAIN;
use super::super::people::ALICE;
use super::super::report::Step;
use super::super::shell::Command;
use super::super::texts;
use super::posture::is_allowed;
use super::{Refusal, Seen, Title, Walk, told};
use crate::limits;

/// The file that is edited.
const POLICIES: &str = "policy/policies.yaml";
/// What it may say, ready to be copied over it.
pub(in crate::cli::demo) const AS_WRITTEN: &str = "edits/policies.yaml";
pub(in crate::cli::demo) const STRICTER: &str = "edits/policies-stricter.yaml";
pub(in crate::cli::demo) const BROKEN: &str = "edits/policies-broken.yaml";

impl Walk<'_> {
    pub(super) async fn policy_edited(&self) -> Step {
        let seen = match self.edit_until(&texts::policies_stricter(), came_into_force).await {
            Ok(policy) => Seen::judged(self.alice.get(&self.urls.app).await, |answer| {
                let asked_for_more =
                    matches!(Refusal::of(answer).checks.as_slice(), [(name, _)] if name == OFFICE_DOMAIN);
                let ok = answer.status == StatusCode::FORBIDDEN && asked_for_more;
                Seen { ok, got: format!("generation {}: {}", generation(&policy), told(answer)) }
            }),
            Err(error) => Seen::failure(&error),
        };
        let title = Title { name: "policy-edited", title: "The policy is edited, and takes effect" };
        title.taken(
            format!("{POLICIES} is saved with one more check for the app. Nothing is restarted."),
            format!("a new generation, and 403 because of {OFFICE_DOMAIN} alone"),
            seen,
            vec![self.copy(STRICTER), self.curl_reload().gives("200"), self.curl_app(ALICE).gives("403")],
        )
    }

    pub(super) async fn edit_with_a_mistake(&self) -> Step {
        let seen = match self.edit_until(&texts::policies_broken(), was_refused).await {
            Ok(policy) => Seen::judged(self.alice.get(&self.urls.app).await, |answer| {
                let finding = policy.pointer("/lastError/findings/0").cloned().unwrap_or_default();
                let ok = answer.status == StatusCode::FORBIDDEN && finding.get("line").is_some_and(Value::is_u64);
                let got = format!(
                    "still generation {} and {}; the admin API says: {}",
                    generation(&policy),
                    answer.status.as_u16(),
                    self.in_words(&finding),
                );
                Seen { ok, got }
            }),
            Err(error) => Seen::failure(&error),
        };
        let title = Title { name: "broken-edit-changes-nothing", title: "An edit with a mistake changes nothing" };
        title.taken(
            format!("{POLICIES} is saved with a key misspelled, without which no check would be asked."),
            "the policy of the step before stays, and the admin API says what is wrong, and where",
            seen,
            vec![
                self.copy(BROKEN),
                self.curl_as_operator().word(self.urls.admin("/api/v1/policy").as_str()).gives("200"),
                self.curl_app(ALICE).gives("403"),
            ],
        )
    }

    pub(super) async fn policy_edited_back(&self) -> Step {
        let seen = match self.edit_until(&texts::policies(), came_into_force).await {
            Ok(policy) => Seen::judged(self.alice.get(&self.urls.app).await, |answer| {
                let seen = is_allowed(answer);
                Seen { ok: seen.ok, got: format!("generation {}: {}", generation(&policy), seen.got) }
            }),
            Err(error) => Seen::failure(&error),
        };
        let title = Title { name: "policy-edited-back", title: "The policy is edited back" };
        title.taken(
            format!("{POLICIES} is saved as it was."),
            "a new generation, and 200 from the origin",
            seen,
            vec![self.copy(AS_WRITTEN), self.curl_reload().gives("200"), self.curl_app(ALICE).gives("200")],
        )
    }

    /// Saves the file, and waits until the admin API says what is awaited of the generation before and the policy now.
    async fn edit_until(&self, text: &str, awaited: fn(u64, &Value) -> bool) -> Result<Value, NoAnswer> {
        let before = generation(&self.policy().await?);
        self.folder.edit(POLICIES, text).map_err(|error| NoAnswer::because(&error))?;
        let asked = async {
            let mut pace = interval(limits::DEMO_RELOAD_POLL);
            loop {
                pace.tick().await;
                let policy = self.policy().await?;
                if awaited(before, &policy) {
                    return Ok(policy);
                }
            }
        };
        timeout(limits::DEMO_RELOAD_WAIT_MAX, asked)
            .await
            .map_err(|_| NoAnswer::because(&"the edit was not noticed in time"))?
    }

    /// What the admin API says of the policy in force.
    async fn policy(&self) -> Result<Value, NoAnswer> {
        let answer = self.admin.get(&self.urls.admin("/api/v1/policy")).await?;
        match answer.json().get("data") {
            Some(policy) if answer.status == StatusCode::OK => Ok(policy.clone()),
            _ => Err(NoAnswer::because(&format!("the admin API answered {}", answer.status))),
        }
    }

    /// A finding, with its file relative to the folder.
    fn in_words(&self, finding: &Value) -> String {
        let text = |key| finding.get(key).and_then(Value::as_str).unwrap_or_default();
        let number = |key| finding.get(key).and_then(Value::as_u64).unwrap_or_default();
        let root = format!("{}/", self.folder.root().display());
        let file = text("file").trim_start_matches(&root);
        let suggestion = match text("suggestion") {
            "" => String::new(),
            suggestion => format!("; did you mean `{suggestion}`?"),
        };
        format!("{file}:{}:{}: {}{suggestion}", number("line"), number("column"), text("message"))
    }

    fn copy(&self, edit: &str) -> Command {
        Command::copy(&self.folder.path(edit), &self.folder.path(POLICIES))
    }

    fn curl_reload(&self) -> Command {
        let url = self.urls.admin("/api/v1/reload");
        self.curl_as_operator().option("-X", "POST").word(url.as_str())
    }
}

fn generation(policy: &Value) -> u64 {
    policy.get("generation").and_then(Value::as_u64).unwrap_or_default()
}

fn came_into_force(before: u64, policy: &Value) -> bool {
    generation(policy) > before && !was_refused(before, policy)
}

fn was_refused(_: u64, policy: &Value) -> bool {
    policy.get("lastError").is_some_and(|error| !error.is_null())
}
