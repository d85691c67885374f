//! The page where people see how they stand.

use std::time::Duration;

use postern::clock::Clock as _;
use postern::policy::service::Disclosure;
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::{Check, Predicate};
use postern::posture::evidence::Evidence;
use postern::posture::facts::Source;
use postern::posture::inventory::UnknownFact;
use postern::posture::report::{Observation, Report, Seen};
use serde_json::{Value, json};

use super::support::policy::{Policy, identity, policy, service};
use super::support::{Gateway, Origin, now};

const PATH: &str = "/.postern/me";

fn check() -> Check {
    let rule = DomainRule { domains: vec!["corp.example".to_owned()], matching: DomainMatching::Folded };
    Check {
        id: "joined".into(),
        name: "Joined to the <domain>".into(),
        predicate: Predicate::Domain(rule),
        applies_to: None,
        max_age: Some(Duration::from_secs(600)),
        evidence: Evidence::Any,
        remediation: Some("Join corp.example.".into()),
    }
}

/// `alice` may reach `wiki` with the disclosure asked for, the concealed `secret`, and nothing of `files`, all from the domain only.
async fn guarded(origin: &Origin, disclosure: Disclosure) -> Gateway {
    let named = |name: &str| service(name, &format!("{name}.example.test"), &[origin.upstream()]);
    let mut wiki = named("wiki");
    wiki.disclosure = disclosure;
    let mut secret = named("secret");
    secret.concealed = true;
    let policies = Policy::default()
        .identity(identity("alice"))
        .identity(identity("bob"))
        .service(wiki)
        .service(secret)
        .service(named("files"))
        .check(check())
        .policy(policy("readers", &["@alice"], &["@wiki", "@secret"], &["@joined"]))
        .policy(policy("others", &["@bob"], &["@files"], &[]));
    Gateway::with(policies).start().await
}

async fn report(gateway: &Gateway, domain: &str) {
    let observations = vec![Observation { asked_by: None, seen: Seen::Domain(domain.to_owned()) }];
    let device = gateway.enforcer.device_of_known(&"alice".into()).unwrap();
    let report = Report { received_at: gateway.clock.now(), source: Source::Device, observations };
    gateway.enforcer.report(&device, &report).await.unwrap();
}

async fn told(gateway: &Gateway, host: &str) -> Value {
    let response = gateway.client("alice").request("GET", host, PATH).header("accept", "application/json");
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}

