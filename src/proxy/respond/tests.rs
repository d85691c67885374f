use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::decision::FailedCheck;
use crate::decision::{FailedPolicy, FailedVerdict};
use crate::id::CheckId;
use crate::policy::objects::{Meta, Origin, Service};
use crate::policy::service::{Balance, Match, ServiceProtocol, Transport, UpstreamProtocol};
use crate::posture::check::domain::{DomainMatching, DomainRule};
use crate::posture::check::{Check, Observed, Predicate};
use crate::posture::outcome::{FailReason, NoResultReason};
use crate::proxy::hygiene::Fault;
use crate::proxy::refusal::UpstreamFault;

fn service(disclosure: Disclosure, concealed: bool) -> Option<Arc<Service>> {
    Some(Arc::new(Service {
        id: "wiki".into(),
        name: "Wiki".into(),
        protocol: ServiceProtocol::default(),
        matching: Match { hosts: vec!["wiki.example".to_owned()], path_prefix: "/".to_owned() },
        upstreams: Vec::new(),
        kept: serde_json::Map::new(),
        configs: Vec::new(),
        transport: Transport {
            tls: None,
            protocol: UpstreamProtocol::Auto,
            balance: Balance::RoundRobin,
            health_check: None,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            retries: 0,
        },
        role_attributes: Vec::new(),
        concealed,
        disclosure,
        meta: Meta {
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            tags: serde_json::Map::new(),
            origin: Origin::Api,
        },
    }))
}

fn failed(id: &str, name: &str, verdict: FailedVerdict) -> FailedCheck {
    FailedCheck {
        check: Arc::new(Check {
            id: CheckId::from(id),
            name: name.into(),
            predicate: Predicate::Domain(DomainRule {
                domains: vec!["corp.example".to_owned()],
                matching: DomainMatching::Folded,
            }),
            applies_to: None,
            max_age: None,
            evidence: crate::posture::Evidence::Any,
            remediation: Some("Join <corp> & sign in again".into()),
        }),
        verdict,
        observed: Observed::Domain(Some("home".to_owned())),
        observed_at: None,
    }
}

fn posture_denial(service: Option<Arc<Service>>) -> Refusal {
    let wrong = failed("c1", "Joined <domain>", FailedVerdict::Fail(FailReason::DomainNotAllowed));
    let unknown = failed("c2", "Second", FailedVerdict::NoResult(NoResultReason::NotReported));
    let policy = |id: &str, checks: &[&FailedCheck]| FailedPolicy {
        id: id.into(),
        name: id.into(),
        checks: checks.iter().map(|check| (*check).clone()).collect(),
    };
    Refusal::Denied {
        denial: Arc::new(Denial {
            reason: DenialReason::PostureFailed,
            identity: Some("laptop".into()),
            service: Some("wiki".into()),
            policies: vec![policy("p1", &[&wrong, &unknown]), policy("p2", &[&wrong])],
            lock: None,
            generation: 3,
            valid_until: Timestamp::MAX,
        }),
        service,
    }
}

fn denial(reason: DenialReason, service: Option<Arc<Service>>) -> Refusal {
    let denial = Denial {
        reason,
        identity: None,
        service: None,
        policies: Vec::new(),
        lock: None,
        generation: 3,
        valid_until: Timestamp::MAX,
    };
    Refusal::Denied { denial: Arc::new(denial), service }
}

const ID: &str = "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b";

fn request_id() -> RequestId {
    let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static(ID))]);
    RequestId::from_client(&headers).unwrap()
}

fn ask(refusal: &Refusal, version: Version, fields: &[(HeaderName, &str)]) -> Reply {
    let headers = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    let id = request_id();
    render(refusal, &Asked { request_id: &id, method: &Method::GET, version, headers: &headers })
}

fn json(refusal: &Refusal) -> (u16, Value) {
    let reply = ask(refusal, Version::HTTP_11, &[]);
    assert_eq!(field(&reply, "content-type"), "application/problem+json");
    (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap())
}

fn field<'a>(reply: &'a Reply, name: &str) -> &'a str {
    let found: Vec<_> = reply.fields.iter().filter(|(known, _)| known == name).collect();
    assert_eq!(found.len(), 1, "{name} in {reply:?}");
    found[0].1.to_str().unwrap()
}

#[test]
fn a_lock_tells_its_end_and_its_reason_as_far_as_allowed() {
    let end = Timestamp::from_millis(1_800_000_000_000);
    let lock = Lock { reason: "reported stolen".into(), locked_at: end, locked_by: "grace".into(), until: Some(end) };
    let told = |disclosure, concealed| {
        let Refusal::Denied { denial, service } = denial(DenialReason::IdentityLocked, service(disclosure, concealed))
        else {
            panic!("not a denial");
        };
        let denial = Denial { lock: Some(Arc::new(lock.clone())), ..Denial::clone(&denial) };
        let (_, body) = json(&Refusal::Denied { denial: Arc::new(denial), service });
        assert!(!body.to_string().contains("grace"), "{body}");
        (body["reason"].clone(), body["lockedUntil"].clone(), body["lockReason"].clone())
    };
    let (code, end) = (Value::from("identity-locked"), Value::from(end.to_string()));
    assert_eq!(told(Disclosure::Reason, false), (code.clone(), Value::Null, Value::Null));
    assert_eq!(told(Disclosure::Checks, false), (code.clone(), end.clone(), Value::Null));
    assert_eq!(told(Disclosure::Values, false), (code, end, "reported stolen".into()));
    assert_eq!(told(Disclosure::Values, true), ("unknown-service".into(), Value::Null, Value::Null));
}

