//! How an upstream is spoken to: addresses, TLS and HTTP version in Pingora's terms.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{ALPN, HttpPeer, PeerOptions};
use pingora::utils::tls::{WrappedX509, parse_x509};

use super::upgrade::PatientConnect;
use crate::limits::UPSTREAM_STREAMS_MAX;
use crate::policy::service::{Transport, UpstreamProtocol};
use crate::tls::{Certificate, MalformedCertificate, MaterialError, load_certificates};

/// Why a service's upstreams cannot be spoken to as configured.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum TemplateError {
    /// The CA file cannot be used.
    #[error("the CA file for upstreams cannot be used")]
    Material(#[from] MaterialError),
    /// One of its certificates cannot be read.
    #[error("certificate {position} in the CA file for upstreams cannot be read")]
    Certificate {
        /// Which certificate, counting from 1.
        position: usize,
        /// What is wrong with it.
        source: MalformedCertificate,
    },
}

/// What a request wants of its upstream's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Wanted {
    /// Nothing but HTTP/1.1.
    Http1,
    /// HTTP/2, where the upstream agrees.
    Http2,
    /// To become something else, such as a WebSocket.
    Upgrade,
    /// Nothing but the bytes.
    Tcp,
}

/// What all connections of one pool have in common.
pub(in crate::proxy) struct Template {
    tls: bool,
    server_name: Option<String>,
    protocol: UpstreamProtocol,
    options: PeerOptions,
    number: u64,
    upgrades: AtomicU64,
}

impl Template {
    /// The common part for a transport. Pools have different numbers, and connections of different numbers are never
    /// mixed: Pingora's own pool would not notice that they were verified by different CAs.
    pub(super) fn new(transport: &Transport, number: u64) -> Result<Self, TemplateError> {
        let tls = transport.tls.as_ref();
        let mut options = PeerOptions::new();
        options.connection_timeout = Some(transport.connect_timeout);
        options.total_connection_timeout = Some(transport.connect_timeout);
        options.read_timeout = Some(transport.read_timeout);
        options.write_timeout = Some(transport.read_timeout);
        options.idle_timeout = Some(transport.idle_timeout);
        options.max_h2_streams = UPSTREAM_STREAMS_MAX;
        options.ca = tls.and_then(|tls| tls.ca_file.as_deref()).map(|file| authorities(Path::new(file))).transpose()?;
        Ok(Template {
            tls: tls.is_some(),
            server_name: tls.and_then(|tls| tls.server_name.clone()),
            protocol: transport.protocol,
            options,
            number,
            upgrades: AtomicU64::new(0),
        })
    }

    /// An upstream at `address`, called by the name `host`.
    pub(super) fn peer(&self, address: SocketAddr, host: &str, wanted: Wanted) -> HttpPeer {
        // INVARIANT: the name is never empty where TLS is used; with an empty one Pingora would verify nothing.
        let name = self.server_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(host);
        let name = if self.tls { name.trim_start_matches('[').trim_end_matches(']').to_owned() } else { String::new() };
        let mut peer = HttpPeer::new(address, self.tls, name);
        peer.options = self.options.clone();
        peer.options.alpn = match self.protocol {
            UpstreamProtocol::Http1 => ALPN::H1,
            UpstreamProtocol::Http2 => ALPN::H2,
            UpstreamProtocol::Auto if self.tls && wanted == Wanted::Http2 => ALPN::H2H1,
            UpstreamProtocol::Auto => ALPN::H1,
        };
        // Pingora would rather take an idle HTTP/1.1 connection than make an HTTP/2 one, and gRPC would lose its trailers.
        peer.group_key = self.number.wrapping_mul(2) | u64::from(peer.options.alpn != ALPN::H1);
        if wanted == Wanted::Upgrade && peer.options.alpn == ALPN::H1 {
            let connect_timeout = self.options.connection_timeout.unwrap_or(Duration::MAX);
            peer.options.custom_l4 = Some(Arc::new(PatientConnect { connect_timeout }));
            peer.group_key = self.key_of_its_own();
        }
        peer
    }

