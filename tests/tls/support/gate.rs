//! A listener on a port of the system's choice, with the TLS settings the gateway uses.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use pingora::listeners::tls::Acceptor;
use pingora::protocols::Ssl;
use pingora::protocols::l4::stream::Stream;
use postern::clock::ManualClock;
use postern::tls::{
    HandshakeObserver, HandshakeOutcome, ReloadableResolver, ReloadableVerifier, ServerCertificateFiles, TlsPeer,
    TrustSources, TrustStore, gateway_settings,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Issued, now};

/// Counts handshakes by their code.
#[derive(Default)]
pub(crate) struct Counts(Mutex<HashMap<&'static str, u32>>);

impl Counts {
    pub(crate) fn of(&self, code: &str) -> u32 {
        self.0.lock().unwrap().get(code).copied().unwrap_or(0)
    }

    pub(crate) fn total(&self) -> u32 {
        self.0.lock().unwrap().values().sum()
    }
}

impl HandshakeObserver for Counts {
    fn handshake(&self, outcome: HandshakeOutcome) {
        *self.0.lock().unwrap().entry(outcome.code()).or_default() += 1;
    }
}

/// A gate that greets whoever gets through the handshake with two bytes, and reports who it was.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) resolver: Arc<ReloadableResolver>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) counts: Arc<Counts>,
    peers: mpsc::Receiver<Option<TlsPeer>>,
}

impl Gate {
    pub(crate) async fn open(server: &Issued, trust: TrustSources) -> Self {
        Gate::start(std::slice::from_ref(server), trust, true).await
    }

    pub(crate) async fn open_with_optional_certificates(server: &Issued, trust: TrustSources) -> Self {
        Gate::start(std::slice::from_ref(server), trust, false).await
    }

    pub(crate) async fn start(servers: &[Issued], trust: TrustSources, required: bool) -> Self {
        let files = servers.iter().map(Issued::as_server).collect();
        Gate::showing(files, trust, required).await
    }

    /// With certificates as their files say.
    pub(crate) async fn showing(files: Vec<ServerCertificateFiles>, trust: TrustSources, required: bool) -> Self {
        let clock = ManualClock::at(now());
        let counts = Arc::new(Counts::default());
        let trust = TrustStore::load(trust, now()).unwrap();
        let resolver = ReloadableResolver::load(files, now()).unwrap();
        let mut verifier = ReloadableVerifier::new(trust.clone(), clock.clone(), counts.clone());
        if !required {
            verifier = verifier.certificate_optional();
        }
        let acceptor = gateway_settings(resolver.clone(), verifier).unwrap().build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, peers) = mpsc::channel(16);
        tokio::spawn(serve(listener, acceptor, sender));
        Gate { address, trust, resolver, clock, counts, peers }
    }

    /// Who came through the oldest handshake not asked about yet; none when it failed.
    pub(crate) async fn next_peer(&mut self) -> Option<TlsPeer> {
        self.peers.recv().await.unwrap()
    }
}

async fn serve(listener: TcpListener, acceptor: Acceptor, peers: mpsc::Sender<Option<TlsPeer>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.tls_handshake(Stream::from(socket)).await else {
            peers.send(None).await.unwrap();
            continue;
        };
        let digest = stream.get_ssl_digest().unwrap();
        let peer = digest.extension.get::<TlsPeer>().unwrap().clone();
        peers.send(Some(peer)).await.unwrap();
        // The client may be gone already; that is its business.
        let _ = stream.write_all(b"ok").await;
        let _ = stream.shutdown().await;
    }
}
