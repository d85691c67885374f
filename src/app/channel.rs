//! The channel between a gateway that serves and the one that takes its place: a socket in the file system, lines of JSON, and
//! the listening sockets themselves.
//!
//! The successor says `take` and is handed the sockets; both processes then hold them. When it has read and checked everything
//! else, it says `release`: only now does the predecessor let go of the store, which one process can hold at a time. The
//! predecessor serves on until the successor says `serving`, and from then on only what is under way; refusals of that work
//! go over the channel, so that the successor keeps them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::decision::Failure;
use crate::limits::{HANDOVER_LINE_BYTES_MAX, HANDOVER_SOCKETS_MAX};

/// The version of what is said; another one is refused.
pub(super) const VERSION: u32 = 1;

/// Bytes of the message that comes with the sockets: some names.
const OFFER_BYTES_MAX: usize = 1024;

/// Programs that this one starts do not get the sockets. Apple's systems can be told so only when they have come.
#[cfg(not(target_vendor = "apple"))]
const CLOSED_IN_CHILDREN: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const CLOSED_IN_CHILDREN: RecvFlags = RecvFlags::empty();

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The successor asks for the sockets.
    Take(u32),
    /// The predecessor hands them over, in this order.
    Sockets(Vec<String>),
    /// The successor is ready but for the store.
    Release,
    /// The predecessor has let go of the store.
    Released,
    /// The successor serves.
    Serving,
    /// The predecessor refused something.
    Failure(Box<Failure>),
    /// The predecessor has nothing under way any more.
    End,
}

/// Why a handover did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other process is gone, or the system refused.
    #[error("the other process cannot be reached: {0}")]
    Io(#[from] io::Error),
    /// Nothing was said in time.
    #[error("the other process said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// Something else was said than what comes next.
    #[error("the other process said something unexpected; is it another version?")]
    Unexpected,
}

/// One end of the channel.
#[derive(Debug)]
pub(super) struct Channel {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Channel {
    /// The successor's end: knocks at `path` and comes back with the sockets and their names.
    pub(super) async fn take(path: &Path, wait: Duration) -> Result<(Self, Vec<(String, TcpListener)>), ChannelError> {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(&line(&Message::Take(VERSION))?).await?;
        let (offer, descriptors) = timeout(wait, receive(&stream)).await.map_err(|_| ChannelError::Silent(wait))??;
        let Ok(Message::Sockets(names)) = serde_json::from_slice(&offer) else {
            return Err(ChannelError::Unexpected);
        };
        if names.len() != descriptors.len() {
            return Err(ChannelError::Unexpected);
        }
        let sockets = names.into_iter().zip(descriptors.into_iter().map(TcpListener::from)).collect();
        Ok((Channel::over(stream), sockets))
    }

    /// The predecessor's end: hears that somebody asks, and hands the sockets over.
    pub(super) async fn offer(
        stream: UnixStream,
        sockets: &[(&str, &TcpListener)],
        wait: Duration,
    ) -> Result<Self, ChannelError> {
        let mut channel = Channel::over(stream);
        match channel.hear(wait).await? {
            Message::Take(VERSION) => {}
            _ => return Err(ChannelError::Unexpected),
        }
        let names = sockets.iter().map(|(name, _)| (*name).to_owned()).collect();
        let offer = line(&Message::Sockets(names))?;
        let writer: &UnixStream = channel.writer.as_ref();
        let descriptors: Vec<_> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
        let sent = writer
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDOVER_SOCKETS_MAX))];
                let mut beside = SendAncillaryBuffer::new(&mut space);
                if !beside.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                    return Err(io::Error::other("too many sockets for one message"));
                }
                // A successor that is gone is an error and no signal: Rust programs ignore that one.
                Ok(sendmsg(writer, &[IoSlice::new(&offer)], &mut beside, SendFlags::empty())?)
            })
            .await?;
        if sent == offer.len() { Ok(channel) } else { Err(ChannelError::Unexpected) }
    }

    fn over(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Channel { reader: BufReader::new(reader), writer }
    }

    pub(super) async fn say(&mut self, message: &Message) -> Result<(), ChannelError> {
        Ok(self.writer.write_all(&line(message)?).await?)
    }

    /// The next thing that is said, waited for at most so long. Not to be asked again after it failed.
    pub(super) async fn hear(&mut self, wait: Duration) -> Result<Message, ChannelError> {
        let mut heard = Vec::new();
        let mut bounded = (&mut self.reader).take(HANDOVER_LINE_BYTES_MAX);
        let read = timeout(wait, bounded.read_until(b'\n', &mut heard)).await;
        match read.map_err(|_| ChannelError::Silent(wait))?? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => serde_json::from_slice(&heard).map_err(|_| ChannelError::Unexpected),
        }
    }
}

fn line(message: &Message) -> Result<Vec<u8>, ChannelError> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::from)?;
    line.push(b'\n');
    Ok(line)
}

/// One message with the descriptors beside it. It is short enough to come in one piece.
async fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    stream
        .async_io(Interest::READABLE, || {
            let mut bytes = vec![0; OFFER_BYTES_MAX];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDOVER_SOCKETS_MAX))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut beside, CLOSED_IN_CHILDREN)?;
            bytes.truncate(received.bytes);
            let mut descriptors = Vec::new();
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            descriptors.iter().try_for_each(|descriptor| fcntl_setfd(descriptor, FdFlags::CLOEXEC))?;
            Ok((bytes, descriptors))
        })
        .await
}
