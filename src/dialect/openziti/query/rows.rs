//! The fields of each kind of list. What the objects here do not have, but OpenZiti's have, shows the one value it can have.

use serde_json::Value;

use super::super::auth_policy::AuthPolicy;
use super::super::config_type::AnyConfigType;
use super::super::enrollment::{Authenticator, Enrolling, METHOD};
use super::super::identity_type::IdentityType;
use super::super::posture_check::TypeId;
use super::super::posture_check_type::PostureCheckType;
use super::super::service_policy::RoleNames;
use super::super::session::ServiceSession;
use super::TAGS;
use super::field::{Field, FieldType, Listed, Scalar, Texts};
use crate::decision::Failure;
use crate::policy::objects::{Identity, Meta, PolicyType, PostureCheck, Service, ServicePolicy};
use crate::policy::roles::Semantic;
use crate::policy::service_config::ServiceConfig;
use crate::posture::check::Predicate;
use crate::posture::check::mfa::MfaRule;

impl Listed for Identity {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("disabled", FieldType::Flag),
        ("id", FieldType::Text),
        ("isAdmin", FieldType::Flag),
        ("isDefaultAdmin", FieldType::Flag),
        ("isSystem", FieldType::Flag),
        ("name", FieldType::Text),
        ("roleAttributes", FieldType::Set),
        ("tags", FieldType::Tags),
        ("type", FieldType::Text),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "id" => Field::text(self.id.as_str()),
            "name" => Field::text(&self.name),
            "roleAttributes" => Field::Set(Texts::Shared(&self.role_attributes)),
            "disabled" => Field::One(Scalar::Flag(self.disabled)),
            "isAdmin" | "isDefaultAdmin" => Field::One(Scalar::Flag(false)),
            "type" => Field::text("Default"),
            _ => of_meta(&self.meta, name),
        }
    }
}

impl Listed for Service {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("encryptionRequired", FieldType::Flag),
        ("id", FieldType::Text),
        ("isSystem", FieldType::Flag),
        ("name", FieldType::Text),
        ("roleAttributes", FieldType::Set),
        ("tags", FieldType::Tags),
        ("terminatorStrategy", FieldType::Text),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "id" => Field::text(self.id.as_str()),
            "name" => Field::text(&self.name),
            "roleAttributes" => Field::Set(Texts::Shared(&self.role_attributes)),
            "encryptionRequired" => {
                let flag = self.kept.get(name).and_then(Value::as_bool);
                Field::One(Scalar::Flag(flag.unwrap_or_default()))
            }
            "terminatorStrategy" => Field::text(self.kept.get(name).and_then(Value::as_str).unwrap_or("smartrouting")),
            _ => of_meta(&self.meta, name),
        }
    }
}

impl Listed for ServiceConfig {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("id", FieldType::Text),
        ("isSystem", FieldType::Flag),
        ("name", FieldType::Text),
        ("tags", FieldType::Tags),
        ("type", FieldType::Text),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "id" => Field::text(self.id.as_str()),
            "name" => Field::text(&self.name),
            "type" => Field::text(&self.type_id),
            _ => of_meta(&self.meta, name),
        }
    }
}

impl Listed for AnyConfigType<'_> {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("id", FieldType::Text),
        ("isSystem", FieldType::Flag),
        ("name", FieldType::Text),
        ("tags", FieldType::Tags),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "id" => Field::text(self.id()),
            "name" => Field::text(self.name()),
            _ => of_meta(self.meta(), name),
        }
    }
}

impl Listed for Enrolling<'_> {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("expiresAt", FieldType::Instant),
        ("id", FieldType::Text),
        ("identity", FieldType::Text),
        ("isSystem", FieldType::Flag),
        ("method", FieldType::Text),
        ("tags", FieldType::Tags),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "id" => Field::text(&self.pending.id),
            "identity" => Field::text(self.identity.id.as_str()),
            "method" => Field::text(METHOD),
            "expiresAt" => Field::One(Scalar::Instant(self.pending.expires_at)),
            _ => of_meta(self.meta(), name),
        }
    }
}

impl Listed for Authenticator<'_> {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("fingerprint", FieldType::Text),
        ("id", FieldType::Text),
        ("identity", FieldType::Text),
        ("isSystem", FieldType::Flag),
        ("method", FieldType::Text),
        ("tags", FieldType::Tags),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "id" => Field::text(&self.certificate.id),
            "identity" => Field::text(self.identity.id.as_str()),
            "method" => Field::text("cert"),
            "fingerprint" => Field::text(&self.certificate.fingerprint),
            _ => of_meta(self.meta(), name),
        }
    }
}

/// A service policy in a list, whose roles are asked for as they are shown: entities by id.
#[derive(Clone, Copy, Debug)]
pub struct ListedPolicy<'a> {
    /// The policy.
    pub policy: &'a ServicePolicy,
    names: &'a RoleNames<'a>,
}

impl<'a> ListedPolicy<'a> {
    /// A policy among the objects of these names.
    pub fn new(policy: &'a ServicePolicy, names: &'a RoleNames<'a>) -> Self {
        ListedPolicy { policy, names }
    }
}

