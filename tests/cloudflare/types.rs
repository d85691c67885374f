//! Each of the 23 types opens a service for a device that satisfies it, and closes it, with its reason and both values, for
//! one that does not.

mod cases;

use std::collections::HashMap;

use serde_json::{Value, json};

use super::client::Client;
use super::operator::{CERTIFICATES, INTEGRATIONS, LISTS, Operator, RULES};
use super::process::PATIENCE;
use super::reporter::Reporter;
use super::support::{Authority, Origin};
use super::world::World;
use cases::{Case, Facts, References};

/// How a type is written in names of hosts and services.
fn label(kind: &str) -> String {
    format!("t-{}", kind.replace('_', "-"))
}

fn host(kind: &str) -> String {
    format!("{}.example.test", label(kind))
}

/// A service for each type, open to both devices when the rules with the type's attribute pass.
fn policy(upstream: &str, kinds: &[&str]) -> String {
    let mut text = "identities:\n".to_owned();
    for name in ["good", "bad"] {
        let subject = format!("spiffe://postern.test/{name}");
        text += &format!("  - {{ name: {name}, subjects: [\"{subject}\"], role_attributes: [devices] }}\n");
    }
    text += "services:\n";
    for kind in kinds {
        let (name, host) = (label(kind), host(kind));
        text += &format!("  - {{ name: {name}, hosts: [{host}], upstreams: [\"{upstream}\"] }}\n");
    }
    text += "service_policies:\n";
    for kind in kinds {
        let name = label(kind);
        text += &format!(
            "  - {{ name: {name}, identity_roles: [\"#devices\"], service_roles: [\"@{name}\"], \
             posture_check_roles: [\"#{name}\"] }}\n"
        );
    }
    text
}

/// What rules refer to.
async fn references(operator: &Operator, signer: &Authority) -> References {
    let list = |name: &str, kind: &str, value: &str| json!({"name": name, "type": kind, "items": [{"value": value}]});
    let signing = std::fs::read_to_string(signer.ca_file()).unwrap();
    let mut ids = HashMap::new();
    ids.insert("SERIAL", operator.make(LISTS, &list("laptops", "SERIAL", "C02XYZ")).await);
    ids.insert("DEVICE", operator.make(LISTS, &list("phones", "DEVICE", "123e4567-e89b")).await);
    let certificate = json!({"name": "devices", "ca": true, "certificates": signing});
    ids.insert("certificate", operator.make(CERTIFICATES, &certificate).await);
    for (kind, config) in cases::integrations() {
        let integration = json!({"name": kind, "type": kind, "interval": "10m", "config": config});
        ids.insert(kind, operator.make(INTEGRATIONS, &integration).await);
    }
    let pem = |signer: &Authority, name: &str| {
        let issued = signer.client_with(name, |params| {
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
        });
        std::fs::read_to_string(issued.certificate_file).unwrap()
    };
    let pems = ["laptop.corp.example", "other.corp.example", "C02XYZ.corp.example"];
    References { ids, pems: pems.map(|name| (name, pem(signer, name))).into() }
}

#[tokio::test]
async fn every_type_opens_for_what_satisfies_it_and_for_nothing_else() {
    let origin = Origin::start().await;
    let world =
        World::new(&policy(&origin.upstream(), &cases::KINDS)).configured("cloudflare: { test_integrations: false }\n");
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let signer = Authority::new("Signer of devices");
    let references = references(&operator, &signer).await;
    let cases = cases::all(&references);
    let told: Vec<_> = cases.iter().map(|case| case.kind).collect();
    assert_eq!(told, cases::KINDS, "every type has its case");
    let [good, bad] = ["good", "bad"].map(|name| world.certificate(name));
    let clients = [&good, &bad].map(|who| Client::http2(&gateway, &world.authority, who));
    let devices = [&good, &bad].map(|who| Reporter::new(&gateway, &world.authority, who));
    for case in &cases {
        let kind = case.kind;
        let mut rule =
            json!({"name": format!("the rule of type {kind}"), "type": kind, "role_attributes": [label(kind)]});
        if let Some(input) = &case.input {
            rule["input"] = input.clone();
        }
        if let Some(expiration) = case.expiration {
            rule["expiration"] = expiration.into();
        }
        let rule = operator.make(RULES, &rule).await;
        for ((name, device), facts) in ["good", "bad"].into_iter().zip(&devices).zip([&case.good, &case.bad]) {
            tell(&operator, device, name, case, facts, &references).await;
        }
        let [opened, closed] = &clients;
        if case.opens {
            reaches(opened, &devices[0], case).await;
        }
        let refused = is_refused(closed, kind).await;
        assert_eq!(refused["reason"], "posture-failed", "{kind}: {refused}");
        assert!(case.opens || opened.status(&host(kind), "/").await == 403, "{kind} must open for nobody");
        let (failure, checks) = operator.newest_refusal("bad").await;
        assert_eq!(failure["reasonCode"], "posture-failed", "{kind}: {failure}");
        assert_eq!(failure["serviceName"], label(kind), "{failure}");
        let check = checks.iter().find(|check| check["postureCheckId"] == rule.as_str());
        case.assert_explained(check.unwrap_or_else(|| panic!("{kind}: {failure}")));
        // And the rule was the only thing in the way.
        assert_eq!(checks.len(), 1, "{kind}: {checks:?}");
    }
}

/// Tells the gateway what is to be known of a device.
async fn tell(operator: &Operator, device: &Reporter, name: &str, case: &Case, facts: &Facts, references: &References) {
    let mut report = json!({ "os": case.os });
    if let Facts::Reported(members) = facts {
        report.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    }
    device.report(&report).await;
    if let Facts::OfProvider(values) = facts {
        operator.provider_says(name, &references.ids[case.kind], values).await;
    }
}

/// The device gets through. A result that is valid for a moment only may need another report.
async fn reaches(client: &Client, device: &Reporter, case: &Case) {
    let through = async {
        while client.status(&host(case.kind), "/").await != 200 {
            assert!(case.expiration.is_some(), "{} does not open", case.kind);
            device.report(&json!({ "os": case.os })).await;
        }
    };
    tokio::time::timeout(PATIENCE, through).await.unwrap();
}

/// The refusal, as soon as there is one: what was valid for a moment ends by itself.
async fn is_refused(client: &Client, kind: &str) -> Value {
    let refused = async {
        loop {
            let response = client.get(&host(kind), "/").await;
            if response.status() == 403 {
                return response.json().await.unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap_or_else(|_| panic!("{kind} stays open"))
}
