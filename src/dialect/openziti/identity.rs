//! Identities, shown.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::auth_policy::AuthPolicy;
use super::enrollment::{OttShown, TokenShown};
use super::envelope::{Entity, EntityRef, Links};
use super::identity_type::IdentityType;
use super::posture_data::SdkInfo;
use crate::policy::Subject;
use crate::policy::enrolment::EnrolledCertificate;
use crate::policy::objects::Identity;
use crate::posture::Posture;

/// An identity as lists and details show it. What OpenZiti knows and a reverse proxy does not (hosting) is there with
/// the value that says so.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityDetail<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    name: &'a str,
    #[serde(rename = "type")]
    identity_type: EntityRef<'static>,
    type_id: &'static str,
    role_attributes: &'a [Arc<str>],
    disabled: bool,
    is_admin: bool,
    is_default_admin: bool,
    is_mfa_enabled: bool,
    has_api_session: bool,
    has_edge_router_connection: bool,
    edge_router_connection_status: &'static str,
    env_info: EnvInfo<'a>,
    sdk_info: SdkInfo<'a>,
    auth_policy_id: &'static str,
    auth_policy: EntityRef<'static>,
    authenticators: Authenticators<'a>,
    enrollment: Enrollments<'a>,
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_data: Option<&'a Value>,
    permissions: &'static [&'static str],
    default_hosting_cost: i64,
    default_hosting_precedence: &'a str,
    service_hosting_costs: Value,
    service_hosting_precedences: Value,
    /// Certificate names that are this identity; an addition of ours.
    subjects: &'a [Subject],
}

/// The certificate that was issued to it last.
#[derive(Clone, Debug, Serialize)]
struct Authenticators<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cert: Option<CertificateShown<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct CertificateShown<'a> {
    id: &'a str,
    fingerprint: &'a str,
}

impl<'a> Authenticators<'a> {
    fn of(identity: &'a Identity) -> Self {
        let shown = |last: &'a EnrolledCertificate| CertificateShown { id: &last.id, fingerprint: &last.fingerprint };
        Authenticators { cert: identity.certificates.last().map(shown) }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Enrollments<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ott: Option<OttShown<'a>>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_version: Option<&'a str>,
}

/// What is known of an identity beside what operators wrote.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity<'a> {
    /// Whether it has a connection now.
    pub connected: bool,
    /// Whether it has a verified second factor.
    pub mfa_enabled: bool,
    /// Its device's posture.
    pub posture: Option<&'a Posture>,
}

/// Shows an identity.
pub fn identity(identity: &Identity) -> IdentityDetail<'_> {
    let id = identity.id.as_str();
    let links = Links::own("identities", id).and("identities", id, "posture-data").and(
        "identities",
        id,
        "failed-service-requests",
    );
    let kept = |name: &str| identity.kept.get(name);
    let kept_map = |name: &str| kept(name).cloned().unwrap_or_else(|| Value::Object(Map::new()));
    IdentityDetail {
        entity: Entity::new(id, &identity.meta, links),
        name: &identity.name,
        identity_type: EntityRef::new("identity-types", IdentityType::ID, IdentityType::ID),
        type_id: IdentityType::ID,
        role_attributes: &identity.role_attributes,
        disabled: identity.disabled,
        is_admin: false,
        is_default_admin: false,
        is_mfa_enabled: false,
        has_api_session: false,
        has_edge_router_connection: false,
        edge_router_connection_status: "offline",
        env_info: EnvInfo::default(),
        sdk_info: SdkInfo::default(),
        auth_policy_id: AuthPolicy::ID,
        auth_policy: EntityRef::new("auth-policies", AuthPolicy::ID, AuthPolicy::NAME),
        authenticators: Authenticators::of(identity),
        enrollment: Enrollments { ott: identity.enrolment.as_deref().map(|pending| OttShown::of(pending, None)) },
        external_id: kept("externalId").and_then(Value::as_str),
        app_data: kept("appData"),
        permissions: &[],
        default_hosting_cost: kept("defaultHostingCost").and_then(Value::as_i64).unwrap_or_default(),
        default_hosting_precedence: kept("defaultHostingPrecedence").and_then(Value::as_str).unwrap_or("default"),
        service_hosting_costs: kept_map("serviceHostingCosts"),
        service_hosting_precedences: kept_map("serviceHostingPrecedences"),
        subjects: &identity.subjects,
    }
}

impl<'a> IdentityDetail<'a> {
    /// The same identity as an operator, who may do everything or only look.
    #[must_use]
    pub fn as_operator(mut self, may_write: bool) -> Self {
        self.is_admin = may_write;
        self.permissions = if may_write { &[] } else { &["admin_readonly"] };
        self.has_api_session = true;
        self
    }

    /// The same identity with the token it waits for, for the operator who hands it over.
    #[must_use]
    pub fn with_token(mut self, identity: &'a Identity, token: TokenShown) -> Self {
        let pending = identity.enrolment.as_deref();
        self.enrollment.ott = pending.map(|pending| OttShown::of(pending, Some(token)));
        self
    }

    /// The same identity with what it is doing.
    #[must_use]
    pub fn with_activity(mut self, activity: Activity<'a>) -> Self {
        self.is_mfa_enabled = activity.mfa_enabled;
        self.has_api_session = activity.connected;
        self.has_edge_router_connection = activity.connected;
        self.edge_router_connection_status = if activity.connected { "online" } else { "offline" };
        if let Some(posture) = activity.posture {
            let os = posture.os.as_ref().map(|fact| &fact.value);
            self.env_info = EnvInfo { os: os.map(|os| os.name.as_str()), os_version: os.map(|os| os.version.as_str()) };
            self.sdk_info = posture.sdk.as_ref().map(SdkInfo::of).unwrap_or_default();
        }
        self
    }
}
