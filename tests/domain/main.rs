//! The pure floors: policy, decision, posture and the dialects.

mod objects;
mod policy;
