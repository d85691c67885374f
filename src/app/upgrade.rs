//! A new gateway takes the place of the one that serves, without a connection refused: the predecessor's and the successor's side.
//!
//! See [`super::channel`] for who says what when.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::channel::{Channel, ChannelError, Message};
use super::sockets::Sockets;
use crate::config::{Settings, Store as StoreKind};
use crate::decision::Failure;
use crate::enforce::Enforcer;
use crate::limits::{
    ACCEPT_RETRY_PAUSE, HANDOVER_PREPARE_WAIT_MAX, HANDOVER_RELEASE_WAIT_MAX, HANDOVER_SERVE_WAIT_MAX,
    HANDOVER_SILENCE_MAX, HANDOVER_WORD_WAIT_MAX,
};

/// Only the gateway's own user may take its place.
const SOCKET_MODE: u32 = 0o600;

/// Where a successor knocks while this gateway serves.
#[derive(Debug)]
pub struct UpgradeDoor {
    path: PathBuf,
    /// Which file it is: a successor puts another one in its place.
    inode: u64,
    requests: mpsc::Receiver<Handover>,
    answering: tokio::task::JoinHandle<()>,
}

/// A successor that has the sockets, has checked everything else, and waits for the store.
#[derive(Debug)]
pub struct Handover(Channel);

/// A successor that serves: what the predecessor still refuses goes there.
#[derive(Debug)]
pub(super) struct Heir(Channel);

/// The gateway before this one, which has let go of the store and serves until it is told that this one does.
#[derive(Debug)]
pub struct Predecessor(Channel);

/// What the gateway before this one has handed over; it still has the store.
#[derive(Debug)]
pub struct Inheritance {
    channel: Channel,
    sockets: Sockets,
}

impl UpgradeDoor {
    /// Answers who knocks at `path` from now on, and hands `sockets` over. Whatever lay there before is replaced.
    pub fn open(path: &Path, sockets: Sockets) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
        let inode = fs::metadata(path)?.ino();
        let (sender, requests) = mpsc::channel(1);
        let answering = tokio::spawn(answer(listener, sockets, sender));
        Ok(UpgradeDoor { path: path.to_owned(), inode, requests, answering })
    }

    /// Waits for a successor that is ready but for the store.
    pub async fn asked(&mut self) -> Handover {
        match self.requests.recv().await {
            Some(handover) => handover,
            None => std::future::pending().await,
        }
    }
}

impl Drop for UpgradeDoor {
    fn drop(&mut self) {
        use std::os::unix::fs::MetadataExt;
        self.answering.abort();
        if fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // Left behind, it would only be replaced by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Answers one successor after the other.
async fn answer(listener: UnixListener, sockets: Sockets, ready: mpsc::Sender<Handover>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a successor could not be heard");
                tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
                continue;
            }
        };
        match prepare(stream, &sockets).await {
            Ok(handover) => {
                if ready.send(handover).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(%error, "a successor did not get ready: this process goes on serving"),
        }
    }
}

async fn prepare(stream: UnixStream, sockets: &Sockets) -> Result<Handover, ChannelError> {
    let mut channel = Channel::offer(stream, &sockets.named(), HANDOVER_WORD_WAIT_MAX).await?;
    tracing::info!("a successor has taken the listening sockets and gets ready");
    match channel.hear(HANDOVER_PREPARE_WAIT_MAX).await? {
        Message::Release => Ok(Handover(channel)),
        _ => Err(ChannelError::Unexpected),
    }
}

impl Handover {
    /// Tells the successor that the store is free, and waits until it serves.
    pub(super) async fn released(self) -> Result<Heir, ChannelError> {
        let Handover(mut channel) = self;
        channel.say(&Message::Released).await?;
        match channel.hear(HANDOVER_SERVE_WAIT_MAX).await? {
            Message::Serving => Ok(Heir(channel)),
            _ => Err(ChannelError::Unexpected),
        }
    }
}

impl Heir {
    /// Passes a refusal on.
    pub(super) async fn keep(&mut self, failure: Failure) -> Result<(), ChannelError> {
        self.0.say(&Message::Failure(Box::new(failure))).await
    }

    /// Says that there will be no more.
    pub(super) async fn end(mut self) {
        // A successor that is gone has nobody left to tell.
        let _ = self.0.say(&Message::End).await;
    }
}

impl Inheritance {
    /// Knocks at the gateway that serves with these settings, and is handed its sockets. It serves on.
    pub async fn take(settings: &Settings) -> Result<Self, UpgradeError> {
        let path = &settings.upgrade_socket;
        let (channel, handed_over) = Channel::take(path, HANDOVER_WORD_WAIT_MAX)
            .await
            .map_err(|source| UpgradeError::NoPredecessor { path: path.clone(), source })?;
        let sockets = Sockets::take_up(&settings.listeners, handed_over).await?;
        Ok(Inheritance { channel, sockets })
    }

    /// Settings by which everything but the store can be tried while the predecessor still has it.
    pub fn trial(settings: &Settings) -> Settings {
        let mut trial = settings.clone();
        trial.data.store = StoreKind::Memory;
        trial
    }

    /// Asks the predecessor to let go of the store, and waits until it has.
    pub async fn release(self) -> Result<(Predecessor, Sockets), UpgradeError> {
        let Inheritance { mut channel, sockets } = self;
        channel.say(&Message::Release).await?;
        match channel.hear(HANDOVER_RELEASE_WAIT_MAX).await? {
            Message::Released => Ok((Predecessor(channel), sockets)),
            _ => Err(ChannelError::Unexpected.into()),
        }
    }
}

impl Predecessor {
    /// Tells the predecessor that this gateway serves, and keeps what it still refuses until it ends.
    pub async fn succeed(self, enforcer: Arc<Enforcer>) -> Result<(), ChannelError> {
        let Predecessor(mut channel) = self;
        channel.say(&Message::Serving).await?;
        tokio::spawn(async move {
            let mut kept: usize = 0;
            let end = loop {
                match channel.hear(HANDOVER_SILENCE_MAX).await {
                    Ok(Message::Failure(failure)) => {
                        enforcer.record(*failure);
                        kept = kept.saturating_add(1);
                    }
                    Ok(Message::End) => break Ok(()),
                    Ok(_) => break Err(ChannelError::Unexpected),
                    Err(error) => break Err(error),
                }
            };
            if let Err(error) = enforcer.records_are_kept().await {
                tracing::warn!(%error, kept, "the predecessor's last refusals are kept in memory only");
                return;
            }
            match end {
                Ok(()) => tracing::info!(kept, "the predecessor has ended; its last refusals are kept"),
                Err(error) => {
                    tracing::warn!(%error, kept, "the predecessor ended without a word; refusals may be lost")
                }
            }
        });
        Ok(())
    }
}

/// Why a gateway did not take the place of the one before it. That one goes on serving.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// Nobody answers where the gateway that serves should.
    #[error("no gateway to take over from at `{}`: {source}", path.display())]
    NoPredecessor {
        /// Where it was looked for.
        path: PathBuf,
        /// What happened.
        source: ChannelError,
    },
    /// The predecessor did not do what comes next.
    #[error("taking over: {0}")]
    Channel(#[from] ChannelError),
    /// A listener that is new in the configuration cannot be had.
    #[error(transparent)]
    Listen(#[from] super::postern::StartError),
}
