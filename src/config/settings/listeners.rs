//! Listeners: where the gateway waits for whom.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::tls::{RawServerCertificate, ServerCertificate, Tls, check_certificates, refuse_empty};
use crate::config::document::{Field, NodeId, Session};
use crate::config::values::Address;

/// Where the gateway listens. Port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Clients with certificates, on their way to services.
    pub gateway: TlsListener,
    /// Devices that report posture.
    pub client_api: TlsListener,
    /// Operators.
    pub admin: TlsListener,
    /// Metrics and health, in plain text.
    pub ops: PlainListener,
}

/// A listener with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsListener {
    /// The address.
    pub address: SocketAddr,
    /// The certificates it shows, chosen by SNI; the first is for everyone else. Never empty.
    pub certificates: Vec<ServerCertificate>,
}

/// A listener without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainListener {
    /// The address.
    pub address: SocketAddr,
}

/// Listeners.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawListeners {
    /// Clients with certificates reach services here. Default address: 0.0.0.0:8443.
    gateway: Field<RawTlsListener>,
    /// Devices report posture here, with certificates. Default address: 0.0.0.0:8444.
    client_api: Field<RawTlsListener>,
    /// The admin API, for operators. Default address: 127.0.0.1:9443.
    admin: Field<RawTlsListener>,
    /// Metrics and health, in plain text and without any check: keep it private. Default address: 127.0.0.1:9901.
    ops: Field<RawPlainListener>,
}

/// A listener with TLS.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawTlsListener {
    /// IP address and port; port 0 lets the system choose.
    address: Field<Address>,
    /// Certificates for this listener alone. Default: those of `tls.certificates`.
    certificates: Field<Vec<Field<RawServerCertificate>>>,
}

/// A listener without TLS.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawPlainListener {
    /// IP address and port; port 0 lets the system choose.
    address: Field<Address>,
}

impl RawListeners {
    pub(super) fn check(self, session: &Session, folder: &Path, tls: Option<&Tls>) -> Listeners {
        let everywhere = Ipv4Addr::UNSPECIFIED;
        let here = Ipv4Addr::LOCALHOST;
        let mut taken = Addresses::default();
        let mut listener = |raw: Field<RawTlsListener>, default: SocketAddr| {
            let raw = raw.or_default();
            taken.claim(session, &raw.address, default);
            refuse_empty(session, &raw.certificates);
            TlsListener {
                address: raw.address.value().map_or(default, |address| address.0),
                certificates: if raw.certificates.is_given() {
                    check_certificates(session, folder, raw.certificates)
                } else {
                    tls.map_or_else(Vec::new, |tls| tls.certificates.clone())
                },
            }
        };
        let gateway = listener(self.gateway, (everywhere, 8443).into());
        let client_api = listener(self.client_api, (everywhere, 8444).into());
        let admin = listener(self.admin, (here, 9443).into());
        let ops = self.ops.or_default().address;
        let ops_default = (here, 9901).into();
        taken.claim(session, &ops, ops_default);
        Listeners {
            gateway,
            client_api,
            admin,
            ops: PlainListener { address: ops.value().map_or(ops_default, |address| address.0) },
        }
    }
}

/// Addresses given so far, so that two listeners do not want the same one.
#[derive(Default)]
struct Addresses(Vec<(SocketAddr, Option<NodeId>)>);

impl Addresses {
    fn claim(&mut self, session: &Session, given: &Field<Address>, default: SocketAddr) {
        let address = given.as_ref().map_or(default, |address| address.0);
        let clash = self.0.iter().find(|(other, _)| overlap(*other, address));
        // A default cannot clash with a default, so at least one of the two has a place.
        if let Some((_, other)) = clash
            && let Some(node) = given.node().or(*other)
        {
            session.error(node, format!("`{address}` is taken by another listener"));
        }
        self.0.push((address, given.node()));
    }
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_port = one.port() == other.port() && one.port() != 0;
    let same_family = one.is_ipv4() == other.is_ipv4();
    let covered = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    same_port && same_family && covered
}
