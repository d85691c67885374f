//! How operators sign in to the admin API by name and password, and how long a session lasts.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::admin::AdminRole;
use super::password_hash::PasswordHash;
use super::positive;
use crate::config::document::{Field, Session};
use crate::config::values::{DurationText, NameText};
use crate::limits::ADMIN_SESSION_TIME_MAX;

/// An operator who signs in with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminUser {
    /// The name.
    pub name: Arc<str>,
    /// What is kept of the password.
    pub password_hash: PasswordHash,
    /// What they may do.
    pub role: AdminRole,
}

/// How long a session of the admin API lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminSession {
    /// How long it lasts without a request.
    pub idle: Duration,
    /// How long it lasts at most.
    pub lifetime: Duration,
}

impl Default for AdminSession {
    fn default() -> Self {
        AdminSession { idle: Duration::from_secs(30 * 60), lifetime: Duration::from_secs(12 * 60 * 60) }
    }
}

/// An operator who signs in with a password.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RawAdminUser", extend("required" = ["name", "password_hash"]))]
pub(super) struct RawUser {
    /// The name to sign in with.
    name: Field<NameText>,
    /// The password's argon2id hash, as `postern admin hash-password` prints it.
    password_hash: Field<PasswordHash>,
    /// What the user may do: `admin` or `read-only`. Default: read-only.
    role: Field<AdminRole>,
}

/// How long a session lasts after signing in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RawAdminSession")]
pub(super) struct RawSession {
    /// How long it lasts without a request. Default: 30m.
    idle: Field<DurationText>,
    /// How long it lasts at most. Default: 12h.
    lifetime: Field<DurationText>,
}

pub(super) fn check_users(session: &Session, list: Field<Vec<Field<RawUser>>>) -> Vec<AdminUser> {
    let mut users: Vec<AdminUser> = Vec::new();
    for raw in list.items() {
        let name = raw.value.name.required(session, raw.node, "name");
        let password_hash = raw.value.password_hash.required(session, raw.node, "password_hash");
        let (Some(name), Some(password_hash)) = (name, password_hash) else {
            continue;
        };
        if users.iter().any(|other| *other.name == *name.value.0) {
            session.error(name.node, "another user has the same name");
        }
        users.push(AdminUser {
            name: name.value.0.into(),
            password_hash: password_hash.value,
            role: raw.value.role.or_default(),
        });
    }
    users
}

impl RawSession {
    pub(super) fn check(self, session: &Session) -> AdminSession {
        let default = AdminSession::default();
        let (idle_node, lifetime_node) = (self.idle.node(), self.lifetime.node());
        let lifetime = positive(session, self.lifetime, default.lifetime);
        let idle = positive(session, self.idle, default.idle.min(lifetime));
        if let Some(node) = lifetime_node.filter(|_| lifetime > ADMIN_SESSION_TIME_MAX) {
            session.error(node, "is longer than a week");
        }
        if let Some(node) = idle_node.filter(|_| idle > lifetime) {
            session.error(node, "is longer than the session's lifetime");
        }
        AdminSession { idle, lifetime }
    }
}
