//! Deciding again: the one path by which what is under way is asked whether it may go on.
//!
//! One task for a gateway waits for news (posture, policy, trust, an operator, the passing of time), decides again what the
//! news can touch, by the same evaluator as ever, and rings the signal of what is no longer allowed. Ending it well is for those
//! who serve it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::busy::busy;
use super::device::Device;
use super::endings::Pace;
use super::enforcer::{Enforcer, comes_in};
use super::news::{self, Gathered, News};
use super::published::Published;
use super::session::{Cause, Ended, Session, Since};
use super::waiting::wait_until_or_set_back;
use crate::clock::{Stopwatch, Timestamp};
use crate::decision::{Denial, DenialReason, engine};
use crate::policy::diff::Changes;
use crate::policy::snapshot::Snapshot;

/// The task that decides again. Ends with its enforcer.
#[derive(Debug, Default)]
pub(super) struct Revoking(Mutex<Option<JoinHandle<()>>>);

impl Drop for Revoking {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl Enforcer {
    /// Sees to it that what is under way is decided again when something changes. `trust` tells of changes of what certificates
    /// are believed. Must be called inside a runtime; costs next to nothing when it was done before.
    pub fn keep_watch(self: &Arc<Self>, trust: impl FnOnce() -> watch::Receiver<u64>) {
        let mut task = self.revoking.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            if task.is_some() {
                // What an earlier one knew of deadlines is lost with it: everything is asked again.
                self.news.of_trust();
            }
            let revoker = Revoker {
                enforcer: Arc::downgrade(self),
                news: Arc::clone(&self.news),
                known: Arc::clone(&self.published()),
                deadlines: BinaryHeap::new(),
                pace: Pace::of(&self.sessions.endings),
            };
            *task = Some(tokio::spawn(revoker.run(trust())));
        }
    }

    /// May this session go on? Until when that holds, or why not.
    pub(super) fn reconsider(
        &self,
        published: &Published,
        device: &Device,
        session: &Session,
        now: Timestamp,
    ) -> Result<Timestamp, Arc<Denial>> {
        let snapshot = published.snapshot();
        let service = session.service().map(|service| &service.id);
        let refuse =
            |reason| Arc::new(engine::refusal(snapshot, reason, Some(session.identity().clone()), service.cloned()));
        self.latest.note(now);
        // All of it is asked for one moment: a clock that moves meanwhile must not mix the answers of two.
        let trusted = session.connection.trusted_until(now).map_err(refuse)?;
        let owner = self.whose(published, &session.connection).map_err(refuse)?;
        // One that was let go of, and is known again, is another device: nobody would find this with the one before.
        if !std::ptr::eq(&*owner, device) {
            // The certificate belongs to somebody else now, and nobody speaks for the identity this was let through for.
            return Err(refuse(DenialReason::UnknownIdentity));
        }
        let Some(service) = service else {
            comes_in(published, &owner, now).map_err(refuse)?;
            session.came_in_by(snapshot.generation());
            return Ok(trusted);
        };
        let index = snapshot.find_service(service).ok_or_else(|| refuse(DenialReason::UnknownService))?;
        let permit = self.verdict(snapshot, &owner, session.connection.fingerprint(), index, now)?;
        session.keep(&permit);
        Ok(permit.valid_until().min(trusted))
    }

    /// Decides what of a device is under way again, as far as it `may_differ`.
    fn decide_again(&self, device: &Arc<Device>, cause: Cause, since: Since, may_differ: impl Fn(&Session) -> bool) {
        let published = self.published();
        let now = self.clock().now();
        let mut next = Timestamp::MAX;
        for session in device.under_way.sessions() {
            if session.is_ended() || !may_differ(&session) {
                continue;
            }
            match self.reconsider(&published, device, &session, now) {
                Ok(until) => next = next.min(until),
                Err(denial) => session.end(Ended { cause, denial, since }, self.sessions.endings.begin()),
            }
        }
        self.look_again(device, next);
    }

    /// Has a device looked at by `moment` at the latest.
    pub(super) fn look_again(&self, device: &Arc<Device>, moment: Timestamp) {
        if moment < Timestamp::MAX && device.under_way.look_by(moment) {
            self.news.of_device(device, news::DEADLINE);
        }
    }
}

struct Revoker {
    enforcer: Weak<Enforcer>,
    news: Arc<News>,
    /// What was in force when everything was last decided.
    known: Arc<Published>,
    deadlines: BinaryHeap<Reverse<Deadline>>,
    pace: Pace,
}

/// A device to be looked at.
struct Deadline {
    at: Timestamp,
    device: Arc<Device>,
}

