//! Cloudflare's language: device posture rules of 23 types, and the objects they refer to (`cloudflare.md`).
//!
//! Pure functions, values in and values out. Bodies are read into the domain's types with errors that carry a JSON pointer; what is
//! shown back is what was written, member for member, with nothing added to a rule's `input` and no secret ever.

mod access;
mod certificate;
mod duration;
mod envelope;
mod error;
mod integration;
mod list;
mod members;
mod notes;
mod openapi;
mod provider_values;
mod rule;
mod source;
mod written;

pub use access::{AccessGroup, AccessRule, Everyone, InvalidAccess, PostureEntry, access_expression};
pub use certificate::{MtlsCertificate, certificate, create_certificate, same_certificate_content};
pub use envelope::{Failure, Message, Success, failure, list, success};
pub use error::{ApiError, ErrorCode, ErrorItem};
pub use integration::{
    IntegrationDraft, LastError, PostureIntegration, create_integration, integration, patch_integration,
    same_integration_content,
};
pub use list::{
    GatewayItem, GatewayList, create_list, gateway_list, list_items, list_type, patch_list, replace_list,
    same_list_content,
};
pub use openapi::room;
pub use provider_values::{read_provider_object, read_provider_values};
pub use rule::{
    Rule, RuleType, check_references, create_rule, implicit_rule, read_rule, replace_rule, rule, rule_type,
    same_content,
};
pub use written::Written;
