//! What a reload of policy does to traffic that goes on meanwhile.
//!
//! The gateway holds a policy of 100,000 identities, 10,000 services and 10,000 policies, reads it in anew from its file and puts it
//! into force, while clients ask by a timetable. Quiet rounds and rounds with a reload take turns; what counts is how their 99th
//! percentiles compare. The gateway has one worker on one processor, which whatever reads the policy shares with it; the clients have
//! another.

#![expect(dead_code, reason = "shared with benches that use more of it")]

#[path = "../allocator.rs"]
mod allocator;
#[path = "../credential.rs"]
mod credential;
#[path = "../proxy/load.rs"]
mod load;
#[path = "../proxy/process.rs"]
mod process;
#[path = "../proxy/report.rs"]
mod report;
#[path = "../proxy/served.rs"]
mod served;
#[path = "../proxy/world.rs"]
mod world;

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use postern::app::{Gateway, Postern};
use postern::clock::Stopwatch;
use tokio::runtime::{Handle, Runtime};

use self::load::{Client, Lanes, Load, Origin, Round};
use self::report::{Measured, Table, spread};
use self::world::{Size, World};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// One piece of a round; a round with a reload has as many as the reload takes.
const PIECE: Duration = Duration::from_millis(100);

/// Compares the latency of requests while policy is reloaded with that of quiet times.
#[derive(Debug, Parser)]
#[command(name = "reload")]
struct Options {
    /// A small policy, and two turns.
    #[arg(long)]
    quick: bool,
    /// Requests per second.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    postern::tls::install_crypto_provider();
    let quick = options.quick || !options.bench;
    let (size, turns) = if quick { (Size::USUAL, 2) } else { (Size::LARGE, 10) };
    let gateway_runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let clients = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let origin = clients.block_on(Origin::start())?;
    let world = World::build(origin.address, size)?;
    let (gateway, processor) = start(&gateway_runtime, &world, size)?;
    if processor.is_some() {
        process::share_processors()?;
    }
    let client = Client::of(&world)?;
    let mut lanes = clients.block_on(client.open(Load::Http1, gateway.addresses().gateway))?;
    clients.block_on(lanes.round(PIECE * 3))?;
    let (mut quiet, mut reloaded, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        let (round, seconds) = during_reload(&clients, &mut lanes, &gateway, gateway_runtime.handle(), options.rate)?;
        let length = round.elapsed;
        reloaded.push(Measured::new(round, Duration::ZERO));
        took.push(seconds);
        let round = clients.block_on(lanes.timetable(options.rate, length))?;
        quiet.push(Measured::new(round, Duration::ZERO));
    }
    let head = ["traffic", "requests/s", "p50 µs", "p99 µs", "p99 to that of quiet times"];
    let mut table = Table::new(turns, &head);
    for (name, rounds) in [("quiet", &quiet), ("during a reload", &reloaded)] {
        let of_p99 = rounds.iter().zip(&quiet).map(|(round, quiet)| round.p99 / quiet.p99);
        table.add(vec![
            name.to_owned(),
            spread(rounds.iter().map(|round| round.requests_per_second), 0),
            spread(rounds.iter().map(|round| round.p50), 0),
            spread(rounds.iter().map(|round| round.p99), 0),
            spread(of_p99, 2),
        ]);
    }
    table.print()?;
    println(&format!("A reload took {} s.", spread(took.into_iter(), 2)))
}

/// The gateway, on a processor of its own where there are two.
fn start(runtime: &Runtime, world: &World, size: Size) -> Result<(Gateway, Option<usize>)> {
    let (sender, receiver) = mpsc::channel();
    // The only worker stays where this puts it, and the threads that it starts as well.
    runtime.handle().spawn(async move {
        let _ = sender.send(process::share_processors().and_then(|other| {
            if let Some(other) = other {
                process::stay_on(other)?;
            }
            Ok(other)
        }));
    });
    let processor = receiver.recv()??;
    let postern = Postern::from_config(&world.config_file())?;
    runtime.block_on(world::report_posture(&postern, size))?;
    Ok((runtime.block_on(Gateway::start(postern))?, processor))
}

/// Asks by the timetable from the moment a reload begins until it is in force; returns what was seen and how long that was.
fn during_reload(
    clients: &Runtime,
    lanes: &mut Lanes,
    gateway: &Gateway,
    handle: &Handle,
    rate: u32,
) -> Result<(Round, f64)> {
    let postern = gateway.postern().clone();
    let clock = Stopwatch::start();
    let generation = postern.enforcer().published().snapshot().generation();
    let reload = handle.spawn(async move { postern.reload_policy().await });
    let mut latencies = Vec::new();
    while !reload.is_finished() {
        latencies.extend(clients.block_on(lanes.timetable(rate, PIECE))?.latencies);
    }
    let elapsed = clock.elapsed();
    if gateway.postern().enforcer().published().snapshot().generation() == generation {
        return Err("the policy was not read anew".into());
    }
    Ok((Round { latencies, elapsed }, elapsed.as_secs_f64()))
}

fn println(line: &str) -> Result<()> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
