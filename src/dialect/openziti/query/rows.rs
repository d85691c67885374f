//! The fields of each kind of list. What the objects here do not have, but OpenZiti's have, shows the one value it can have.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::super::auth_policy::AuthPolicy;
use super::super::config_type::AnyConfigType;
use super::super::enrollment::{Authenticator, Enrolling, METHOD};
use super::super::identity_type::IdentityType;
use super::super::posture_check::TypeId;
use super::super::posture_check_type::PostureCheckType;
use super::super::service_policy::RoleNames;
use super::super::session::ServiceSession;
use super::field::{Field, Fields, Listed, Texts, in_parts, shared_texts};
use crate::decision::Failure;
use crate::policy::objects::{Identity, Meta, PolicyType, PostureCheck, Service, ServicePolicy};
use crate::policy::roles::Semantic;
use crate::policy::service_config::ServiceConfig;
use crate::posture::check::Predicate;
use crate::posture::check::mfa::MfaRule;

impl Listed for Identity {
    fn fields() -> Fields<Self> {
        of_meta::<Self>().and([
            ("id", Field::Text(|identity| Some(identity.id.as_str()))),
            ("name", Field::Text(|identity| Some(&identity.name))),
            ("disabled", Field::Flag(|identity| Some(identity.disabled))),
            ("isAdmin", Field::Flag(|_| Some(false))),
            ("isDefaultAdmin", Field::Flag(|_| Some(false))),
            ("roleAttributes", Field::Set(|identity| Texts::Shared(&identity.role_attributes))),
            ("type", Field::Text(|_| Some("Default"))),
        ])
    }
}

impl Listed for Service {
    fn fields() -> Fields<Self> {
        of_meta::<Self>().and([
            ("id", Field::Text(|service| Some(service.id.as_str()))),
            ("name", Field::Text(|service| Some(&service.name))),
            (
                "encryptionRequired",
                Field::Flag(|service| {
                    Some(service.kept.get("encryptionRequired").and_then(Value::as_bool).unwrap_or_default())
                }),
            ),
            ("roleAttributes", Field::Set(|service| Texts::Shared(&service.role_attributes))),
            (
                "terminatorStrategy",
                Field::Text(|service| {
                    Some(service.kept.get("terminatorStrategy").and_then(Value::as_str).unwrap_or("smartrouting"))
                }),
            ),
        ])
    }
}

impl Listed for ServiceConfig {
    fn fields() -> Fields<Self> {
        of_meta::<Self>().and([
            ("id", Field::Text(|config| Some(config.id.as_str()))),
            ("name", Field::Text(|config| Some(&config.name))),
            ("type", Field::Text(|config| Some(&config.type_id))),
        ])
    }
}

impl Listed for AnyConfigType<'_> {
    fn fields() -> Fields<Self> {
        of_meta::<Self>()
            .and([("id", Field::Text(|kind| Some(kind.id()))), ("name", Field::Text(|kind| Some(kind.name())))])
    }
}

impl Listed for Enrolling<'_> {
    fn fields() -> Fields<Self> {
        of_meta::<Self>().and([
            ("id", Field::Text(|waiting| Some(&waiting.pending.id))),
            ("identity", Field::Text(|waiting| Some(waiting.identity.id.as_str()))),
            ("method", Field::Text(|_| Some(METHOD))),
            ("expiresAt", Field::Instant(|waiting| waiting.pending.expires_at)),
        ])
    }
}

impl Listed for Authenticator<'_> {
    fn fields() -> Fields<Self> {
        of_meta::<Self>().and([
            ("id", Field::Text(|known| Some(&known.certificate.id))),
            ("identity", Field::Text(|known| Some(known.identity.id.as_str()))),
            ("method", Field::Text(|_| Some("cert"))),
            ("fingerprint", Field::Text(|known| Some(&known.certificate.fingerprint))),
        ])
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
    fn fields() -> Fields<Self> {
        of_meta::<Self>().and([
            ("id", Field::Text(|listed| Some(listed.policy.id.as_str()))),
            ("name", Field::Text(|listed| Some(&listed.policy.name))),
            ("identityRoles", Field::Set(|listed| Texts::Made(listed.names.identity_roles(listed.policy)))),
            ("serviceRoles", Field::Set(|listed| Texts::Made(listed.names.service_roles(listed.policy)))),
            ("postureCheckRoles", Field::Set(|listed| Texts::Made(listed.names.posture_check_roles(listed.policy)))),
            (
                "semantic",
                Field::Text(|listed| {
                    Some(match listed.policy.semantic {
                        Semantic::AllOf => "AllOf",
                        Semantic::AnyOf => "AnyOf",
                    })
                }),
            ),
            (
                "type",
                Field::Text(|listed| {
                    Some(match listed.policy.policy_type {
                        PolicyType::Dial => "Dial",
                        PolicyType::Bind => "Bind",
                    })
                }),
            ),
        ])
    }
}

impl Listed for PostureCheck {
    fn fields() -> Fields<Self> {
        of_meta::<Self>().and([
            ("id", Field::Text(|object| Some(object.check.id.as_str()))),
            ("name", Field::Text(|object| Some(&object.check.name))),
            ("roleAttributes", Field::Set(|object| Texts::Shared(&object.role_attributes))),
            ("typeId", Field::Text(|object| TypeId::of(&object.check.predicate).map(TypeId::as_str))),
            ("promptOnUnlock", Field::Flag(|object| of_mfa(object, |rule| rule.prompt_on_unlock))),
            ("promptOnWake", Field::Flag(|object| of_mfa(object, |rule| rule.prompt_on_wake))),
        ])
    }
}