#[test]
fn a_posture_denial_names_its_checks_as_far_as_allowed() {
    let checks = |disclosure| {
        let (status, body) = json(&posture_denial(service(disclosure, false)));
        assert_eq!(status, 403);
        assert_eq!(body["reason"], "posture-failed");
        body.get("checks").cloned()
    };
    assert_eq!(checks(Disclosure::Reason), None);
    let told = |id: Option<&str>, name: &str, reason: &str| {
        let mut check = json!({
            "name": name, "type": "domain", "reason": reason, "remediation": "Join <corp> & sign in again",
        });
        if let Some(id) = id {
            check["id"] = json!(id);
            check["expected"] = json!({ "domains": ["corp.example"] });
            check["actual"] = json!("home");
        }
        check
    };
    assert_eq!(
        checks(Disclosure::Checks),
        Some(json!([told(None, "Joined <domain>", "domain-not-allowed"), told(None, "Second", "not-reported"),]))
    );
    assert_eq!(
        checks(Disclosure::Values),
        Some(json!([
            told(Some("c1"), "Joined <domain>", "domain-not-allowed"),
            told(Some("c2"), "Second", "not-reported"),
        ]))
    );
}

#[test]
fn the_problem_document_is_as_published() {
    let reply = ask(&denial(DenialReason::NoPolicy, service(Disclosure::Checks, false)), Version::HTTP_11, &[]);
    assert_eq!(
        std::str::from_utf8(&reply.body).unwrap(),
        format!(
            "{{\"type\":\"urn:postern:problem:no-policy\",\"title\":\"Access denied\",\"status\":403,\
             \"detail\":\"No policy lets this identity reach this service.\",\"instance\":\"urn:uuid:{ID}\",\
             \"reason\":\"no-policy\",\"requestId\":\"{ID}\"}}"
        )
    );
    assert_eq!(field(&reply, "cache-control"), "no-store");
    assert_eq!(field(&reply, "x-request-id"), ID);
    assert_eq!(field(&reply, "content-length"), reply.body.len().to_string());
}

#[test]
fn a_concealed_service_reads_like_one_that_does_not_exist() {
    let unknown = denial(DenialReason::UnknownService, None);
    for concealed in [
        posture_denial(service(Disclosure::Values, true)),
        denial(DenialReason::NoPolicy, service(Disclosure::Values, true)),
        denial(DenialReason::CertificateRevoked, service(Disclosure::Values, true)),
    ] {
        for (version, fields) in [
            (Version::HTTP_11, vec![]),
            (Version::HTTP_11, vec![(header::ACCEPT, "text/html")]),
            (Version::HTTP_2, vec![(header::CONTENT_TYPE, "application/grpc")]),
        ] {
            assert_eq!(ask(&concealed, version, &fields), ask(&unknown, version, &fields));
        }
    }
    assert_eq!(json(&unknown).0, 404);
}

#[test]
fn statuses_follow_from_what_went_wrong() {
    let open = || service(Disclosure::Checks, false);
    for (refusal, status, reason) in [
        (Refusal::Malformed(Fault::TwoFramings), 400, "content-length-and-transfer-encoding"),
        (Refusal::Misdirected, 421, "misdirected-request"),
        (denial(DenialReason::NoIdentity, None), 403, "no-identity"),
        (denial(DenialReason::IdentityDisabled, open()), 403, "identity-disabled"),
        (denial(DenialReason::EvaluationFailed, open()), 403, "evaluation-failed"),
        (denial(DenialReason::NoSnapshot, None), 403, "no-policy-loaded"),
        (Refusal::Upstream(UpstreamFault::NoUpstream), 503, "no-upstream"),
        (Refusal::Upstream(UpstreamFault::NoHealthyUpstream), 503, "no-healthy-upstream"),
        (Refusal::Upstream(UpstreamFault::Unreachable), 502, "upstream-unreachable"),
        (Refusal::Upstream(UpstreamFault::Timeout), 504, "upstream-timeout"),
        (Refusal::Internal, 500, "internal-error"),
    ] {
        let (sent, body) = json(&refusal);
        assert_eq!((sent, body["reason"].as_str().unwrap()), (status, reason));
        assert_eq!(body["status"], status);
        assert_eq!(body["requestId"], ID);
    }
}

