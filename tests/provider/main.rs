//! Posture providers as the gateway meets them: a server that answers well, badly, or not at all.

#![cfg(test)]

#[cfg(test)]
mod custom;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod vendor;
