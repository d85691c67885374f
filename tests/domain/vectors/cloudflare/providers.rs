//! What vendors say of a device, in their own spellings.

use std::time::Duration;

use postern::clock::Timestamp;
use postern::posture::provider::{ProviderMember, ProviderValue, ProviderValues};
use serde_json::Value;

/// The values of one record; `None` when the provider has no record that can be used.
pub(super) fn values(said: &Value, now: Timestamp) -> Option<ProviderValues> {
    let mut values = ProviderValues::new();
    for (name, value) in said.as_object()? {
        if let Some((member, value)) = member(&said["type"], name, value, now) {
            values.insert(member, value);
        }
    }
    // A score out of its range says nothing, and neither does its record.
    let score_in_range = match values.get(&ProviderMember::Score) {
        Some(ProviderValue::Number(score)) => (0.0..=100.0).contains(score),
        other => other.is_none(),
    };
    if values.get(&ProviderMember::State) == Some(&ProviderValue::Text("offline".into())) {
        values.remove(&ProviderMember::LastSeen);
    }
    score_in_range.then_some(values)
}

fn member(provider: &Value, name: &str, value: &Value, now: Timestamp) -> Option<(ProviderMember, ProviderValue)> {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let name = plain(name);
    let (name, is_age) = name.strip_suffix("seconds").map_or((name.as_str(), false), |name| (name, true));
    let name = if name == "compliancestate" { "compliancestatus" } else { name };
    let member = ProviderMember::ALL.iter().copied().find(|member| plain(member.as_str()) == name)?;
    let value = match (member, value) {
        (ProviderMember::LastSeen | ProviderMember::EndpointLastSeen, value) if is_age => {
            ProviderValue::Instant(now.before(Duration::from_millis((value.as_f64()? * 1000.0) as u64)))
        }
        (ProviderMember::LastSeen | ProviderMember::EndpointLastSeen, value) => {
            ProviderValue::Instant(value.as_str()?.parse().ok()?)
        }
        (ProviderMember::ComplianceStatus, Value::String(status)) if provider == "workspace_one" => {
            let known = ["compliant", "noncompliant"].contains(&status.to_ascii_lowercase().as_str());
            ProviderValue::Text(if known { status.clone() } else { "unknown".to_owned() })
        }
        (ProviderMember::IssueCount | ProviderMember::Overall, Value::String(number)) => {
            ProviderValue::Number(number.parse().ok()?)
        }
        (_, Value::String(text)) => ProviderValue::Text(text.clone()),
        (_, Value::Bool(flag)) => ProviderValue::Flag(*flag),
        (_, Value::Number(number)) => ProviderValue::Number(number.as_f64()?),
        _ => return None,
    };
    Some((member, value))
}
