//! The checked configuration: plain values, every default filled in, nothing left to go wrong.
//!
//! Each section has a file of its own that holds the checked type, the form it has in the file (with the texts that become
//! the JSON Schema's descriptions) and the step from one to the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::document::{Document, Field, Session};
use super::places::Places;
use super::values::{DurationText, PathText};

mod admin;
mod bounds;
mod cloudflare;
mod data;
mod front_door;
mod identity;
mod listeners;
mod log;
mod password_hash;
mod proxy;
mod sign_in;
mod tls;
mod workers;

pub use admin::{Admin, AdminCertificate, AdminRole, AdminToken, TokenDigest};
pub use bounds::Limits;
pub use cloudflare::Cloudflare;
pub use data::{Data, Store};
pub use front_door::FrontDoor;
pub use identity::{AutoEnroll, Enrollment, Identification, NameFrom};
pub use listeners::{Listeners, PlainListener, TlsListener};
pub use log::{Log, LogFormat};
pub use password_hash::{HashingError, PasswordHash, PasswordHashError};
pub use proxy::{Forwarded, Proxy, RequestIds, ServiceDefaults};
pub use sign_in::{AdminSession, AdminUser};
pub use tls::{ClientAuth, ClientAuthMode, ExpiredCrl, ServerCertificate, Tls};
pub use workers::Workers;

pub(super) use admin::SubjectText;
pub(super) use log::RawLog;
pub(super) use proxy::{RawTimeouts, positive};

/// Everything the configuration file decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where the gateway listens.
    pub listeners: Listeners,
    /// What makes the gateway's listener safe to be reached by strangers.
    pub front_door: FrontDoor,
    /// Certificates and whom they trust.
    pub tls: Tls,
    /// How a certificate becomes an identity.
    pub identity: Identification,
    /// The folder of policy files.
    pub policy_directory: PathBuf,
    /// What is kept over a restart, and where.
    pub data: Data,
    /// Who may use the admin API.
    pub admin: Admin,
    /// What the Cloudflare-compatible admin API takes for granted.
    pub cloudflare: Cloudflare,
    /// How requests are passed on.
    pub proxy: Proxy,
    /// Bounds, lowered from the built-in ones.
    pub limits: Limits,
    /// Log output.
    pub log: Log,
    /// Threads that serve.
    pub workers: Workers,
    /// What happens when the gateway is told to stop.
    pub shutdown: Shutdown,
    /// The socket at which a successor asks to take over.
    pub upgrade_socket: PathBuf,
    /// Where each key was written, for findings of later stages.
    pub places: Places,
}

/// The configuration file of a Postern gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Postern configuration")]
pub(super) struct RawSettings {
    /// Where the gateway listens.
    listeners: Field<listeners::RawListeners>,
    /// Bounds of the gateway's listener: how much a stranger, an address or an identity may take.
    front_door: Field<front_door::RawFrontDoor>,
    /// Certificates the gateway shows and certificates it trusts.
    tls: Field<tls::RawTls>,
    /// How a client's certificate becomes an identity.
    identity: Field<identity::RawIdentification>,
    /// Where identities, services, service policies and posture checks are kept.
    policy: Field<RawPolicy>,
    /// What is kept over a restart.
    data: Field<data::RawData>,
    /// Who may use the admin API.
    admin: Field<admin::RawAdmin>,
    /// What the Cloudflare-compatible admin API takes for granted.
    cloudflare: Field<cloudflare::RawCloudflare>,
    /// How requests are passed on, and what services do when they do not say otherwise.
    proxy: Field<proxy::RawProxy>,
    /// Bounds. They can be lowered, never raised.
    limits: Field<bounds::RawLimits>,
    /// Log output.
    log: Field<RawLog>,
    /// Threads that serve: `auto` for one per processor, or a number. Default: auto.
    workers: Field<Workers>,
    /// What happens when the gateway is told to stop.
    shutdown: Field<RawShutdown>,
    /// How a new process takes the place of the one that serves.
    upgrade: Field<RawUpgrade>,
}

/// Where policy is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawPolicy {
    /// Folder of policy files (`*.yaml`, `*.yml`), reloaded when they change. Default: policy.
    directory: Field<PathText>,
}

/// Stopping.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawShutdown {
    /// How long readiness says no before no new connections are taken, so that balancers hear of it. Default: 0s.
    delay: Field<DurationText>,
    /// How long requests in flight may finish. Default: 30s.
    grace: Field<DurationText>,
}

/// Taking over from the process that serves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawUpgrade {
    /// The socket at which `postern run --upgrade` asks the process that serves. Default: upgrade.sock in the data folder.
    socket: Field<PathText>,
}

/// How a gateway stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long readiness says no before no new connections are taken.
    pub delay: Duration,
    /// How long requests in flight may finish.
    pub grace: Duration,
}

impl RawSettings {
    /// The checked settings, or `None` with the reasons in `session`. Relative paths start at `folder`.
    pub(super) fn check(self, session: &Session, folder: &Path) -> Option<Settings> {
        let tls_node = self.tls.node().unwrap_or(Document::ROOT);
        let tls = self.tls.or_default().check(session, tls_node, folder);
        let listeners = self.listeners.or_default().check(session, folder, tls.as_ref());
        let identity = self.identity.or_default().check(session, folder);
        let admin = self.admin.or_default().check(session);
        let shutdown = self.shutdown.or_default();
        let data = self.data.or_default().check(folder);
        let socket = self.upgrade.or_default().socket.value();
        let waiting = |given: Field<DurationText>, default| given.value().map_or(default, |given| given.0);
        Some(Settings {
            upgrade_socket: socket.map_or_else(|| data.directory.join("upgrade.sock"), |path| folder.join(path.0)),
            policy_directory: resolve(folder, self.policy.or_default().directory, "policy"),
            front_door: self.front_door.or_default().check(session),
            data,
            cloudflare: self.cloudflare.or_default().check(folder),
            proxy: self.proxy.or_default().check(session),
            limits: self.limits.or_default().check(),
            log: self.log.or_default().check(),
            workers: self.workers.or_default(),
            shutdown: Shutdown {
                delay: waiting(shutdown.delay, Duration::ZERO),
                grace: waiting(shutdown.grace, Duration::from_secs(30)),
            },
            places: Places::of(session.document()),
            listeners,
            identity,
            admin,
            tls: tls?,
        })
    }
}

/// A path relative to the configuration file's folder.
fn resolve(folder: &Path, path: Field<PathText>, default: &str) -> PathBuf {
    let path = path.value().map_or_else(|| default.to_owned(), |path| path.0);
    folder.join(path)
}

/// Paths relative to the configuration file's folder.
fn resolve_all(folder: &Path, paths: Field<Vec<Field<PathText>>>) -> Vec<PathBuf> {
    let paths = paths.items().into_iter();
    paths.map(|path| folder.join(path.value.0)).collect()
}
