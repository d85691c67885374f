//! Two devices in front of one service, which the rules with the attribute `under-test` guard.

use super::support::Origin;
use super::world::World;

/// Where the service is.
pub(crate) const APP: &str = "app.example.test";

/// Two identities, `good` and `bad`, and nothing they could reach.
pub(crate) fn identities() -> String {
    let line = |name| {
        format!("  - {{ name: {name}, subjects: [\"spiffe://postern.test/{name}\"], role_attributes: [devices] }}\n")
    };
    format!("identities:\n{}{}", line("good"), line("bad"))
}

/// The identities, the service, and a policy between them that asks for what `asks` says.
pub(crate) fn policy(origin: &Origin, asks: &str) -> String {
    let (identities, upstream) = (identities(), origin.upstream());
    format!(
        "{identities}services:
  - {{ name: app, hosts: [{APP}], upstreams: [\"{upstream}\"] }}
service_policies:
  - name: devices-reach-app
    identity_roles: [\"#devices\"]
    service_roles: [\"@app\"]
{asks}"
    )
}

/// The policy asks for every rule under test.
pub(crate) const ASKS: &str = "    posture_check_roles: [\"#under-test\"]\n";

/// A folder with that policy.
pub(crate) fn world(origin: &Origin) -> World {
    World::new(&policy(origin, ASKS))
}
