//! The native posture report: what it takes, what it refuses, and where it is described.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::operator::Operator;
use super::reporter::Reporter;
use super::scene::world;
use super::support::Origin;

#[tokio::test]
async fn every_member_is_taken_and_shown() {
    let origin = Origin::start().await;
    let world = world(&origin);
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let good = world.certificate("good");
    let device = Reporter::new(&gateway, &world.authority, &good);
    let pem = std::fs::read_to_string(&good.certificate_file).unwrap();
    let digest = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";
    let thumbprint = "fe2c359d79d4ceae6bdf7efb507326c6b4e2436e";
    let report = json!({
        "os": {
            "name": "Linux", "version": "6.1.0", "build": "1", "extra": "25",
            "distribution": {"name": "debian", "revision": "13"},
        },
        "hostname": "laptop-1",
        "product": "ThinkPad X1 Carbon",
        "screenLocked": false,
        "unknown": [{"fact": "processes", "path": "/opt/x", "reason": "forbidden", "detail": "it may not be read"}],
        "domain": "corp.example",
        "macAddresses": ["02:00:00:00:00:0A"],
        "processes": [{"path": "/usr/bin/agent", "running": true, "sha256": digest, "thumbprints": [thumbprint]}],
        "files": [{"path": "/etc/agent.conf", "exists": true, "sha256": digest, "thumbprints": [thumbprint]}],
        "volumes": [{"name": "/", "encrypted": true}, {"name": "/boot"}],
        "firewall": {"publicProfile": true, "application": false, "packetFilter": true},
        "antivirus": [{"name": "Guard", "on": true, "upToDate": false, "signaturesAt": "2026-01-02T03:04:05Z"}],
        "serialNumber": "C02XYZ",
        "uniqueClientId": "123e4567",
        "environment": {"HOME": "/root"},
        "certificates": [{"pem": pem, "privateKey": true, "path": "/etc/device.pem", "store": "user"}],
        "tunnel": {"connected": true, "organization": "example"},
    });
    device.report(&report).await;
    let known = operator.admin.posture("good").await;
    let os = &known["os"];
    assert_eq!(
        [&os["type"], &os["version"], &os["build"], &os["extra"], &os["distribution"]],
        [&json!("Linux"), &json!("6.1.0"), &json!("1"), &json!("25"), &report["os"]["distribution"]],
        "{known}"
    );
    assert_eq!(known["domain"]["domain"], "corp.example");
    assert_eq!(known["mac"]["addresses"], json!(["02000000000a"]));
    let process = &known["processes"][0];
    assert_eq!((&process["path"], &process["isRunning"]), (&json!("/usr/bin/agent"), &json!(true)), "{known}");
    assert_eq!((&process["binaryHash"], &process["signerFingerprints"][0]), (&json!(digest), &json!(thumbprint)));
    let inventory = &known["inventory"];
    for member in [
        "hostname",
        "product",
        "serialNumber",
        "uniqueClientId",
        "environment",
        "files",
        "volumes",
        "firewall",
        "tunnel",
        "screenLocked",
        "unknown",
    ] {
        assert_eq!(inventory[member]["value"], report[member], "{member}");
        assert_eq!(inventory[member]["source"], "device", "{member}: {inventory}");
        assert!(inventory[member]["observedAt"].is_string(), "{member}: {inventory}");
    }
    let product = &inventory["antivirus"]["value"][0];
    assert_eq!((&product["name"], &product["upToDate"]), (&json!("Guard"), &json!(false)), "{product}");
    assert!(product["signaturesAt"].as_str().unwrap().starts_with("2026-01-02T03:04:05"), "{product}");
    let held = &inventory["certificates"]["value"][0];
    assert_eq!(
        [&held["path"], &held["store"], &held["privateKey"], &held["keyUsages"]],
        [&json!("/etc/device.pem"), &json!("user"), &json!(true), &json!(["clientAuth"])],
        "{held}"
    );
    assert!(known["checkedInAt"].is_string(), "{known}");

    // What a report leaves out stays; what it names is replaced whole.
    device.report(&json!({"volumes": [], "domain": ""})).await;
    let after = operator.admin.posture("good").await;
    assert_eq!(after["inventory"]["volumes"]["value"], json!([]));
    assert_eq!(after["domain"]["domain"], "");
    assert_eq!((&after["os"], &after["inventory"]["files"]), (&known["os"], &inventory["files"]));

    // What the device cannot tell any more is not known any more, and operators see why.
    let locked =
        json!([{"fact": "files", "reason": "forbidden"}, {"fact": "os", "reason": "absent", "detail": "gone"}]);
    device.report(&json!({"unknown": locked})).await;
    let after = operator.admin.posture("good").await;
    assert_eq!((&after["os"]["type"], after["inventory"].get("files")), (&Value::Null, None), "{after}");
    assert_eq!(after["inventory"]["hostname"], inventory["hostname"]);
    let told = &after["inventory"]["unknown"]["value"];
    assert_eq!((&told[0]["fact"], &told[1]["detail"]), (&json!("files"), &json!("gone")), "{after}");
    device.report(&json!({"unknown": []})).await;
    assert_eq!(operator.admin.posture("good").await["inventory"]["unknown"]["value"], json!([]));

    // The report belongs to the certificate it came with, and to nobody else.
    assert_eq!(operator.admin.posture("bad").await["os"]["type"], json!(null));
    let (status, reply) = device.send(json!({"identity": "bad", "hostname": "x"}).to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{reply}");
    let on_behalf = device.request("PUT", "/api/v1/identities/bad/posture").json(&report).send().await.unwrap();
    assert_eq!(on_behalf.status(), StatusCode::NOT_FOUND);
    assert_eq!(operator.admin.posture("bad").await["os"]["type"], json!(null));
    gateway.stop().await;
}

#[tokio::test]
async fn a_report_that_is_wrong_anywhere_is_refused_whole() {
    let origin = Origin::start().await;
    let world = world(&origin);
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let device = Reporter::new(&gateway, &world.authority, &world.certificate("good"));
    device.report(&json!({"serialNumber": "C02XYZ"})).await;
    let known = operator.admin.posture("good").await;
    let mut wrong = vec![
        ("serial_number", json!({"serial_number": "x"})),
        ("serialNumber", json!({"serialNumber": 7})),
        ("os", json!({"os": {"name": "Linux"}})),
        ("os.flavour", json!({"os": {"name": "Linux", "version": "6.1.0", "flavour": "x"}})),
        ("volumes[1].encrypted", json!({"volumes": [{"name": "C"}, {"name": "D", "encrypted": "yes"}]})),
        ("files[0].exists", json!({"files": [{"path": "/a", "exists": 1}]})),
        ("processes[0]", json!({"processes": [{"path": "/a"}]})),
        ("firewall.public_profile", json!({"firewall": {"public_profile": true}})),
        (
            "antivirus[0].signaturesAt",
            json!({"antivirus": [{"name": "a", "on": true, "upToDate": true, "signaturesAt": "yesterday"}]}),
        ),
        ("tunnel.connected", json!({"tunnel": {"connected": null}})),
        ("screenLocked", json!({"screenLocked": "yes"})),
        ("unknown[0]", json!({"unknown": [{"fact": "os"}]})),
        ("environment.HOME", json!({"environment": {"HOME": 1}})),
    ];
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----"] {
        wrong.push(("certificates[0].pem", json!({"certificates": [{"pem": pem, "privateKey": true}]})));
    }
    for (member, mut report) in wrong {
        // Nothing of the rest is taken either.
        report["hostname"] = "half-taken".into();
        let (status, reply) = device.send(report.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{report}: {reply}");
        assert_eq!(reply["error"]["cause"]["field"], member, "{report}: {reply}");
    }
    for body in ["", "{", "[]", "null", "{} {}", "\"os\""] {
        let (status, reply) = device.send(body.to_owned()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {reply}");
    }
    assert_eq!(operator.admin.posture("good").await, known);
    gateway.stop().await;
}

#[tokio::test]
async fn both_listeners_describe_the_native_interface() {
    let origin = Origin::start().await;
    let world = world(&origin);
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let device = Reporter::new(&gateway, &world.authority, &world.certificate("good"));
    for path in ["/api/openapi.json", "/api/v1/openapi.json"] {
        let document = document_of(device.request("GET", path)).await;
        let report =
            &document["paths"]["/api/v1/posture"]["put"]["requestBody"]["content"]["application/json"]["schema"];
        let name = report["$ref"].as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
        let members = document["components"]["schemas"][name]["properties"].as_object().unwrap();
        assert_eq!(members.len(), 20, "{members:?}");

        let document = document_of(operator.admin.request("GET", path)).await;
        for path in ["/api/v1/identities/{id}/posture/providers/{connection}", "/api/v1/policy", "/api/v1/reload"] {
            assert!(document["paths"][path].is_object(), "{path}");
        }
    }
    gateway.stop().await;
}

async fn document_of(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    let document: Value = response.json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    document
}
