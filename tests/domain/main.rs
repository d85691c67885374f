//! The pure floors: policy, decision, posture and the dialects.

#![cfg(test)]

mod decision;
mod devices;
mod objects;
mod policy;
mod posture;
