//! The pure floors: policy, decision, posture and the dialects.

mod decision;
mod devices;
mod objects;
mod policy;
mod posture;
