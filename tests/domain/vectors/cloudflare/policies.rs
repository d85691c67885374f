//! Access policies over the results of their rules, through the one evaluator.

use std::collections::BTreeSet;
use std::sync::Arc;

use postern::clock::Timestamp;
use postern::decision::{Asker, decide};
use postern::dialect::cloudflare::{AccessRule, access_expression};
use postern::id::{IdentityId, ServiceId};
use postern::policy::compile::compile;
use postern::policy::roles::{Role, Semantic};
use postern::posture::Posture;
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::mac::MacRule;
use postern::posture::check::{Check, Predicate};
use postern::posture::facts::{Fact, Source};
use serde_json::Value;

use crate::objects::{World, check, identity, policy, service};

/// `match` or `no_match`, and why.
pub(super) fn judged(vector: &Value, now: Timestamp) -> Result<String, String> {
    let list = |name: &str| -> Result<Vec<AccessRule>, String> {
        match &vector["policy"][name] {
            Value::Null => Ok(Vec::new()),
            entries => serde_json::from_value(entries.clone()).map_err(|error| format!("{name}: {error}")),
        }
    };
    let expression = match access_expression(&list("include")?, &list("require")?, &list("exclude")?) {
        Ok(expression) => expression,
        Err(error) => return Ok(format!("no_match (the policy is refused: {error})")),
    };
    let mut world = World::default();
    let mut named: BTreeSet<String> =
        vector["results"].as_object().into_iter().flatten().map(|(id, _)| id.clone()).collect();
    if let Some(expression) = &expression {
        expression.visit(&mut |leaf| named.extend([leaf.trim_start_matches('@').to_owned()]));
    }
    for id in named {
        let mut object = check(&id, &id, &[]);
        let predicate = predicate(vector["results"][&id].as_str());
        object.check = Arc::new(Check { predicate, ..Check::clone(&object.check) });
        world.add_check(object);
    }
    world.add_identity(identity("device", "device", &[]));
    world.add_service(service("service", "service", &[]));
    let mut access = policy("access", Semantic::AnyOf, vec![Role::All], vec![Role::All], vec![]);
    access.expression = expression;
    world.add_policy(access);

    let snapshot = compile(world.objects, 1).map_err(|errors| format!("{errors:?}"))?;
    let target = snapshot.find_service(&ServiceId::from("service")).ok_or("the service is lost")?;
    Ok(match decide(&snapshot, &Asker::new(&IdentityId::from("device"), &posture(now)), target, now) {
        Ok(_) => "match".to_owned(),
        Err(denial) => format!("no_match ({})", denial.reason.code()),
    })
}

/// A device of which one thing is known.
fn posture(now: Timestamp) -> Posture {
    let domain = Fact { value: "corp.example".to_owned(), observed_at: now, source: Source::Device, asked_by: None };
    Posture { domain: Some(domain), ..Posture::default() }
}

/// A question that has the wanted answer about that device.
fn predicate(result: Option<&str>) -> Predicate {
    let domain = |domain: &str| {
        Predicate::Domain(DomainRule { domains: vec![domain.to_owned()], matching: DomainMatching::Folded })
    };
    match result {
        Some("pass") => domain("corp.example"),
        Some("fail") => domain("other.example"),
        _ => Predicate::Mac(MacRule { addresses: vec!["020000000001".into()] }),
    }
}
