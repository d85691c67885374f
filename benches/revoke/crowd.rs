//! Everything that the crowd has open, and the ends that come of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern::clock::Stopwatch;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Result;
use super::conversation::{Conversation, MIX};
use super::world::World;

/// Identities that connect at once.
const CONNECTING: usize = 32;
/// Longest wait for the next end: what takes longer than this is not late but lost.
const END_WAIT_MAX: Duration = Duration::from_secs(30);

/// One end.
pub(crate) struct End {
    /// Whose it was.
    pub(crate) identity: usize,
    /// When the client saw it, by the bench's clock.
    pub(crate) at: Duration,
    told: std::result::Result<(), String>,
}

/// The open conversations.
pub(crate) struct Crowd {
    world: Arc<World>,
    gateway: SocketAddr,
    clock: Stopwatch,
    ends: mpsc::Receiver<End>,
    ended: mpsc::Sender<End>,
}

impl Crowd {
    pub(crate) fn new(world: &Arc<World>, gateway: SocketAddr, clock: Stopwatch) -> Self {
        let (ended, ends) = mpsc::channel(world.crowd.len() * MIX.len());
        Crowd { world: Arc::clone(world), gateway, clock, ends, ended }
    }

    /// Opens everything that these identities have.
    pub(crate) async fn open(&self, who: &Arc<[usize]>) -> Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut lanes = JoinSet::new();
        for _ in 0..CONNECTING {
            let (world, ended, who, next) =
                (Arc::clone(&self.world), self.ended.clone(), Arc::clone(who), Arc::clone(&next));
            let (gateway, clock) = (self.gateway, self.clock);
            lanes.spawn(async move {
                while let Some(&identity) = who.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let config = world.crowd.get(identity).ok_or("no such identity")?;
                    for kind in MIX {
                        let opened = Conversation::open(kind, config, gateway).await;
                        let conversation = opened.map_err(|error| format!("{kind:?}: {error}"))?;
                        tokio::spawn(outlast(conversation, identity, clock, ended.clone()));
                    }
                }
                Result::Ok(())
            });
        }
        while let Some(lane) = lanes.join_next().await {
            lane??;
        }
        Ok(())
    }

    /// The next `count` ends.
    pub(crate) async fn ends(&mut self, count: usize) -> Result<Vec<End>> {
        let mut ends = Vec::with_capacity(count);
        while ends.len() < count {
            let next = timeout(END_WAIT_MAX, self.ends.recv()).await;
            let missing = || format!("{} of {count} did not end", count - ends.len());
            let end = next.map_err(|_| missing())?.ok_or_else(missing)?;
            end.told.clone().map_err(|wrong| format!("{wrong} (of {})", end.identity))?;
            ends.push(end);
        }
        Ok(ends)
    }

    /// Fails when something has ended that nobody asked the end of.
    pub(crate) fn is_undisturbed(&mut self) -> Result<()> {
        match self.ends.try_recv() {
            Ok(end) => Err(format!("something of {} ended by itself: {:?}", end.identity, end.told).into()),
            Err(_) => Ok(()),
        }
    }
}

async fn outlast(mut conversation: Conversation, identity: usize, clock: Stopwatch, ended: mpsc::Sender<End>) {
    let told = conversation.end().await.map_err(|wrong| wrong.to_string());
    let end = End { identity, at: clock.elapsed(), told };
    // Nobody waits for it any more when the bench is over.
    let _ = ended.send(end).await;
}
