//! The walk: what the demo does, in order, and what should come of it.

mod policy;
mod posture;
mod traffic;

use std::path::{Path, PathBuf};

use reqwest::{StatusCode, Url};
use serde_json::Value;

pub(super) use self::policy::{AS_WRITTEN, BROKEN, STRICTER};
use super::agent_program::AgentProgram;
use super::client::{Answer, Client, ClientError, ClientFiles, NoAnswer};
use super::folder::Folder;
use super::machine::Machine;
use super::people::{ALICE, API_HOST, APP_HOST, BOB, CAROL, Certificates, VAULT_HOST};
use super::report::{Report, Step};
use super::shell::Command;
use crate::app::Addresses;

/// Everything the walk acts on.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    folder: &'a Folder,
    certificates: &'a Certificates,
    machine: &'a Machine,
    agent: &'a mut AgentProgram,
    urls: Urls,
    alice: Client,
    alice_http1: Client,
    bob: Client,
    carol: Client,
    admin: Client,
}

/// Where the walk leads.
#[derive(Clone, Debug)]
struct Urls {
    app: Url,
    vault: Url,
    report: Url,
    admin: Url,
    ops: Url,
}

/// Why the walk cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An address does not make a URL.
    #[error("`{0}` is not a usable address")]
    Address(String),
}

/// What came of a step.
struct Seen {
    ok: bool,
    got: String,
}

/// What a step is called, in the forms it is told in.
struct Title {
    name: &'static str,
    title: &'static str,
}

impl<'a> Walk<'a> {
    /// Makes everybody's clients. Blocks.
    pub(super) fn prepare(
        folder: &'a Folder,
        certificates: &'a Certificates,
        machine: &'a Machine,
        agent: &'a mut AgentProgram,
        addresses: &Addresses,
        token: &str,
    ) -> Result<Self, WalkError> {
        let files = |name: &str| ClientFiles {
            ca_file: certificates.ca_file(),
            identity: Some((certificates.certificate_file(name), certificates.key_file(name))),
        };
        let nobody = ClientFiles { ca_file: certificates.ca_file(), identity: None };
        Ok(Walk {
            urls: Urls::new(addresses)?,
            alice: Client::new(&files(ALICE))?,
            alice_http1: Client::http1(&files(ALICE))?,
            bob: Client::new(&files(BOB))?,
            carol: Client::new(&files(CAROL))?,
            admin: Client::new(&nobody)?.with_token(token),
            folder,
            certificates,
            machine,
            agent,
        })
    }

    /// Takes every step, and tells it.
    pub(super) async fn take(mut self, report: &mut Report) {
        report.step(&self.allowed().await);
        report.step(&self.nothing_known().await);
        report.step(&self.wrong_posture().await);
        report.step(&self.refused_at_the_door().await);
        report.step(&self.not_revealed().await);
        report.step(&self.door_closes().await);
        report.step(&self.door_opens().await);
        report.step(&self.policy_edited().await);
        report.step(&self.edit_with_a_mistake().await);
        report.step(&self.policy_edited_back().await);
        report.step(&self.streamed().await);
        report.step(&self.conversed().await);
        report.step(&self.failures_read_back().await);
        report.step(&self.metrics().await);
    }

    /// `curl` as somebody with a certificate.
    fn curl_as(&self, name: &str) -> Command {
        Command::curl()
            .file("--cacert", &self.certificates.ca_file())
            .file("--cert", &self.certificates.certificate_file(name))
            .file("--key", &self.certificates.key_file(name))
    }

    /// `curl` as the operator.
    fn curl_as_operator(&self) -> Command {
        Command::curl()
            .file("--cacert", &self.certificates.ca_file())
            .option("-H", &format!("@{}", self.folder.path("admin.header").display()))
    }

    /// `curl` that sends a report from the folder.
    fn curl_report(&self, name: &str, file: &Path) -> Command {
        self.curl_as(name)
            .option("-X", "PUT")
            .option("-H", "Content-Type: application/json")
            .option("--data-binary", &format!("@{}", file.display()))
            .word(self.urls.report.as_str())
            .gives("200")
    }

    /// `curl` that asks for the app.
    fn curl_app(&self, name: &str) -> Command {
        self.curl_as(name).word(self.urls.app.as_str())
    }

    fn report_file(&self, name: &str) -> PathBuf {
        self.folder.path("reports").join(name)
    }
}

impl Urls {
    fn new(addresses: &Addresses) -> Result<Self, WalkError> {
        let url = |text: String| Url::parse(&text).map_err(|_| WalkError::Address(text));
        let Addresses { gateway, client_api, admin, ops } = addresses;
        Ok(Urls {
            app: url(format!("https://{APP_HOST}:{}/", gateway.port()))?,
            vault: url(format!("https://{VAULT_HOST}:{}/", gateway.port()))?,
            report: url(format!("https://{API_HOST}:{}/api/v1/posture", client_api.port()))?,
            admin: url(format!("https://{API_HOST}:{}/", admin.port()))?,
            ops: url(format!("http://{ops}/"))?,
        })
    }

    fn admin(&self, path: &str) -> Url {
        with_path(&self.admin, path)
    }

    fn ops(&self, path: &str) -> Url {
        with_path(&self.ops, path)
    }
}

fn with_path(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

impl Title {
    fn taken(self, story: String, expected: impl Into<String>, seen: Seen, repeat: Vec<Command>) -> Step {
        let Title { name, title } = self;
        Step { name, title, story, expected: expected.into(), got: seen.got, ok: seen.ok, repeat }
    }
}

impl Seen {
    /// What a step is that got no further.
    fn failure(error: &NoAnswer) -> Self {
        Seen { ok: false, got: error.to_string() }
    }

    /// An answer, judged.
    fn judged(answer: Result<Answer, NoAnswer>, judge: impl FnOnce(&Answer) -> Seen) -> Self {
        match answer {
            Ok(answer) => judge(&answer),
            Err(error) => Seen::failure(&error),
        }
    }
}

/// A refusal as the gate tells it: its reason, and the checks in the way with theirs.
struct Refusal {
    reason: String,
    checks: Vec<(String, String)>,
}

impl Refusal {
    fn of(answer: &Answer) -> Self {
        let problem = answer.json();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let checks = problem.get("checks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Refusal {
            reason: text(problem.get("reason")),
            checks: checks.iter().map(|check| (text(check.get("name")), text(check.get("reason")))).collect(),
        }
    }
}

/// What an answer says, in a line.
fn told(answer: &Answer) -> String {
    let status = answer.status.as_u16();
    if answer.status == StatusCode::OK {
        return match identity_seen_by_origin(answer) {
            Some(identity) => format!("{status} from the origin, which is told that {identity} asks"),
            None => format!("{status}, without the origin being told who asks"),
        };
    }
    let refusal = Refusal::of(answer);
    let checks: Vec<_> = refusal.checks.iter().map(|(name, reason)| format!("{name} ({reason})")).collect();
    match checks.as_slice() {
        [] => format!("{status} {}", refusal.reason),
        checks => format!("{status} {}: {}", refusal.reason, checks.join(", ")),
    }
}

/// Whom the origin takes the client for. Its greeting shows the headers that the gate set.
fn identity_seen_by_origin(answer: &Answer) -> Option<&str> {
    answer.body.lines().find_map(|line| line.strip_prefix("x-postern-identity: "))
}
