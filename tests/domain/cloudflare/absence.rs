//! What is unknown, missing or stale never passes, for every type and any combination of optional inputs; and it never makes the
//! opposite of a rule pass either.

use std::sync::Arc;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::posture::check::Check;
use postern::posture::facts::Fact;
use postern::posture::{Outcome, Posture};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::{create, examples, now};
use crate::vectors::cloudflare::context::Context;
use crate::vectors::cloudflare::device;

/// Facts count for ten minutes.
const EXPIRATION: &str = "10m";
/// So long before now that nothing counts any more.
const LONG: Duration = Duration::from_secs(10 * 60);

/// What the examples refer to.
fn context() -> Context {
    let vectors = include_str!("../../data/vectors/cloudflare.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    Context::new(&vectors, now())
}

/// A rule, and a device that passes it.
#[derive(Debug)]
struct Case {
    rule: Value,
    device: Value,
    /// Facts without which it cannot pass, as JSON pointers into the device.
    needs: Vec<String>,
}

impl Case {
    /// An example without the optional members that `left_out` says.
    fn new(example: &Value, left_out: u16) -> Self {
        let mut input = example["input"].as_object().unwrap().clone();
        for (optional, position) in example["optional"].as_array().unwrap().iter().zip(0..) {
            if left_out >> position & 1 == 1 {
                optional.as_str().unwrap().split('+').for_each(|name| drop(input.remove(name)));
            }
        }
        let needs = example["needs"].as_object().unwrap().iter();
        let needs = needs.filter(|(_, because)| because.as_str().is_none_or(|name| input.contains_key(name)));
        Case {
            needs: needs.map(|(pointer, _)| pointer.clone()).collect(),
            rule: json!({"name": "r", "type": example["type"], "expiration": EXPIRATION, "input": input}),
            device: example["device"].clone(),
        }
    }

    fn check(&self, context: &Context) -> Arc<Check> {
        context.compiled(create(&self.rule).unwrap().object).unwrap()
    }

    fn posture(&self, device: &Value, context: &Context) -> Posture {
        // Nobody says for whom the list of files is complete: a path that is not in it was not looked for.
        device::posture(device, &Value::Null, context).unwrap()
    }
}

fn case() -> impl Strategy<Value = Case> {
    let examples = examples();
    (any::<Index>(), any::<u16>()).prop_map(move |(index, left_out)| Case::new(index.get(&examples), left_out))
}

/// A pointer to every fact of a device that it could have kept to itself. What a file is called, or that a product is off, is no such
/// fact: to leave it out would be to say something else.
fn facts(device: &Value) -> Vec<String> {
    const PARTS: [&str; 6] = ["sha256", "thumbprint", "encrypted", "timestamp", "application", "pf"];
    let mut found = Vec::new();
    for (name, value) in device.as_object().unwrap() {
        found.push(format!("/{name}"));
        let entries: Vec<(String, &Value)> = match value {
            Value::Array(entries) => {
                entries.iter().enumerate().map(|(index, entry)| (format!("/{name}/{index}"), entry)).collect()
            }
            Value::Object(_) if name == "firewall" => vec![(format!("/{name}"), value)],
            Value::Object(records) if name == "providers" => {
                records.iter().map(|(id, record)| (format!("/{name}/{id}"), record)).collect()
            }
            _ => continue,
        };
        for (pointer, entry) in entries {
            let told = |part: &&String| name == "providers" && *part != "type" || PARTS.contains(&part.as_str());
            found.extend(entry.as_object().unwrap().keys().filter(told).map(|part| format!("{pointer}/{part}")));
        }
    }
    found
}

fn without(device: &Value, fact: &str) -> Value {
    let mut device = device.clone();
    let (parent, name) = fact.rsplit_once('/').unwrap();
    if let Some(parent) = device.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(name);
    }
    device
}

/// The device with another value of a fact, so that it may well fail.
fn altered(device: &Value, fact: &str) -> Value {
    let mut device = device.clone();
    if let Some(value) = device.pointer_mut(fact) {
        *value = match &*value {
            Value::Bool(flag) => json!(!*flag),
            Value::Number(number) => json!(number.as_f64().unwrap() + 7.0),
            Value::String(_) => json!("7"),
            Value::Array(_) => json!([]),
            other => other.clone(),
        };
    }
    device
}

/// Makes the facts that a device told under `name` older than the expiration allows.
fn grown_old(posture: &Posture, name: &str) -> Posture {
    fn old<T>(fact: &mut Option<Fact<T>>) {
        fact.iter_mut().for_each(|fact| fact.observed_at = then());
    }
    let mut posture = posture.clone();
    let mut inventory = posture.inventory.take().unwrap_or_default();
    match name {
        "domain" => old(&mut posture.domain),
        "processes" => posture.processes.iter_mut().for_each(|fact| fact.observed_at = then()),
        "warp" => {
            posture.checked_in_at = posture.checked_in_at.map(|_| then());
            old(&mut inventory.tunnel);
        }
        "environment" => old(&mut inventory.environment),
        "files" => old(&mut inventory.files),
        "volumes" => old(&mut inventory.volumes),
        "firewall" => old(&mut inventory.firewall),
        "antivirus" => old(&mut inventory.antivirus),
        "certificates" => old(&mut inventory.certificates),
        "serial_number" => old(&mut inventory.serial_number),
        "hostname" => old(&mut inventory.hostname),
        "unique_client_id" => old(&mut inventory.unique_client_id),
        "providers" => inventory.providers.iter_mut().for_each(|fact| fact.observed_at = then()),
        _ => old(&mut posture.os),
    }
    posture.inventory = Some(inventory);
    posture
}

