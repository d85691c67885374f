//! Posture integrations: what each type needs, what a patch keeps, and that no secret is ever seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postern::dialect::cloudflare::{
    IntegrationDraft, Written, create_integration, integration, patch_integration, same_integration_content,
};
use postern::id::ConnectionId;
use postern::limits;
use postern::policy::integration::{ConnectionError, ConnectionState, Integration, Provider};
use postern::policy::objects::Origin;
use postern::secret::Sealed;
use serde_json::{Value, json};

use super::{bytes, later, notes, now, pointer, shown};

const SECRETS: [&str; 3] = ["client_secret", "access_client_secret", "client_key"];
const URL: &str = "https://posture.example/check";

/// Each type with the members it needs.
const REQUIRED: [(&str, &[&str]); 8] = [
    ("workspace_one", &["api_url", "auth_url", "client_id", "client_secret"]),
    ("crowdstrike_s2s", &["api_url", "client_id", "client_secret", "customer_id"]),
    ("uptycs", &["api_url", "client_key", "client_secret", "customer_id"]),
    ("intune", &["client_id", "client_secret", "customer_id"]),
    ("kolide", &["client_id", "client_secret"]),
    ("tanium_s2s", &["api_url", "client_secret"]),
    ("sentinelone_s2s", &["api_url", "client_secret"]),
    ("custom_s2s", &["api_url", "access_client_id", "access_client_secret"]),
];

fn value_of(member: &str) -> String {
    if member.ends_with("_url") { URL.to_owned() } else { format!("the-{member}") }
}

fn config(members: &[&str]) -> Value {
    members.iter().map(|member| ((*member).to_owned(), json!(value_of(member)))).collect()
}

fn body(kind: &str, config: Value) -> Value {
    json!({"name": "Vendor", "type": kind, "interval": "10m", "config": config})
}

fn create(body: &Value) -> Result<Written<IntegrationDraft>, postern::dialect::cloudflare::ApiError> {
    create_integration(&bytes(body), ConnectionId::from("i1"), now())
}

/// An integration with its secrets "encrypted", as a caller would leave it.
fn stored(body: &Value) -> Integration {
    let IntegrationDraft { mut integration, secrets } = create(body).unwrap().object;
    let sealed = secrets.iter().map(|(member, secret)| (Arc::clone(member), Sealed::new(secret.expose())));
    integration.secrets.extend(sealed);
    integration
}

fn custom() -> Integration {
    stored(&body("custom_s2s", config(&["api_url", "access_client_id", "access_client_secret"])))
}