#[tokio::test]
async fn who_is_shut_out_of_everything_learns_why_and_nobody_behind_the_gate_hears_of_it() {
    let origin = Origin::start().await;
    let gateway = guarded(&origin, Disclosure::Checks).await;
    for host in ["wiki.example.test", "files.example.test", "nothing.example.test"] {
        let me = told(&gateway, host).await;
        assert_eq!(me["identity"], "alice");
        let services = me["services"].as_array().unwrap();
        assert_eq!(services.len(), 1, "neither the concealed nor another's: {me}");
        assert_eq!((&services[0]["name"], &services[0]["open"]), (&"wiki".into(), &json!(false)));
        assert_eq!(
            services[0]["ways"],
            json!([{ "passes": false, "checks": [{
                "name": "Joined to the <domain>", "type": "domain", "state": "unknown", "reason": "not-reported",
                "whatToDo": "Join corp.example.",
            }]}])
        );
    }
    assert_eq!(origin.connections(), 0);
    assert!(gateway.enforcer.device(&"alice".into()).unwrap().failures().is_empty());
    let metrics = gateway.metrics();
    assert!(
        !metrics.lines().any(|line| line.starts_with("postern_decisions_total") && !line.ends_with(" 0")),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_is_open_says_until_when_and_how_old_its_facts_are() {
    let origin = Origin::start().await;
    let gateway = guarded(&origin, Disclosure::Checks).await;
    let reported = gateway.clock.now();
    report(&gateway, "corp.example").await;
    gateway.clock.advance(Duration::from_secs(120));
    let me = told(&gateway, "wiki.example.test").await;
    let names: Vec<_> = me["services"].as_array().unwrap().iter().map(|service| service["name"].clone()).collect();
    assert_eq!(names, ["secret", "wiki"], "the concealed one is open");
    let wiki = &me["services"][1];
    assert_eq!((&wiki["open"], &wiki["ways"][0]["checks"][0]["state"]), (&json!(true), &"pass".into()));
    assert_eq!(wiki["ways"][0]["checks"][0]["observedAt"], reported.to_string());
    assert_eq!(wiki["until"], reported.after(Duration::from_millis(600_001)).to_string());
    assert_eq!(me["lastReportAt"], reported.to_string());
}

#[tokio::test]
async fn no_more_is_told_than_the_service_discloses() {
    let origin = Origin::start().await;
    for (disclosure, ways, expected) in [
        (Disclosure::Reason, false, Value::Null),
        (Disclosure::Checks, true, Value::Null),
        (Disclosure::Values, true, json!({ "domains": ["corp.example"] })),
    ] {
        let gateway = guarded(&origin, disclosure).await;
        report(&gateway, "elsewhere.example").await;
        let me = told(&gateway, "wiki.example.test").await;
        let wiki = &me["services"][0];
        assert_eq!(wiki.get("ways").is_some(), ways);
        let check = &wiki["ways"][0]["checks"][0];
        assert_eq!(check["expected"], expected);
        assert_eq!(me.to_string().contains("elsewhere.example"), disclosure == Disclosure::Values, "{me}");
    }
}

#[tokio::test]
async fn a_browser_gets_a_page_without_script() {
    let origin = Origin::start().await;
    let gateway = guarded(&origin, Disclosure::Values).await;
    for client in [gateway.client("alice"), gateway.http1_client("alice")] {
        let request = client.request("GET", "wiki.example.test", PATH).header("accept", "text/html,*/*;q=0.8");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        assert_eq!(
            (&headers["content-type"], &headers["cache-control"]),
            (&"text/html; charset=utf-8".parse().unwrap(), &"no-store".parse().unwrap())
        );
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        assert!(headers.contains_key("x-request-id"));
        let page = response.text().await.unwrap();
        assert!(page.contains("Joined to the &lt;domain&gt;") && page.contains("href=\"/.postern/me\""), "{page}");
        assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"), "{page}");
    }
}

#[tokio::test]
async fn the_device_is_named_and_what_it_could_not_tell_is_listed() {
    let origin = Origin::start().await;
    let gateway = guarded(&origin, Disclosure::Checks).await;
    assert_eq!(told(&gateway, "wiki.example.test").await["device"], json!({}));
    let unknown = |path: Option<&str>, detail: &str| UnknownFact {
        fact: "processes".to_owned(),
        path: path.map(str::to_owned),
        reason: "hidden-process".to_owned(),
        detail: detail.to_owned(),
    };
    let seen = [
        Seen::Hostname("laptop-7".to_owned()),
        Seen::Product("Think<Pad>".to_owned()),
        Seen::ScreenLocked(false),
        Seen::Unknown(vec![unknown(Some("/opt/guard"), "it may not be <inspected>"), unknown(None, "")]),
    ];
    let observations = seen.map(|seen| Observation { asked_by: None, seen }).into();
    let device = gateway.enforcer.device_of_known(&"alice".into()).unwrap();
    let report = Report { received_at: gateway.clock.now(), source: Source::Device, observations };
    gateway.enforcer.report(&device, &report).await.unwrap();
    let me = told(&gateway, "wiki.example.test").await;
    let shown = &me["device"];
    assert_eq!(
        (&shown["hostname"], &shown["product"], &shown["screenLocked"]),
        (&"laptop-7".into(), &"Think<Pad>".into(), &false.into())
    );
    assert_eq!(shown["unknown"][0]["path"], "/opt/guard");
    let request = gateway.client("alice").request("GET", "wiki.example.test", PATH).header("accept", "text/html");
    let page = request.send().await.unwrap().text().await.unwrap();
    for part in [
        "<dt>Device</dt><dd>laptop-7, Think&lt;Pad&gt;</dd>",
        "could not tell: 2",
        "<strong>processes</strong> /opt/guard<p class=\"soft\">it may not be &lt;inspected&gt;</p>",
        "<p class=\"soft\">hidden-process</p>",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[tokio::test]
async fn only_reading_is_possible_and_only_for_who_came_in() {
    let origin = Origin::start().await;
    let gateway = guarded(&origin, Disclosure::Checks).await;
    let client = gateway.client("alice");
    let response = client.request("POST", "wiki.example.test", PATH).body("x").send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"GET, HEAD".parse().unwrap()));
    let response = client.request("HEAD", "wiki.example.test", PATH).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap().is_empty());
    assert!(gateway.client("stranger").request("GET", "wiki.example.test", PATH).send().await.is_err());
    assert_eq!(client.get("wiki.example.test", "/.postern/other").await.status(), 403, "the service's own path");

    let certificate = gateway.certificate("alice");
    gateway.authority.revoke(&certificate);
    gateway.trust.reload(now()).unwrap();
    let response = client.request("GET", "wiki.example.test", PATH).send().await.unwrap();
    assert_eq!(response.status(), 403, "asked again on the open connection");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn long_lists_are_cut_short() {
    let mut policies = Policy::default().identity(identity("alice"));
    for number in 0..postern::limits::ME_SERVICES_MAX + 5 {
        policies = policies.service(service(&format!("s{number:03}"), &format!("s{number}.example.test"), &[]));
    }
    let gateway = Gateway::with(policies.policy(policy("all", &["@alice"], &["#all"], &[]))).start().await;
    let me = told(&gateway, "wiki.example.test").await;
    assert_eq!(me["services"].as_array().unwrap().len(), postern::limits::ME_SERVICES_MAX);
    assert_eq!(me["more"], true);
}
