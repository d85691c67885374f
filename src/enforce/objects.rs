//! Objects made through the API: checked against everything else, durable, and then in force, in that order.

use std::sync::{Arc, PoisonError};

use tokio::sync::MutexGuard;

use super::enforcer::{Enforcer, Sources};
use crate::dialect::cloudflare;
use crate::id::{CertificateId, CheckId, ConnectionId, IdentityId, ListId};
use crate::policy::compile::{CompileError, compile};
use crate::policy::device_list::DeviceList;
use crate::policy::integration::Integration;
use crate::policy::objects::{Identity, Objects, PostureCheck};
use crate::policy::signing_certificate::SigningCertificate;
use crate::policy::snapshot::Snapshot;
use crate::store::{Store, StoreError, Table, Write};

/// One change of an object made through the API.
#[derive(Clone, Debug)]
pub enum Change {
    /// An identity is made or replaced.
    PutIdentity(Arc<Identity>),
    /// An identity is removed.
    DeleteIdentity(IdentityId),
    /// A posture check is made or replaced.
    PutCheck(Arc<PostureCheck>),
    /// A posture check is removed.
    DeleteCheck(CheckId),
    /// A list is made or replaced.
    PutList(Arc<DeviceList>),
    /// A list is removed.
    DeleteList(ListId),
    /// A signing certificate is uploaded.
    PutCertificate(Arc<SigningCertificate>),
    /// A signing certificate is removed.
    DeleteCertificate(CertificateId),
    /// A connection to a posture provider is made or replaced.
    PutIntegration(Arc<Integration>),
    /// A connection is removed.
    DeleteIntegration(ConnectionId),
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

const IDENTITY: &str = "identity/";
const CHECK: &str = "check/";
const LIST: &str = "list/";
const CERTIFICATE: &str = "certificate/";
const INTEGRATION: &str = "integration/";

impl Change {
    fn apply(&self, objects: &mut Objects) {
        match self {
            Change::PutIdentity(identity) => {
                objects.identities.insert(identity.id.clone(), Arc::clone(identity));
            }
            Change::DeleteIdentity(id) => drop(objects.identities.remove(id)),
            Change::PutCheck(check) => drop(objects.checks.insert(check.check.id.clone(), Arc::clone(check))),
            Change::DeleteCheck(id) => drop(objects.checks.remove(id)),
            Change::PutList(list) => drop(objects.lists.insert(list.id.clone(), Arc::clone(list))),
            Change::DeleteList(id) => drop(objects.lists.remove(id)),
            Change::PutCertificate(certificate) => {
                objects.signing_certificates.insert(certificate.id.clone(), Arc::clone(certificate));
            }
            Change::DeleteCertificate(id) => drop(objects.signing_certificates.remove(id)),
            Change::PutIntegration(integration) => {
                objects.integrations.insert(integration.id.clone(), Arc::clone(integration));
            }
            Change::DeleteIntegration(id) => drop(objects.integrations.remove(id)),
        }
    }

    /// The change that takes this one back.
    fn inverse(&self, before: &Objects) -> Change {
        fn back<T>(before: Option<&Arc<T>>, put: fn(Arc<T>) -> Change, delete: impl FnOnce() -> Change) -> Change {
            before.map_or_else(delete, |known| put(Arc::clone(known)))
        }
        let Objects { identities, checks, lists, signing_certificates, integrations, .. } = before;
        match self {
            Change::PutIdentity(identity) => {
                back(identities.get(&identity.id), Change::PutIdentity, || Change::DeleteIdentity(identity.id.clone()))
            }
            Change::DeleteIdentity(id) => {
                back(identities.get(id), Change::PutIdentity, || Change::DeleteIdentity(id.clone()))
            }
            Change::PutCheck(check) => {
                let id = &check.check.id;
                back(checks.get(id), Change::PutCheck, || Change::DeleteCheck(id.clone()))
            }
            Change::DeleteCheck(id) => back(checks.get(id), Change::PutCheck, || Change::DeleteCheck(id.clone())),
            Change::PutList(list) => back(lists.get(&list.id), Change::PutList, || Change::DeleteList(list.id.clone())),
            Change::DeleteList(id) => back(lists.get(id), Change::PutList, || Change::DeleteList(id.clone())),
            Change::PutCertificate(certificate) => {
                let id = &certificate.id;
                back(signing_certificates.get(id), Change::PutCertificate, || Change::DeleteCertificate(id.clone()))
            }
            Change::DeleteCertificate(id) => {
                back(signing_certificates.get(id), Change::PutCertificate, || Change::DeleteCertificate(id.clone()))
            }
            Change::PutIntegration(integration) => {
                let id = &integration.id;
                back(integrations.get(id), Change::PutIntegration, || Change::DeleteIntegration(id.clone()))
            }
            Change::DeleteIntegration(id) => {
                back(integrations.get(id), Change::PutIntegration, || Change::DeleteIntegration(id.clone()))
            }
        }
    }