fn texts(config: &BTreeMap<Arc<str>, Arc<str>>) -> BTreeMap<&str, &str> {
    config.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[test]
fn every_type_is_read_and_shown_without_its_secrets() {
    assert_eq!(REQUIRED.len(), Provider::ALL.len());
    for (kind, members) in REQUIRED {
        let Written { object: draft, warnings } = create(&body(kind, config(members))).unwrap();
        assert!(warnings.is_empty(), "{kind}: {warnings:?}");
        assert_eq!(draft.integration.interval, Duration::from_secs(600));
        let given = draft.secrets.iter().map(|(member, secret)| (&**member, secret.expose().to_owned()));
        let secret = members.iter().filter(|member| SECRETS.contains(member));
        let expected: BTreeMap<_, _> = secret.map(|member| (*member, value_of(member))).collect();
        assert_eq!(given.collect::<BTreeMap<_, _>>(), expected, "{kind}");
        assert!(draft.integration.secrets.is_empty());

        let open: Vec<&str> = members.iter().copied().filter(|member| !SECRETS.contains(member)).collect();
        let expected = json!({
            "id": "i1", "name": "Vendor", "type": kind, "interval": "10m", "config": config(&open), "source": "api",
        });
        assert_eq!(shown(integration(&draft.integration, None)), expected);
        let places = [format!("{draft:?}"), shown(integration(&draft.integration, None)).to_string()];
        for member in SECRETS {
            assert!(places.iter().all(|place| !place.contains(&value_of(member))), "{kind}: {places:?}");
        }
    }
}

#[test]
fn each_missing_member_is_pointed_to() {
    for (kind, members) in REQUIRED {
        for missing in members {
            let rest: Vec<&str> = members.iter().copied().filter(|member| member != missing).collect();
            assert_eq!(pointer(create(&body(kind, config(&rest)))), format!("/config/{missing}"), "{kind}");
            let mut empty = config(members);
            empty[missing] = json!("");
            assert_eq!(pointer(create(&body(kind, empty))), format!("/config/{missing}"), "{kind}");
        }
    }
}

#[test]
fn refusals_point_to_what_is_wrong() {
    let with = |member: &str, value: Value| {
        let mut body = body("custom_s2s", config(&["api_url", "access_client_id", "access_client_secret"]));
        match member.strip_prefix("/config/") {
            Some(name) => body["config"][name] = value,
            None => body[member.trim_start_matches('/')] = value,
        }
        (member.to_owned(), body)
    };
    let mut cases = vec![
        with("/name", Value::Null),
        with("/name", json!("")),
        with("/name", json!("x".repeat(limits::NAME_BYTES_MAX + 1))),
        with("/type", Value::Null),
        with("/type", json!("jamf")),
        with("/type", json!(["kolide"])),
        with("/config", Value::Null),
        with("/config", json!("x")),
        with("/config/access_client_id", json!("two words")),
        with("/config/access_client_id", json!("x".repeat(limits::PROVIDER_CREDENTIAL_BYTES_MAX + 1))),
        with("/config/access_client_secret", json!("schl\u{fc}ssel")),
        with("/config/access_client_secret", json!("line\nbreak")),
        with("/config/access_client_secret", json!(314_159)),
    ];
    for interval in [Value::Null, json!(""), json!("often"), json!("59s"), json!("0.5m"), json!(10), json!("-5m")] {
        cases.push(with("/interval", interval));
    }
    let urls = [
        "posture.example/check",
        "/check",
        "https://",
        "https:///check",
        "ftp://posture.example/",
        "http://posture.example/",
        "http://localhost/",
        "http://127.0.0.1.example/",
        "https://user@posture.example/",
        "https://user:word@posture.example/",
        "https://posture.example:port/",
        "https://posture.example:99999/",
        "https://posture .example/",
    ];
    let long = format!("https://posture.example/{}", "x".repeat(limits::PROVIDER_URL_BYTES_MAX));
    for url in urls.into_iter().chain([long.as_str()]) {
        cases.push(with("/config/api_url", json!(url)));
    }
    for (expected, body) in cases {
        let error = create(&body);
        let said = error.as_ref().unwrap_err().to_string();
        assert!(!said.contains("314159") && !said.contains("schl") && !said.contains("word@"), "{said}");
        assert_eq!(pointer(error), expected, "{body}");
    }
    let mut auth = body("workspace_one", config(REQUIRED[0].1));
    auth["config"]["auth_url"] = json!("http://posture.example");
    assert_eq!(pointer(create(&auth)), "/config/auth_url");
}

#[test]
fn addresses_that_can_be_asked_are_taken() {
    for url in [
        "https://posture.example",
        "https://posture.example:8443/a?b=c",
        "https://[2001:db8::1]:8443/",
        "http://127.0.0.1:8080/check",
        "http://[::1]:8080/check",
        "HTTPS://Posture.Example/",
    ] {
        let mut body = body("sentinelone_s2s", config(&["api_url", "client_secret"]));
        body["config"]["api_url"] = json!(url);
        assert_eq!(create(&body).unwrap().object.integration.config["api_url"].as_ref(), url);
    }
}

#[test]
fn an_interval_is_echoed_as_sent() {
    for (text, seconds) in [("1m", 60), ("24h", 86_400), ("1h30m", 5400), ("1.5h", 5400)] {
        let mut body = body("kolide", config(&["client_id", "client_secret"]));
        body["interval"] = json!(text);
        let draft = create(&body).unwrap().object;
        assert_eq!(draft.integration.interval, Duration::from_secs(seconds));
        assert_eq!(shown(integration(&draft.integration, None))["interval"], text);
    }
}

#[test]
fn tanium_has_an_older_name_and_an_optional_service_token() {
    let draft = create(&body("tanium", config(&["api_url", "client_secret"]))).unwrap().object;
    assert_eq!(shown(integration(&draft.integration, None))["type"], "tanium_s2s");
    let with = |more: &[&str]| body("tanium_s2s", config(&[&["api_url", "client_secret"], more].concat()));
    let full = with(&["access_client_id", "access_client_secret"]);
    assert_eq!(create(&full).unwrap().object.secrets.len(), 2);
    assert_eq!(pointer(create(&with(&["access_client_id"]))), "/config/access_client_secret");
    assert_eq!(pointer(create(&with(&["access_client_secret"]))), "/config/access_client_id");

    let known = stored(&full);
    let none = json!({"type": "tanium", "config": {"access_client_id": "", "access_client_secret": ""}});
    let patched = patch_integration(&bytes(&none), &known, later()).unwrap().object;
    assert_eq!(texts(&patched.integration.config), BTreeMap::from([("api_url", URL)]));
    assert_eq!(patched.integration.secrets.keys().map(|key| &**key).collect::<Vec<_>>(), ["client_secret"]);
    let half = json!({"config": {"access_client_secret": ""}});
    assert_eq!(pointer(patch_integration(&bytes(&half), &known, later())), "/config/access_client_secret");
}

#[test]
fn members_nobody_knows_are_named_without_their_values() {
    let mut body = body("custom_s2s", config(&["api_url", "access_client_id", "access_client_secret"]));
    body["colour"] = json!("red");
    body["id"] = json!("of a client that sends back what it read");
    body["config"]["client_secret"] = json!("hunter2");
    let Written { object: draft, warnings } = create(&body).unwrap();
    let expected = [
        "colour is not a member of an integration and was ignored",
        "client_secret is not a member of the config of type custom_s2s and was ignored",
    ];
    assert_eq!(notes(&warnings), expected);
    assert!(!draft.secrets.contains_key("client_secret"));
}

#[test]
fn a_patch_changes_what_it_names() {
    let known = custom();
    let patch = |body: Value| patch_integration(&bytes(&body), &known, later()).unwrap().object;
    let IntegrationDraft { integration: nothing, secrets } = patch(json!({}));
    assert_eq!(nothing.meta.updated_at, later());
    assert_eq!(Integration { meta: known.meta.clone(), ..nothing }, known);
    assert!(secrets.is_empty());

    let named = patch(json!({"name": "Other", "type": "custom_s2s", "interval": "1h"})).integration;
    assert_eq!((&*named.name, named.interval), ("Other", Duration::from_secs(3600)));
    assert_eq!((&named.config, &named.secrets), (&known.config, &known.secrets));

    let moved = patch(json!({"config": {"api_url": "https://elsewhere.example/"}}));
    let expected =
        BTreeMap::from([("access_client_id", "the-access_client_id"), ("api_url", "https://elsewhere.example/")]);
    assert_eq!(texts(&moved.integration.config), expected);
    assert_eq!(moved.integration.secrets, known.secrets, "a secret that is left out stays");
    assert!(moved.secrets.is_empty());

    let IntegrationDraft { integration: renewed, secrets } = patch(json!({"config": {"access_client_secret": "new"}}));
    assert!(renewed.secrets.is_empty(), "the old secret goes when a new one comes");
    assert_eq!(secrets["access_client_secret"].expose(), "new");

    for (expected, body) in [
        ("/name", json!({"name": ""})),
        ("/type", json!({"type": "kolide"})),
        ("/type", json!({"type": "jamf"})),
        ("/interval", json!({"interval": "1s"})),
        ("/config", json!({"config": []})),
        ("/config/api_url", json!({"config": {"api_url": "http://posture.example"}})),
        ("/config/access_client_secret", json!({"config": {"access_client_secret": ""}})),
    ] {
        assert_eq!(pointer(patch_integration(&bytes(&body), &known, later())), expected);
    }
}

#[test]
fn how_it_fares_is_shown_when_it_is_known() {
    let mut known = custom();
    known.meta.origin = Origin::File { path: "vendors.yaml".into(), line: 12 };
    let error = ConnectionError { at: later(), code: "provider-timeout", message: "no answer".into() };
    let state = ConnectionState { last_success_at: Some(now()), last_error: Some(error) };
    let fares = shown(integration(&known, Some(&state)));
    assert_eq!(fares["last_success_at"], "2026-01-05T10:00:00.000Z");
    let error = json!({"at": "2026-01-05T10:01:00.000Z", "code": "provider-timeout", "message": "no answer"});
    assert_eq!(fares["last_error"], error);
    assert_eq!(fares["source"], "file:vendors.yaml:12");
    let fresh = shown(integration(&known, Some(&ConnectionState::default())));
    assert_eq!(fresh, shown(integration(&known, None)));
    known.config.insert("client_secret".into(), "misplaced".into());
    assert!(!shown(integration(&known, None)).to_string().contains("misplaced"));
}

#[test]
fn a_creation_sent_again_is_recognised() {
    let known = custom();
    let mut again = body("custom_s2s", config(&["api_url", "access_client_id", "access_client_secret"]));
    again["config"]["access_client_secret"] = json!("another");
    let same = |body: &Value| same_integration_content(&known, &create(body).unwrap().object);
    assert!(same(&again), "secrets are for the caller to compare");
    for (member, value) in [("name", "Other"), ("interval", "600s")] {
        let mut other = again.clone();
        other[member] = json!(value);
        assert!(!same(&other));
    }
    again["config"]["access_client_id"] = json!("another");
    assert!(!same(&again));
}
