//! Steps about posture: what is known of a device opens and closes the door.

use reqwest::StatusCode;

use super::super::client::{Answer, Client, NoAnswer};
use super::super::machine::{PROTECTION_AGENT, PostureReport, spoiled};
use super::super::people::{ALICE, BOB, CAROL};
use super::super::report::Step;
use super::{Refusal, Seen, Title, Walk, identity_seen_by_origin, told};

const TRUE_REPORT: &str = "alice.json";
const WITHOUT_AGENT: &str = "alice-without-agent.json";
const SPOILED_REPORT: &str = "bob.json";

impl Walk<'_> {
    pub(super) async fn allowed(&mut self) -> Step {
        let report = self.look();
        let answer = self.report_and_ask(&self.alice, TRUE_REPORT, &report).await;
        let title = Title { name: "allowed", title: "Allowed" };
        title.taken(
            format!("{ALICE} reports the true posture of this machine, then asks for the app."),
            format!("200 from the origin, which is told that {ALICE} asks"),
            Seen::judged(answer, is_allowed),
            vec![self.curl_report(ALICE, &self.report_file(TRUE_REPORT)), self.curl_app(ALICE).gives("200")],
        )
    }

    pub(super) async fn nothing_known(&self) -> Step {
        let seen = Seen::judged(self.bob.get(&self.urls.app).await, |answer| {
            let refusal = Refusal::of(answer);
            let nothing_known = refusal.checks.iter().all(|(_, reason)| reason == "not-reported");
            Seen { ok: is_posture_failure(answer, &refusal) && nothing_known, got: told(answer) }
        });
        let title = Title { name: "denied-nothing-known", title: "Denied: nothing is known" };
        title.taken(
            format!("{BOB} is in the same group and has never reported anything. What is not known does not pass."),
            "403 posture-failed: every check not-reported",
            seen,
            vec![self.curl_app(BOB).gives("403")],
        )
    }

    pub(super) async fn wrong_posture(&mut self) -> Step {
        let report = spoiled(&self.look());
        let answer = self.report_and_ask(&self.bob, SPOILED_REPORT, &report).await;
        let seen = Seen::judged(answer, |answer| {
            let refusal = Refusal::of(answer);
            let all_known = refusal.checks.iter().all(|(_, reason)| reason != "not-reported");
            Seen { ok: is_posture_failure(answer, &refusal) && all_known, got: told(answer) }
        });
        let title = Title { name: "denied-wrong-posture", title: "Denied: the posture is wrong" };
        title.taken(
            format!("{BOB} reports an old system, another network card, and no protection agent."),
            "403 posture-failed: each check with what is wrong",
            seen,
            vec![self.curl_report(BOB, &self.report_file(SPOILED_REPORT)), self.curl_app(BOB).gives("403")],
        )
    }

    pub(super) async fn refused_at_the_door(&self) -> Step {
        let seen = match self.carol.get(&self.urls.app).await {
            Ok(answer) => Seen { ok: false, got: told(&answer) },
            Err(error) => Seen { ok: true, got: format!("no answer ({error})") },
        };
        let title = Title { name: "refused-at-the-door", title: "Refused at the door" };
        title.taken(
            format!("{CAROL} has a good certificate, but no policy lets {CAROL} reach anything."),
            "no answer: the connection is closed before a byte of HTTP",
            seen,
            vec![self.curl_app(CAROL).gives("no answer: the connection is closed")],
        )
    }

    pub(super) async fn not_revealed(&self) -> Step {
        let seen = Seen::judged(self.alice.get(&self.urls.vault).await, |answer| {
            let hidden = answer.status == StatusCode::NOT_FOUND && Refusal::of(answer).checks.is_empty();
            Seen { ok: hidden, got: told(answer) }
        });
        let title = Title { name: "not-revealed", title: "Not revealed" };
        title.taken(
            format!(
                "The vault is concealed, and asks for a domain that this machine is not joined to. {ALICE} asks for it."
            ),
            "404 unknown-service, as if there were no vault",
            seen,
            vec![self.curl_as(ALICE).word(self.urls.vault.as_str()).gives("404")],
        )
    }

    pub(super) async fn door_closes(&mut self) -> Step {
        let answer = match self.agent.stop().await {
            Ok(()) => {
                let report = self.look();
                self.report_and_ask(&self.alice, WITHOUT_AGENT, &report).await
            }
            Err(error) => Err(NoAnswer::because(&error)),
        };
        let seen = Seen::judged(answer, |answer| {
            let refusal = Refusal::of(answer);
            let only_the_agent = refusal.checks.iter().all(|(name, _)| name == PROTECTION_AGENT);
            Seen { ok: is_posture_failure(answer, &refusal) && only_the_agent, got: told(answer) }
        });
        let title = Title { name: "posture-changes-door-closes", title: "The posture changes, and the door closes" };
        title.taken(
            format!(
                "The process of the protection agent is ended. {ALICE} looks again, reports, and asks for the app."
            ),
            format!("403 posture-failed: {PROTECTION_AGENT} (process-not-running)"),
            seen,
            vec![self.curl_report(ALICE, &self.report_file(WITHOUT_AGENT)), self.curl_app(ALICE).gives("403")],
        )
    }

    pub(super) async fn door_opens(&mut self) -> Step {
        let answer = match self.agent.start() {
            Ok(()) => {
                let report = self.look();
                self.report_and_ask(&self.alice, TRUE_REPORT, &report).await
            }
            Err(error) => Err(NoAnswer::because(&error)),
        };
        let title = Title { name: "posture-restored-door-opens", title: "The posture is restored, and the door opens" };
        title.taken(
            format!("The protection agent is started again. {ALICE} looks again, reports, and asks for the app."),
            format!("200 from the origin, which is told that {ALICE} asks"),
            Seen::judged(answer, is_allowed),
            vec![self.curl_report(ALICE, &self.report_file(TRUE_REPORT)), self.curl_app(ALICE).gives("200")],
        )
    }

    /// Looks at this machine now.
    fn look(&mut self) -> PostureReport {
        let agent_runs = self.agent.is_running();
        tokio::task::block_in_place(|| self.machine.report(agent_runs))
    }

    /// Reports as somebody, and asks for the app. The report is left in the folder for curl.
    async fn report_and_ask(&self, client: &Client, file: &str, report: &PostureReport) -> Result<Answer, NoAnswer> {
        let body = serde_json::to_string_pretty(report).map_err(|error| NoAnswer::because(&error))?;
        self.folder.edit(&format!("reports/{file}"), &body).map_err(|error| NoAnswer::because(&error))?;
        let taken = client.put(&self.urls.report, body).await?;
        if taken.status != StatusCode::OK {
            return Err(NoAnswer::because(&format!("the report was answered with {}", taken.status)));
        }
        client.get(&self.urls.app).await
    }
}

/// Whether the origin answered, and knows who asked.
pub(super) fn is_allowed(answer: &Answer) -> Seen {
    let knows = identity_seen_by_origin(answer).is_some_and(|identity| identity == ALICE);
    Seen { ok: answer.status == StatusCode::OK && knows, got: told(answer) }
}

fn is_posture_failure(answer: &Answer, refusal: &Refusal) -> bool {
    answer.status == StatusCode::FORBIDDEN && refusal.reason == "posture-failed" && !refusal.checks.is_empty()
}
