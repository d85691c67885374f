//! What vendors say of a device, in every spelling.

use std::time::Duration;

use postern::dialect::cloudflare::{read_provider_object, read_provider_values};
use postern::policy::integration::Provider;
use postern::posture::provider::{ProviderMember as Member, ProviderValue, ProviderValues};
use serde_json::{Value, json};

use super::{bytes, now, pointer};

#[track_caller]
fn read(provider: Provider, body: Value) -> ProviderValues {
    let values = read_provider_values(provider, &bytes(&body), now()).unwrap();
    assert_eq!(read_provider_object(provider, body.as_object().unwrap(), now()).unwrap(), values);
    values
}

fn text(text: &str) -> ProviderValue {
    ProviderValue::Text(text.to_owned())
}

fn number(number: f64) -> ProviderValue {
    ProviderValue::Number(number)
}

fn at(text: &str) -> ProviderValue {
    ProviderValue::Instant(text.parse().unwrap())
}

#[test]
fn compliance_is_told_in_each_vendors_words() {
    let intune = [
        ("compliant", "compliant"),
        ("inGracePeriod", "ingraceperiod"),
        ("configManager", "configmanager"),
        ("conflict", "conflict"),
        ("somethingNew", "somethingnew"),
    ];
    for (said, expected) in intune {
        for name in ["complianceState", "compliance_status", "compliance_state"] {
            let values = read(Provider::Intune, json!({"type": "intune", name: said}));
            assert_eq!(values, ProviderValues::from([(Member::ComplianceStatus, text(expected))]));
        }
    }
    let workspace = [
        ("Compliant", "compliant"),
        ("NonCompliant", "noncompliant"),
        ("noncompliant", "noncompliant"),
        ("NotAvailable", "unknown"),
        ("Quarantined", "unknown"),
    ];
    for (said, expected) in workspace {
        let values = read(Provider::WorkspaceOne, json!({"ComplianceStatus": said}));
        assert_eq!(values, ProviderValues::from([(Member::ComplianceStatus, text(expected))]));
    }
}

#[test]
fn every_other_vendor_is_read() {
    let kolide = read(Provider::Kolide, json!({"auth_state": "Will Block", "issue_count": "10"}));
    assert_eq!(
        kolide,
        ProviderValues::from([(Member::AuthState, text("Will Block")), (Member::IssueCount, number(10.0))])
    );

    let crowdstrike = json!({
        "type": "crowdstrike_s2s", "overall": 82, "os": "90", "sensor_config": 75.5, "version": "2.1.0",
        "state": "Online", "last_seen_seconds": 7200,
    });
    let expected = ProviderValues::from([
        (Member::Overall, number(82.0)),
        (Member::Os, number(90.0)),
        (Member::SensorConfig, number(75.5)),
        (Member::Version, text("2.1.0")),
        (Member::State, text("online")),
        (Member::LastSeen, ProviderValue::Instant(now().before(Duration::from_secs(7200)))),
    ]);
    assert_eq!(read(Provider::CrowdStrike, crowdstrike), expected);
    let offline = read(Provider::CrowdStrike, json!({"state": "offline", "last_seen": "2026-01-01T00:00:00Z"}));
    assert_eq!(offline[&Member::LastSeen], at("2026-01-01T00:00:00Z"), "kept as given");

    let expected = ProviderValues::from([
        (Member::RiskLevel, text("low")),
        (Member::TotalScore, number(299.0)),
        (Member::EndpointLastSeen, at("2026-01-01T00:00:00Z")),
    ]);
    let vendor = json!({"riskLevel": "Low", "totalScore": 299, "eidLastSeen": "2026-01-01T02:00:00+02:00"});
    assert_eq!(read(Provider::Tanium, vendor), expected);
    let cloudflare = json!({"risk_level": "low", "total_score": "299", "eid_last_seen": "2026-01-01T00:00:00Z"});
    assert_eq!(read(Provider::Tanium, cloudflare), expected);
    let age = read(Provider::Tanium, json!({"eid_last_seen_seconds": "1.5"}));
    let seen = now().before(Duration::from_millis(1500));
    assert_eq!(age, ProviderValues::from([(Member::EndpointLastSeen, ProviderValue::Instant(seen))]));

    let expected = ProviderValues::from([
        (Member::Infected, ProviderValue::Flag(false)),
        (Member::ActiveThreats, number(2.0)),
        (Member::IsActive, ProviderValue::Flag(true)),
        (Member::NetworkStatus, text("connected")),
        (Member::OperationalState, text("na")),
    ]);
    let vendor = json!({
        "infected": false, "activeThreats": 2, "isActive": true, "networkStatus": "connected", "operationalState": "na",
    });
    assert_eq!(read(Provider::SentinelOne, vendor), expected);
    let cloudflare = json!({
        "infected": false, "active_threats": 2, "is_active": true, "network_status": "connected",
        "operational_state": "na",
    });
    assert_eq!(read(Provider::SentinelOne, cloudflare), expected);

    let custom = ProviderValues::from([(Member::ProviderId, text("")), (Member::Score, number(0.0))]);
    assert_eq!(read(Provider::Custom, json!({"type": "custom_s2s", "s2s_id": "", "score": 0})), custom);
    assert_eq!(read(Provider::Uptycs, json!({"score": 100})), ProviderValues::from([(Member::Score, number(100.0))]));
}

