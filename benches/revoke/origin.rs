//! The servers behind the gateway: they answer, begin to answer, or wait, and then stay silent for as long as they are let.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Result;

/// What is asked for to be answered at once.
pub(crate) const ITEM: &str = "/item";
/// What is asked for to get the beginning of an answer.
pub(crate) const STREAM: &str = "/stream";
/// What is asked for to wait for an answer.
pub(crate) const HELD: &str = "/held";

/// The answer to [`ITEM`].
pub(crate) const BODY: &str = "{\"id\":42,\"name\":\"a lamp with a long neck\",\"price\":\"19.90\"}\n";
/// The first piece of a stream; with it the message of a gRPC call.
pub(crate) const PIECE: &[u8] = b"\0\0\0\0\x03one";

/// Streams one connection to the HTTP/2 origin may have; the gateway asks for fewer.
const STREAMS_MAX: u32 = 1000;

/// Where they listen. They run while this process's runtime does.
pub(crate) struct Origin {
    pub(crate) http1: SocketAddr,
    pub(crate) http2: SocketAddr,
    pub(crate) bytes: SocketAddr,
}

impl Origin {
    pub(crate) async fn start() -> Result<Self> {
        Ok(Origin {
            http1: listen(|stream| async { drop(http1(stream).await) }).await?,
            http2: listen(|stream| async { drop(http2(stream).await) }).await?,
            bytes: listen(|stream| async { drop(echo(stream).await) }).await?,
        })
    }
}

async fn listen<F, T>(serve: F) -> Result<SocketAddr>
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}

/// Requests without a body, until the connection ends.
async fn http1(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len());
    let mut asked = Vec::with_capacity(1024);
    while stream.read_buf(&mut asked).await? > 0 {
        if !asked.ends_with(b"\r\n\r\n") {
            continue;
        }
        if asked.starts_with(format!("GET {STREAM} ").as_bytes()) {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n").await?;
            stream.write_all(PIECE).await?;
            stream.write_all(b"\r\n").await?;
        } else {
            stream.write_all(answer.as_bytes()).await?;
        }
        asked.clear();
    }
    Ok(())
}

async fn http2(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = h2::server::Builder::new().max_concurrent_streams(STREAMS_MAX).handshake(stream).await?;
    while let Some(asked) = connection.accept().await {
        let (request, respond) = asked?;
        // Given up or cut: there is nobody to tell.
        tokio::spawn(async move { drop(hold(&request, respond).await) });
    }
    Ok(())
}

/// Begins to answer a call, leaves anything else waiting, and goes when the gateway gives it up.
async fn hold<T>(request: &Request<T>, mut respond: SendResponse<Bytes>) -> Result<()> {
    if request.uri().path() == HELD {
        poll_fn(|context| respond.poll_reset(context)).await?;
        return Ok(());
    }
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut body = respond.send_response(head, false)?;
    body.send_data(Bytes::from_static(PIECE), false)?;
    poll_fn(|context| body.poll_reset(context)).await?;
    Ok(())
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}
