//! What cutting costs at scale: how soon everything that an identity has open is ended once a change that forbids it was accepted.
//!
//! The gateway is the real binary in a process of its own, with its store on disk and its log in a file. The clients, and the
//! servers behind it, are in this one; all share the machine's processors, so that the time in which clients notice ends is part
//! of what is measured. A thousand identities have ten connections each, made with their own certificates:
//!
//! * four over HTTP/1.1 with the first piece of an answer, each with a connection of its own to the origin,
//! * three over HTTP/1.1 that wait for the first byte of an answer, over HTTP/2 connections to the origin,
//! * one over HTTP/2 with a stream that has begun, one with a gRPC call that has begun, and one to a TCP service.
//!
//! That is less than two file descriptors of the gateway for each, so that 10,000 fit under a limit of 20,000. Meanwhile sixteen other
//! identities ask by a timetable and must be answered as ever.
//!
//! First one identity after another loses its access, all that it has open must end, and the next follows; then all of them lose
//! it at once. Times are counted from the acknowledgement of the change (the reply to the report, the lock or the reload) to the
//! moment at which the client has seen the last byte or the close, and beside it from the moment at which the client began to
//! ask for the change. Every end must be the one that the README promises for its protocol.
//!
//! `cargo bench --bench revoke`, or with `-- --identities 100 --flips 10`.

#[path = "../allocator.rs"]
mod allocator;
mod conversation;
mod crowd;
mod gateway;
mod news;
mod origin;
mod report;
mod steady;
#[path = "../load/usage.rs"]
mod usage;
mod world;

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use postern::clock::Stopwatch;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::sleep;

use self::conversation::{MIX, UPSTREAM_CONNECTIONS};
use self::crowd::Crowd;
use self::gateway::Gateway;
use self::news::{Accepted, Messengers, News};
use self::origin::Origin;
use self::report::{Outcome, Report};
use self::steady::Steady;
use self::world::World;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Measures how soon what is no longer allowed has ended.
#[derive(Debug, Parser)]
#[command(name = "revoke")]
struct Options {
    /// Identities, with ten connections each.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..))]
    identities: u16,
    /// Identities that lose their access one after the other.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    flips: u16,
    /// Requests per second of those to whom nothing happens.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// A few identities only; good for seeing that it works, not for figures.
    #[arg(long, alias = "test")]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much there is of everything.
struct Plan {
    identities: usize,
    flips: usize,
    rate: u32,
    /// How long the undisturbed traffic is watched before anything happens.
    calm: Duration,
}

impl Options {
    fn plan(&self) -> Plan {
        let (identities, flips) = (usize::from(self.identities), usize::from(self.flips));
        if self.quick || !self.bench {
            return Plan { identities: 20, flips: 2, rate: self.rate.min(200), calm: Duration::from_millis(300) };
        }
        Plan { identities, flips: flips.min(identities), rate: self.rate, calm: Duration::from_secs(3) }
    }
}

fn main() -> Result<()> {
    let plan = Options::parse().plan();
    postern::tls::install_crypto_provider();
    raise_descriptor_limit(&plan)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(measure(plan))?;
    report.print()
}

/// Both processes need a descriptor for either end of everything; the gateway inherits the limit.
fn raise_descriptor_limit(plan: &Plan) -> Result<()> {
    // Those of the conversations, one a device for its reports, and a few hundred for everything else.
    let needed = (plan.identities * (MIX.len() + UPSTREAM_CONNECTIONS + 1) + 500) as u64;
    let limit = getrlimit(Resource::Nofile);
    if let Some(most) = limit.maximum.filter(|most| *most < needed) {
        return Err(format!("{needed} file descriptors are needed and {most} allowed: give fewer --identities").into());
    }
    let enough = limit.current.is_none_or(|current| current >= needed);
    if !enough {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    }
    Ok(())
}

async fn measure(plan: Plan) -> Result<Report> {
    let clock = Stopwatch::start();
    let origin = Origin::start().await?;
    let world = Arc::new(World::build(plan.identities, &origin)?);
    let gateway = Gateway::start(&world)?;
    let everybody: Arc<[usize]> = (0..plan.identities).collect();
    Messengers::of(&everybody, &world, gateway.addresses, clock).await?.take_back(News::Posture).await?;
    bystanders_report(&world, &gateway).await?;

    let empty = usage::memory(gateway.id())?;
    let crowd = Crowd::new(&world, gateway.addresses.gateway, clock);
    let mut stage = Stage { plan, clock, world, gateway, crowd };
    let opening = Stopwatch::start();
    stage.open(&everybody).await?;
    let opened_in = opening.elapsed();
    let full = usage::memory(stage.gateway.id())?;

    let mut report = Report::new(stage.plan.identities * MIX.len(), opened_in, full.saturating_sub(empty), full);
    let some: Arc<[usize]> = everybody.iter().copied().take(stage.plan.flips).collect();
    for news in [News::Posture, News::Lock] {
        report.add(stage.one_after_the_other(news, &some).await?);
    }
    for news in [News::Posture, News::Policy] {
        report.add(stage.all_at_once(news, &everybody).await?);
    }
    let metrics = stage.gateway.metrics().await?;
    report.lost_records(metrics.of("postern_failure_records_dropped_total"));
    Ok(report)
}

/// Their devices are in the company's domain, from beginning to end.
async fn bystanders_report(world: &Arc<World>, gateway: &Gateway) -> Result<()> {
    for config in &world.bystanders {
        news::report_once(config, gateway.addresses.client_api, "bystanders").await?;
    }
    Ok(())
}

/// Everything that takes part.
struct Stage {
    plan: Plan,
    clock: Stopwatch,
    world: Arc<World>,
    gateway: Gateway,
    crowd: Crowd,
}

impl Stage {
    /// Opens what these identities have, and waits until the gateway has let all of it through.
    async fn open(&mut self, who: &Arc<[usize]>) -> Result<()> {
        self.crowd.open(who).await?;
        self.gateway.has_under_way(self.plan.identities * MIX.len()).await?;
        self.crowd.is_undisturbed()
    }

