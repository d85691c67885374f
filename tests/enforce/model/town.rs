//! The model's town: the enforcer as it is, everything that can be changed about what it goes by, and beside it what it should
//! answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use postern::clock::{ManualClock, Timestamp};
use postern::decision::DenialReason;
use postern::decision::lock::{LockEnd, WantedLock};
use postern::enforce::second_factor::SecondFactors;
use postern::enforce::{Author, Connection, Device, EndSignal, Enforcer, Entry, Place, Protocol};
use postern::id::{IdentityId, ServiceId};
use postern::policy::compile::compile;
use postern::policy::objects::{Identity, Objects};
use postern::posture::facts::{Os, Process, Source};
use postern::posture::report::{Observation, Report, Seen};
use postern::secret::Secret;
use postern::store::{Sealer, Store};
use postern::telemetry::Metrics;

use super::edits::{CANARY, Good, IDENTITIES, PROCESS_CHECK, beginning, check_id, identity_id};
use super::interruption::{Interruption, TownClock};
use super::oracle::{Caller, History, Moment};
use super::steps::{Change, Sight};
use super::trust::{Bundle, CERTIFICATES, Held, Trusted};
use crate::world::{THEN, TestCredential};

#[derive(Debug)]
pub(crate) struct Town {
    pub(crate) enforcer: Arc<Enforcer>,
    pub(crate) history: Mutex<History>,
    pub(crate) interruption: Arc<Interruption>,
    pub(crate) bundle: Arc<Bundle>,
    clock: Arc<ManualClock>,
    factors: Arc<SecondFactors>,
    written: Mutex<Versions>,
    /// Recovery codes that were not used yet.
    codes: Mutex<BTreeMap<IdentityId, Vec<Secret>>>,
    /// Where the enforcer did not take in what it should, or did take in what it should not.
    disagreements: Mutex<Vec<String>>,
}

/// What operators wrote, and what they wrote before.
#[derive(Debug)]
struct Versions {
    now: Objects,
    before: Objects,
}

/// Runs something to its end here, in the middle of whatever else is going on.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    // Without a budget: this may be part of a task's turn, which it must not wait to be over.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn author() -> Author {
    Author { name: "the model".into(), source_address: None, request_id: None }
}

fn somebody(identity: Option<u8>) -> IdentityId {
    identity.map_or(IdentityId::from(Identity::ANONYMOUS), identity_id)
}

impl Town {
    /// A town whose devices have all reported well.
    pub(crate) fn new() -> Arc<Self> {
        let clock = ManualClock::at(THEN);
        let interruption = Arc::new(Interruption::default());
        let looked_at = Arc::new(TownClock { inner: Arc::clone(&clock), interruption: Arc::clone(&interruption) });
        let enforcer = Enforcer::new(looked_at, Metrics::new().unwrap(), Store::memory().unwrap());
        enforcer.publish_files(beginning()).unwrap();
        let moment = Moment {
            now: THEN,
            snapshot: Arc::new(compile(beginning(), 1).unwrap()),
            postures: BTreeMap::new(),
            locks: BTreeMap::new(),
            trusted: Trusted::default(),
        };
        let town = Arc::new(Town {
            factors: SecondFactors::new(Arc::clone(&enforcer), Arc::new(Sealer::ephemeral().unwrap())),
            enforcer,
            history: Mutex::new(History::beginning_with(moment)),
            interruption,
            bundle: Bundle::new(),
            clock,
            written: Mutex::new(Versions { now: beginning(), before: beginning() }),
            codes: Mutex::default(),
            disagreements: Mutex::default(),
        });
        for identity in 0..IDENTITIES {
            let sights = vec![Sight::Domain(Good::Yes), Sight::Serial(Good::Yes)];
            town.change(&Change::Report { identity, signed: false, sights });
        }
        town
    }

    /// A client's connection.
    pub(crate) fn connection(&self, caller: Caller) -> Arc<Connection> {
        Arc::new(match caller {
            Some(certificate) => {
                let held = Held::new(certificate, &self.bundle, &self.interruption);
                Connection::new("connection", None, None, Some(held))
            }
            None => Connection::anonymous("connection", None, None),
        })
    }

