//! The rustls configurations for listeners and clients that are not Pingora's.

use std::sync::Arc;

use postern::clock::SystemClock;
use postern::tls::client::{ClientCertificateFiles, client_config};
use postern::tls::{
    HandshakeInspector, ReloadableResolver, ReloadableVerifier, SilentObserver, TlsPeer, TrustStore,
    install_crypto_provider, server_config,
};
use rustls::HandshakeKind;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::{Authority, now};

#[tokio::test]
async fn client_and_server_configurations_meet() {
    install_crypto_provider();
    install_crypto_provider();
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    let server = ca.server("api", &["api.postern.test"]);
    let trust = TrustStore::load(ca.trusted_with_crl(), now()).unwrap();
    let verifier = ReloadableVerifier::new(trust, Arc::new(SystemClock), Arc::new(SilentObserver));
    let resolver = ReloadableResolver::load(vec![server.as_server()], now()).unwrap();
    let config = server_config(resolver, verifier.clone()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let inspector = HandshakeInspector::new(verifier);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();

    let files = ClientCertificateFiles { certificate_file: &laptop.certificate_file, key_file: &laptop.key_file };
    let config = Arc::new(client_config(&ca.ca_file(), Some(files)).unwrap());
    for _ in 0..2 {
        let client = async {
            let name = ServerName::try_from("api.postern.test").unwrap();
            let socket = TcpStream::connect(address).await.unwrap();
            let mut stream = TlsConnector::from(config.clone()).connect(name, socket).await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
            let connection = stream.get_ref().1;
            (connection.alpn_protocol().unwrap().to_vec(), connection.handshake_kind().unwrap())
        };
        let server = async {
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(socket).await.unwrap();
            stream.shutdown().await.unwrap();
            inspector.inspect(stream.get_ref().1)
        };
        let ((protocol, kind), peer): (_, TlsPeer) = tokio::join!(client, server);
        assert_eq!(protocol, b"h2");
        // Not resumable, the second time neither.
        assert_eq!(kind, HandshakeKind::Full);
        assert_eq!(peer.identity().unwrap().common_name().unwrap().as_ref(), "laptop");
        assert_eq!(peer.server_name().unwrap().as_ref(), "api.postern.test");
    }
}

#[test]
fn a_client_configuration_names_the_file_that_is_wrong() {
    let ca = Authority::new("Test CA");
    let (one, two) = (ca.client("one"), ca.client("two"));
    let files = ClientCertificateFiles { certificate_file: &one.certificate_file, key_file: &two.key_file };
    let error = client_config(&ca.ca_file(), Some(files)).unwrap_err().to_string();
    assert!(error.contains("two.key: the private key does not match"), "{error}");
    let error = client_config(&ca.path().join("none.pem"), None).unwrap_err().to_string();
    assert!(error.contains("none.pem: cannot be read"), "{error}");
}
