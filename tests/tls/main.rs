//! Certificates over real sockets: who gets in, who no longer does, and what a reload changes.

#![cfg(test)]

#[cfg(test)]
mod admission;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod listener;
#[cfg(test)]
mod pki;
#[cfg(test)]
mod resumption;
#[cfg(test)]
mod server_certificate;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trust;
