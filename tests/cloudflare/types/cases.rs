//! One case for each type: a rule, a device that satisfies it, one that does not, and what is said of the second.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::reporter::os;
use crate::support::now;

/// Cloudflare's types in its order.
pub(crate) const KINDS: [&str; 23] = [
    "file",
    "application",
    "tanium",
    "gateway",
    "warp",
    "disk_encryption",
    "serial_number",
    "sentinelone",
    "carbonblack",
    "firewall",
    "os_version",
    "domain_joined",
    "client_certificate",
    "client_certificate_v2",
    "antivirus",
    "unique_client_id",
    "kolide",
    "tanium_s2s",
    "crowdstrike_s2s",
    "intune",
    "workspace_one",
    "sentinelone_s2s",
    "custom_s2s",
];

/// What rules and reports refer to.
pub(crate) struct References {
    /// Of lists by their type, of integrations by theirs, of the signing certificate.
    pub(crate) ids: HashMap<&'static str, String>,
    /// Certificates it signed, by their common name.
    pub(crate) pems: HashMap<&'static str, String>,
}

/// What is known of a device, beside its system.
pub(crate) enum Facts {
    /// Members of a report.
    Reported(Value),
    /// What the provider of the case's type says.
    OfProvider(Value),
}

/// A type's case.
pub(crate) struct Case {
    pub(crate) kind: &'static str,
    pub(crate) input: Option<Value>,
    /// How long a result counts, where the case is about that.
    pub(crate) expiration: Option<&'static str>,
    /// The system of both devices.
    pub(crate) os: Value,
    pub(crate) good: Facts,
    pub(crate) bad: Facts,
    /// Whether there is a device it opens for.
    pub(crate) opens: bool,
    reason: &'static str,
    /// Pointers into the expected and the actual value, and what must stand there.
    expected: (&'static str, Value),
    actual: (&'static str, Value),
}

impl Case {
    /// A type that asks the device.
    fn of_device(kind: &'static str, system: &str, input: Value, good: Value, bad: Value) -> Case {
        Case {
            kind,
            input: Some(input),
            expiration: None,
            os: os(system, "10.0.0"),
            good: Facts::Reported(good),
            bad: Facts::Reported(bad),
            opens: true,
            reason: "",
            expected: ("", Value::Null),
            actual: ("", Value::Null),
        }
    }

    /// A type that asks a provider.
    fn of_provider(references: &References, kind: &'static str, input: Value, good: Value, bad: Value) -> Case {
        let mut input = input;
        input["connection_id"] = references.ids[kind].as_str().into();
        let case = Case::of_device(kind, "Windows", input, json!({}), json!({}));
        Case { good: Facts::OfProvider(good), bad: Facts::OfProvider(bad), ..case }
    }

    fn because(self, reason: &'static str, expected: (&'static str, Value), actual: (&'static str, Value)) -> Case {
        Case { reason, expected, actual, ..self }
    }

    /// A failed check of a record tells what was wanted and what was seen.
    pub(crate) fn assert_explained(&self, check: &Value) {
        let (kind, wanted, seen) = (self.kind, &check["expectedValue"], &check["actualValue"]);
        assert_eq!(check["reasonCode"], self.reason, "{kind}: {check}");
        assert_eq!(check["postureCheckName"], format!("the rule of type {kind}"), "{check}");
        assert!(!wanted.is_null() && (!seen.is_null() || !self.opens), "{kind}: {check}");
        for (value, (pointer, told)) in [(wanted, &self.expected), (seen, &self.actual)] {
            match (value.pointer(pointer), told) {
                // A moment: which one, the case cannot know.
                (Some(found), Value::String(told)) if told == "*" => assert!(!found.is_null(), "{kind}: {check}"),
                (found, told) => assert_eq!(found, Some(told), "{kind}: {pointer} of {check}"),
            }
        }
    }
}

/// What integrations are configured with. Nobody is asked: the tests say themselves what providers know.
pub(crate) fn integrations() -> [(&'static str, Value); 7] {
    let access = json!({
        "api_url": "https://127.0.0.1:1/", "access_client_id": "id.access", "access_client_secret": "a-secret",
    });
    let oauth = |url: &str| json!({"api_url": url, "auth_url": url, "client_id": "id", "client_secret": "a-secret"});
    [
        ("kolide", json!({"client_id": "id", "client_secret": "a-secret"})),
        ("tanium_s2s", json!({"api_url": "https://tanium.example/graphql", "client_secret": "a-secret"})),
        (
            "crowdstrike_s2s",
            json!({
                "api_url": "https://crowdstrike.example", "client_id": "id", "client_secret": "a-secret",
                "customer_id": "customer",
            }),
        ),
        ("intune", json!({"client_id": "id", "client_secret": "a-secret", "customer_id": "tenant"})),
        ("workspace_one", oauth("https://uem.example/API")),
        ("sentinelone_s2s", json!({"api_url": "https://sentinelone.example", "client_secret": "a-secret"})),
        ("custom_s2s", access),
    ]
}

const WANTED: &str = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";
const OTHER: &str = "00bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";
const SIGNER: &str = "fe2c359d79d4ceae6bdf7efb507326c6b4e2436e";
const STRANGER: &str = "002c359d79d4ceae6bdf7efb507326c6b4e2436e";

/// Every type, in the order of [`KINDS`].
pub(crate) fn all(references: &References) -> Vec<Case> {
    let mut cases = programs();
    cases.extend(protection());
    cases.extend(named(references));
    cases.extend(agents());
    cases.extend(system());
    cases.extend(certified(references));
    cases.extend(providers(references));
    cases.sort_by_key(|case| KINDS.iter().position(|kind| *kind == case.kind));
    cases
}

fn programs() -> Vec<Case> {
    let file = json!({"operating_system": "linux", "path": "/etc/agent.conf", "sha256": WANTED});
    let found = |sha256| json!({"files": [{"path": "/etc/agent.conf", "exists": true, "sha256": sha256}]});
    let program = json!({"operating_system": "linux", "path": "/usr/bin/agent"});
    let process = |running: bool| json!({"processes": [{"path": "/usr/bin/agent", "running": running}]});
    vec![
        Case::of_device("file", "Linux", file, found(WANTED), found(OTHER)).because(
            "file-hash-mismatch",
            ("/sha256", json!(WANTED)),
            ("/sha256", json!(OTHER)),
        ),
        Case::of_device("application", "Linux", program, process(true), process(false)).because(
            "process-not-running",
            ("/state", json!("running")),
            ("/running", json!(false)),
        ),
    ]
}

/// Vendors' agents, told by their executables.
fn agents() -> Vec<Case> {
    let windows = json!({
        "operating_system": "windows", "path": "%ProgramFiles%\\SentinelOne\\agent.exe",
        "thumbprint": SIGNER.to_uppercase(),
    });
    let signed = |by: &str| {
        json!({
            "environment": {"ProgramFiles": "C:\\Program Files"},
            "processes": [{"path": "c:\\program files\\sentinelone\\AGENT.EXE", "running": true, "thumbprints": [by]}],
        })
    };
    let mac = json!({"operating_system": "mac", "path": "/Applications/cb", "sha256": WANTED});
    let hashed = |sha256| json!({"processes": [{"path": "/Applications/cb", "running": true, "sha256": sha256}]});
    vec![
        Case::of_device("sentinelone", "Windows", windows, signed(SIGNER), signed(STRANGER)).because(
            "process-signer-mismatch",
            ("/thumbprint", json!(SIGNER)),
            ("/signerFingerprints/0", json!(STRANGER)),
        ),
        Case::of_device("carbonblack", "macOS", mac, hashed(WANTED), hashed(OTHER)).because(
            "process-hash-mismatch",
            ("/sha256", json!(WANTED)),
            ("/hash", json!(OTHER)),
        ),
    ]
}

fn protection() -> Vec<Case> {
    let client = |kind| {
        let case = Case::of_device(kind, "Linux", json!({}), json!({}), json!({}));
        let case = Case { expiration: Some("2s"), ..case };
        case.because("stale", ("/presence/secs", json!(2)), ("/lastReport", json!("*")))
    };
    let volumes = |encrypted: bool| json!({"volumes": [{"name": "C", "encrypted": true}, {"name": "D:", "encrypted": encrypted}]});
    let firewall = json!({"enabled": true, "operating_system": "windows"});
    let public = |on: bool| json!({"firewall": {"publicProfile": on}});
    let antivirus = |signed_at: Value| json!({"antivirus": [{"name": "Guard", "on": true, "upToDate": true, "signaturesAt": signed_at}]});
    let old = json!("2024-01-02T03:04:05.000Z");
    let tanium = Case::of_device("tanium", "Linux", json!({}), json!({}), json!({}));
    vec![
        Case { input: None, opens: false, ..tanium }.because(
            "unknown-to-provider",
            ("/criteria", json!([])),
            ("", Value::Null),
        ),
        client("gateway"),
        client("warp"),
        Case::of_device(
            "disk_encryption",
            "Windows",
            json!({"checkDisks": ["C:", "D"]}),
            volumes(true),
            volumes(false),
        )
        .because("volume-not-encrypted", ("/volumes/1", json!("D")), ("/1/encrypted", json!(false))),
        Case::of_device("firewall", "Windows", firewall, public(true), public(false)).because(
            "firewall-off",
            ("/enabled", json!(true)),
            ("/publicProfile", json!(false)),
        ),
        Case::of_device(
            "antivirus",
            "Windows",
            json!({"update_window_days": 30}),
            antivirus(json!(now())),
            antivirus(old.clone()),
        )
        .because("antivirus-outdated", ("/updateWindow/secs", json!(30 * 86_400)), ("/0/signaturesAt", old)),
    ]
}

fn named(references: &References) -> Vec<Case> {
    let [serials, clients] = ["SERIAL", "DEVICE"].map(|kind| references.ids[kind].as_str());
    let serial = |serial: &str| json!({"serialNumber": serial});
    let client = |id: &str| json!({"uniqueClientId": id});
    let mobile = json!({"id": clients, "operating_system": "ios"});
    vec![
        Case::of_device("serial_number", "macOS", json!({"id": serials}), serial("c02xyz"), serial("C02ABC")).because(
            "not-listed",
            ("/list", json!(serials)),
            ("", json!("C02ABC")),
        ),
        Case::of_device("unique_client_id", "iOS", mobile, client("123E4567E89B"), client("another")).because(
            "not-listed",
            ("/list", json!(clients)),
            ("", json!("another")),
        ),
    ]
}

fn system() -> Vec<Case> {
    let version = json!({"operating_system": "linux", "operator": ">=", "version": "6.1.0"});
    let running = |version: &str| json!({"os": os("Linux", version)});
    let joined = json!({"operating_system": "windows", "domain": "corp.example"});
    let domain = |domain: &str| json!({"domain": domain});
    vec![
        Case::of_device("os_version", "Linux", version, running("6.10.3-25-amd64"), running("6.0.9")).because(
            "os-version-not-allowed",
            ("/version", json!("6.1.0")),
            ("/version", json!("6.0.9")),
        ),
        Case::of_device("domain_joined", "Windows", joined, domain("corp.example"), domain("Corp.example")).because(
            "domain-not-allowed",
            ("/0", json!("corp.example")),
            ("", json!("Corp.example")),
        ),
    ]
}

fn certified(references: &References) -> Vec<Case> {
    let signer = references.ids["certificate"].as_str();
    let old = json!({"certificate_id": signer, "cn": "laptop.corp.example"});
    let stored =
        |name: &str| json!({"certificates": [{"pem": references.pems[name], "privateKey": false, "store": "system"}]});
    let new = json!({
        "certificate_id": signer, "check_private_key": true, "operating_system": "linux",
        "cn": "${serial_number}.corp.example", "locations": {"paths": ["/etc/device.pem"]},
    });
    let held = |private_key: bool| {
        let pem = &references.pems["C02XYZ.corp.example"];
        let certificate = json!({"pem": pem, "privateKey": private_key, "path": "/etc/device.pem"});
        json!({"serialNumber": "C02XYZ", "certificates": [certificate]})
    };
    vec![
        Case::of_device(
            "client_certificate",
            "Windows",
            old,
            stored("laptop.corp.example"),
            stored("other.corp.example"),
        )
        .because(
            "certificate-name-mismatch",
            ("/commonName", json!("laptop.corp.example")),
            ("/0/commonName", json!("other.corp.example")),
        ),
        Case::of_device("client_certificate_v2", "Linux", new, held(true), held(false)).because(
            "certificate-without-key",
            ("/privateKey", json!(true)),
            ("/0/privateKey", json!(false)),
        ),
    ]
}

fn providers(references: &References) -> Vec<Case> {
    let of = |kind, input, good, bad| Case::of_provider(references, kind, input, good, bad);
    let told = |case: Case, wanted: (&'static str, Value), seen: (&'static str, Value)| {
        case.because("provider-mismatch", wanted, seen)
    };
    let compliance = |kind, bad: &str| {
        let good = json!({"compliance_status": "compliant"});
        let case = of(kind, good.clone(), good, json!({"compliance_status": bad}));
        let wanted = ("/criteria/0/wanted/oneOf/0", json!("compliant"));
        told(case, wanted, ("/compliance_status/text", json!(bad)))
    };
    vec![
        told(
            of(
                "kolide",
                json!({"auth_state": ["Good"]}),
                json!({"auth_state": "Good"}),
                json!({"auth_state": "Blocked"}),
            ),
            ("/criteria/0/wanted/oneOf/0", json!("Good")),
            ("/auth_state/text", json!("Blocked")),
        ),
        told(
            of(
                "tanium_s2s",
                json!({"risk_level": "medium", "operator": "<="}),
                json!({"riskLevel": "Low"}),
                json!({"riskLevel": "Critical"}),
            ),
            ("/criteria/0/wanted/level/1", json!("medium")),
            ("/risk_level/text", json!("critical")),
        ),
        told(
            of(
                "crowdstrike_s2s",
                json!({"overall": "80", "operator": ">="}),
                json!({"overall": 80}),
                json!({"overall": 79}),
            ),
            ("/criteria/0/wanted/number/1", json!(80.0)),
            ("/overall/number", json!(79.0)),
        ),
        compliance("intune", "ingraceperiod"),
        compliance("workspace_one", "noncompliant"),
        told(
            of(
                "sentinelone_s2s",
                json!({"infected": false, "active_threats": 0, "operator": "=="}),
                json!({"infected": false, "activeThreats": 0}),
                json!({"infected": false, "activeThreats": 2}),
            ),
            ("/criteria/0/wanted/number/1", json!(0.0)),
            ("/active_threats/number", json!(2.0)),
        ),
        told(
            of(
                "custom_s2s",
                json!({"operator": ">", "score": 60}),
                json!({"s2s_id": "a", "score": 61}),
                json!({"s2s_id": "b", "score": 60}),
            ),
            ("/criteria/0/wanted/number/1", json!(60.0)),
            ("/score/number", json!(60.0)),
        ),
    ]
}
