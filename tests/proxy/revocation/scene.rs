//! A gateway with two identities that have the same under way, and the news that costs one of them its access.

use std::sync::Arc;
use std::time::Duration;

use postern::clock::{Clock, Timestamp};
use postern::decision::lock::{LockEnd, WantedLock};
use postern::enforce::{Author, Protocol, Session};
use postern::id::IdentityId;
use postern::policy::service::UpstreamProtocol;
use postern::posture::Posture;
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::file::{FileRule, FileState};
use postern::posture::check::mfa::MfaRule;
use postern::posture::check::{Check, Predicate};
use postern::posture::facts::Source;
use postern::posture::inventory::File;
use postern::posture::platform::Family;
use postern::posture::report::{Observation, Report, Seen};
use postern::tls::load_certificates;

use crate::support::origin::{RawOrigin, echoing};
use crate::support::policy::{Policy, identity, policy, service, tcp_service};
use crate::support::{Gateway, Origin};

/// The service that the identities use, the same over HTTP/2, one over TCP, and one that everybody may always reach.
pub(super) const WIKI: &str = "wiki.example.test";
pub(super) const CALLS: &str = "app.example.test";
pub(super) const DATABASE: &str = "database.example.test";
pub(super) const FILES: &str = "files.example.test";

/// What happens to `alice`, and not to `bob`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Posture,
    PolicyEdit,
    FileRuleExpires,
    MfaRunsOut,
    Revoked,
    Locked,
    EndedByOperator,
}

impl News {
    pub(super) const ALL: [News; 7] = [
        News::Posture,
        News::PolicyEdit,
        News::FileRuleExpires,
        News::MfaRunsOut,
        News::Revoked,
        News::Locked,
        News::EndedByOperator,
    ];

    /// The reason code that everybody is told.
    pub(super) fn reason(self) -> &'static str {
        match self {
            News::Posture | News::FileRuleExpires | News::MfaRunsOut => "posture-failed",
            News::PolicyEdit => "no-policy",
            News::Revoked => "certificate-revoked",
            News::Locked => "identity-locked",
            News::EndedByOperator => "ended-by-operator",
        }
    }

    /// The cause by which the metric counts it.
    pub(super) fn cause(self) -> &'static str {
        match self {
            News::Posture => "posture",
            News::PolicyEdit => "policy",
            News::FileRuleExpires | News::MfaRunsOut => "deadline",
            News::Revoked => "trust",
            News::Locked | News::EndedByOperator => "operator",
        }
    }

    /// Whether nothing at all is allowed on the connection afterwards.
    pub(super) fn ends_connection(self) -> bool {
        matches!(self, News::Revoked | News::Locked)
    }

    fn predicate(self) -> Predicate {
        match self {
            News::FileRuleExpires => Predicate::File(FileRule {
                system: Family::Linux,
                path: "/etc/managed".to_owned(),
                state: FileState::Present,
                sha256: None,
                thumbprint: None,
            }),
            News::MfaRunsOut => Predicate::Mfa(MfaRule {
                timeout: Some(LASTS),
                prompt_on_wake: false,
                prompt_on_unlock: false,
                grace: Duration::ZERO,
                ignore_legacy_endpoints: false,
            }),
            _ => {
                Predicate::Domain(DomainRule { domains: vec!["corp.example".into()], matching: DomainMatching::Folded })
            }
        }
    }
}

/// How long a fact or an MFA pass counts.
const LASTS: Duration = Duration::from_secs(60);
/// A little more.
const LATER: Duration = Duration::from_secs(1);

pub(super) struct Scene {
    pub(super) gateway: Gateway,
    pub(super) origin: Origin,
    echo: RawOrigin,
    pub(super) news: News,
}

impl Scene {
    pub(super) async fn new(news: News) -> Self {
        let origin = Origin::start().await;
        let echo = echoing().await;
        let now = crate::support::now();
        let gateway = Gateway::with(policies(&origin, &echo, news, &["@alice", "@bob"])).start().await;
        let passed = |who: &str, at: Timestamp| {
            let certificate = load_certificates(&gateway.certificate(who).certificate_file).unwrap().remove(0);
            let digest = ring::digest::digest(&ring::digest::SHA256, &certificate);
            let fingerprint: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            Posture::default().with_mfa_pass(&fingerprint, at)
        };
        gateway.recall(&[("alice", passed("alice", now)), ("bob", passed("bob", now.after(LASTS / 2)))]).await;
        let scene = Scene { gateway, origin, echo, news };
        scene.report("alice", "corp.example").await;
        scene.report("bob", "corp.example").await;
        scene
    }

