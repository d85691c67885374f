//! A TLS client that tells how the handshake went.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use postern::tls::load_certificates;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, HandshakeKind, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Issued;

pub(crate) const TLS12: &SupportedProtocolVersion = &rustls::version::TLS12;
pub(crate) const TLS13: &SupportedProtocolVersion = &rustls::version::TLS13;

/// How a connection was refused.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    Alert(AlertDescription),
    Other(String),
}

/// What a connection that worked looked like from the client's side.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) kind: HandshakeKind,
    pub(crate) server_certificate: CertificateDer<'static>,
}

/// A client with its own session cache: connect twice, and the second handshake may be resumed.
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
}

/// The TLS library's own verifier, which also keeps what the server showed beside its certificate.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    stapled: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.stapled.lock().unwrap() = ocsp_response.to_vec();
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl Client {
    pub(crate) fn new(ca_file: &Path, identity: Option<&Issued>) -> Self {
        Client::speaking(TLS13, ca_file, identity)
    }

    pub(crate) fn speaking(
        version: &'static SupportedProtocolVersion,
        ca_file: &Path,
        identity: Option<&Issued>,
    ) -> Self {
        let chain = identity.map(|issued| load_certificates(&issued.certificate_file).unwrap());
        Client::sending(version, ca_file, identity.zip(chain))
    }

    /// Sends other certificates along with its own.
    pub(crate) fn with_chain(ca_file: &Path, identity: &Issued, chain: Vec<CertificateDer<'static>>) -> Self {
        Client::sending(TLS13, ca_file, Some((identity, chain)))
    }

    fn sending(
        version: &'static SupportedProtocolVersion,
        ca_file: &Path,
        identity: Option<(&Issued, Vec<CertificateDer<'static>>)>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for ca in load_certificates(ca_file).unwrap() {
            roots.add(ca).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build().unwrap();
        let verifier = Arc::new(Verifier { inner, stapled: Mutex::default() });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((issued, chain)) => {
                let key = PrivateKeyDer::from_pem_file(&issued.key_file).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Client { config: Arc::new(config), verifier }
    }

    /// What the server showed beside its certificate in the last full handshake.
    pub(crate) fn stapled(&self) -> Vec<u8> {
        self.verifier.stapled.lock().unwrap().clone()
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> Result<Greeted, Refusal> {
        self.connect_as(address, "gate.postern.test").await
    }

    /// Connects, asks for `server_name` and waits for the gate's greeting: in TLS 1.3 the client's own handshake is
    /// over before the server has judged its certificate.
    pub(crate) async fn connect_as(&self, address: SocketAddr, server_name: &str) -> Result<Greeted, Refusal> {
        let name = ServerName::try_from(server_name.to_owned()).unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let connector = TlsConnector::from(self.config.clone());
        let mut stream = connector.connect(name, socket).await.map_err(refusal)?;
        let mut greeting = Vec::new();
        stream.read_to_end(&mut greeting).await.map_err(refusal)?;
        assert_eq!(greeting, b"ok");
        let connection = stream.get_ref().1;
        Ok(Greeted {
            kind: connection.handshake_kind().unwrap(),
            server_certificate: connection.peer_certificates().unwrap()[0].clone(),
        })
    }
}

fn refusal(error: std::io::Error) -> Refusal {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::AlertReceived(alert)) => Refusal::Alert(*alert),
        _ => Refusal::Other(error.to_string()),
    }
}
