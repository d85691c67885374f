//! What a device is told when it woke or was unlocked.

use std::sync::Arc;
use std::time::Duration;

use postern::policy::roles::{Role, Semantic};
use postern::posture::check::mfa::{GRACE, MfaRule};
use postern::posture::check::{Check, Predicate};
use serde_json::json;

use crate::devices::Device;
use crate::mfa::App;
use crate::objects;
use crate::world::{World, policy};

/// A policy of `laptop` and one of `phone`, each with an MFA check that prompts on wake.
fn world() -> World {
    let mut written = objects::World { objects: policy() };
    let mut check = objects::check("mfa-id", "mfa", &[]);
    let rule = MfaRule {
        timeout: Some(Duration::from_secs(3600)),
        prompt_on_wake: true,
        prompt_on_unlock: false,
        grace: GRACE,
        ignore_legacy_endpoints: false,
    };
    check.check = Arc::new(Check { predicate: Predicate::Mfa(rule), ..Check::clone(&check.check) });
    written.add_check(check);
    let role = |text: &str| vec![Role::try_from(text.to_owned()).unwrap()];
    for (id, who, what) in [("own", "@laptop", "@wiki"), ("foreign", "@phone", "@status")] {
        written.add_policy(objects::policy(id, Semantic::AnyOf, role(who), role(what), role("@mfa-id")));
    }
    let world = World::new();
    world.enforcer.publish_files(written.objects).unwrap();
    world
}

#[tokio::test]
async fn a_device_that_wakes_is_told_which_of_its_services_will_close() {
    let world = world();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    App::enrol(&world, &laptop).await;
    for (body, told) in [
        (
            json!({"id": "mfa-id", "typeId": "ENDPOINT_STATE", "woken": true}),
            json!([{"id": "wiki-id", "name": "wiki", "postureQueryType": "MFA", "timeout": 3600, "timeoutRemaining": 300}]),
        ),
        (json!({"id": "mfa-id", "typeId": "ENDPOINT_STATE", "unlocked": true}), json!([])),
        (json!({"id": "domain-id", "typeId": "DOMAIN", "domain": "corp.example"}), json!([])),
    ] {
        let reply = laptop.post("/posture-response", body.clone()).await.1;
        assert_eq!(reply["data"]["services"], told, "{body}");
    }
}
