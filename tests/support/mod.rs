//! What several test binaries share: a CA, origins, a gateway in this process, and clients. No ports are fixed, nothing
//! sleeps, and everything ends with the value that stands for it.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod origin;
pub(crate) mod policy;

pub(crate) use authority::{Authority, Issued, now};
pub(crate) use client::{RawAnswer, RawConnection};
pub(crate) use gateway::{Gateway, GatewayBuilder};
pub(crate) use origin::Origin;
