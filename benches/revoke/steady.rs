//! Traffic that nothing happens to: bystanders who ask by a timetable, whether or not earlier questions were answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use postern::clock::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

use super::Result;
use super::conversation::connect;
use super::origin::{BODY, ITEM};
use super::world::{ITEMS, World};

/// One question and its answer.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// When it came, by the bench's clock.
    pub(crate) at: Duration,
    /// How long it took from the moment at which it should have been asked for.
    pub(crate) took: Duration,
}

/// The traffic while it goes on. It has a thread of its own: otherwise the bystanders would wait in this process, behind ten thousand
/// ends that the crowd has to notice, and the gateway would be blamed for it.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Answer>>>,
}

impl Steady {
    /// Every bystander connects, and they ask `per_second` times together.
    pub(crate) async fn start(
        world: &Arc<World>,
        gateway: SocketAddr,
        per_second: u32,
        clock: Stopwatch,
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, connected) = oneshot::channel();
        let (world, stopped) = (Arc::clone(world), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut streams = Vec::new();
                for config in &world.bystanders {
                    streams.push(connect(config, gateway, ITEMS, b"http/1.1").await?);
                }
                // Somebody waits for this, unless the bench is over.
                let _ = tell.send(());
                ask_all(streams, per_second, clock, &stopped).await
            })
        });
        // Why it did not come so far is told when it is stopped.
        let _ = connected.await;
        Ok(Steady { stop, thread })
    }

    /// Ends it. Fails when anything was answered otherwise than by the origin.
    pub(crate) async fn stop(self) -> Result<Vec<Answer>> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = tokio::task::spawn_blocking(move || self.thread.join()).await?;
        ended.map_err(|_| "the bystanders' thread panicked")?
    }
}

async fn ask_all(
    streams: Vec<TlsStream<TcpStream>>,
    per_second: u32,
    clock: Stopwatch,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Answer>> {
    let next = Arc::new(AtomicU32::new(0));
    let (began, gap) = (clock.elapsed(), Duration::from_secs(1) / per_second);
    let mut lanes = JoinSet::new();
    for mut stream in streams {
        let (stop, next) = (Arc::clone(stop), Arc::clone(&next));
        lanes.spawn(async move {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let due = began + gap * next.fetch_add(1, Ordering::Relaxed);
                let early = due.saturating_sub(clock.elapsed());
                // Who is there in time waits; that timers are late is not the gateway's fault.
                let asked = if early.is_zero() {
                    due
                } else {
                    sleep(early).await;
                    clock.elapsed()
                };
                ask(&mut stream).await?;
                let at = clock.elapsed();
                answers.push(Answer { at, took: at.saturating_sub(asked) });
            }
            Result::Ok(answers)
        });
    }
    let mut answers = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        answers.extend(lane??);
    }
    Ok(answers)
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> Result<()> {
    stream.write_all(format!("GET {ITEM} HTTP/1.1\r\nhost: {ITEMS}\r\n\r\n").as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(BODY.as_bytes()) {
        let ended = stream.read_buf(&mut answer).await? == 0;
        if ended || !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!("a bystander was disturbed: {:?}", String::from_utf8_lossy(&answer)).into());
        }
    }
    Ok(())
}
