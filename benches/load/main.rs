//! Postern beside what people use today, under the same load: bare Pingora, nginx, nginx that asks an authorizer, and HAProxy.
//!
//! Every proxy has one worker on one processor; the load, the origin and the authorizer are in this process, on another. Sixteen
//! devices with certificates of their own ask a policy of 1,000 identities, 100 services and 100 policies of five checks. All
//! proxies take turns, and every other time in the opposite order; what counts are the ratios within a turn. Two things are
//! measured in closed loop, where clients ask as soon as they were answered: processor time and throughput. Latency is measured in
//! open loop: the clients follow a timetable, and the time they wait behind a slow answer counts.

#![expect(dead_code, reason = "shared with benches that use more of it")]

#[path = "../allocator.rs"]
mod allocator;
#[path = "../credential.rs"]
mod credential;
mod foreign;
#[path = "../proxy/load.rs"]
mod load;
mod plot;
#[path = "../proxy/process.rs"]
mod process;
#[path = "../proxy/report.rs"]
mod report;
#[path = "../proxy/served.rs"]
mod served;
mod usage;
#[path = "../proxy/world.rs"]
mod world;

use std::error::Error;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Runtime;

use self::foreign::{Foreign, Running};
use self::load::{Client, Lanes, Load, Origin};
use self::process::{Launch, Proxy};
use self::report::{Measured, Table, median, ratios, spread};
use self::served::{Kind, Serve};
use self::world::{Size, World};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Compares Postern with other proxies: CPU time, throughput, latency, handshakes, memory.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Options {
    /// Finish in about a minute; good for seeing that it works, not for figures.
    #[arg(long)]
    quick: bool,
    /// How many turns every proxy gets.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    turns: Option<u16>,
    /// Requests per second of the open loop.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Where the picture goes.
    #[arg(long, default_value = "target/load.svg")]
    plot: PathBuf,
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
    /// One round of the open loop.
    timetable: Duration,
    rate: u32,
    /// Connections that lie idle.
    idle: usize,
}

impl Options {
    fn plan(&self) -> Plan {
        let quick = self.quick || !self.bench;
        let (turns, round, warm_up, timetable, idle) =
            if quick { (2, 200, 100, 300, 50) } else { (10, 400, 400, 1000, 1000) };
        Plan {
            turns: self.turns.unwrap_or(turns),
            round: Duration::from_millis(round),
            warm_up: Duration::from_millis(warm_up),
            timetable: Duration::from_millis(timetable),
            rate: self.rate,
            idle,
        }
    }
}

/// Somebody who is compared.
enum Contestant {
    Ours(Proxy),
    Foreign(Foreign, Running),
}

impl Contestant {
    fn name(&self) -> &str {
        match self {
            Contestant::Ours(proxy) => proxy.name(),
            Contestant::Foreign(which, _) => which.describe(),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Contestant::Ours(proxy) => proxy.address(),
            Contestant::Foreign(_, running) => running.address,
        }
    }

