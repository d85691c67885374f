//! The pure floors: policy, decision, posture and the dialects.

#![cfg(test)]

mod anonymous;
mod cloudflare;
mod cloudflare_objects;
mod decision;
mod devices;
mod evidence;
mod findings;
mod objects;
mod openziti;
mod policy;
mod posture;
mod vectors;
