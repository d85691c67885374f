//! What can happen in the model's town, and how likely it is.

use std::time::Duration;

use postern::enforce::Protocol;
use proptest::prelude::*;

use super::edits::{Edit, Good, IDENTITIES, SERVICES, by_roles, edits, good};
use super::oracle::Caller;
use super::trust::CERTIFICATES;

/// One step of a walk.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A client connects.
    Connect(Caller),
    /// A client asks for a service over a connection; `routed_before` by the policy that was in force at the last [`Step::Hold`].
    Request { connection: u8, service: u8, protocol: Protocol, routed_before: bool },
    /// A client ends what it has under way.
    End(u8),
    /// An operator ends it.
    Kill(u8),
    /// The policy in force is remembered.
    Hold,
    /// Something changes.
    Change(Change),
    /// Something changes in the middle of a step, at the question of a number.
    During { question: usize, change: Change, step: Box<Step> },
    /// Clients end everything, and in the middle of the step with which somebody begins anew a device reports: one that has nothing
    /// under way, which is the only one that nobody is told of.
    Alone { question: usize, report: Change, step: Box<Step> },
    /// An edit is taken back at once, and a step comes in between.
    Flash { edit: Edit, step: Box<Step> },
    /// The task that decides again has its turn.
    Turn,
    /// It has as many as it wants.
    Settle,
}

/// Something that answers rest on becomes another.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Report {
        identity: u8,
        signed: bool,
        sights: Vec<Sight>,
    },
    PassMfa {
        certificate: u8,
    },
    WithdrawMfa {
        identity: u8,
    },
    Edit(Edit),
    /// Everything is written as it was before the last edit.
    Revert,
    Advance(Duration),
    SetBack(Duration),
    Revoke(u8),
    Reinstate(u8),
    Distrust(u8),
    Trust(u8),
    /// `None` is who has no certificate.
    Lock {
        identity: Option<u8>,
        lasts: Option<Duration>,
    },
    Unlock {
        identity: Option<u8>,
    },
}

/// Something that a device reports.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight {
    Domain(Good),
    /// Seen some seconds before.
    DomainBefore(Good, u64),
    Os(Good),
    Mac(Good),
    Shield {
        running: bool,
    },
    Serial(Good),
    Woken,
    Unlocked,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    (any::<bool>(), prop::collection::vec(step(), 1..80)).prop_map(|(roles, steps)| {
        let written = by_roles().into_iter().filter(|_| roles).map(|edit| Step::Change(Change::Edit(edit)));
        written.chain(steps).collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    // What began before the clock was set back may be decided for that time: a moment later than anything anybody looks at.
    let meanwhile = changes().prop_filter("time goes on", |change| !matches!(change, Change::SetBack(_)));
    let during = (1usize..24, meanwhile, prop_oneof![1 => connect(), 4 => request(), 2 => Just(Step::Turn)]);
    let alone = (1usize..12, reports(), request());
    let flash = (edits(), prop_oneof![1 => connect(), 3 => request()]);
    prop_oneof![
        1 => connect(),
        7 => request(),
        1 => any::<u8>().prop_map(Step::End),
        1 => any::<u8>().prop_map(Step::Kill),
        1 => Just(Step::Hold),
        8 => changes().prop_map(Step::Change),
        4 => during.prop_map(|(question, change, step)| Step::During { question, change, step: step.into() }),
        3 => alone.prop_map(|(question, report, step)| Step::Alone { question, report, step: step.into() }),
        2 => flash.prop_map(|(edit, step)| Step::Flash { edit, step: step.into() }),
        4 => Just(Step::Turn),
        2 => Just(Step::Settle),
    ]
}

pub(crate) fn callers() -> impl Strategy<Value = Caller> {
    prop_oneof![5 => certificates().prop_map(Some), 1 => Just(None)]
}

fn connect() -> impl Strategy<Value = Step> {
    callers().prop_map(Step::Connect)
}

fn request() -> impl Strategy<Value = Step> {
    let protocol = prop::sample::select(vec![Protocol::Http1, Protocol::Http2, Protocol::Tcp]);
    let asked = (any::<u8>(), 0..SERVICES, protocol, prop::bool::weighted(0.15));
    asked.prop_map(|(connection, service, protocol, routed_before)| Step::Request {
        connection,
        service,
        protocol,
        routed_before,
    })
}

fn certificates() -> impl Strategy<Value = u8> {
    0..u8::try_from(CERTIFICATES.len()).unwrap()
}

pub(crate) fn changes() -> impl Strategy<Value = Change> {
    let millis = |texts: &[u64]| prop::sample::select(texts.to_vec()).prop_map(Duration::from_millis);
    let ahead = millis(&[1, 999, 1000, 4_999, 5_000, 9_999, 10_000, 10_001, 29_999, 30_000, 60_000, 60_001, 300_000]);
    let back = millis(&[1, 1000, 6_000, 10_000, 60_000]);
    let lasts = prop::option::weighted(0.7, prop::sample::select(vec![5, 30, 600]).prop_map(Duration::from_secs));
    let somebody = || prop::option::weighted(0.8, 0..IDENTITIES);
    prop_oneof![
        6 => reports(),
        2 => certificates().prop_map(|certificate| Change::PassMfa { certificate }),
        1 => (0..IDENTITIES).prop_map(|identity| Change::WithdrawMfa { identity }),
        7 => edits().prop_map(Change::Edit),
        3 => Just(Change::Revert),
        4 => ahead.prop_map(Change::Advance),
        2 => back.prop_map(Change::SetBack),
        1 => certificates().prop_map(Change::Revoke),
        2 => certificates().prop_map(Change::Reinstate),
        1 => (0u8..2).prop_map(Change::Distrust),
        2 => (0u8..2).prop_map(Change::Trust),
        2 => (somebody(), lasts).prop_map(|(identity, lasts)| Change::Lock { identity, lasts }),
        3 => somebody().prop_map(|identity| Change::Unlock { identity }),
    ]
}

fn reports() -> impl Strategy<Value = Change> {
    let report = (0..IDENTITIES, prop::bool::weighted(0.3), prop::collection::vec(sights(), 1..4));
    report.prop_map(|(identity, signed, sights)| Change::Report { identity, signed, sights })
}

fn sights() -> impl Strategy<Value = Sight> {
    prop_oneof![
        5 => good().prop_map(Sight::Domain),
        1 => (good(), prop::sample::select(vec![5, 55])).prop_map(|(good, ago)| Sight::DomainBefore(good, ago)),
        2 => good().prop_map(Sight::Os),
        2 => good().prop_map(Sight::Mac),
        2 => prop::bool::weighted(0.7).prop_map(|running| Sight::Shield { running }),
        2 => good().prop_map(Sight::Serial),
        1 => Just(Sight::Woken),
        1 => Just(Sight::Unlocked),
    ]
}
