//! One walk through the model's town: steps one after the other, and what must be so after each.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern::decision::Permit;
use postern::enforce::{Connection, EndSignal, Place, Protocol, Published};
use postern::id::ServiceId;
use tokio::runtime::Runtime;

use super::edits::service_id;
use super::oracle::{Caller, Matter};
use super::steps::{Change, Step};
use super::town::Town;

/// More turns than the task that decides again can need for everything that one step changes.
const TURNS_UNTIL_QUIET: usize = 32;

/// How often what happened, to tell whether walks go where they should.
pub(crate) type Tally = BTreeMap<&'static str, u64>;

/// Why a walk went wrong.
pub(crate) type Wrong = String;

pub(crate) struct Walk {
    town: Arc<Town>,
    runtime: Runtime,
    connections: Vec<(Caller, Arc<Connection>)>,
    live: Vec<Live>,
    /// The policy that was in force some time ago.
    held: Arc<Published>,
    pub(crate) tally: Tally,
}

/// Something under way.
struct Live {
    matter: Matter,
    /// The moment before it began.
    since: usize,
    signal: Arc<EndSignal>,
    place: Place,
    killed: bool,
    /// It was told to end, and that was right.
    over: bool,
}

macro_rules! must {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

impl Walk {
    /// Walks the steps in a town of their own.
    pub(crate) fn of(steps: &[Step]) -> Result<Tally, Wrong> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let handle = runtime.handle().clone();
        let _inside = handle.enter();
        let town = Town::new();
        town.enforcer.keep_watch(|| town.bundle.epochs());
        let held = Arc::clone(&town.enforcer.published());
        let mut walk = Walk { town, runtime, connections: vec![], live: vec![], held, tally: Tally::new() };
        for caller in [Some(0), Some(1), Some(2), Some(3), Some(4), None] {
            walk.step(&Step::Connect(caller))?;
        }
        for (number, step) in steps.iter().enumerate() {
            walk.step(step).map_err(|why| format!("step {number}, {step:?}: {why}"))?;
        }
        walk.settle()?;
        Ok(walk.tally)
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    fn step(&mut self, step: &Step) -> Result<(), Wrong> {
        self.take(step)?;
        self.town.interruption.is_over();
        self.note_ends()?;
        match self.town.disagreement() {
            Some(disagreement) => Err(disagreement),
            None => Ok(()),
        }
    }

    fn take(&mut self, step: &Step) -> Result<(), Wrong> {
        match step {
            Step::Connect(caller) => self.connect(*caller),
            Step::Request { connection, service, protocol, routed_before } => {
                self.request(*connection, &service_id(*service), *protocol, *routed_before)
            }
            Step::End(which) => {
                if let Some(which) = picked(*which, self.live.len()) {
                    self.live.swap_remove(which);
                }
                Ok(())
            }
            Step::Kill(which) => self.kill(*which),
            Step::Hold => {
                self.held = Arc::clone(&self.town.enforcer.published());
                Ok(())
            }
            Step::Change(change) => {
                self.town.change(change);
                Ok(())
            }
            Step::During { question, change, step } => self.interrupted(*question, change, step),
            Step::Alone { question, report, step } => {
                self.live.clear();
                self.interrupted(*question, report, step)
            }
            Step::Flash { edit, step } => {
                self.town.change(&Change::Edit(edit.clone()));
                self.take(step)?;
                self.town.change(&Change::Revert);
                Ok(())
            }
            Step::Turn => {
                self.turns(1);
                Ok(())
            }
            Step::Settle => self.settle(),
        }
    }

    fn interrupted(&mut self, question: usize, change: &Change, step: &Step) -> Result<(), Wrong> {
        self.town.interruption.plan(&self.town, question, change);
        self.take(step)?;
        if self.town.interruption.is_over() {
            self.count("interrupted");
        }
        Ok(())
    }

    fn turns(&self, turns: usize) {
        self.runtime.block_on(async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        });
    }

    fn connect(&mut self, caller: Caller) -> Result<(), Wrong> {
        let connection = self.town.connection(caller);
        let since = self.town.present();
        let (signal, entry) = self.town.entry(Protocol::Connection);
        let entered = self.town.enforcer.enter_connection(&connection, entry);
        self.connections.push((caller, connection));
        match entered {
            Ok(place) => self.let_through(caller, None, since, signal, place),
            Err(reason) => {
                self.count("turned away");
                self.must_be_refused(caller, None, since).map_err(|why| format!("{why}: {reason:?}"))
            }
        }
    }

    fn request(&mut self, over: u8, service: &ServiceId, protocol: Protocol, before: bool) -> Result<(), Wrong> {
        let (caller, connection) = self.connections[usize::from(over) % self.connections.len()].clone();
        let published = if before { Arc::clone(&self.held) } else { Arc::clone(&self.town.enforcer.published()) };
        let Some(index) = published.snapshot().find_service(service) else { return Ok(()) };
        let since = self.town.present();
        let (signal, entry) = self.town.entry(protocol);
        match self.town.enforcer.enter(&published, &connection, index, entry) {
            Ok((permit, place)) => {
                must!(permit.service().id == *service, "let through to {:?}", permit.service().id);
                must!(permit.identity_id() == place.session().identity(), "let through as {:?}", permit.identity_id());
                self.let_through(caller, Some(service), since, signal, place)
            }
            Err(denial) => {
                self.count("denied");
                // Who was routed by an older policy may be refused for what was so then.
                let as_now = if before { Ok(()) } else { self.must_be_refused(caller, Some(service), since) };
                as_now.map_err(|why| format!("{why}: {:?}", denial.reason))
            }
        }
    }

    fn let_through(
        &mut self,
        caller: Caller,
        service: Option<&ServiceId>,
        since: usize,
        signal: Arc<EndSignal>,
        place: Place,
    ) -> Result<(), Wrong> {
        let matter = Matter { caller, identity: place.session().identity().clone(), service: service.cloned() };
        let allowed = {
            let history = self.town.history.lock().unwrap();
            history.allowed_in(since..=history.present(), &matter)
        };
        must!(allowed, "{matter:?} was let through and never allowed");
        self.count("let through");
        self.live.push(Live { matter, since, signal, place, killed: false, over: false });
        Ok(())
    }

    /// Whoever was refused since a moment must have been somebody to refuse.
    fn must_be_refused(&self, caller: Caller, service: Option<&ServiceId>, since: usize) -> Result<(), Wrong> {
        let history = self.town.history.lock().unwrap();
        let refused = history.refused_in(since..=history.present(), caller, service);
        must!(refused, "{caller:?} was refused {service:?}, and was allowed all the time");
        Ok(())
    }

    fn kill(&mut self, which: u8) -> Result<(), Wrong> {
        let Some(which) = picked(which, self.live.len()) else { return Ok(()) };
        let live = &mut self.live[which];
        let ended = self.town.enforcer.end_session(live.place.session().id());
        must!(ended != live.over, "an operator's end of {:?} that is over: {}", live.matter, live.over);
        live.killed |= ended;
        Ok(())
    }

    /// Whatever was told to end must have been something to end.
    fn note_ends(&mut self) -> Result<(), Wrong> {
        let history = self.town.history.lock().unwrap();
        for live in self.live.iter_mut().filter(|live| !live.over) {
            let Some(ended) = live.signal.ended() else { continue };
            live.over = true;
            live.place.session().note_cut();
            *self.tally.entry(ended.cause.code()).or_default() += 1;
            let right = live.killed || history.denied_in(live.since..=history.present(), &live.matter);
            must!(
                right,
                "{:?} was ended ({:?}, {:?}), and was allowed all the time",
                live.matter,
                ended.cause,
                ended.denial.reason
            );
        }
        Ok(())
    }

    /// Lets everything be decided that is to be decided. Then nothing may go on that is not allowed.
    fn settle(&mut self) -> Result<(), Wrong> {
        self.turns(TURNS_UNTIL_QUIET);
        must!(!self.town.interruption.was_endless(), "the same was asked without end");
        self.note_ends()?;
        self.live.retain(|live| !live.over);
        let history = self.town.history.lock().unwrap();
        let now = history.now();
        for live in &mut self.live {
            must!(now.allows(&live.matter), "{:?} goes on, and is not allowed", live.matter);
            if live.matter.service.is_some() {
                let permit = live.place.session().permit();
                let holds = |permit: &Arc<Permit>| self.town.enforcer.clock().now() < permit.valid_until();
                must!(permit.as_ref().is_some_and(holds), "{:?} goes on with {permit:?} at {}", live.matter, now.now);
            }
            live.since = history.present();
        }
        let known = self.town.enforcer.sessions().len();
        must!(known == self.live.len(), "{known} sessions are known and {} are under way", self.live.len());
        Ok(())
    }
}

fn picked(which: u8, of: usize) -> Option<usize> {
    usize::from(which).checked_rem(of)
}