#[test]
fn nothing_told_is_not_the_same_as_unknown() {
    for provider in Provider::ALL {
        for body in [json!({}), json!({"type": "whatever"}), json!({"score": null})] {
            assert!(read(*provider, body).is_empty());
        }
    }
}

#[test]
fn refusals_point_to_what_is_wrong() {
    let cases = [
        (Provider::Intune, "/complianceState", json!({"complianceState": 1})),
        (Provider::Intune, "/complianceState", json!({"complianceState": ""})),
        (Provider::Intune, "/score", json!({"score": 1})),
        (Provider::WorkspaceOne, "/ComplianceStatus", json!({"ComplianceStatus": true})),
        (Provider::WorkspaceOne, "/complianceState", json!({"complianceState": "compliant"})),
        (Provider::Kolide, "/auth_state", json!({"auth_state": ["Good"]})),
        (Provider::Kolide, "/issue_count", json!({"issue_count": "many"})),
        (Provider::Kolide, "/issue_count", json!({"issue_count": -1})),
        (Provider::Kolide, "/issue_count", json!({"issue_count": "-1"})),
        (Provider::Kolide, "/issue_count", json!({"issue_count": ""})),
        (Provider::CrowdStrike, "/overall", json!({"overall": 101})),
        (Provider::CrowdStrike, "/os", json!({"os": "13.3.0"})),
        (Provider::CrowdStrike, "/os", json!({"os": "inf"})),
        (Provider::CrowdStrike, "/sensor_config", json!({"sensor_config": "1e1"})),
        (Provider::CrowdStrike, "/version", json!({"version": 2.1})),
        (Provider::CrowdStrike, "/state", json!({"state": "asleep"})),
        (Provider::CrowdStrike, "/last_seen", json!({"last_seen": "yesterday"})),
        (Provider::CrowdStrike, "/last_seen", json!({"last_seen": 7200})),
        (Provider::CrowdStrike, "/last_seen_seconds", json!({"last_seen_seconds": -1})),
        (Provider::CrowdStrike, "/last_seen_seconds", json!({"last_seen_seconds": 1e300})),
        (
            Provider::CrowdStrike,
            "/last_seen_seconds",
            json!({"lastSeen": "2026-01-01T00:00:00Z", "last_seen_seconds": 1}),
        ),
        (Provider::Tanium, "/risk_level", json!({"risk_level": "extreme"})),
        (Provider::Tanium, "/total_score", json!({"total_score": false})),
        (Provider::SentinelOne, "/infected", json!({"infected": "false"})),
        (Provider::SentinelOne, "/isActive", json!({"isActive": 1})),
        (Provider::SentinelOne, "/networkStatus", json!({"networkStatus": false})),
        (Provider::Custom, "/score", json!({"score": 100.5})),
        (Provider::Custom, "/s2s_id", json!({"s2s_id": 7})),
        (Provider::Custom, "/s2s_id", json!({"s2s_id": "x".repeat(257)})),
        (Provider::Uptycs, "/s2s_id", json!({"s2s_id": "x"})),
        (Provider::Uptycs, "/a~1b", json!({"a/b": "x"})),
    ];
    for (provider, expected, body) in cases {
        assert_eq!(pointer(read_provider_values(provider, &bytes(&body), now())), expected, "{body}");
    }
    assert!(read_provider_values(Provider::Custom, b"[]", now()).is_err());
    let said = read_provider_values(Provider::Intune, br#"{"score":1}"#, now()).unwrap_err().to_string();
    assert!(said.contains("score is nothing that intune tells; it tells compliance_status"), "{said}");
}