/// A role attribute in a list of those in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleAttribute<'a>(pub &'a str);

impl<'a> RoleAttribute<'a> {
    /// Those that things carry, each once.
    pub fn in_use<T: 'a>(
        things: impl Iterator<Item = &'a T>,
        attributes: for<'t> fn(&'t T) -> &'t [Arc<str>],
    ) -> BTreeSet<Self> {
        let mut found = HashSet::new();
        in_parts(things, |some| found.extend(shared_texts(some, attributes).into_iter().flatten().map(|text| &**text)));
        found.into_iter().map(RoleAttribute).collect()
    }
}

impl Listed for RoleAttribute<'_> {
    fn fields() -> Fields<Self> {
        Fields::<Self>::new([("id", Field::Text(|attribute| Some(attribute.0)))])
    }
}

impl Listed for PostureCheckType {
    fn fields() -> Fields<Self> {
        Fields::<Self>::new([
            ("id", Field::Text(|kind| Some(kind.id()))),
            ("name", Field::Text(|kind| Some(kind.name()))),
        ])
    }
}

impl Listed for AuthPolicy {
    fn fields() -> Fields<Self> {
        Fields::<Self>::new([
            ("id", Field::Text(|_| Some(AuthPolicy::ID))),
            ("name", Field::Text(|_| Some(AuthPolicy::NAME))),
        ])
    }
}

impl Listed for IdentityType {
    fn fields() -> Fields<Self> {
        Fields::<Self>::new([
            ("id", Field::Text(|_| Some(IdentityType::ID))),
            ("name", Field::Text(|_| Some(IdentityType::ID))),
        ])
    }
}

impl Listed for ServiceSession {
    fn fields() -> Fields<Self> {
        Fields::<Self>::new([
            ("createdAt", Field::Instant(|session| session.created_at)),
            ("id", Field::Text(|session| Some(&session.id))),
            ("isSystem", Field::Flag(|_| Some(false))),
            ("serviceId", Field::Text(|session| Some(session.service.as_str()))),
            ("serviceName", Field::Text(|session| Some(&session.service_name))),
            ("type", Field::Text(|_| Some("Dial"))),
            ("updatedAt", Field::Instant(|session| session.created_at)),
        ])
    }
}

impl Listed for Failure {
    fn fields() -> Fields<Self> {
        Fields::<Self>::new([
            ("when", Field::Instant(|failure| failure.when)),
            // A request that was for no service shows the empty text, as in the record itself.
            (
                "serviceId",
                Field::Text(|failure| Some(failure.service.as_ref().map_or("", |service| service.id.as_str()))),
            ),
            ("serviceName", Field::Text(|failure| Some(failure.service.as_ref().map_or("", |service| &service.name)))),
            ("sessionType", Field::Text(|_| Some("Dial"))),
            ("reasonCode", Field::Text(|failure| Some(failure.reason.code()))),
            ("requestId", Field::Text(|failure| Some(&failure.request_id))),
            ("sourceAddress", Field::Text(|failure| failure.source_address.as_deref())),
        ])
    }
}

/// A kind of thing that OpenZiti's networks have, such as a router, and a gateway has none of.
#[derive(Clone, Copy, Debug)]
pub enum Foreign {}

impl Listed for Foreign {
    fn fields() -> Fields<Self> {
        of_meta::<Self>().and([
            ("id", Field::Text(|foreign| match *foreign {})),
            ("name", Field::Text(|foreign| match *foreign {})),
            ("roleAttributes", Field::Set(|foreign| match *foreign {})),
        ])
    }
}

/// What somebody made, at a time that is kept with it.
trait Made {
    fn meta(&self) -> &Meta;
}

macro_rules! made {
    ($($kind:ty: |$thing:ident| $meta:expr;)*) => {$(
        impl Made for $kind {
            fn meta(&self) -> &Meta {
                let $thing = self;
                $meta
            }
        }
    )*};
}

made! {
    Identity: |identity| &identity.meta;
    Service: |service| &service.meta;
    ServiceConfig: |config| &config.meta;
    AnyConfigType<'_>: |kind| AnyConfigType::meta(kind);
    Enrolling<'_>: |waiting| Enrolling::meta(waiting);
    Authenticator<'_>: |known| Authenticator::meta(known);
    ListedPolicy<'_>: |listed| &listed.policy.meta;
    PostureCheck: |object| &object.meta;
    Foreign: |foreign| match *foreign {};
}

fn of_meta<T: Made>() -> Fields<T> {
    Fields::<T>::new([
        ("createdAt", Field::Instant(|thing| thing.meta().created_at)),
        ("isSystem", Field::Flag(|_| Some(false))),
        ("tags", Field::Tags(|thing| &thing.meta().tags)),
        ("updatedAt", Field::Instant(|thing| thing.meta().updated_at)),
    ])
}

/// A flag that only checks of one kind have.
fn of_mfa(object: &PostureCheck, flag: impl Fn(&MfaRule) -> bool) -> Option<bool> {
    match &object.check.predicate {
        Predicate::Mfa(rule) => Some(flag(rule)),
        _ => None,
    }
}