    fn process(&self) -> u32 {
        match self {
            Contestant::Ours(proxy) => proxy.id(),
            Contestant::Foreign(_, running) => running.id(),
        }
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.serve.run()? { Ok(()) } else { compare(&options) }
}

fn compare(options: &Options) -> Result<()> {
    postern::tls::install_crypto_provider();
    let plan = options.plan();
    let processor = process::share_processors()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (origin, authorizer) =
        runtime.block_on(async { Result::Ok((Origin::start().await?, Origin::start().await?)) })?;
    let world = World::build(origin.address, Size::USUAL)?;
    let contestants = start(&world, origin.address, authorizer.address, processor)?;
    let client = Client::of(&world)?;

    let head = ["load", "proxy", "CPU µs/request", "of bare Pingora", "of nginx", "requests/s", "p50 µs", "p99 µs"];
    let mut table = Table::new(plan.turns, &head);
    let mut picture = Vec::new();
    for load in Load::all() {
        let rounds = closed_loop(&runtime, &client, load, &contestants, &plan)?;
        let open = || open_loop(&runtime, &client, load, &contestants, &plan);
        let latencies = load.is_kept_alive().then(open).transpose()?;
        add(&mut table, load, &contestants, &rounds, latencies.as_deref());
        let bars = contestants.iter().zip(&rounds);
        let bars =
            bars.map(|(one, rounds)| (one.name().to_owned(), median(rounds.iter().map(|round| round.processor))));
        picture.push((format!("{}: µs of CPU per request", load.describe()), bars.collect()));
    }
    table.print()?;
    memory(&runtime, &client, &contestants, plan.idle)?;
    fs::write(&options.plot, plot::svg(&picture))?;
    Ok(writeln!(std::io::stdout(), "\nThe picture is in {}.", options.plot.display())?)
}

/// Everybody: bare Pingora first, then Postern, then the others that are installed.
fn start(
    world: &World,
    origin: SocketAddr,
    authorizer: SocketAddr,
    processor: Option<usize>,
) -> Result<Vec<Contestant>> {
    let this = std::env::current_exe()?;
    let mut contestants = Vec::new();
    for (kind, logged) in [(Kind::Bare, false), (Kind::Gate, false), (Kind::Gateway, true)] {
        let launch = Launch { logged, processor, ..Launch::of(&this, kind, world, origin) };
        contestants.push(Contestant::Ours(Proxy::start(&launch)?));
    }
    for which in Foreign::ALL {
        if which.is_installed() {
            contestants.push(Contestant::Foreign(which, which.start(world, origin, authorizer, processor)?));
        } else {
            writeln!(std::io::stderr(), "{} is not installed and is left out", which.describe())?;
        }
    }
    Ok(contestants)
}

/// Round by round through all, every other time in the opposite order.
fn take_turns<T>(
    turns: u16,
    contestants: &[Contestant],
    lanes: &mut [Lanes],
    mut round: impl FnMut(&Contestant, &mut Lanes) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut rounds: Vec<_> = contestants.iter().zip(lanes).map(|pair| (pair, Vec::new())).collect();
    for turn in 0..turns {
        for ((contestant, lanes), rounds) in &mut rounds {
            let measured = round(contestant, lanes).map_err(|error| format!("{}: {error}", contestant.name()))?;
            rounds.push(measured);
        }
        if turn + 1 < turns || turns.is_multiple_of(2) {
            rounds.reverse();
        }
    }
    Ok(rounds.into_iter().map(|(_, rounds)| rounds).collect())
}

fn open(runtime: &Runtime, client: &Client, load: Load, contestants: &[Contestant], plan: &Plan) -> Result<Vec<Lanes>> {
    let open = |contestant: &Contestant| -> Result<Lanes> {
        let mut lanes = runtime.block_on(client.open(load, contestant.address()))?;
        runtime.block_on(lanes.round(plan.warm_up))?;
        Ok(lanes)
    };
    contestants
        .iter()
        .map(|contestant| open(contestant).map_err(|error| format!("{}: {error}", contestant.name()).into()))
        .collect()
}

/// Clients that ask as soon as they were answered.
fn closed_loop(
    runtime: &Runtime,
    client: &Client,
    load: Load,
    contestants: &[Contestant],
    plan: &Plan,
) -> Result<Vec<Vec<Measured>>> {
    let mut lanes = open(runtime, client, load, contestants, plan)?;
    take_turns(plan.turns, contestants, &mut lanes, |contestant, lanes| {
        let before = usage::processor_time(contestant.process())?;
        let round = runtime.block_on(lanes.round(plan.round))?;
        Ok(Measured::new(round, usage::processor_time(contestant.process())?.saturating_sub(before)))
    })
}

/// Clients that ask by a timetable.
fn open_loop(
    runtime: &Runtime,
    client: &Client,
    load: Load,
    contestants: &[Contestant],
    plan: &Plan,
) -> Result<Vec<Vec<Measured>>> {
    let mut lanes = open(runtime, client, load, contestants, plan)?;
    take_turns(plan.turns.div_ceil(2), contestants, &mut lanes, |_, lanes| {
        let round = runtime.block_on(lanes.timetable(plan.rate, plan.timetable))?;
        Ok(Measured::new(round, Duration::ZERO))
    })
}

fn add(
    table: &mut Table,
    load: Load,
    contestants: &[Contestant],
    rounds: &[Vec<Measured>],
    latencies: Option<&[Vec<Measured>]>,
) {
    let plain_nginx = |one: &Contestant| matches!(one, Contestant::Foreign(Foreign::Nginx, _));
    let nginx = contestants.iter().position(plain_nginx).and_then(|place| rounds.get(place));
    for (number, (contestant, measured)) in contestants.iter().zip(rounds).enumerate() {
        let of =
            |others: Option<&Vec<Measured>>| others.map_or(String::new(), |others| spread(ratios(measured, others), 2));
        let latencies = latencies.and_then(|latencies| latencies.get(number));
        let latency =
            |which: fn(&Measured) -> f64| latencies.map_or(String::new(), |rounds| spread(rounds.iter().map(which), 0));
        table.add(vec![
            if number == 0 { load.describe() } else { String::new() },
            contestant.name().to_owned(),
            spread(measured.iter().map(|round| round.processor), 1),
            of(rounds.first()),
            of(nginx),
            spread(measured.iter().map(|round| round.requests_per_second), 0),
            latency(|round| round.p50),
            latency(|round| round.p99),
        ]);
    }
}

/// What everybody holds in memory after the load, and what one more idle connection costs.
fn memory(runtime: &Runtime, client: &Client, contestants: &[Contestant], idle: usize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n| proxy | memory after the load, MB | each of {idle} idle connections, KB |\n|---|---:|---:|")?;
    for contestant in contestants {
        let before = usage::memory(contestant.process())?;
        let connections = runtime.block_on(client.idle(contestant.address(), idle))?;
        let each = usage::memory(contestant.process())?.saturating_sub(before) as f64 / idle as f64;
        drop(connections);
        writeln!(out, "| {} | {:.1} | {:.1} |", contestant.name(), before as f64 / 1e6, each / 1e3)?;
    }
    Ok(())
}
