//! Postern's own words: posture reports that carry every fact there is and may be signed, what a device is asked for and told
//! about itself, locks on identities, and the document that describes the native API.

pub mod evidence;
mod lock;
mod openapi;
mod own_service;
mod report;
mod told_check;
mod wanted;

pub use lock::{LockBody, LockDetail, lock, read_lock};
pub use openapi::{admin_room, client_room};
pub use own_service::{OwnService, own_service};
pub use report::{PostureReport, ReportProblem, read_posture_report};
pub use told_check::{ToldCheck, told_checks};
pub use wanted::{Wanted, WantedFact, WantedProcess};
