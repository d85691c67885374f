//! Versions: ranges in OpenZiti's grammar, and how a reported version is read.
//!
//! Ranges are parsed once, when a check is made ([`VersionRange`]); reported versions are read when a check is asked
//! ([`VersionReading`]). Ordering is that of Semantic Versioning 2.0: a pre-release is lower than its release, build metadata
//! does not count.

mod range;
mod reading;
mod trap;

pub use range::{InvalidVersionRange, VersionRange};
pub use reading::VersionReading;
pub use trap::Trap;
