//! A posture provider on this machine, and those who ask it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::response::Response;
use http::{HeaderMap, Method, Uri};
use postern::provider::custom::{Answer, KnownDevice, PollError, Target};
use postern::secret::Secret;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

pub(crate) const CLIENT_ID: &str = "88bf3b6d86161464f6509f7219099e57.access";
pub(crate) const SECRET: &str = "bdd31cbc4dec990953e39163fbbb194c93313ca9f0a6e420346af9d326b1d2a5";

/// One request as it arrived.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A provider that answers every request alike. Ends when dropped.
pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    seen: UnboundedReceiver<Seen>,
    _serving: JoinSet<()>,
}

impl Vendor {
    pub(crate) async fn answering<F>(answer: impl Fn(HeaderMap) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send,
    {
        let (tell, seen) = unbounded_channel();
        let router = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (tell, answer) = (tell.clone(), answer.clone());
            async move {
                let body = serde_json::from_slice(&body).unwrap();
                let _ = tell.send(Seen { method, path: uri.path().to_owned(), headers: headers.clone(), body });
                answer(headers).await
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Vendor { address, seen, _serving: serving }
    }

    /// One that answers with this status and body.
    pub(crate) async fn saying(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Vendor::answering(move |_| {
            let body = body.clone();
            async move { Response::builder().status(status).body(body.into()).unwrap() }
        })
        .await
    }

    /// One that reads the request's head, writes these bytes, and then closes the connection or does nothing more.
    pub(crate) async fn writing(bytes: &'static [u8], then_closes: bool) -> Self {
        let (_, seen) = unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = Vec::new();
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                read_request(&mut connection).await;
                connection.write_all(bytes).await.unwrap();
                if !then_closes {
                    open.push(connection);
                }
            }
        });
        Vendor { address, seen, _serving: serving }
    }

    pub(crate) fn target(&self) -> Target {
        target(&format!("http://{}/posture", self.address))
    }

    /// The next request that has arrived.
    pub(crate) fn seen(&mut self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }
}

/// Reads a whole request: what is left unread would turn the close into a reset.
async fn read_request(connection: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"}]}") && !request.ends_with(b"[]}") {
        assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0);
    }
}

pub(crate) fn target(url: &str) -> Target {
    Target::parse(url, CLIENT_ID, Secret::new(SECRET.to_owned())).unwrap()
}

/// A client that believes the servers of these certificates.
pub(crate) fn client(trusted: &[rustls_pki_types::CertificateDer<'static>]) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).unwrap();
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    postern::provider::http_client(tls).unwrap()
}

pub(crate) fn device(id: &str) -> KnownDevice {
    KnownDevice { device_id: id.to_owned(), ..KnownDevice::default() }
}

/// The error of a question, which shows nothing of the secret in any form.
pub(crate) fn refusal(result: Result<Answer, PollError>) -> PollError {
    let error = result.expect_err("the provider was believed");
    let mut shown = format!("{error} {error:?} {error:#?} {:?}", error.clone());
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        shown.push_str(&format!(" {next} {next:?}"));
        cause = next.source();
    }
    assert!(!shown.contains(SECRET) && !shown.contains(CLIENT_ID), "{shown}");
    error
}