    async fn report(&self, who: &str, domain: &str) {
        let file = File { path: "/etc/managed".to_owned(), exists: true, ..File::default() };
        let observations = [Seen::Domain(domain.to_owned()), Seen::Files(vec![file])];
        let report = Report {
            received_at: self.gateway.clock.now(),
            source: Source::Device,
            observations: observations.map(|seen| Observation { asked_by: None, seen }).into(),
        };
        let enforcer = &self.gateway.enforcer;
        let device = enforcer.device_of_known(&IdentityId::from(who)).unwrap();
        enforcer.report(&device, &report).await.unwrap();
    }

    /// The news arrives.
    pub(super) async fn arrive(&self) {
        let gateway = &self.gateway;
        match self.news {
            News::Posture => self.report("alice", "home.example").await,
            News::PolicyEdit => gateway.publish(policies(&self.origin, &self.echo, self.news, &["@bob"])),
            News::FileRuleExpires => {
                gateway.clock.advance(LASTS / 2);
                self.report("bob", "corp.example").await;
                gateway.clock.advance(LASTS / 2 + LATER);
            }
            News::MfaRunsOut => gateway.clock.advance(LASTS + LATER),
            News::Revoked => {
                gateway.authority.revoke(&gateway.certificate("alice"));
                assert!(gateway.trust.reload(gateway.clock.now()).unwrap().changed);
            }
            News::Locked => {
                let wanted = WantedLock { reason: "stolen".into(), ends: LockEnd::Never };
                let author = Author { name: "operator".into(), source_address: None, request_id: None };
                let turn = gateway.enforcer.turn().await;
                gateway.enforcer.lock(&turn, &IdentityId::from("alice"), &wanted, &author).await.unwrap();
            }
            News::EndedByOperator => {
                for session in self.requests("alice") {
                    assert!(gateway.enforcer.end_session(session.id()));
                }
            }
        }
    }

    /// What an identity has under way, its connections left out.
    pub(super) fn requests(&self, who: &str) -> Vec<Arc<Session>> {
        let sessions = self.gateway.enforcer.sessions().into_iter();
        let own = sessions.filter(|session| session.identity().as_str() == who);
        own.filter(|session| session.protocol() != Protocol::Connection).collect()
    }

    /// The end of alice's request was told of once, and of bob's not at all.
    pub(super) fn assert_told_once(&self, request: &Session) {
        let failures = |who: &str| self.gateway.enforcer.device(&IdentityId::from(who)).unwrap().failures();
        let ended = failures("alice");
        let own: Vec<_> = ended.iter().filter(|failure| failure.request_id == *request.request_id()).collect();
        assert_eq!(own.len(), 1, "{:?}: {ended:?}", self.news);
        assert_eq!(own[0].reason.code(), self.news.reason(), "{:?}", self.news);
        assert_eq!(own[0].service.as_ref().map(|service| &service.id), request.service().map(|service| &service.id));
        assert!(failures("bob").is_empty(), "{:?}", self.news);
        let metrics = self.gateway.metrics();
        let counted = format!("postern_ended_requests_total{{reason=\"{}\"}} 1\n", self.news.reason());
        assert!(metrics.contains(&counted), "{:?}: {metrics}", self.news);
    }
}

/// `who` may reach the wiki if the check passes; everybody may reach the files.
fn policies(origin: &Origin, echo: &RawOrigin, news: News, who: &[&str]) -> Policy {
    let mut calls = service("calls", CALLS, &[origin.upstream()]);
    calls.transport.protocol = UpstreamProtocol::Http2;
    let expires = news == News::FileRuleExpires;
    let check = Check {
        id: "check".into(),
        name: "check".into(),
        predicate: news.predicate(),
        applies_to: None,
        max_age: expires.then_some(LASTS),
        remediation: None,
        evidence: postern::posture::Evidence::Any,
    };
    Policy::default()
        .identity(identity("alice"))
        .identity(identity("bob"))
        .service(service("wiki", WIKI, &[origin.upstream()]))
        .service(calls)
        .service(tcp_service("database", DATABASE, &[echo.address.to_string()]))
        .service(service("files", FILES, &[origin.upstream()]))
        .check(check)
        .policy(policy("readers", who, &["@wiki", "@calls", "@database"], &["@check"]))
        .policy(policy("everybody", &["#all"], &["@files"], &[]))
}
