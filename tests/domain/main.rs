//! The pure floors: policy, decision, posture and the dialects.

mod decision;
mod objects;
mod policy;
