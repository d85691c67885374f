//! Clients of the gateway: an HTTP client, and a connection that says exactly what it is told.

use std::net::SocketAddr;
use std::sync::Arc;

use postern::tls::client::{ClientCertificateFiles, client_config};
use postern::tls::load_certificates;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Authority, Issued};

/// TLS for a client with this certificate.
pub(crate) fn tls(authority: &Authority, identity: Option<&Issued>) -> ClientConfig {
    let files = identity.map(|issued| ClientCertificateFiles {
        certificate_file: &issued.certificate_file,
        key_file: &issued.key_file,
    });
    client_config(&authority.ca_file(), files).unwrap()
}

/// TLS of one version for a client with this certificate.
pub(crate) fn tls_speaking(
    version: &'static SupportedProtocolVersion,
    authority: &Authority,
    identity: &Issued,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for ca in load_certificates(&authority.ca_file()).unwrap() {
        roots.add(ca).unwrap();
    }
    let chain = load_certificates(&identity.certificate_file).unwrap();
    let key = PrivateKeyDer::from_pem_file(&identity.key_file).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap()
}

/// A TLS connection on which anything can be said.
pub(crate) struct RawConnection {
    stream: TlsStream<TcpStream>,
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawConnection {
    /// Connects with the server name `server_name` and HTTP/1.1.
    pub(crate) async fn open(
        address: SocketAddr,
        mut config: ClientConfig,
        server_name: &str,
        alpn: &[u8],
    ) -> std::io::Result<Self> {
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from(server_name.to_owned()).unwrap();
        let socket = TcpStream::connect(address).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
        Ok(RawConnection { stream })
    }

    pub(crate) fn into_stream(self) -> TlsStream<TcpStream> {
        self.stream
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Says something and waits for the answer; `None` when the connection is closed instead.
    pub(crate) async fn ask(&mut self, text: &str) -> Option<RawAnswer> {
        self.stream.write_all(text.as_bytes()).await.ok()?;
        self.stream.flush().await.ok()?;
        self.answer().await
    }

    /// Everything until the gateway closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        // Closed in order or not, what came is what counts.
        let _ = self.stream.read_to_end(&mut all).await;
        String::from_utf8_lossy(&all).into_owned()
    }

    /// The next answer; `None` when the connection is closed instead.
    pub(crate) async fn answer(&mut self) -> Option<RawAnswer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(RawAnswer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl RawAnswer {
    /// The reason code of a refusal.
    pub(crate) fn reason(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        problem["reason"].as_str().unwrap().to_owned()
    }
}