impl Revoker {
    async fn run(mut self, mut trust: watch::Receiver<u64>) {
        let mut trust_is_told = true;
        loop {
            let next = self.deadlines.peek().map_or(Timestamp::MAX, |Reverse(deadline)| deadline.at);
            let Some(enforcer) = self.enforcer.upgrade() else { return };
            let (clock, latest) = (Arc::clone(enforcer.clock()), Arc::clone(&enforcer.latest));
            drop(enforcer);
            tokio::select! {
                () = self.news.there() => {}
                changed = trust.changed(), if trust_is_told => match changed {
                    Ok(()) => self.news.of_trust(),
                    Err(_) => trust_is_told = false,
                },
                () = wait_until_or_set_back(&*clock, &latest, next) => {}
            }
            drop(clock);
            let Some(enforcer) = self.enforcer.upgrade() else { return };
            let took = Stopwatch::start();
            let gathered = self.news.take();
            self.tell(&enforcer, gathered).await;
            self.mind_time(&enforcer).await;
            self.look(&enforcer).await;
            enforcer.metrics().redecision_seconds.observe(took.seconds());
        }
    }

    async fn tell(&mut self, enforcer: &Arc<Enforcer>, gathered: Gathered) {
        for (device, since) in gathered.devices {
            let what = device.under_way.news.swap(0, Ordering::SeqCst);
            if what & (news::POSTURE | news::OPERATOR) != 0 {
                let cause = if what & news::OPERATOR == 0 { Cause::Posture } else { Cause::Operator };
                enforcer.decide_again(&device, cause, since, |_| true);
                self.pace.after(device.under_way.sessions().len()).await;
            }
            if what & news::DEADLINE != 0 {
                self.plan(&device);
            }
        }
        if let Some(since) = gathered.trust {
            self.decide_everything(enforcer, Cause::Trust, since).await;
        }
        if let Some(since) = gathered.policy {
            self.adopt(enforcer, since).await;
        }
    }

    /// Decides everything again when the clock was set back: what holds until a moment is only known from the present on.
    async fn mind_time(&mut self, enforcer: &Arc<Enforcer>) {
        let (now, is_set_back) = enforcer.latest.look(&**enforcer.clock());
        if is_set_back {
            enforcer.latest.begin_again(now);
            self.decide_everything(enforcer, Cause::Deadline, Since::now()).await;
        }
    }

    async fn decide_everything(&mut self, enforcer: &Arc<Enforcer>, cause: Cause, since: Since) {
        for device in enforcer.devices_under_way() {
            device.under_way.looking();
            enforcer.decide_again(&device, cause, since, |_| true);
            self.pace.after(device.under_way.sessions().len()).await;
        }
        self.deadlines.retain(|Reverse(deadline)| deadline.device.under_way.looked_at() == deadline.at);
    }

    /// Decides again whom the snapshot in force can touch.
    async fn adopt(&mut self, enforcer: &Arc<Enforcer>, since: Since) {
        let published = Arc::clone(&enforcer.published());
        let known = std::mem::replace(&mut self.known, Arc::clone(&published));
        self.decide_different(enforcer, known.snapshot(), published.snapshot(), since).await;
        // Nobody else may hold it any more, and to let go of a large policy takes as long as to compile it.
        busy(move || known.let_go());
    }

    async fn decide_different(&mut self, enforcer: &Arc<Enforcer>, old: &Snapshot, new: &Snapshot, since: Since) {
        let changes = busy(|| Changes::between(old, new));
        // What was let through by a snapshot that came and went in between has nothing to do with the difference of these two.
        let between = (old.generation(), new.generation());
        let some_went_by = new.generation() > old.generation().saturating_add(1);
        if changes.is_empty() && !some_went_by {
            return;
        }
        for device in enforcer.devices_under_way() {
            let identity = device.identity();
            enforcer.decide_again(&device, Cause::Policy, since, |session| {
                let certificate = session.connection().credential();
                let may_be_somebody_elses = || certificate.is_some_and(|held| changes.touch_names(held.names()));
                let is_touched = match session.service() {
                    Some(service) => changes.touch(old, new, identity, &service.id),
                    None => changes.touch_identity(identity),
                };
                is_touched || may_be_somebody_elses() || (some_went_by && session.may_be_between(between.0, between.1))
            });
            self.pace.after(device.under_way.sessions().len()).await;
        }
    }

    /// Looks at the devices whose moment has come.
    async fn look(&mut self, enforcer: &Arc<Enforcer>) {
        loop {
            let now = enforcer.clock().now();
            if self.deadlines.peek().is_none_or(|Reverse(deadline)| deadline.at > now) {
                return;
            }
            let Some(Reverse(Deadline { at, device })) = self.deadlines.pop() else { return };
            // An earlier moment may have been planned since, and has been looked at.
            if device.under_way.looked_at() != at {
                continue;
            }
            device.under_way.looking();
            enforcer.decide_again(&device, Cause::Deadline, Since::ago(now.since(at)), |_| true);
            self.pace.after(device.under_way.sessions().len()).await;
        }
    }

    fn plan(&mut self, device: &Arc<Device>) {
        let at = device.under_way.looked_at();
        if at < Timestamp::MAX {
            self.deadlines.push(Reverse(Deadline { at, device: Arc::clone(device) }));
        }
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Deadline {}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
