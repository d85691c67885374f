//! The policy folder in force: read, compiled, published, or refused with the reasons.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::api::{ReloadStatus, Reloader};
use crate::clock::Stopwatch;
use crate::config::policy::{Fingerprint, Loaded, ObjectPlaces};
use crate::config::{Finding, Findings, Place, ServiceDefaults, policy};
use crate::enforce::Enforcer;
use crate::id::{CheckId, IdentityId, PolicyId, ServiceId};
use crate::policy::Snapshot;
use crate::policy::compile::CompileError;
use crate::policy::lint::{self, Suspicion, lint};
use crate::policy::objects::Origin;

use super::apart::apart;

/// Loads the policy folder into an enforcer, again and again.
///
/// A load that fails changes nothing: the snapshot in force keeps serving and the reasons are kept for the admin API, the log
/// and a metric.
#[derive(Debug)]
pub struct PolicyFolder {
    directory: PathBuf,
    defaults: ServiceDefaults,
    enforcer: Arc<Enforcer>,
    status: Arc<ReloadStatus>,
    /// What the files held when they were put into force. Held during a load: an older reading never replaces a newer one.
    in_force: Mutex<Option<Fingerprint>>,
    looked_over: Mutex<LookedOver>,
}

/// What was looked at for warnings last.
#[derive(Debug, Default)]
struct LookedOver {
    generation: u64,
    /// What reading the files found, which holds until they are read again.
    read: Findings,
    places: ObjectPlaces,
}

impl PolicyFolder {
    /// The folder at `directory`; nothing is read yet.
    pub fn new(directory: &Path, defaults: ServiceDefaults, enforcer: Arc<Enforcer>) -> Arc<Self> {
        Arc::new(PolicyFolder {
            directory: directory.to_owned(),
            defaults,
            enforcer,
            status: ReloadStatus::new(),
            in_force: Mutex::default(),
            looked_over: Mutex::default(),
        })
    }

    /// How the last loads went.
    pub fn status(&self) -> &Arc<ReloadStatus> {
        &self.status
    }

    /// Reads the folder and puts it into force. Returns the new generation, or everything that is wrong. Blocks.
    pub fn load(&self) -> Result<u64, Findings> {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let read = policy::load(&self.directory, &self.defaults);
        self.put_into_force(read, &mut in_force)
    }

    /// Does what [`PolicyFolder::load`] does, unless the files hold what is in force already.
    pub fn load_if_changed(&self) {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let read = policy::load(&self.directory, &self.defaults);
        if read.as_ref().ok().map(|loaded| loaded.fingerprint) != *in_force {
            // The outcome is in the log, the metrics and the admin API.
            drop(self.put_into_force(read, &mut in_force));
        }
    }

    fn put_into_force(
        &self,
        read: Result<Loaded, Findings>,
        in_force: &mut Option<Fingerprint>,
    ) -> Result<u64, Findings> {
        let took = Stopwatch::start();
        let fingerprint = read.as_ref().ok().map(|loaded| loaded.fingerprint);
        let loaded = read.and_then(|loaded| self.publish(loaded));
        let now = self.enforcer.clock().now();
        let succeeded_at = loaded.is_ok().then_some(now.as_millis() / 1000);
        self.enforcer.metrics().reload("policy", took.seconds(), succeeded_at);
        match loaded {
            Ok((looked_over, warnings)) => {
                *in_force = fingerprint;
                let generation = looked_over.generation;
                // The log comes last: who reads there of a load finds it in the admin API.
                self.status.succeeded(now, warnings.clone());
                // Only now: whoever looked at a newer generation in the meantime has been overwritten, and must look again.
                *self.looked_over.lock().unwrap_or_else(PoisonError::into_inner) = looked_over;
                tracing::info!(generation, warnings = warnings.len(), "policy loaded");
                for warning in warnings.iter() {
                    tracing::warn!(place = %warning.place, key = warning.key, "{}", warning.message);
                }
                Ok(generation)
            }
            Err(findings) => {
                self.status.refused(now, findings.clone());
                tracing::error!(errors = findings.len(), "policy not loaded: the one in force stays");
                for finding in findings.iter() {
                    tracing::error!(place = %finding.place, key = finding.key, "{}", finding.message);
                }
                Err(findings)
            }
        }
    }

    fn publish(&self, loaded: Loaded) -> Result<(LookedOver, Findings), Findings> {
        let generation =
            self.enforcer.publish_files(loaded.objects).map_err(|errors| compile_findings(&errors, &loaded.places))?;
        let mut warnings = loaded.warnings.clone();
        warnings.append(lint_findings(self.enforcer.published().snapshot(), &loaded.places));
        Ok((LookedOver { generation, read: loaded.warnings, places: loaded.places }, warnings))
    }
}

#[async_trait]
impl Reloader for PolicyFolder {
    async fn reload(self: Arc<Self>) -> Option<Result<u64, Findings>> {
        apart(move || self.load()).await
    }

    fn look_over(&self) {
        let mut looked_over = self.looked_over.lock().unwrap_or_else(PoisonError::into_inner);
        let published = self.enforcer.published();
        let snapshot = published.snapshot();
        if !snapshot.is_loaded() || snapshot.generation() == looked_over.generation {
            return;
        }
        let mut warnings = looked_over.read.clone();
        warnings.append(lint_findings(snapshot, &looked_over.places));
        looked_over.generation = snapshot.generation();
        self.status.found(warnings);
    }
}

/// What the compiler refuses, with the place each object was written at.
pub fn compile_findings(errors: &[CompileError], places: &ObjectPlaces) -> Findings {
    let mut findings = Findings::new();
    for error in errors {
        let place = place(error.kind, &error.id, &error.origin, places);
        findings.push(Finding::error(place, "", error.to_string()));
    }
    findings.sort();
    findings
}

/// What looks wrong in a snapshot, with the place to look at.
pub fn lint_findings(snapshot: &Snapshot, places: &ObjectPlaces) -> Findings {
    let mut findings = Findings::new();
    for finding in lint(snapshot) {
        findings.push(Finding::warning(place_of(&finding, places), "", finding.to_string()));
    }
    findings.sort();
    findings
}

fn place_of(finding: &lint::Finding, places: &ObjectPlaces) -> Place {
    if let Suspicion::Dangling { reference, .. } = &finding.suspicion {
        let entity = reference.trim_start_matches('@');
        if let Some(place) = places.reference(&PolicyId::new(Arc::clone(&finding.id)), entity) {
            return place.clone();
        }
    }
    place(finding.kind, &finding.id, &finding.origin, places)
}

fn place(kind: &str, id: &Arc<str>, origin: &Origin, places: &ObjectPlaces) -> Place {
    let id = Arc::clone(id);
    let known = match kind {
        "identity" => places.identity(&IdentityId::new(id)),
        "service" => places.service(&ServiceId::new(id)),
        "service policy" => places.policy(&PolicyId::new(id)),
        "posture check" => places.check(&CheckId::new(id)),
        _ => None,
    };
    match (known, origin) {
        (Some(place), _) => place.clone(),
        (None, Origin::File { path, line }) => Place::File { path: Arc::clone(path), line: *line, column: 1 },
        (None, Origin::Api) => Place::Path("the management API".into()),
        (None, Origin::Enrolled) => Place::Path("automatic enrolment".into()),
    }
}