    pub(crate) fn entry(&self, protocol: Protocol) -> (Arc<EndSignal>, Entry) {
        let signal = Arc::new(EndSignal::default());
        let began = self.enforcer.clock().now();
        (Arc::clone(&signal), Entry { request_id: "request".into(), began, protocol, signal })
    }

    /// Something under way that will be ended as soon as it is decided again.
    pub(crate) fn send_canary(&self) -> (Arc<EndSignal>, Place) {
        let credential = TestCredential::named(&format!("cn:{CANARY}"));
        let connection = Arc::new(Connection::new(CANARY, None, None, Some(Arc::clone(&credential) as _)));
        let published = Arc::clone(&self.enforcer.published());
        let service = published.snapshot().find_service(&ServiceId::from(CANARY)).unwrap();
        let (signal, entry) = self.entry(Protocol::Http1);
        let (_, place) = self.enforcer.enter(&published, &connection, service, entry).unwrap();
        credential.distrust(DenialReason::CertificateRevoked);
        self.enforcer.decide_again_for(&IdentityId::from(CANARY));
        (signal, place)
    }

    pub(crate) fn present(&self) -> usize {
        self.history.lock().unwrap().present()
    }

    /// The first thing on which enforcer and model did not agree.
    pub(crate) fn disagreement(&self) -> Option<String> {
        self.disagreements.lock().unwrap().first().cloned()
    }

    /// Lets something happen, to the enforcer and to the model.
    pub(crate) fn change(&self, change: &Change) {
        let now = self.history.lock().unwrap().now().clone();
        if let Some(next) = self.effect_of(change, now) {
            self.history.lock().unwrap().push(next);
        }
    }

    fn agree(&self, what: &Change, enforcer: bool, model: bool) {
        if enforcer != model {
            let text = format!("{what:?}: the enforcer says {enforcer}, the model {model}");
            self.disagreements.lock().unwrap().push(text);
        }
    }

    /// What is so after a change; `None` when it came to nothing.
    fn effect_of(&self, change: &Change, mut moment: Moment) -> Option<Moment> {
        match change {
            Change::Report { identity, signed, sights } => {
                let (id, device) = self.device(*identity)?;
                let source = if *signed { Source::DeviceSigned } else { Source::Device };
                let observations = sights.iter().map(|sight| observation(*sight, moment.now)).collect();
                let report = Report { received_at: moment.now, source, observations };
                finish(self.enforcer.report(&device, &report)).unwrap();
                let posture = moment.postures.get(&id).cloned().unwrap_or_default().apply(&report).unwrap();
                moment.postures.insert(id, Arc::new(posture));
            }
            Change::PassMfa { certificate } => {
                let id = moment.whose(Some(*certificate))?;
                let device = self.enforcer.device_of_known(&id)?;
                let fingerprint = CERTIFICATES[usize::from(*certificate)].fingerprint;
                self.show_code(&device, fingerprint, moment.now)?;
                let posture = moment.postures.get(&id).cloned().unwrap_or_default();
                moment.postures.insert(id, Arc::new(posture.with_mfa_pass(fingerprint, moment.now)));
            }
            Change::WithdrawMfa { identity } => {
                let (id, device) = self.device(*identity)?;
                let known = self.codes.lock().unwrap().remove(&id).is_some();
                let withdrawn = finish(self.factors.withdraw(&device));
                self.agree(change, withdrawn.is_ok(), known);
                let posture = moment.postures.get(&id).filter(|_| known)?.without_mfa_passes();
                moment.postures.insert(id, Arc::new(posture));
            }
            Change::Edit(edit) => {
                let mut objects = self.written.lock().unwrap().now.clone();
                edit.make(&mut objects);
                return self.publish(change, objects, moment);
            }
            Change::Revert => {
                let objects = self.written.lock().unwrap().before.clone();
                return self.publish(change, objects, moment);
            }
            Change::Advance(by) => {
                self.clock.advance(*by);
                moment.now = moment.now.after(*by);
            }
            Change::SetBack(by) => {
                moment.now = moment.now.before(*by);
                self.clock.set(moment.now);
            }
            Change::Revoke(certificate) => drop(moment.trusted.revoked.insert(*certificate)),
            Change::Reinstate(certificate) => drop(moment.trusted.revoked.remove(certificate)),
            Change::Distrust(ca) => drop(moment.trusted.distrusted.insert(*ca)),
            Change::Trust(ca) => drop(moment.trusted.distrusted.remove(ca)),
            Change::Lock { identity, lasts } => {
                let id = somebody(*identity);
                let ends = lasts.map_or(LockEnd::Never, LockEnd::After);
                let wanted = WantedLock { reason: "the model says so".to_owned(), ends };
                let locked = finish(async {
                    let turn = self.enforcer.turn().await;
                    self.enforcer.lock(&turn, &id, &wanted, &author()).await
                });
                let known = moment.snapshot.find_identity(&id).is_some();
                self.agree(change, locked.is_ok(), known);
                if !known {
                    return None;
                }
                moment.locks.insert(id, Arc::new(wanted.put_on(moment.now, &author().name).unwrap()));
            }
            Change::Unlock { identity } => {
                let id = somebody(*identity);
                let unlocked = finish(async {
                    let turn = self.enforcer.turn().await;
                    self.enforcer.unlock(&turn, &id, &author()).await
                });
                self.agree(change, unlocked.is_ok(), moment.is_locked(&id));
                moment.is_locked(&id).then_some(())?;
                moment.locks.remove(&id);
            }
        }
        if matches!(change, Change::Revoke(_) | Change::Reinstate(_) | Change::Distrust(_) | Change::Trust(_)) {
            self.bundle.replace(moment.trusted.clone());
        }
        Some(moment)
    }

