//! Connections for protocol upgrades, such as WebSocket, around a defect of Pingora's.
//!
//! Pingora 0.9.1 takes the end of an upgrade request's empty body for the end of the upgraded connection when the upstream's
//! `101` is there by the time it first looks at both (its issue 946), and closes what was just opened. With an upstream
//! close by that happens to every third connection. Here the end of the body always comes first: after something was
//! written, the socket says a few times that there is nothing to read yet. That costs microseconds and no waiting.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::{Error, ErrorType, OkOrErr, OrErr, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How often a read says that there is nothing yet. Once would do, unless the task is made to give way just then.
const PATIENCE: u8 = 3;

/// Makes connections for upgrades.
#[derive(Debug)]
pub(super) struct PatientConnect {
    /// Longest wait for a connection.
    pub(super) connect_timeout: Duration,
}

#[async_trait]
impl Connect for PatientConnect {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let address = *address.as_inet().or_err(ErrorType::InternalError, "an upstream without an IP address")?;
        let connected = timeout(self.connect_timeout, TcpStream::connect(address))
            .await
            .or_err_with(ErrorType::ConnectTimedout, || format!("connecting to {address}"))?;
        let socket = connected.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
                _ => ErrorType::ConnectError,
            };
            Error::because(kind, format!("connecting to {address}"), error)
        })?;
        Ok(VirtualSocketStream::new(Box::new(Patient::new(socket))).into())
    }
}

/// A socket that after a write has nothing to read for a moment.
#[derive(Debug)]
struct Patient<S> {
    socket: S,
    patience: u8,
}

impl<S> Patient<S> {
    fn new(socket: S) -> Self {
        Patient { socket, patience: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(left) = self.patience.checked_sub(1) {
            self.patience = left;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(context, bytes));
        self.patience = PATIENCE;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl VirtualSocket for Patient<TcpStream> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.socket.set_nodelay(true),
            // Not asked for: an upgraded connection has read time-outs of its own.
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// How often a read says that there is nothing yet before it reads.
    async fn waits(socket: &mut Patient<impl AsyncRead + Unpin>) -> u8 {
        let (mut waits, mut byte) = (0, [0]);
        poll_fn(|context| {
            let polled = Pin::new(&mut *socket).poll_read(context, &mut ReadBuf::new(&mut byte));
            waits += u8::from(polled.is_pending());
            polled
        })
        .await
        .unwrap();
        waits
    }

    #[tokio::test]
    async fn an_answer_that_is_there_already_is_read_a_moment_after_the_question() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = Patient::new(near);
        far.write_all(b"abc").await.unwrap();
        assert_eq!(waits(&mut near).await, 0);
        near.write_all(b"question").await.unwrap();
        assert_eq!(waits(&mut near).await, PATIENCE);
        assert_eq!(waits(&mut near).await, 0);
        let mut heard = [0; 8];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"question");
    }

    #[tokio::test]
    async fn nobody_listening_is_told_as_such() {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let connect = PatientConnect { connect_timeout: Duration::from_secs(5) };
        let error = connect.connect(&SocketAddr::Inet(address)).await.unwrap_err();
        assert_eq!(*error.etype(), ErrorType::ConnectRefused);
    }
}