impl Listed for ListedPolicy<'_> {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("id", FieldType::Text),
        ("identityRoles", FieldType::Set),
        ("isSystem", FieldType::Flag),
        ("name", FieldType::Text),
        ("postureCheckRoles", FieldType::Set),
        ("semantic", FieldType::Text),
        ("serviceRoles", FieldType::Set),
        ("tags", FieldType::Tags),
        ("type", FieldType::Text),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        let policy = self.policy;
        match name {
            "id" => Field::text(policy.id.as_str()),
            "name" => Field::text(&policy.name),
            "identityRoles" => Field::Set(Texts::Made(self.names.identity_roles(policy))),
            "serviceRoles" => Field::Set(Texts::Made(self.names.service_roles(policy))),
            "postureCheckRoles" => Field::Set(Texts::Made(self.names.posture_check_roles(policy))),
            "semantic" => Field::text(match policy.semantic {
                Semantic::AllOf => "AllOf",
                Semantic::AnyOf => "AnyOf",
            }),
            "type" => Field::text(match policy.policy_type {
                PolicyType::Dial => "Dial",
                PolicyType::Bind => "Bind",
            }),
            _ => of_meta(&policy.meta, name),
        }
    }
}

impl Listed for PostureCheck {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("id", FieldType::Text),
        ("isSystem", FieldType::Flag),
        ("name", FieldType::Text),
        ("promptOnUnlock", FieldType::Flag),
        ("promptOnWake", FieldType::Flag),
        ("roleAttributes", FieldType::Set),
        ("tags", FieldType::Tags),
        ("typeId", FieldType::Text),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "id" => Field::text(self.check.id.as_str()),
            "name" => Field::text(&self.check.name),
            "roleAttributes" => Field::Set(Texts::Shared(&self.role_attributes)),
            "typeId" => {
                let kind = TypeId::of(&self.check.predicate);
                Field::One(kind.map_or(Scalar::Null, |kind| Scalar::Text(kind.as_str())))
            }
            "promptOnUnlock" => of_mfa(&self.check.predicate, |rule| rule.prompt_on_unlock),
            "promptOnWake" => of_mfa(&self.check.predicate, |rule| rule.prompt_on_wake),
            _ => of_meta(&self.meta, name),
        }
    }
}

/// A role attribute in a list of those in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleAttribute<'a>(pub &'a str);

impl Listed for RoleAttribute<'_> {
    const FIELDS: &'static [(&'static str, FieldType)] = &[("id", FieldType::Text)];

    fn field(&self, name: &str) -> Field<'_> {
        if name == "id" { Field::text(self.0) } else { Field::Unknown }
    }
}

/// What is listed by its id and its name and nothing else.
macro_rules! listed_by_name {
    ($($kind:ty: $id:expr, $name:expr;)*) => {$(
        impl Listed for $kind {
            const FIELDS: &'static [(&'static str, FieldType)] = &[("id", FieldType::Text), ("name", FieldType::Text)];

            fn field(&self, name: &str) -> Field<'_> {
                match name {
                    "id" => Field::text($id(self)),
                    "name" => Field::text($name(self)),
                    _ => Field::Unknown,
                }
            }
        }
    )*};
}

listed_by_name! {
    PostureCheckType: PostureCheckType::id, PostureCheckType::name;
    AuthPolicy: |_| AuthPolicy::ID, |_| AuthPolicy::NAME;
    IdentityType: |_| IdentityType::ID, |_| IdentityType::ID;
}

impl Listed for ServiceSession {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("createdAt", FieldType::Instant),
        ("id", FieldType::Text),
        ("isSystem", FieldType::Flag),
        ("serviceId", FieldType::Text),
        ("serviceName", FieldType::Text),
        ("type", FieldType::Text),
        ("updatedAt", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "createdAt" | "updatedAt" => Field::One(Scalar::Instant(self.created_at)),
            "id" => Field::text(&self.id),
            "isSystem" => Field::One(Scalar::Flag(false)),
            "serviceId" => Field::text(self.service.as_str()),
            "serviceName" => Field::text(&self.service_name),
            "type" => Field::text("Dial"),
            _ => Field::Unknown,
        }
    }
}

impl Listed for Failure {
    const FIELDS: &'static [(&'static str, FieldType)] = &[
        ("reasonCode", FieldType::Text),
        ("requestId", FieldType::Text),
        ("serviceId", FieldType::Text),
        ("serviceName", FieldType::Text),
        ("sessionType", FieldType::Text),
        ("sourceAddress", FieldType::Text),
        ("when", FieldType::Instant),
    ];

    fn field(&self, name: &str) -> Field<'_> {
        // A request that was for no service shows the empty text, as in the record itself.
        let service = self.service.as_ref();
        match name {
            "when" => Field::One(Scalar::Instant(self.when)),
            "serviceId" => Field::text(service.map_or("", |service| service.id.as_str())),
            "serviceName" => Field::text(service.map_or("", |service| &service.name)),
            "sessionType" => Field::text("Dial"),
            "reasonCode" => Field::text(self.reason.code()),
            "requestId" => Field::text(&self.request_id),
            "sourceAddress" => Field::One(self.source_address.as_deref().map_or(Scalar::Null, Scalar::Text)),
            _ => Field::Unknown,
        }
    }
}

fn of_meta<'a>(meta: &'a Meta, name: &str) -> Field<'a> {
    match name {
        "createdAt" => Field::One(Scalar::Instant(meta.created_at)),
        "updatedAt" => Field::One(Scalar::Instant(meta.updated_at)),
        "isSystem" => Field::One(Scalar::Flag(false)),
        _ => name.strip_prefix(TAGS).map_or(Field::Unknown, |tag| Field::tag(&meta.tags, tag)),
    }
}

/// A flag that only checks of one kind have.
fn of_mfa(predicate: &Predicate, flag: impl Fn(&MfaRule) -> bool) -> Field<'static> {
    match predicate {
        Predicate::Mfa(rule) => Field::One(Scalar::Flag(flag(rule))),
        _ => Field::One(Scalar::Null),
    }
}