    fn write(&self) -> Result<Write, StoreError> {
        fn key(kind: &str, id: &str) -> String {
            format!("{kind}{id}")
        }
        match self {
            Change::PutIdentity(identity) => put(key(IDENTITY, identity.id.as_str()), &**identity),
            Change::DeleteIdentity(id) => Write::delete(Table::Objects, key(IDENTITY, id.as_str())),
            Change::PutCheck(check) => put(key(CHECK, check.check.id.as_str()), &**check),
            Change::DeleteCheck(id) => Write::delete(Table::Objects, key(CHECK, id.as_str())),
            Change::PutList(list) => put(key(LIST, list.id.as_str()), &**list),
            Change::DeleteList(id) => Write::delete(Table::Objects, key(LIST, id.as_str())),
            Change::PutCertificate(certificate) => put(key(CERTIFICATE, certificate.id.as_str()), &**certificate),
            Change::DeleteCertificate(id) => Write::delete(Table::Objects, key(CERTIFICATE, id.as_str())),
            Change::PutIntegration(integration) => put(key(INTEGRATION, integration.id.as_str()), &**integration),
            Change::DeleteIntegration(id) => Write::delete(Table::Objects, key(INTEGRATION, id.as_str())),
        }
    }
}

fn put<T: serde::Serialize>(key: String, record: &T) -> Result<Write, StoreError> {
    Store::put_of(Table::Objects, &key, record)
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
    pub async fn change(&self, _turn: &Turn<'_>, change: Change) -> Result<u64, ChangeRefused> {
        let prepared = aside(|| self.prepare(&change)).map_err(ChangeRefused::Policy)?;
        self.store.write(vec![change.write()?]).await?;
        aside(|| self.put_into_force(prepared, &change)).map_err(ChangeRefused::Policy)
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

    /// Objects that were made through the API before a restart, how many, and the records that could not be read.
    pub(super) fn stored_objects(&self) -> Result<(Objects, usize, Vec<crate::store::RecordError>), StoreError> {
        let mut objects = Objects::default();
        let (mut count, mut skipped) = (0, Vec::new());
        let mut load = |prefix: &str, take: &mut dyn FnMut(&Store, &str) -> Result<Found, StoreError>| {
            let found = take(&self.store, prefix)?;
            count += found.count;
            skipped.extend(found.skipped);
            Ok::<_, StoreError>(())
        };
        load(IDENTITY, &mut |store, prefix| {
            read(store, prefix, |identity| Change::PutIdentity(identity).apply(&mut objects))
        })?;
        load(CHECK, &mut |store, prefix| read(store, prefix, |check| Change::PutCheck(check).apply(&mut objects)))?;
        load(LIST, &mut |store, prefix| read(store, prefix, |list| Change::PutList(list).apply(&mut objects)))?;
        load(CERTIFICATE, &mut |store, prefix| {
            read(store, prefix, |certificate| Change::PutCertificate(certificate).apply(&mut objects))
        })?;
        load(INTEGRATION, &mut |store, prefix| {
            read(store, prefix, |integration| Change::PutIntegration(integration).apply(&mut objects))
        })?;
        Ok((objects, count, skipped))
    }
}

/// What was found of one kind of object.
struct Found {
    count: usize,
    skipped: Vec<crate::store::RecordError>,
}

fn read<T: serde::de::DeserializeOwned>(
    store: &Store,
    prefix: &str,
    mut take: impl FnMut(Arc<T>),
) -> Result<Found, StoreError> {
    let loaded = store.load_prefixed::<T>(Table::Objects, prefix)?;
    let count = loaded.records.len();
    loaded.records.into_iter().for_each(|(_, record)| take(Arc::new(record)));
    Ok(Found { count, skipped: loaded.skipped })
}

/// Runs work that keeps a processor busy without holding up other tasks, where the runtime has threads to spare.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Everything the next snapshot is made of. Files win over what was made through the API: an operator who writes an object down
/// means it. Lists of serial numbers are checks as well.
pub(super) fn merged(sources: &Sources) -> Objects {
    let mut objects = sources.stored.clone();
    objects.identities.extend(sources.files.identities.clone());
    objects.services.extend(sources.files.services.clone());
    objects.policies.extend(sources.files.policies.clone());
    objects.checks.extend(sources.files.checks.clone());
    objects.lists.extend(sources.files.lists.clone());
    objects.signing_certificates.extend(sources.files.signing_certificates.clone());
    objects.integrations.extend(sources.files.integrations.clone());
    for rule in objects.lists.values().filter_map(|list| cloudflare::implicit_rule(list)) {
        objects.checks.entry(rule.check.id.clone()).or_insert_with(|| Arc::new(rule));
    }
    objects
}