    /// The traffic of the bystanders, and the moments at which its calm began and ended.
    async fn calm(&self) -> Result<(Steady, [Duration; 2])> {
        let steady = Steady::start(&self.world, self.gateway.addresses.gateway, self.plan.rate, self.clock).await?;
        // The first second is that of its handshakes.
        sleep(self.plan.calm / 3).await;
        let began = self.clock.elapsed();
        sleep(self.plan.calm).await;
        Ok((steady, [began, self.clock.elapsed()]))
    }

    async fn one_after_the_other(&mut self, news: News, who: &Arc<[usize]>) -> Result<Outcome> {
        let mut each = Vec::new();
        for &identity in who.iter() {
            let alone: Arc<[usize]> = Arc::new([identity]);
            each.push(Messengers::of(&alone, &self.world, self.gateway.addresses, self.clock).await?);
        }
        let before = self.gateway.metrics().await?;
        let (steady, calm) = self.calm().await?;
        self.crowd.is_undisturbed()?;
        let (mut accepted, mut ends) = (Vec::new(), Vec::new());
        for messengers in &mut each {
            accepted.extend(messengers.tell(news).await?);
            ends.extend(self.crowd.ends(MIX.len()).await?);
        }
        let window = [calm[1], self.clock.elapsed()];
        let answers = steady.stop().await?;
        let told = self.gateway.metrics().await?.revocations_since(&before, news.cause());
        let title = format!("{}, one identity", news.describe());
        let outcome = Outcome::new(title, Duration::from_millis(100), by_identity(accepted), &ends, told);
        for messengers in &mut each {
            messengers.take_back(news).await?;
        }
        self.open(who).await?;
        Ok(outcome.beside(&answers, calm, window))
    }

    async fn all_at_once(&mut self, news: News, who: &Arc<[usize]>) -> Result<Outcome> {
        let mut all = Messengers::of(who, &self.world, self.gateway.addresses, self.clock).await?;
        let before = self.gateway.metrics().await?;
        let (steady, calm) = self.calm().await?;
        self.crowd.is_undisturbed()?;
        let used_before = usage::processor_time(self.gateway.id())?;
        let accepted = all.tell(news).await?;
        let ends = self.crowd.ends(who.len() * MIX.len()).await?;
        let used = usage::processor_time(self.gateway.id())?.saturating_sub(used_before);
        let window = [calm[1], self.clock.elapsed()];
        let answers = steady.stop().await?;
        let told = self.gateway.metrics().await?.revocations_since(&before, news.cause());
        let title = format!("{}, all of them", news.describe());
        let outcome = Outcome::new(title, Duration::from_secs(1), by_identity(accepted), &ends, told);
        all.take_back(news).await?;
        self.open(who).await?;
        Ok(outcome.beside(&answers, calm, window).having_used(used))
    }
}

fn by_identity(accepted: Vec<Accepted>) -> HashMap<usize, Accepted> {
    accepted.into_iter().map(|accepted| (accepted.identity, accepted)).collect()
}
