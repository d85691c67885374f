//! What the gate costs, end to end: a bare Pingora proxy and the same proxy behind Postern, measured in turn.
//!
//! Every proxy runs in a process of its own with one worker, all on one processor; the load and the origin are in this
//! process, on another. All of them use the same TLS settings and client-certificate verifier, and the same settings towards
//! the upstream. `bare Pingora` listens by itself, as it comes; `gate` stands behind our own listener, because what that does
//! better or worse is ours as well;
//! `gateway` is the whole of `postern run` with its own routing. The policy has 1,000 identities, 100 services and 100
//! policies of five checks, ten of which lead to the service asked for; the device has reported, so that its requests are
//! allowed from the verdict cache. `logged` writes a line of JSON for every request, as in production, to /dev/null.
//!
//! What counts is the ratio to bare Pingora of the same turn: other work on the machine meets both.

#![expect(dead_code, reason = "shared with benches that use more of it")]

#[path = "../allocator.rs"]
mod allocator;
#[path = "../credential.rs"]
mod credential;
mod load;
mod process;
mod report;
mod served;
mod world;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use self::load::{Client, Load, Origin};
use self::process::{Launch, Proxy};
use self::report::{Measured, Table, ratios, spread};
use self::served::{Kind, Serve};
use self::world::{Size, World};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Compares Postern with a bare Pingora proxy: CPU time per request, requests per second, latency.
#[derive(Debug, Parser)]
#[command(name = "proxy")]
struct Options {
    /// Finish in about ten seconds; good for seeing that it works, not for figures.
    #[arg(long)]
    quick: bool,
    /// Measure one kind of load only.
    #[arg(long, value_enum)]
    only: Option<Load>,
    /// How many turns every proxy gets.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    turns: Option<u16>,
    /// Ask by a timetable, so many requests per second over kept-alive connections, instead of as soon as they were answered: all
    /// proxies have the same to do then, and wait as often.
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Another build of this bench: its proxies are measured beside this one's.
    #[arg(long, value_name = "EXECUTABLE")]
    beside: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(flatten)]
    serve: Serve,
}

/// How long everything takes.
struct Plan {
    turns: u16,
    round: Duration,
    warm_up: Duration,
    rate: Option<u32>,
}

impl Options {
    fn plan(&self) -> Plan {
        // `cargo test` runs benches too, without saying `--bench`: there it is enough that everything works.
        let (turns, round, warm_up) = if self.quick || !self.bench { (2, 200, 100) } else { (12, 350, 300) };
        Plan {
            turns: self.turns.unwrap_or(turns),
            round: Duration::from_millis(round),
            warm_up: Duration::from_millis(warm_up),
            rate: self.rate,
        }
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.serve.run()? { Ok(()) } else { measure(&options) }
}

fn measure(options: &Options) -> Result<()> {
    postern::tls::install_crypto_provider();
    let processor = process::share_processors()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let origin = runtime.block_on(Origin::start())?;
    let world = World::build(origin.address, Size::USUAL)?;
    let this = std::env::current_exe()?;
    let mut proxies = start(&this, &world, origin.address, processor, None)?;
    if let Some(other) = &options.beside {
        proxies.extend(start(other, &world, origin.address, processor, Some("beside"))?);
    }
    let client = Client::of(&world)?;
    let plan = options.plan();
    let head = ["load", "proxy", "CPU µs/request", "ratio to bare Pingora", "requests/s", "p50 µs", "p99 µs"];
    let mut table = Table::new(plan.turns, &head);
    let wanted =
        |load: &Load| options.only.is_none_or(|only| only == *load) && (options.rate.is_none() || load.is_kept_alive());
    for load in Load::all().into_iter().filter(wanted) {
        let rounds = take_turns(&runtime, &client, load, &mut proxies, &plan)?;
        add(&mut table, load, &proxies, &rounds);
    }
    table.print()
}

/// The rounds of every proxy under one load; the first proxy is the one the others are compared with.
fn add(table: &mut Table, load: Load, proxies: &[Proxy], rounds: &[Vec<Measured>]) {
    let Some(bare) = rounds.first() else { return };
    for (number, (proxy, rounds)) in proxies.iter().zip(rounds).enumerate() {
        table.add(vec![
            if number == 0 { load.describe() } else { String::new() },
            proxy.name().to_owned(),
            spread(rounds.iter().map(|round| round.processor), 1),
            if number == 0 { "1".to_owned() } else { spread(ratios(rounds, bare), 3) },
            spread(rounds.iter().map(|round| round.requests_per_second), 0),
            spread(rounds.iter().map(|round| round.p50), 0),
            spread(rounds.iter().map(|round| round.p99), 0),
        ]);
    }
}

/// Every proxy of one build. Bare Pingora comes first; of another build it is left out.
fn start(
    executable: &Path,
    world: &World,
    origin: SocketAddr,
    processor: Option<usize>,
    label: Option<&str>,
) -> Result<Vec<Proxy>> {
    let gated = [(Kind::Gate, false), (Kind::Gate, true), (Kind::Gateway, false), (Kind::Gateway, true)];
    let bare = label.is_none().then_some((Kind::Bare, false));
    bare.into_iter()
        .chain(gated)
        .map(|(kind, logged)| {
            Proxy::start(&Launch { logged, processor, label, ..Launch::of(executable, kind, world, origin) })
        })
        .collect()
}

/// Round by round through all proxies, every other time in the opposite order, so that whatever drifts meets all alike.
fn take_turns(
    runtime: &tokio::runtime::Runtime,
    client: &Client,
    load: Load,
    proxies: &mut [Proxy],
    plan: &Plan,
) -> Result<Vec<Vec<Measured>>> {
    let mut lanes = Vec::new();
    for proxy in &*proxies {
        let mut open = runtime.block_on(client.open(load, proxy.address()))?;
        runtime.block_on(open.round(plan.warm_up))?;
        lanes.push(open);
    }
    let mut contestants: Vec<_> = proxies.iter_mut().zip(&mut lanes).map(|pair| (pair, Vec::new())).collect();
    for _ in 0..plan.turns {
        for ((proxy, lanes), rounds) in &mut contestants {
            let before = proxy.processor_time()?;
            let round = match plan.rate {
                Some(rate) => runtime.block_on(lanes.timetable(rate, plan.round))?,
                None => runtime.block_on(lanes.round(plan.round))?,
            };
            rounds.push(Measured::new(round, proxy.processor_time()?.saturating_sub(before)));
        }
        contestants.reverse();
    }
    if plan.turns % 2 == 1 {
        contestants.reverse();
    }
    Ok(contestants.into_iter().map(|(_, rounds)| rounds).collect())
}
