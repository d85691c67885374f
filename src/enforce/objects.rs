//! Objects made through the API: checked against everything else, durable, and then in force, in that order.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use serde_json::Value;
use tokio::sync::MutexGuard;

use super::audit::{AuditEntry, Author, Trail};
use super::busy::busy;
use super::enforcer::{Enforcer, Sources};
use super::unreadable;
use crate::clock::checkpoint;
use crate::dialect::cloudflare;
use crate::id::{
    CertificateId, CheckId, ConfigId, ConfigTypeId, ConnectionId, IdentityId, ListId, PolicyId, ServiceId,
};
use crate::policy::compile::{CompileError, compile};
use crate::policy::config_type::OwnConfigType;
use crate::policy::device_list::DeviceList;
use crate::policy::integration::Integration;
use crate::policy::objects::{Identity, Objects, PostureCheck, Service, ServicePolicy};
use crate::policy::service_config::ServiceConfig;
use crate::policy::signing_certificate::SigningCertificate;
use crate::policy::snapshot::Snapshot;
use crate::secret::Sealed;
use crate::store::{RecordError, Store, StoreError, Table, Write};

/// One change of an object made through the API.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object is made or replaced.
    Put(Object),
    /// An object is removed.
    Delete(ObjectId),
}

/// The objects that the API makes, with what differs from kind to kind: where they lie among the others, and under which key in
/// the store.
macro_rules! objects {
    ($($(#[$doc:meta])* $kind:ident($id:ty, $object:ty) = $name:literal, $prefix:literal, $table:ident, $id_of:expr;)*) => {
        /// An object of any kind.
        #[derive(Clone, Debug)]
        pub enum Object { $($(#[$doc])* $kind(Arc<$object>),)* }

        /// The id of an object of any kind.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum ObjectId { $($(#[$doc])* $kind($id),)* }

        impl Object {
            /// Its id.
            pub fn id(&self) -> ObjectId {
                match self { $(Object::$kind(object) => ObjectId::$kind($id_of(object)),)* }
            }

            fn put_into(&self, objects: &mut Objects) {
                match self { $(Object::$kind(object) => drop(objects.$table.insert($id_of(object), Arc::clone(object))),)* }
            }

            fn write(&self) -> Result<Write, StoreError> {
                let key = self.id().key();
                match self { $(Object::$kind(object) => Store::put_of(Table::Objects, &key, &**object),)* }
            }

            fn to_value(&self) -> Value {
                let value = match self { $(Object::$kind(object) => serde_json::to_value(&**object),)* };
                value.unwrap_or_default()
            }
        }

        impl ObjectId {
            /// What kind of object it is the id of.
            pub const fn kind(&self) -> &'static str {
                match self { $(ObjectId::$kind(_) => $name,)* }
            }

            /// Its text.
            pub fn as_str(&self) -> &str {
                match self { $(ObjectId::$kind(id) => id.as_str(),)* }
            }

            fn key(&self) -> String {
                match self { $(ObjectId::$kind(id) => format!(concat!($prefix, "{}"), id),)* }
            }

            fn find(&self, objects: &Objects) -> Option<Object> {
                match self { $(ObjectId::$kind(id) => objects.$table.get(id).cloned().map(Object::$kind),)* }
            }

            fn remove_from(&self, objects: &mut Objects) {
                match self { $(ObjectId::$kind(id) => drop(objects.$table.remove(id)),)* }
            }
        }

        impl Enforcer {
            /// Objects that were made through the API before a restart, how many, and the records that could not be read, for
            /// some of which something stands in.
            pub(super) fn stored_objects(&self) -> Result<(Objects, usize, Vec<RecordError>), StoreError> {
                let mut objects = Objects::default();
                let (mut count, mut skipped) = (0, Vec::new());
                $(
                    let loaded = self.store.load_prefixed::<$object>(Table::Objects, $prefix)?;
                    count += loaded.records.len();
                    skipped.extend(loaded.skipped);
                    for (_, object) in loaded.records {
                        objects.$table.insert($id_of(&object), Arc::new(object));
                    }
                )*
                let now = self.clock().now();
                let stand_ins = skipped.iter().filter_map(|error| unreadable::stand_in(&error.key, now));
                stand_ins.for_each(|object| object.put_into(&mut objects));
                Ok((objects, count, skipped))
            }
        }
    };
}

objects! {
    /// An identity.
    Identity(IdentityId, Identity) = "identity", "identity/", identities, |object: &Identity| object.id.clone();
    /// A service.
    Service(ServiceId, Service) = "service", "service/", services, |object: &Service| object.id.clone();
    /// A service policy.
    Policy(PolicyId, ServicePolicy) = "service policy", "policy/", policies, |object: &ServicePolicy| object.id.clone();
    /// A posture check.
    Check(CheckId, PostureCheck) = "posture check", "check/", checks, |object: &PostureCheck| object.check.id.clone();
    /// A list of device names.
    List(ListId, DeviceList) = "device list", "list/", lists, |object: &DeviceList| object.id.clone();
    /// A signing certificate.
    Certificate(CertificateId, SigningCertificate) = "signing certificate", "certificate/", signing_certificates,
        |object: &SigningCertificate| object.id.clone();
    /// A connection to a posture provider.
    Integration(ConnectionId, Integration) = "posture integration", "integration/", integrations,
        |object: &Integration| object.id.clone();
    /// A config of services.
    Config(ConfigId, ServiceConfig) = "config", "config/", configs, |object: &ServiceConfig| object.id.clone();
    /// A type of configs.
    ConfigType(ConfigTypeId, OwnConfigType) = "config type", "config-type/", config_types,
        |object: &OwnConfigType| object.id.clone();
}

/// Why a change was not made. Nothing of it is in force.
#[derive(Debug, thiserror::Error)]
pub enum ChangeRefused {
    /// With it, the objects would not be a policy.
    #[error("the change does not fit the policy: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Policy(Vec<CompileError>),
    /// It could not be made durable.
    #[error("the change is not stored: {0}")]
    Unavailable(#[from] StoreError),
}

/// The turn to change objects. Whoever holds it sees no other change between looking and changing, but for reloads of files.
#[derive(Debug)]
pub struct Turn<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

impl Change {
    fn object_id(&self) -> ObjectId {
        match self {
            Change::Put(object) => object.id(),
            Change::Delete(id) => id.clone(),
        }
    }

    /// What kind of object it changes.
    pub fn kind(&self) -> &'static str {
        self.object_id().kind()
    }

    /// The id of the object it changes.
    pub fn id(&self) -> String {
        self.object_id().as_str().to_owned()
    }

    /// The object as it is, for the audit trail.
    pub(super) fn before(&self, objects: &Objects) -> Option<Value> {
        self.object_id().find(objects).map(|object| without_secrets(&object))
    }

    /// The object as it will be, for the audit trail.
    pub(super) fn after(&self) -> Option<Value> {
        match self {
            Change::Put(object) => Some(without_secrets(object)),
            Change::Delete(_) => None,
        }
    }

    fn apply(&self, objects: &mut Objects) {
        match self {
            Change::Put(object) => object.put_into(objects),
            Change::Delete(id) => id.remove_from(objects),
        }
    }

    /// The change that takes this one back.
    fn inverse(&self, before: &Objects) -> Change {
        let id = self.object_id();
        id.find(before).map_or_else(|| Change::Delete(id.clone()), Change::Put)
    }

    fn write(&self) -> Result<Write, StoreError> {
        match self {
            Change::Put(object) => object.write(),
            Change::Delete(id) => Write::delete(Table::Objects, id.key()),
        }
    }
}

/// An object for the audit trail. Even an encrypted secret has no place there; that it changed shall be seen.
fn without_secrets(object: &Object) -> Value {
    let mut value = object.to_value();
    if let Some(Value::Object(enrolment)) = value.pointer_mut("/enrolment") {
        enrolment.remove("token");
        enrolment.remove("digest");
    }
    if let (Object::Integration(integration), Some(secrets)) = (object, value.pointer_mut("/secrets")) {
        let told = |sealed: &Sealed| Value::from(format!("sha256:{}", fingerprint(sealed.as_str())));
        let secrets_told = integration.secrets.iter().map(|(name, sealed)| (name.to_string(), told(sealed)));
        *secrets = Value::Object(secrets_told.collect());
    }
    value
}

/// A short digest of an encrypted text, by which two of them can be told apart.
fn fingerprint(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A snapshot that was compiled with a change, and what it was compiled from.
struct Prepared {
    base: u64,
    stored: Objects,
    snapshot: Snapshot,
}

impl Enforcer {
    /// Waits for the turn to change objects.
    pub async fn turn(&self) -> Turn<'_> {
        Turn(self.changing.lock().await)
    }

    /// Makes a change: compiled with everything else, durable, and in force when this returns. Returns the generation.
    ///
    /// Let it run to its end: a caller that drops it half-way may leave a change on disk that comes into force only after a
    /// restart.
    pub async fn change(&self, _turn: &Turn<'_>, change: Change, author: &Author) -> Result<u64, ChangeRefused> {
        let prepared = busy(|| self.prepare(&change)).map_err(ChangeRefused::Policy)?;
        let entry = {
            let published = self.published();
            self.trail.entry(&change, published.snapshot().objects(), author, self.clock().now())
        };
        self.store.write(vec![change.write()?, Trail::write(&entry)?]).await?;
        let generation = busy(|| self.put_into_force(prepared, &change)).map_err(ChangeRefused::Policy)?;
        self.trail.keep(entry);
        Ok(generation)
    }

    /// The latest changes made through the API, oldest first.
    pub fn audit_trail(&self) -> Vec<Arc<AuditEntry>> {
        self.trail.entries()
    }

    fn prepare(&self, change: &Change) -> Result<Prepared, Vec<CompileError>> {
        let (base, mut changed) = {
            let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            (sources.generation, Sources::clone(&sources))
        };
        change.apply(&mut changed.stored);
        let snapshot = compile(merged(&changed), base.saturating_add(1))?;
        Ok(Prepared { base, stored: changed.stored, snapshot })
    }

    /// Swaps the prepared snapshot in. When files were reloaded in the meantime, everything is compiled anew; should the change
    /// not fit any more, it is taken back.
    fn put_into_force(&self, prepared: Prepared, change: &Change) -> Result<u64, Vec<CompileError>> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.generation == prepared.base {
            sources.generation = prepared.snapshot.generation();
            sources.stored = prepared.stored;
            self.publish(prepared.snapshot);
            return Ok(sources.generation);
        }
        let inverse = change.inverse(&sources.stored);
        let mut changed = Sources { generation: sources.generation.saturating_add(1), ..Sources::clone(&sources) };
        change.apply(&mut changed.stored);
        match compile(merged(&changed), changed.generation) {
            Ok(snapshot) => {
                *sources = changed;
                self.publish(snapshot);
                Ok(sources.generation)
            }
            Err(errors) => {
                let taken_back = inverse.write().and_then(|write| self.store.write_later(vec![write]));
                if let Err(error) = taken_back {
                    tracing::error!(%error, "a refused change could not be taken out of the store");
                }
                Err(errors)
            }
        }
    }
}

/// Everything the next snapshot is made of. Files win over what was made through the API: an operator who writes an object down
/// means it. Lists of serial numbers are checks as well.
pub(super) fn merged(sources: &Sources) -> Objects {
    let mut objects = sources.stored.clone();
    add(&mut objects.identities, &sources.files.identities);
    add(&mut objects.services, &sources.files.services);
    add(&mut objects.policies, &sources.files.policies);
    add(&mut objects.checks, &sources.files.checks);
    add(&mut objects.lists, &sources.files.lists);
    add(&mut objects.signing_certificates, &sources.files.signing_certificates);
    add(&mut objects.integrations, &sources.files.integrations);
    add(&mut objects.configs, &sources.files.configs);
    add(&mut objects.config_types, &sources.files.config_types);
    for rule in objects.lists.values().filter_map(|list| cloudflare::implicit_rule(list)) {
        objects.checks.entry(rule.check.id.clone()).or_insert_with(|| Arc::new(rule));
    }
    objects
}

fn add<K: Ord + Clone, V>(to: &mut BTreeMap<K, Arc<V>>, from: &BTreeMap<K, Arc<V>>) {
    to.extend(from.iter().inspect(|_| checkpoint()).map(|(key, object)| (key.clone(), Arc::clone(object))));
}