#[test]
fn the_page_is_for_those_who_ask_for_one() {
    let html = |accept: &[&str]| {
        let fields: Vec<_> = accept.iter().map(|value| (header::ACCEPT, *value)).collect();
        let reply = ask(&Refusal::Misdirected, Version::HTTP_11, &fields);
        field(&reply, "content-type").starts_with("text/html")
    };
    assert!(html(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]));
    assert!(html(&["application/json;q=0.5", "text/html;q=0.6"]));
    assert!(html(&["TEXT/HTML"]));
    assert!(!html(&[]));
    assert!(!html(&["*/*"]));
    assert!(!html(&["text/html;q=0"]));
    assert!(!html(&["text/html;q=x"]));
    assert!(!html(&["application/json, text/html;q=0.9"]));
}

#[test]
fn the_page_says_what_to_do_and_lets_nothing_become_markup() {
    let refusal = posture_denial(service(Disclosure::Values, false));
    let reply = ask(&refusal, Version::HTTP_2, &[(header::ACCEPT, "text/html")]);
    let page = std::str::from_utf8(&reply.body).unwrap();
    let body = page.split_once("</head>").unwrap().1;
    assert_eq!(
        body,
        format!(
            "\n<body>\n<main>\n<h1>Access denied</h1>\n\
             <p>This device is not in the posture the service asks for. Not all of the checks may be needed: \
             there is more than one way in.</p>\n\
             <h2>What stands in the way</h2>\n<ul>\n\
             <li><strong>Joined &lt;domain&gt;</strong> <code>domain-not-allowed</code>\n\
             <p>Join &lt;corp&gt; &amp; sign in again</p>\n\
             <dl><dt>Expected</dt><dd><code>{{&quot;domains&quot;:[&quot;corp.example&quot;]}}</code></dd>\
             <dt>Found</dt><dd><code>&quot;home&quot;</code></dd></dl>\n</li>\n\
             <li><strong>Second</strong> <code>not-reported</code>\n\
             <p>Join &lt;corp&gt; &amp; sign in again</p>\n\
             <dl><dt>Expected</dt><dd><code>{{&quot;domains&quot;:[&quot;corp.example&quot;]}}</code></dd>\
             <dt>Found</dt><dd><code>&quot;home&quot;</code></dd></dl>\n</li>\n\
             </ul>\n\
             <dl>\n<dt>Reason</dt><dd><code>posture-failed</code></dd>\n\
             <dt>Request</dt><dd><code>{ID}</code></dd>\n</dl>\n</main>\n</body>\n</html>\n"
        )
    );
    assert!(!page.contains("<script") && !page.contains("http:") && !page.contains("url("));
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("name=\"viewport\""));
    assert!(field(&reply, "content-security-policy").starts_with("default-src 'none';"));
    assert_eq!(field(&reply, "x-content-type-options"), "nosniff");
}

#[test]
fn grpc_gets_a_status_of_its_own_without_a_body() {
    let grpc = [(header::CONTENT_TYPE, "application/grpc+proto"), (header::ACCEPT, "text/html")];
    let reply = ask(&posture_denial(service(Disclosure::Checks, false)), Version::HTTP_2, &grpc);
    assert_eq!(reply.status, 200);
    assert!(reply.body.is_empty());
    assert_eq!(field(&reply, "grpc-status"), "7");
    let message = field(&reply, "grpc-message");
    assert!(message.starts_with("This device is not in the posture the service asks for."), "{message}");
    assert!(message.contains("posture-failed") && message.contains(ID) && message.contains("Join <corp> & sign in"));
    assert_eq!(field(&reply, "x-request-id"), ID);
    assert!(!reply.fields.iter().any(|(name, _)| name == header::CONTENT_LENGTH));

    let status = |refusal: &Refusal| field(&ask(refusal, Version::HTTP_2, &grpc), "grpc-status").to_owned();
    assert_eq!(status(&Refusal::Upstream(UpstreamFault::NoHealthyUpstream)), "14");
    assert_eq!(status(&Refusal::Upstream(UpstreamFault::Timeout)), "14");
    assert_eq!(status(&Refusal::Internal), "13");
    assert_eq!(status(&denial(DenialReason::UnknownService, None)), "12");

    let http1 = ask(&Refusal::Internal, Version::HTTP_11, &grpc[..1]);
    assert_eq!(http1.status, 500);
}

#[test]
fn a_grpc_message_is_plain_ascii() {
    let mut check = failed("c", "Größe 100%\n", FailedVerdict::Forbidden);
    Arc::make_mut(&mut check.check).remediation = None;
    let refusal = Refusal::Denied {
        denial: Arc::new(Denial {
            policies: vec![FailedPolicy { id: "p".into(), name: "p".into(), checks: vec![check] }],
            lock: None,
            ..match posture_denial(None) {
                Refusal::Denied { denial, .. } => Arc::unwrap_or_clone(denial),
                other => panic!("{other:?}"),
            }
        }),
        service: service(Disclosure::Checks, false),
    };
    let reply = ask(&refusal, Version::HTTP_2, &[(header::CONTENT_TYPE, "application/grpc")]);
    assert!(field(&reply, "grpc-message").ends_with("; Gr%C3%B6%C3%9Fe 100%25%0A: forbidden-state-present"));
}
