//! Watching: tells which kind of file has changed, once per change, whatever the file system has to say about it.
//!
//! Folders are watched, not files, so that files replaced by renaming and Kubernetes' `..data` links are seen. An event only
//! leads to a look: what counts is whether contents differ from the last look. A look also happens every
//! [`WATCH_POLL_INTERVAL`], for file systems without events, and whenever a [`Trigger`] is pulled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use ring::digest::{Context, Digest, SHA256};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::document::file;
use super::policy::Folder;
use super::settings::{ServerCertificate, Settings};
use crate::limits::{
    CERTIFICATE_FILE_BYTES_MAX, CONFIG_FILE_BYTES_MAX, CRL_FILE_BYTES_MAX, WATCH_POLL_INTERVAL, WATCH_QUEUE_MAX,
    WATCH_QUIET, WATCH_QUIET_WAIT_MAX,
};

/// What has changed on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// The configuration file.
    Config,
    /// A server certificate, its key or its OCSP response.
    ServerCertificates,
    /// A client CA or a revocation list.
    Trust,
    /// A policy file.
    Policy,
}

impl Change {
    const ALL: [Change; 4] = [Change::Config, Change::ServerCertificates, Change::Trust, Change::Policy];
}

/// The files to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The configuration file.
    pub config_file: Option<PathBuf>,
    /// Server certificates, keys and OCSP responses.
    pub certificate_files: BTreeSet<PathBuf>,
    /// Client CAs and revocation lists.
    pub trust_files: BTreeSet<PathBuf>,
    /// The policy folder.
    pub policy_directory: Option<PathBuf>,
}

impl Watched {
    /// Everything `settings`, read from `config_file`, depend on.
    pub fn of(config_file: &Path, settings: &Settings) -> Self {
        let listeners = &settings.listeners;
        let own = [&listeners.gateway, &listeners.client_api, &listeners.admin];
        let own = own.into_iter().flat_map(|listener| &listener.certificates);
        let trust = [&settings.tls.client_ca_files, &settings.tls.crl_files, &settings.identity.auto_enroll.ca_files];
        Watched {
            config_file: Some(config_file.to_owned()),
            certificate_files: settings
                .tls
                .certificates
                .iter()
                .chain(own)
                .flat_map(ServerCertificate::files)
                .cloned()
                .collect(),
            trust_files: trust.into_iter().flatten().cloned().collect(),
            policy_directory: Some(settings.policy_directory.clone()),
        }
    }

    /// The folders in which something may happen to one of the files.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let files = self.config_file.iter();
        let files = files.chain(&self.certificate_files).chain(&self.trust_files);
        // The policy folder may itself be replaced, so its parent counts as well.
        let parents = files.chain(&self.policy_directory).filter_map(|path| path.parent());
        let parents = parents.map(|parent| match parent.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => parent.to_owned(),
        });
        parents.chain(self.policy_directory.clone()).collect()
    }

    /// A digest of the contents of one kind of file.
    fn digest(&self, change: Change) -> Digest {
        let mut context = Context::new(&SHA256);
        match change {
            Change::Config => digest_files(&mut context, &self.config_file, CONFIG_FILE_BYTES_MAX),
            Change::ServerCertificates => {
                digest_files(&mut context, &self.certificate_files, CERTIFICATE_FILE_BYTES_MAX);
            }
            Change::Trust => digest_files(&mut context, &self.trust_files, CRL_FILE_BYTES_MAX),
            Change::Policy => {
                let folder = self.policy_directory.as_deref().map(Folder::read);
                let state = folder.map(|folder| match folder {
                    Ok(folder) => folder.fingerprint().to_string(),
                    Err(finding) => finding.message,
                });
                context.update(state.unwrap_or_default().as_bytes());
            }
        }
        context.finish()
    }
}

fn digest_files<'p>(context: &mut Context, files: impl IntoIterator<Item = &'p PathBuf>, limit: u64) {
    for path in files {
        let state = match file::read(path, limit) {
            Ok(bytes) => bytes.content,
            Err(finding) => finding.message.into_bytes(),
        };
        let length = u64::try_from(state.len()).unwrap_or(u64::MAX);
        context.update(&length.to_be_bytes());
        context.update(&state);
    }
}

/// How patient a watcher is.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Quiet time after the last event before contents are compared.
    pub quiet: Duration,
    /// Longest wait for quiet.
    pub quiet_wait_max: Duration,
    /// Time between comparisons that no event asked for.
    pub poll: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing { quiet: WATCH_QUIET, quiet_wait_max: WATCH_QUIET_WAIT_MAX, poll: WATCH_POLL_INTERVAL }
    }
}

/// Makes a watcher look at once.
#[derive(Clone, Debug)]
pub struct Trigger(Arc<Notify>);

