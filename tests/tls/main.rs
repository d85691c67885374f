//! Certificates over real sockets: who gets in, who no longer does, and what a reload changes.

mod admission;
mod identity;
mod listener;
mod pki;
mod resumption;
mod server_certificate;
mod support;
mod trust;
