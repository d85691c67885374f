//! The same town with threads: clients come and go while everything changes, at places that nobody chose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postern::decision::DenialReason;
use postern::enforce::{EndSignal, Place, Protocol};
use postern::id::ServiceId;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRng, TestRunner};

use super::edits::{SERVICES, service_id};
use super::oracle::{Caller, Matter};
use super::steps::{Change, callers, changes};
use super::town::Town;
use super::{asked_for, random};

const ROUNDS: u64 = 8;
const CLIENTS: u64 = 3;
const CHANGES: usize = 120;
const UNDER_WAY_MAX: usize = 40;
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of somebody who asked, and the moments between which they did.
struct Asked {
    caller: Caller,
    service: ServiceId,
    since: usize,
    until: usize,
    /// Or why it was refused; `None` where there was no such service.
    entered: Result<Entered, Option<DenialReason>>,
}

struct Entered {
    matter: Matter,
    signal: Arc<EndSignal>,
    /// `None` when the client ended it.
    place: Option<Place>,
    /// The moment by which it was told to end.
    ended: Option<usize>,
}

/// Comes and goes until it is told to stop.
fn client(town: &Town, random: TestRng, stop: &AtomicBool) -> Vec<Asked> {
    let mut all: Vec<Asked> = Vec::new();
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let choices = (callers(), 0..SERVICES, any::<prop::sample::Index>());
    while !stop.load(Ordering::SeqCst) {
        let (caller, service, which) = choices.new_tree(&mut runner).unwrap().current();
        town.interruption.is_over();
        all.push(ask(town, caller, service_id(service)));
        let entered = all.iter_mut().filter_map(|asked| asked.entered.as_mut().ok());
        let mut open: Vec<&mut Entered> = entered.filter(|entered| entered.place.is_some()).collect();
        for entered in &mut open {
            if entered.ended.is_none() && entered.signal.ended().is_some() {
                entered.ended = Some(town.present());
                let place = entered.place.take();
                place.iter().for_each(|place| place.session().note_cut());
            }
        }
        open.retain(|entered| entered.place.is_some());
        if open.len() > UNDER_WAY_MAX {
            let which = which.index(open.len());
            open[which].place = None;
        }
    }
    all
}

fn ask(town: &Town, caller: Caller, service: ServiceId) -> Asked {
    let connection = town.connection(caller);
    let since = town.present();
    let published = Arc::clone(&town.enforcer.published());
    let (signal, entry) = town.entry(Protocol::Http2);
    let index = published.snapshot().find_service(&service);
    let entered = index.ok_or(None).and_then(|index| {
        town.enforcer.enter(&published, &connection, index, entry).map_err(|denial| Some(denial.reason))
    });
    let entered = entered.map(|(_, place)| Entered {
        matter: Matter { caller, identity: place.session().identity().clone(), service: Some(service.clone()) },
        signal,
        place: Some(place),
        ended: None,
    });
    Asked { caller, service, since, until: town.present(), entered }
}

/// Whether what became of it was right, once everything was decided.
fn judge(town: &Town, asked: &Asked) {
    let history = town.history.lock().unwrap();
    // A change is in force a little before it is history.
    let by = |moment: usize| (moment + 1).min(history.present());
    let span = asked.since..=by(asked.until);
    let Asked { caller, service, .. } = asked;
    let entered = match &asked.entered {
        Ok(entered) => entered,
        Err(why) => {
            let refused = history.refused_in(span.clone(), *caller, Some(service));
            assert!(refused, "{caller:?} was refused {service:?} ({why:?}), and was allowed all the time, {span:?}");
            return;
        }
    };
    let matter = &entered.matter;
    assert!(history.allowed_in(span, matter), "{matter:?} was let through and never allowed");
    if let Some(ended) = entered.signal.ended() {
        let span = asked.since..=entered.ended.map_or(history.present(), by);
        assert!(
            history.denied_in(span, matter),
            "{matter:?} was ended ({:?}), and was allowed all the time",
            ended.cause
        );
    } else if entered.place.is_some() {
        assert!(history.now().allows(matter), "{matter:?} goes on, and is not allowed");
    }
}

/// Waits until everything that was told so far has been looked at.
async fn quiet(town: &Town) {
    // Twice, because what the first finds may be looked at while other things are not.
    for _ in 0..2 {
        let (signal, _place) = town.send_canary();
        tokio::time::timeout(PATIENCE, signal.rung()).await.expect("it is decided again");
    }
}

#[test]
fn nothing_slips_through_between_a_change_and_a_decision() {
    let first = asked_for("POSTERN_MODEL_SEED").unwrap_or(0);
    for seed in first..first + ROUNDS {
        println!("seed {seed}");
        round(seed);
    }
}

fn round(seed: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let _inside = runtime.enter();
    let town = Town::new();
    town.enforcer.keep_watch(|| town.bundle.epochs());
    let mut runner = TestRunner::new_with_rng(Config::default(), random(seed));
    let all_changes: Vec<Change> = prop::collection::vec(changes(), CHANGES).new_tree(&mut runner).unwrap().current();
    let stop = AtomicBool::new(false);
    let asked: Vec<Asked> = std::thread::scope(|scope| {
        let clients: Vec<_> = (1..=CLIENTS)
            .map(|number| {
                let (town, stop) = (&town, &stop);
                scope.spawn(move || client(town, random(seed + (number << 32)), stop))
            })
            .collect();
        for change in &all_changes {
            town.change(change);
            std::thread::yield_now();
        }
        stop.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    runtime.block_on(quiet(&town));
    assert_eq!(town.disagreement(), None);
    asked.iter().for_each(|asked| judge(&town, asked));
}
