//! One thing that a device has under way, from its beginning to the end that the gateway makes of it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Result;
use super::origin::{HELD, PIECE, STREAM};
use super::world::{BYTES, CALLS, STREAMS};

/// A way to have something under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An answer over HTTP/1.1 whose first piece came.
    Http1Streaming,
    /// A request over HTTP/1.1 without a byte of an answer.
    Http1Waiting,
    /// A stream over HTTP/2 whose first piece came.
    Http2,
    /// A gRPC call with one message.
    Grpc,
    /// A connection to a TCP service over which a byte went and came back.
    Tcp,
}

/// What each identity has open: connections of their own, all of them.
pub(crate) const MIX: [Kind; 10] = [
    Kind::Http1Streaming,
    Kind::Http1Streaming,
    Kind::Http1Streaming,
    Kind::Http1Streaming,
    Kind::Http1Waiting,
    Kind::Http1Waiting,
    Kind::Http1Waiting,
    Kind::Http2,
    Kind::Grpc,
    Kind::Tcp,
];

/// Those that take a connection of their own to the origin.
pub(crate) const UPSTREAM_CONNECTIONS: usize = 6;

/// Something under way.
pub(crate) enum Conversation {
    Http1Streaming(TlsStream<TcpStream>),
    Http1Waiting(TlsStream<TcpStream>),
    Http2 { _client: SendRequest<Bytes>, body: RecvStream },
    Grpc { _client: SendRequest<Bytes>, _messages: SendStream<Bytes>, body: RecvStream },
    Tcp(TlsStream<TcpStream>),
}

impl Conversation {
    pub(crate) async fn open(kind: Kind, config: &Arc<ClientConfig>, gateway: SocketAddr) -> Result<Self> {
        match kind {
            Kind::Http1Streaming => {
                let mut stream = connect(config, gateway, STREAMS, b"http/1.1").await?;
                ask(&mut stream, STREAMS, STREAM).await?;
                let mut came = Vec::with_capacity(512);
                while !came.windows(PIECE.len()).any(|window| window == PIECE) {
                    if stream.read_buf(&mut came).await? == 0 {
                        return Err(format!("no stream: {}", String::from_utf8_lossy(&came)).into());
                    }
                }
                Ok(Conversation::Http1Streaming(stream))
            }
            Kind::Http1Waiting => {
                let mut stream = connect(config, gateway, CALLS, b"http/1.1").await?;
                ask(&mut stream, CALLS, HELD).await?;
                Ok(Conversation::Http1Waiting(stream))
            }
            Kind::Http2 => {
                let request = Request::get(format!("https://{STREAMS}{STREAM}")).body(())?;
                let (client, _, body) = call(config, gateway, STREAMS, request, true).await?;
                Ok(Conversation::Http2 { _client: client, body })
            }
            Kind::Grpc => {
                let request = Request::post(format!("https://{CALLS}/call"));
                let request = request.header("content-type", "application/grpc").body(())?;
                let (client, messages, body) = call(config, gateway, CALLS, request, false).await?;
                Ok(Conversation::Grpc { _client: client, _messages: messages, body })
            }
            Kind::Tcp => {
                let mut stream = connect(config, gateway, BYTES, b"").await?;
                stream.write_all(b"x").await?;
                stream.read_u8().await?;
                Ok(Conversation::Tcp(stream))
            }
        }
    }

    /// Waits for its end. Fails when it does not end as the README says.
    pub(crate) async fn end(&mut self) -> Result<()> {
        match self {
            Conversation::Http1Streaming(stream) => {
                let rest = rest(stream).await;
                if rest.ends_with(b"0\r\n\r\n") { Err("a stream ended as if it were whole".into()) } else { Ok(()) }
            }
            Conversation::Http1Waiting(stream) => {
                let rest = rest(stream).await;
                let refused = rest.starts_with(b"HTTP/1.1 403");
                if refused { Ok(()) } else { Err(format!("no refusal: {}", String::from_utf8_lossy(&rest)).into()) }
            }
            Conversation::Http2 { body, .. } => match next(body).await {
                Some(Err(_)) => Ok(()),
                other => Err(format!("an HTTP/2 stream went on: {other:?}").into()),
            },
            Conversation::Grpc { body, .. } => {
                if let Some(more) = next(body).await {
                    return Err(format!("a call went on: {more:?}").into());
                }
                let trailers = body.trailers().await?.ok_or("a call without trailers")?;
                let denied = trailers.get("grpc-status").is_some_and(|status| status == "7");
                if denied { Ok(()) } else { Err(format!("a call that was not denied: {trailers:?}").into()) }
            }
            Conversation::Tcp(stream) => {
                let rest = rest(stream).await;
                if rest.is_empty() { Ok(()) } else { Err("more bytes than were sent".into()) }
            }
        }
    }
}

/// A TLS connection for `host`, which speaks `protocol` where it is named.
pub(crate) async fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    host: &'static str,
    protocol: &[u8],
) -> Result<TlsStream<TcpStream>> {
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = if protocol.is_empty() { Vec::new() } else { vec![protocol.to_vec()] };
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(host)?, socket).await?)
}

async fn ask(stream: &mut TlsStream<TcpStream>, host: &str, path: &str) -> Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).await?;
    Ok(stream.flush().await?)
}

async fn call(
    config: &Arc<ClientConfig>,
    gateway: SocketAddr,
    host: &'static str,
    request: Request<()>,
    last: bool,
) -> Result<(SendRequest<Bytes>, SendStream<Bytes>, RecvStream)> {
    let stream = connect(config, gateway, host, b"h2").await?;
    let (mut client, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(async move { drop(connection.await) });
    let (response, messages) = client.send_request(request, last)?;
    let response = response.await?;
    if response.status() != http::StatusCode::OK {
        return Err(format!("answered with {}", response.status()).into());
    }
    let mut body = response.into_body();
    match next(&mut body).await {
        Some(Ok(piece)) if piece == PIECE => Ok((client, messages, body)),
        other => Err(format!("no first piece: {other:?}").into()),
    }
}

/// The next piece of a body, empty ones left out.
async fn next(body: &mut RecvStream) -> Option<std::result::Result<Bytes, h2::Error>> {
    loop {
        let data = body.data().await?;
        if let Ok(data) = &data {
            if data.is_empty() {
                continue;
            }
            // What came is taken.
            let _ = body.flow_control().release_capacity(data.len());
        }
        return Some(data);
    }
}

/// Everything until the connection is closed, in order or not.
async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut rest = Vec::with_capacity(2048);
    let _ = stream.read_to_end(&mut rest).await;
    rest
}
