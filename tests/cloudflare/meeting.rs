//! Two languages, one policy: checks of both guard one service, and one device answers in both.

use serde_json::{Value, json};

use super::client::Client;
use super::operator::{Operator, RULES};
use super::posture::Device;
use super::reporter::{Reporter, os};
use super::scene::{APP, identities, policy};
use super::support::Origin;
use super::world::World;

/// A device of both languages.
struct Laptop {
    client: Client,
    openziti: Device,
    native: Reporter,
}

impl Laptop {
    /// The operating system, as OpenZiti's clients report it.
    async fn runs(&self, name: &str, version: &str) {
        self.openziti
            .report(&[json!({"id": "os", "typeId": "OS", "type": name, "version": version, "build": ""})])
            .await;
    }

    /// Its one volume, in a native report.
    async fn volume(&self, encrypted: bool) {
        self.native.report(&json!({"volumes": [{"name": "/", "encrypted": encrypted}]})).await;
    }

    async fn status(&self) -> u16 {
        self.client.status(APP, "/").await
    }
}

#[tokio::test]
async fn a_policy_opens_when_the_checks_of_both_languages_pass() {
    let origin = Origin::start().await;
    let asks = "    posture_check_roles: [\"@recent-linux\", \"#under-test\"]
posture_checks:
  - { name: recent-linux, type: OS, operating_systems: [{ type: Linux, versions: [\">=6.1.0\"] }] }
";
    let world = World::new(&policy(&origin, asks));
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let rule = json!({
        "name": "encrypted", "type": "disk_encryption", "match": [{"platform": "linux"}], "input": {"requireAll": true},
        "role_attributes": ["under-test"],
    });
    operator.make(RULES, &rule).await;
    let good = world.certificate("good");
    let laptop = Laptop {
        client: Client::http2(&gateway, &world.authority, &good),
        openziti: Device::new(&gateway, &world.authority, &good),
        native: Reporter::new(&gateway, &world.authority, &good),
    };
    // Each side alone is not enough, whichever it is.
    assert_eq!(laptop.status().await, 403);
    laptop.runs("Linux", "6.1.0").await;
    assert_eq!(laptop.status().await, 403);
    let (_, checks) = operator.newest_refusal("good").await;
    assert_eq!((checks.len(), &checks[0]["reasonCode"]), (1, &json!("fact-missing")), "{checks:?}");
    laptop.volume(true).await;
    assert_eq!(laptop.status().await, 200);
    laptop.runs("Linux", "5.10.0").await;
    assert_eq!(laptop.status().await, 403);
    let (failure, _) = operator.newest_refusal("good").await;
    let stands_in_the_way = &failure["policyFailures"][0];
    assert_eq!(stands_in_the_way["checks"][0]["postureCheckType"], "OS", "{failure}");
    assert_eq!(stands_in_the_way["checks"][0]["actualValue"]["version"], "5.10.0", "{failure}");
    assert!(stands_in_the_way.get("otherChecks").is_none(), "{failure}");
    laptop.runs("Linux", "6.2.0").await;
    assert_eq!(laptop.status().await, 200);
    laptop.volume(false).await;
    assert_eq!(laptop.status().await, 403);
    let (failure, _) = operator.newest_refusal("good").await;
    let stands_in_the_way = &failure["policyFailures"][0];
    assert_eq!(stands_in_the_way["checks"], json!([]), "{failure}");
    assert_eq!(stands_in_the_way["otherChecks"][0]["reasonCode"], "volume-not-encrypted", "{failure}");

    let known = operator.admin.posture("good").await;
    assert_eq!((&known["os"]["type"], &known["os"]["version"]), (&json!("Linux"), &json!("6.2.0")), "{known}");
    assert_eq!(known["inventory"]["volumes"]["value"], json!([{"name": "/", "encrypted": false}]), "{known}");
    gateway.stop().await;
}

/// What the access policy of [`an_access_policy_selects_rules_made_over_the_api`] asks.
fn access(current: &str, encrypted: &str, infected: &str) -> String {
    let entry = |id: &str| format!("{{ device_posture: {{ integration_uid: \"{id}\" }} }}");
    let (current, encrypted, infected) = (entry(current), entry(encrypted), entry(infected));
    format!("    require:\n      include: [{current}]\n      require: [{encrypted}]\n      exclude: [{infected}]\n")
}

#[tokio::test]
async fn an_access_policy_selects_rules_made_over_the_api() {
    let origin = Origin::start().await;
    let world = World::new(&policy(&origin, "    posture_check_roles: [\"@nothing-yet\"]\n"));
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let linux = |name: &str, kind: &str, mut input: Value| {
        if kind != "disk_encryption" {
            input["operating_system"] = "linux".into();
        }
        json!({"name": name, "type": kind, "input": input})
    };
    let current = linux("current", "os_version", json!({"operator": ">=", "version": "6.1.0"}));
    let encrypted = linux("encrypted", "disk_encryption", json!({"requireAll": true}));
    let infected = linux("infected", "file", json!({"path": "/tmp/infected"}));
    let current = operator.make(RULES, &current).await;
    let encrypted = operator.make(RULES, &encrypted).await;
    let infected = operator.make(RULES, &infected).await;
    world.write("policy/objects.yaml", &policy(&origin, &access(&current, &encrypted, &infected)));
    let in_force = operator.reload().await;
    let warnings = in_force["warnings"].to_string();
    assert!(warnings.contains("its exclusion of check `infected` lets in devices"), "{in_force}");

    let good = world.certificate("good");
    let client = Client::http2(&gateway, &world.authority, &good);
    let device = Reporter::new(&gateway, &world.authority, &good);
    let files = |found: bool| json!([{"path": "/tmp/infected", "exists": found}]);
    let volumes = |encrypted: bool| json!([{"name": "/", "encrypted": encrypted}]);
    for (report, status) in [
        (json!({"os": os("Linux", "6.1.0"), "volumes": volumes(true)}), 200),
        (json!({"files": files(true)}), 403),
        (json!({"files": files(false)}), 200),
        (json!({"volumes": volumes(false)}), 403),
        (json!({"volumes": volumes(true), "os": os("Linux", "5.0.0")}), 403),
        (json!({"os": os("Linux", "7.0.0")}), 200),
    ] {
        device.report(&report).await;
        assert_eq!(client.status(APP, "/").await, status, "after {report}");
    }
    device.report(&json!({"files": files(true)})).await;
    assert_eq!(client.status(APP, "/").await, 403);
    let (_, checks) = operator.newest_refusal("good").await;
    assert_eq!(checks.len(), 1, "{checks:?}");
    assert_eq!(checks[0]["postureCheckId"], infected.as_str(), "{checks:?}");
    assert_eq!(checks[0]["reasonCode"], "forbidden-state-present", "{checks:?}");
    assert_eq!(checks[0]["actualValue"]["exists"], true, "{checks:?}");
    gateway.stop().await;
}

/// Nothing of it is written in a file but who the devices are.
#[tokio::test]
async fn a_service_made_over_openzitis_api_is_guarded_by_a_rule_made_over_cloudflares() {
    let origin = Origin::start().await;
    let world = World::new(&identities());
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let good = world.certificate("good");
    let client = Client::http2(&gateway, &world.authority, &good);
    let device = Reporter::new(&gateway, &world.authority, &good);
    let manage = async |method: &str, path: &str, body: Value| {
        let request = operator.admin.request(method, &format!("/edge/management/v1{path}")).json(&body);
        let reply = request.send().await.unwrap();
        let (status, reply) = (reply.status().as_u16(), reply.json::<Value>().await.unwrap());
        assert!(status < 300, "{method} {path}: {status} {reply}");
        reply["data"]["id"].as_str().map(str::to_owned)
    };
    operator
        .make(
            RULES,
            &json!({"name": "encrypted", "type": "disk_encryption", "input": {"requireAll": true},
        "role_attributes": ["under-test"]}),
        )
        .await;
    let service = json!({"name": "made", "encryptionRequired": true, "match": {"hosts": [APP]},
        "upstreams": [origin.upstream().to_string()]});
    let service = manage("POST", "/services", service).await.unwrap();
    let policy = json!({"name": "devices", "type": "Dial", "semantic": "AllOf", "identityRoles": ["#devices"],
        "serviceRoles": [format!("@{service}")], "postureCheckRoles": ["#under-test"]});
    manage("POST", "/service-policies", policy).await;
    assert_eq!(client.status(APP, "/").await, 403, "its disks are not known");
    device.report(&json!({"os": os("Linux", "6.1.0"), "volumes": [{"name": "/", "encrypted": true}]})).await;
    assert_eq!(client.status(APP, "/").await, 200);

    device.report(&json!({"volumes": [{"name": "/", "encrypted": false}]})).await;
    assert_eq!(client.status(APP, "/").await, 403);
    gateway.stop().await;
}
