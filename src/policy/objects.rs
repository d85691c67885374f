//! The editable set: identities, services, service policies and posture checks as operators wrote them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::{self, Timestamp};
use crate::id::{
    CertificateId, CheckId, ConfigId, ConfigTypeId, ConnectionId, IdentityId, ListId, PolicyId, ServiceId,
};
use crate::posture::check::Check;

use super::config_type::OwnConfigType;
use super::device_list::DeviceList;
use super::enrolment::{EnrolledCertificate, PendingEnrolment};
use super::expression::Expression;
use super::integration::Integration;
use super::roles::{Role, Semantic};
use super::service::{Disclosure, Match, ServiceProtocol, Transport, Upstream};
use super::service_config::ServiceConfig;
use super::signing_certificate::SigningCertificate;
use super::subject::Subject;

/// Everything operators wrote, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// Identities.
    pub identities: BTreeMap<IdentityId, Arc<Identity>>,
    /// Services.
    pub services: BTreeMap<ServiceId, Arc<Service>>,
    /// Service policies.
    pub policies: BTreeMap<PolicyId, Arc<ServicePolicy>>,
    /// Posture checks.
    pub checks: BTreeMap<CheckId, Arc<PostureCheck>>,
    /// Lists of device names that checks look in.
    pub lists: BTreeMap<ListId, Arc<DeviceList>>,
    /// Certificates that sign those of devices.
    pub signing_certificates: BTreeMap<CertificateId, Arc<SigningCertificate>>,
    /// Connections to posture providers.
    pub integrations: BTreeMap<ConnectionId, Arc<Integration>>,
    /// Configs that services refer to.
    pub configs: BTreeMap<ConfigId, Arc<ServiceConfig>>,
    /// Types of configs beside those that are read here.
    pub config_types: BTreeMap<ConfigTypeId, Arc<OwnConfigType>>,
}

impl Objects {
    /// Lets go of the many there may be one by one.
    pub fn let_go(self) {
        clock::let_go(self.identities);
        clock::let_go(self.services);
        clock::let_go(self.policies);
        clock::let_go(self.checks);
    }
}

/// What every object carries beside its own content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// When it was made; the file's time for objects from files.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Free-form tags, shown and filtered by, never used in a decision.
    #[serde(default)]
    pub tags: Map<String, Value>,
    /// Where it came from.
    pub origin: Origin,
}

/// Where an object came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// A policy file; read-only through the API.
    File {
        /// The file's path as configured.
        path: Arc<str>,
        /// The line the object begins on, from 1.
        line: u32,
    },
    /// The management API.
    Api,
    /// Enrolled automatically from a trusted CA.
    Enrolled,
}

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The id.
    pub id: IdentityId,
    /// The name, unique over identities.
    pub name: Arc<str>,
    /// Certificate names that are this identity; a name belongs to one identity only.
    pub subjects: Vec<Subject>,
    /// Role attributes, sorted, each once.
    pub role_attributes: Vec<Arc<str>>,
    /// A disabled identity is refused at admission.
    pub disabled: bool,
    /// A one-time token by which it gets a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Arc<PendingEnrolment>>,
    /// Certificates that were issued for such tokens; their fingerprints are among the subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<EnrolledCertificate>,
    /// Members that a public language's clients wrote and that say nothing here, to be shown to them again.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub kept: Map<String, Value>,
    /// Configs that it is shown in the place of those that a service has of the same types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_configs: Vec<AssignedConfig>,
    /// Times, tags and origin.
    pub meta: Meta,
}

/// A config that one identity is shown with a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignedConfig {
    /// The service.
    pub service: ServiceId,
    /// The config.
    pub config: ConfigId,
}

impl Identity {
    /// The id and name of whoever comes without a certificate. No identity may have them.
    pub const ANONYMOUS: &'static str = "anonymous";

    /// Whoever comes without a certificate, as decisions see them. They are in no list and carry no attribute.
    pub fn anonymous() -> Self {
        let never = Timestamp::from_millis(0);
        Identity {
            id: IdentityId::from(Identity::ANONYMOUS),
            name: Identity::ANONYMOUS.into(),
            subjects: Vec::new(),
            role_attributes: Vec::new(),
            disabled: false,
            enrolment: None,
            certificates: Vec::new(),
            service_configs: Vec::new(),
            kept: Map::new(),
            meta: Meta { created_at: never, updated_at: never, tags: Map::new(), origin: Origin::Api },
        }
    }
}

/// What is behind the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The id.
    pub id: ServiceId,
    /// The name, unique over services.
    pub name: Arc<str>,
    /// What it is spoken to in.
    #[serde(default)]
    pub protocol: ServiceProtocol,
    /// How requests are matched to it.
    #[serde(rename = "match")]
    pub matching: Match,
    /// Where it is served from; empty when the embedding proxy routes by itself.
    pub upstreams: Vec<Upstream>,
    /// How its upstreams are reached.
    pub transport: Transport,
    /// Configs that say what it does not say itself: its hosts and its upstreams. At most one of each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<ConfigId>,
    /// Role attributes, sorted, each once.
    pub role_attributes: Vec<Arc<str>>,
    /// Whether a refusal says 404, as if the service did not exist.
    pub concealed: bool,
    /// How much a refused client may learn.
    pub disclosure: Disclosure,
    /// Members that a public language's clients wrote and that say nothing here, to be shown to them again.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub kept: Map<String, Value>,
    /// Times, tags and origin.
    pub meta: Meta,
}

/// Which direction a policy grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum PolicyType {
    /// To reach a service.
    Dial,
    /// To host a service: stored and shown; a reverse proxy has no use for it.
    Bind,
}

/// These identities may reach these services, provided these checks pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePolicy {
    /// The id.
    pub id: PolicyId,
    /// The name, unique over service policies.
    pub name: Arc<str>,
    /// Dial or Bind.
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    /// How attributes of the three lists combine.
    pub semantic: Semantic,
    /// Which identities; sorted.
    pub identity_roles: Vec<Role>,
    /// Whether it also lets in who comes without a certificate, where the listener lets them come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
    /// Which services; sorted.
    pub service_roles: Vec<Role>,
    /// Which checks; every selected check must pass; sorted.
    pub posture_check_roles: Vec<Role>,
    /// A posture expression that must pass as well; its leaves are `@id`, `@name` or a bare name of a check.
    pub expression: Option<Expression<Arc<str>>>,
    /// Times, tags and origin.
    pub meta: Meta,
}

/// A posture check with what the management API keeps beside the question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureCheck {
    /// The question.
    pub check: Arc<Check>,
    /// Role attributes, sorted, each once.
    pub role_attributes: Vec<Arc<str>>,
    /// Times, tags and origin.
    pub meta: Meta,
    /// The body it was written as, for languages whose users expect to read back what they wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub as_written: Option<Arc<Map<String, Value>>>,
}