    /// A key that no other connection has: an upgrade wants a new one, and leaves nothing that could be used again.
    fn key_of_its_own(&self) -> u64 {
        let count = self.upgrades.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX);
        self.number.wrapping_add(1) << u32::BITS | count
    }

    /// The same for a health check, which has less patience.
    pub(super) fn probe(&self, address: SocketAddr, host: &str, patience: Duration) -> HttpPeer {
        let mut peer = self.peer(address, host, Wanted::Http1);
        peer.options.connection_timeout = Some(patience);
        peer.options.total_connection_timeout = Some(patience);
        peer.options.read_timeout = Some(patience);
        peer.options.write_timeout = Some(patience);
        peer
    }
}

/// The certificates of a CA file as Pingora takes them.
fn authorities(file: &Path) -> Result<Arc<CaType>, TemplateError> {
    let mut authorities = Vec::new();
    for (certificate, position) in load_certificates(file)?.into_iter().zip(1..) {
        // Pingora's own parsing panics on what it cannot read, so it gets only what was read before.
        Certificate::parse(&certificate).map_err(|source| TemplateError::Certificate { position, source })?;
        authorities.push(WrappedX509::new(certificate.to_vec(), parse_x509));
    }
    Ok(authorities.into())
}

impl std::fmt::Debug for Template {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Template")
            .field("tls", &self.tls)
            .field("server_name", &self.server_name)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use pingora::upstreams::peer::Peer;

    use super::super::pool::tests::transport;
    use super::*;
    use crate::policy::service::{Balance, UpstreamTls};

    fn peer(tls: Option<UpstreamTls>, protocol: UpstreamProtocol, host: &str, wanted: Wanted) -> HttpPeer {
        let transport = Transport { tls, protocol, ..transport(Balance::RoundRobin) };
        Template::new(&transport, 7).unwrap().peer("[::1]:443".parse().unwrap(), host, wanted)
    }

    #[test]
    fn tls_is_always_verified_against_a_name() {
        let tls = |server_name: Option<&str>| {
            Some(UpstreamTls { server_name: server_name.map(str::to_owned), ca_file: None })
        };
        for (name, host, expected) in [
            (Some("app.internal"), "10.0.0.1", "app.internal"),
            (None, "app.example", "app.example"),
            (None, "[::1]", "::1"),
            (Some(""), "10.0.0.1", "10.0.0.1"),
        ] {
            let peer = peer(tls(name), UpstreamProtocol::Auto, host, Wanted::Http1);
            assert_eq!(peer.sni(), expected);
            assert!(peer.is_tls() && peer.verify_cert() && peer.verify_hostname());
        }
    }

    #[test]
    fn the_version_follows_the_client_only_where_tls_can_agree_on_it() {
        let alpn = |tls: bool, protocol, wanted| {
            let tls = tls.then_some(UpstreamTls { server_name: None, ca_file: None });
            peer(tls, protocol, "h", wanted).options.alpn
        };
        assert_eq!(alpn(true, UpstreamProtocol::Auto, Wanted::Http2), ALPN::H2H1);
        assert_eq!(alpn(true, UpstreamProtocol::Auto, Wanted::Http1), ALPN::H1);
        assert_eq!(alpn(false, UpstreamProtocol::Auto, Wanted::Http2), ALPN::H1);
        assert_eq!(alpn(false, UpstreamProtocol::Http2, Wanted::Http1), ALPN::H2);
        assert_eq!(alpn(true, UpstreamProtocol::Http1, Wanted::Http2), ALPN::H1);
    }

    #[test]
    fn an_upgrade_has_a_connection_of_its_own() {
        let template = Template::new(&transport(Balance::RoundRobin), 7).unwrap();
        let key = |wanted| template.peer("[::1]:80".parse().unwrap(), "h", wanted).group_key;
        assert_eq!(key(Wanted::Http1), key(Wanted::Http1));
        assert_ne!(key(Wanted::Upgrade), key(Wanted::Upgrade));
        assert!(key(Wanted::Upgrade) > u64::from(u32::MAX));
    }

    #[test]
    fn a_ca_file_that_cannot_be_read_is_an_error() {
        let transport = Transport {
            tls: Some(UpstreamTls { server_name: None, ca_file: Some("/nonexistent/ca.pem".to_owned()) }),
            ..transport(Balance::RoundRobin)
        };
        assert!(Template::new(&transport, 0).is_err());
    }
}
