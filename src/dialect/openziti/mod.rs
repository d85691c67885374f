//! OpenZiti's language: posture checks, responses and queries, diagnostics, envelopes and errors (`openziti.md`).
//!
//! Pure functions, values in and values out: bodies are read into the domain's types with errors that name the field, and the
//! domain's types are shown as structures that serialise to OpenZiti's JSON. Members of our own (`maxAge`, `remediation`,
//! `versionReading`, `reasonCode`, …) are additions that OpenZiti's clients pass over; nothing they know changes its meaning.

mod api_session;
mod auth_policy;
mod config;
mod config_body;
mod config_data;
mod config_schema;
mod config_type;
mod config_type_body;
mod duration;
mod enrollment;
mod entity;
mod envelope;
mod error;
mod export;
mod failed_request;
mod identity;
mod identity_body;
mod identity_type;
mod import;
mod kept;
mod members;
mod mfa;
mod openapi;
mod paging;
mod policy_advice;
mod posture_check;
mod posture_check_type;
mod posture_data;
mod posture_query;
mod posture_response;
mod query;
mod service;
mod service_body;
mod service_configs;
mod service_policy;
mod service_policy_body;
mod service_transport;
mod session;
mod summary;

use std::sync::LazyLock;

use serde_json::Map;

use crate::clock::Timestamp;
use crate::policy::objects::{Meta, Origin};

pub use api_session::{
    ApiSession, ApiSessionDetail, CertificateLogin, PasswordLogin, SecondFactor, ServiceUpdates, api_session,
    read_certificate_login, read_password_login,
};
pub use auth_policy::{AuthPolicy, AuthPolicyDetail, auth_policy};
pub use config::{ConfigDetail, WantedConfigTypes, config};
pub use config_body::{create_config, patch_config, replace_config};
pub use config_type::{AnyConfigType, ConfigType, ConfigTypeDetail, ConfigTypes, config_type};
pub use config_type_body::{create_config_type, patch_config_type, replace_config_type};
pub use enrollment::{
    Authenticator, AuthenticatorDetail, Enrolling, EnrollmentCerts, EnrollmentDetail, EnrollmentRequest,
    EnrollmentWanted, TokenShown, create_enrollment, read_enrollment_request, refresh_enrollment,
};
pub use envelope::{Created, Detail, Links, List, created, detail, empty, list, unfiltered};
pub use error::{ApiError, ErrorCode, ErrorEnvelope, FieldError};
pub use export::{exported, is_built_in};
pub use failed_request::{FailedServiceRequest, PolicyFailure, failed_service_request, policy_failures};
pub use identity::{Activity, IdentityDetail, identity};
pub use identity_body::{NewIdentity, create_identity, patch_identity, read_disabling, replace_identity};
pub use identity_type::{IdentityType, IdentityTypeDetail, identity_type};
pub use import::{Imported, Kind as ImportKind, Outcome, Report as ImportReport, Target as ImportTarget, import};
pub use mfa::{MfaDetail, RecoveryCodes, mfa, mfa_created, provisioning_url, read_mfa_code, recovery_codes};
pub use openapi::{FOREIGN_LISTS, discovery_room, management_room, refusal_schemas};
pub use paging::{Page, Pagination, Paging};
pub use policy_advice::{PolicyAdvice, policy_advice};
pub use posture_check::{
    PostureCheckDetail, TypeId, create_posture_check, patch_posture_check, posture_check, replace_posture_check,
};
pub use posture_check_type::{PostureCheckType, PostureCheckTypeDetail, posture_check_type};
pub use posture_data::{PostureData, posture_data};
pub use posture_query::{PostureQueries, PostureQuery, posture_query};
pub use posture_response::{
    PostureResponse, PromptedService, posture_response_envelope, read_posture_response, read_posture_responses,
};
pub use query::{Field, Fields, Foreign, ListQuery, Listed, ListedPolicy, RoleAttribute, Texts};
pub use service::{ServiceDetail, ShownConfigs, service};
pub use service_body::{create_service, patch_service, replace_service};
pub use service_configs::{ServiceConfigDetail, assigned_configs, read_assignments, read_unassignments};
pub use service_policy::{RoleNames, ServicePolicyDetail, service_policy};
pub use service_policy_body::{create_service_policy, patch_service_policy, replace_service_policy};
pub use session::{
    ServiceSession, ServiceSessionDetail, SessionRequest, invalid_posture, read_session_request, service_session,
};
pub use summary::{Summary, summary};

/// What entities that nobody made have for their times.
fn unmade() -> &'static Meta {
    static UNMADE: LazyLock<Meta> = LazyLock::new(|| {
        let (created_at, updated_at) = (Timestamp::default(), Timestamp::default());
        Meta { created_at, updated_at, tags: Map::new(), origin: Origin::Api }
    });
    &UNMADE
}