fn then() -> Timestamp {
    now().before(LONG)
}

fn answer(check: &Check, posture: &Posture) -> Outcome {
    check.assess(posture, now()).outcome
}

/// What neither the rule nor its opposite lets through.
fn opens_nothing(outcome: Outcome) -> bool {
    !outcome.is_pass() && !outcome.negate().is_pass()
}

/// Whether what a device that tells less is answered could not be taken back by telling more.
fn agrees(knowing_less: Outcome, knowing_more: Outcome) -> bool {
    (!knowing_less.is_pass() || knowing_more.is_pass())
        && (!knowing_less.negate().is_pass() || knowing_more.negate().is_pass())
}

#[test]
fn every_example_passes_and_every_type_has_one() {
    let context = context();
    for example in examples() {
        let case = Case::new(&example, 0);
        let outcome = answer(&case.check(&context), &case.posture(&case.device, &context));
        assert!(outcome.is_pass(), "{} is {}", case.rule, outcome.code());
    }
    for kind in postern::dialect::cloudflare::RuleType::ALL {
        let known = examples().iter().any(|example| example["type"] == kind.as_str());
        assert!(known || kind.as_str() == "tanium", "{} has no example", kind.as_str());
    }
}

#[test]
fn a_rule_nobody_answers_has_no_result() {
    let context = context();
    let check = context.compiled(create(&json!({"name": "t", "type": "tanium"})).unwrap().object).unwrap();
    assert_eq!(check.predicate.connection(), None, "it must not be reported as one that names nothing");
    for device in
        [json!({}), json!({"platform": "windows", "providers": {"a": {"type": "tanium_s2s", "total_score": 1}}})]
    {
        let outcome = answer(&check, &device::posture(&device, &Value::Null, &context).unwrap());
        assert!(opens_nothing(outcome) && outcome.code() != "dangling-check", "{}", outcome.code());
    }
}

proptest! {
    #[test]
    fn without_a_fact_it_needs_a_rule_opens_nothing(case in case()) {
        let context = context();
        let check = case.check(&context);
        let whole = case.posture(&case.device, &context);
        prop_assert!(answer(&check, &whole).is_pass(), "{}", answer(&check, &whole).code());
        for fact in &case.needs {
            let outcome = answer(&check, &case.posture(&without(&case.device, fact), &context));
            prop_assert!(opens_nothing(outcome), "without {fact}: {}", outcome.code());
        }
    }

    #[test]
    fn with_a_stale_fact_it_needs_a_rule_opens_nothing(case in case()) {
        let context = context();
        let check = case.check(&context);
        let whole = case.posture(&case.device, &context);
        let mut all_old = whole.clone();
        for fact in facts(&case.device) {
            let name = fact.split('/').nth(1).unwrap();
            all_old = grown_old(&all_old, name);
            let outcome = answer(&check, &grown_old(&whole, name));
            prop_assert!(agrees(outcome, answer(&check, &whole)), "with old {name}: {}", outcome.code());
            // The name of the system is no fact that grows old: devices do not change their kind.
            if name != "platform" && case.needs.contains(&fact) {
                prop_assert!(opens_nothing(outcome), "with old {name}: {}", outcome.code());
            }
        }
        let outcome = answer(&check, &all_old);
        prop_assert!(opens_nothing(outcome), "with old facts: {}", outcome.code());
    }

    #[test]
    fn a_pass_ends_with_its_facts_to_the_millisecond(case in case()) {
        let context = context();
        let check = case.check(&context);
        let posture = case.posture(&case.device, &context);
        let until = check.assess(&posture, now()).valid_until;
        prop_assert!(until <= now().after(LONG));
        let tick = Duration::from_millis(1);
        prop_assert!(check.assess(&posture, until.before(tick)).outcome.is_pass());
        prop_assert!(!check.assess(&posture, until).outcome.is_pass());
    }

    #[test]
    fn of_a_device_that_is_not_known_a_rule_opens_nothing(case in case(), name in "|beos|Windows 11|\\PC{0,8}") {
        let context = context();
        let check = case.check(&context);
        let outcome = answer(&check, &Posture::default());
        prop_assert!(opens_nothing(outcome), "{}", outcome.code());
        let mut device = case.device.clone();
        device["platform"] = json!(name);
        let outcome = answer(&check, &case.posture(&device, &context));
        // Only a service of the operator's own is asked about devices of every kind.
        prop_assert!(opens_nothing(outcome) || case.rule["type"] == "custom_s2s", "{}", outcome.code());
    }

    #[test]
    fn telling_less_never_opens_more(
        case in case(),
        other in prop::option::of(any::<Index>()),
        hidden in prop::collection::vec(any::<Index>(), 1..4),
    ) {
        let context = context();
        let check = case.check(&context);
        let facts = facts(&case.device);
        let device = other.map_or(case.device.clone(), |other| altered(&case.device, other.get::<String>(&facts)));
        let told = answer(&check, &case.posture(&device, &context));
        let hidden: Vec<&String> = hidden.iter().map(|index| index.get(&facts)).collect();
        let less = hidden.iter().fold(device, |device, fact| without(&device, fact));
        let outcome = answer(&check, &case.posture(&less, &context));
        prop_assert!(agrees(outcome, told), "{} without {hidden:?}, {} with", outcome.code(), told.code());
    }
}
