//! Posture: what is known about a device, and the questions asked of it.
//!
//! This floor owns the fact model ([`Posture`]), the questions ([`check::Check`]) and their three-valued answers
//! ([`outcome::Assessment`]). It is pure: no clock, no files, no network. It does not know in which dialect a fact was
//! reported or a check was written.

pub mod certificate;
pub mod check;
pub mod compare;
pub mod evidence;
pub mod facts;
pub mod fold;
pub mod inventory;
pub mod outcome;
pub mod platform;
pub mod provider;
pub mod report;
pub mod version;

pub use evidence::Evidence;
pub use facts::{Fact, Posture};
pub use outcome::{Assessment, Outcome};
pub use platform::{Families, Family, Platform};
