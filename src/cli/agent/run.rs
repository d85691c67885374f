//! `postern agent run`: reports for as long as it is let.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::{MissedTickBehavior, interval};

use super::AgentError;
use super::link::{Link, LinkError};
use crate::agent::{Chance, Changes, Gathered, Gatherer, Schedule, Watch};
use crate::cli::Exit;
use crate::cli::signals::Signals;
use crate::clock::{SharedClock, Stopwatch, SystemClock};
use crate::config::{AgentSettings, LogFormat};
use crate::dialect::native::Wanted;
use crate::limits;
use crate::posture::inventory::UnknownFact;
use crate::telemetry::logs;

pub(super) async fn run(settings: AgentSettings) -> Result<Exit, AgentError> {
    let format = match settings.log.format {
        LogFormat::Json => logs::Format::Json,
        LogFormat::Pretty => logs::Format::Pretty,
    };
    logs::init(format, &settings.log.level)?;
    let mut signals = Signals::new().map_err(AgentError::Runtime)?;
    let mut agent = Agent::new(settings)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), gateway = %agent.settings.gateway, "watching this device");
    tokio::select! {
        () = agent.work() => {}
        () = signals.stop() => {}
    }
    tracing::info!("stopped");
    Ok(Exit::Success)
}

/// An agent at work.
struct Agent {
    settings: AgentSettings,
    clock: SharedClock,
    /// None after something went wrong: certificate, key and CAs are then read anew.
    link: Option<Link>,
    gatherer: Arc<Gatherer>,
    watch: Watch,
    schedule: Schedule,
    running: Stopwatch,
    /// What happened since the last report that the gateway took.
    happened: Changes,
    /// What was asked for and could not be told last time, so that it is logged when it changes and not each time.
    missed: Vec<UnknownFact>,
}

impl Agent {
    /// Fails when certificate, key or CA cannot be used: that does not get better by waiting.
    fn new(settings: AgentSettings) -> Result<Self, AgentError> {
        let clock: SharedClock = Arc::new(SystemClock);
        let link = Link::open(&settings, Arc::clone(&clock))?;
        let gatherer = Arc::new(Gatherer::new(Arc::clone(&clock)));
        Ok(Agent {
            settings,
            clock,
            link: Some(link),
            watch: Watch::new(gatherer.machine().clone()),
            gatherer,
            schedule: Schedule::new(),
            running: Stopwatch::start(),
            happened: Changes::default(),
            missed: Vec::new(),
        })
    }

    async fn work(&mut self) {
        let mut looks = interval(limits::AGENT_LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let seen = self.watch.look();
            if seen.any() {
                tracing::debug!(?seen, "something changed");
                self.happened = self.happened.and(seen);
                self.schedule.changed(self.running.elapsed());
            }
            if self.schedule.is_due(self.running.elapsed()) {
                self.attempt().await;
            }
        }
    }

    async fn attempt(&mut self) {
        match self.report().await {
            Ok(wanted) => {
                let interval = wanted.max_age_millis.map_or(self.settings.interval, |age| {
                    // A report that comes late once must not close a door.
                    let fresh = std::time::Duration::from_millis(age / 3);
                    self.settings.interval.min(fresh).max(limits::AGENT_INTERVAL_MIN)
                });
                self.schedule.succeeded(self.running.elapsed(), interval, chance());
            }
            Err(error) => {
                self.link = None;
                self.schedule.failed(self.running.elapsed(), chance(), error.retry_after());
                let wait = self.schedule.due().saturating_sub(self.running.elapsed());
                tracing::warn!(%error, next_attempt_seconds = wait.as_secs(), "not reported");
            }
        }
    }

    async fn report(&mut self) -> Result<Wanted, LinkError> {
        let link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.settings, Arc::clone(&self.clock))?,
        };
        let link = self.link.insert(link);
        let wanted = link.wanted().await?;
        let (programs, files) = self.gatherer.watched(&wanted);
        self.watch.attend(programs.iter().map(String::as_str), files.iter().map(String::as_str));
        let happened = self.happened;
        let found = gather(&self.gatherer, &wanted, happened).await?;
        link.report(&found.report).await?;
        // What happened meanwhile is told next time.
        self.happened = Changes::default();
        let members: Vec<&str> = found.report.keys().map(String::as_str).collect();
        tracing::info!(facts = members.join(" "), unknown = found.unknown.len(), "reported");
        let mut missed = found.unknown;
        missed.retain(|unknown| Gatherer::is_missed(&wanted, unknown));
        if missed != self.missed {
            for UnknownFact { fact, path, reason, detail } in &missed {
                tracing::warn!(fact, path, reason, detail, "cannot be told");
            }
            self.missed = missed;
        }
        Ok(wanted)
    }
}

/// Collects on a thread of its own: digests of large executables take a while.
pub(super) async fn gather(
    gatherer: &Arc<Gatherer>,
    wanted: &Wanted,
    happened: Changes,
) -> Result<Gathered, LinkError> {
    let (gatherer, wanted) = (Arc::clone(gatherer), wanted.clone());
    let found = tokio::task::spawn_blocking(move || gatherer.gather(&wanted, happened)).await;
    found.map_err(|_| LinkError::Collection)
}

fn chance() -> Chance {
    let mut byte = [0];
    // Without random numbers all devices wait the longest.
    let drawn = SystemRandom::new().fill(&mut byte).is_ok();
    let [byte] = byte;
    Chance::new(if drawn { byte } else { 0 })
}