impl Trigger {
    /// Compares contents now, without waiting for quiet. Changes come out of [`Watcher::changed`] as always.
    pub fn look(&self) {
        self.0.notify_one();
    }
}

/// Watches files until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    changes: mpsc::Receiver<Change>,
    trigger: Trigger,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Starts to watch. Start before loading what is watched: a change in between is then seen, at worst once too often.
    ///
    /// Must be called inside a Tokio runtime. Reads every watched file once before it returns.
    pub fn start(watched: Watched, timing: Timing) -> Self {
        let (sender, changes) = mpsc::channel(WATCH_QUEUE_MAX);
        let trigger = Trigger(Arc::new(Notify::new()));
        let (event_sender, events) = mpsc::channel(1);
        let folders = Folders::watch(&watched, event_sender);
        let state = Arc::new(State { seen: Change::ALL.map(|change| watched.digest(change)), watched });
        let task = Task { state, folders, events, trigger: Arc::clone(&trigger.0), timing, sender };
        Watcher { changes, trigger, task: tokio::spawn(task.run()) }
    }

    /// Waits for the next change. Changes of one kind that come close together are told once.
    pub async fn changed(&mut self) -> Option<Change> {
        self.changes.recv().await
    }

    /// A handle that makes this watcher look at once.
    pub fn trigger(&self) -> Trigger {
        self.trigger.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the files held at the last look.
struct State {
    watched: Watched,
    seen: [Digest; 4],
}

impl State {
    /// Looks again. Blocking.
    fn look(&self) -> (State, Vec<Change>) {
        let seen = Change::ALL.map(|change| self.watched.digest(change));
        let pairs = Change::ALL.into_iter().zip(self.seen.iter().zip(&seen));
        let differs = |(change, (before, after)): (Change, (&Digest, &Digest))| {
            (before.as_ref() != after.as_ref()).then_some(change)
        };
        let changes = pairs.filter_map(differs).collect();
        let watched = self.watched.clone();
        (State { watched, seen }, changes)
    }
}

struct Task {
    state: Arc<State>,
    folders: Folders,
    events: mpsc::Receiver<()>,
    trigger: Arc<Notify>,
    timing: Timing,
    sender: mpsc::Sender<Change>,
}

impl Task {
    /// Runs until the watcher is dropped.
    async fn run(mut self) {
        let mut poll = interval(self.timing.poll.max(Duration::from_millis(1)));
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, and the files were just read.
        poll.tick().await;
        loop {
            tokio::select! {
                () = self.trigger.notified() => {}
                _ = poll.tick() => {}
                Some(()) = self.events.recv() => self.settle().await,
            }
            if !self.look().await {
                return;
            }
        }
    }

    /// Waits until nothing has happened for a while, has gone on for too long, or somebody will not wait.
    async fn settle(&mut self) {
        let Timing { quiet, quiet_wait_max, .. } = self.timing;
        let events = &mut self.events;
        let quiet = async { while let Ok(Some(())) = timeout(quiet, events.recv()).await {} };
        tokio::select! {
            () = quiet => {}
            () = sleep(quiet_wait_max) => {}
            () = self.trigger.notified() => {}
        }
    }

    /// Compares contents and tells what differs; `false` when nobody listens any more.
    async fn look(&mut self) -> bool {
        let state = Arc::clone(&self.state);
        let mut folders = std::mem::take(&mut self.folders);
        let looked = tokio::task::spawn_blocking(move || {
            // Folders may have been replaced; a watch on the old one would hear nothing.
            folders.renew(&state.watched);
            let (state, changes) = state.look();
            (folders, state, changes)
        });
        let Ok((folders, state, changes)) = looked.await else {
            return false;
        };
        self.folders = folders;
        self.state = Arc::new(state);
        for change in changes {
            if self.sender.send(change).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Watches on folders; none where the system has no means for it, and polling has to do.
#[derive(Default)]
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn watch(watched: &Watched, events: mpsc::Sender<()>) -> Self {
        let tell = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_harmless(&event)) {
                return;
            }
            // A full queue means that a look is due anyway.
            let _ = events.try_send(());
        };
        let watcher = notify::recommended_watcher(tell);
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, "file events are not available; files are compared every {WATCH_POLL_INTERVAL:?}");
        });
        let mut folders = Folders { watcher: watcher.ok(), watched: BTreeSet::new() };
        folders.renew(watched);
        folders
    }

    /// Watches every folder anew.
    fn renew(&mut self, watched: &Watched) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for folder in std::mem::take(&mut self.watched) {
            let _ = watcher.unwatch(&folder);
        }
        for folder in watched.folders() {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(folder)),
                Err(error) => {
                    tracing::debug!(folder = %folder.display(), %error, "folder cannot be watched");
                }
            }
        }
    }
}

/// Whether an event is only somebody reading; our own looks would otherwise lead to looks for ever.
fn is_harmless(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}