    fn device(&self, identity: u8) -> Option<(IdentityId, Arc<Device>)> {
        let id = identity_id(identity);
        let device = self.enforcer.device_of_known(&id)?;
        Some((id, device))
    }

    fn publish(&self, change: &Change, objects: Objects, mut moment: Moment) -> Option<Moment> {
        let compiled = compile(objects.clone(), moment.snapshot.generation() + 1);
        let published = self.enforcer.publish_files(objects.clone());
        self.agree(change, published.is_ok(), compiled.is_ok());
        let mut written = self.written.lock().unwrap();
        moment.snapshot = Arc::new(compiled.ok()?);
        written.before = std::mem::replace(&mut written.now, objects);
        Some(moment)
    }

    /// Shows a right code over a connection with a certificate; the first one also ends the enrolment.
    fn show_code(&self, device: &Arc<Device>, fingerprint: &str, now: Timestamp) -> Option<()> {
        let identity = device.identity();
        let mut codes = self.codes.lock().unwrap();
        if let Some(left) = codes.get_mut(identity) {
            let code = left.pop()?;
            finish(self.factors.pass(device, fingerprint, code.expose())).unwrap();
            return Some(());
        }
        finish(self.factors.enrol(device)).unwrap();
        let provision = self.factors.provision(identity).unwrap().unwrap();
        let secret = crate::totp::secret_of(&format!("?secret={}", provision.secret.expose()));
        finish(self.factors.verify(device, fingerprint, &crate::totp::code(&secret, now))).unwrap();
        codes.insert(identity.clone(), provision.recovery_codes);
        Some(())
    }
}

fn observation(sight: Sight, now: Timestamp) -> Observation {
    let seen = match sight {
        Sight::Domain(good) => Seen::Domain(good.of("corp.example", "home.example").to_owned()),
        Sight::DomainBefore(good, ago) => {
            let seen = Box::new(observation(Sight::Domain(good), now).seen);
            Seen::Earlier { at: now.before(std::time::Duration::from_secs(ago)), seen }
        }
        Sight::Os(good) => {
            Seen::Os(Os { name: good.of("Linux", "Windows").to_owned(), version: "6.1.0".to_owned(), ..Os::default() })
        }
        Sight::Mac(good) => Seen::Macs(vec![good.of("02:00:00:00:00:01", "02:00:00:00:00:02").to_owned()]),
        Sight::Shield { running } => Seen::Process(Process {
            path: "/usr/bin/shield".to_owned(),
            running,
            hash: String::new(),
            more_hashes: vec![],
            signer_fingerprints: vec![],
        }),
        Sight::Serial(good) => Seen::SerialNumber(good.of("serial-1", "serial-2").to_owned()),
        Sight::Woken => Seen::Endpoint { woken: true, unlocked: false },
        Sight::Unlocked => Seen::Endpoint { woken: false, unlocked: true },
    };
    Observation { asked_by: Some(check_id(PROCESS_CHECK)), seen }
}
