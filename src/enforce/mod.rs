//! Live state and the enforcement of decisions.
//!
//! This floor owns what changes while the gateway runs: the snapshot in force, the devices with their posture and cached
//! verdicts, the sessions under way, and the failure history. Everything above asks it; nothing above keeps an answer.

pub mod audit;
mod busy;
pub mod connection;
pub mod connections;
pub mod device;
mod endings;
pub mod enforcer;
mod failures;
mod kept;
pub mod locks;
mod news;
pub mod nonces;
pub mod objects;
pub mod published;
mod revoker;
pub mod second_factor;
pub mod session;
pub mod sessions;
mod settled;
mod unreadable;
mod waiting;

pub use audit::{AuditEntry, Author};
pub use busy::busy;
pub use connection::{Connection, Credential, Enrollment, SignatureRefused, Trust};
pub use connections::ConnectionStates;
pub use device::Device;
pub use enforcer::{Enforcer, ReportRefused, Restored};
pub use locks::{LockRefused, Locked};
pub use nonces::Nonce;
pub use objects::{Change, ChangeRefused, Object, ObjectId, Turn};
pub use published::Published;
pub use second_factor::{FactorRefused, SecondFactors};
pub use session::{Cause, EndSignal, Ended, Entry, Protocol, Session, Since};
pub use sessions::Place;
pub use waiting::wait_until;
