//! How many objects of each kind there are, for `ziti edge list summary`.

use serde::Serialize;

use super::auth_policy::AuthPolicy;
use super::config_type::ConfigTypes;
use super::identity_type::IdentityType;
use super::posture_check_type::PostureCheckType;
use crate::policy::Objects;

/// The numbers, each under the name of a list.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    auth_policies: usize,
    config_types: usize,
    configs: usize,
    identities: usize,
    identity_types: usize,
    posture_check_types: usize,
    posture_checks: usize,
    service_policies: usize,
    services: usize,
}

/// Counts what the lists show; of the checks, those that OpenZiti has a word for.
pub fn summary(objects: &Objects, posture_checks: usize) -> Summary {
    Summary {
        auth_policies: AuthPolicy::ALL.len(),
        config_types: ConfigTypes::of(objects).all().count(),
        configs: objects.configs.len(),
        identities: objects.identities.len(),
        identity_types: IdentityType::ALL.len(),
        posture_check_types: PostureCheckType::ALL.len(),
        posture_checks,
        service_policies: objects.policies.len(),
        services: objects.services.len(),
    }
}
