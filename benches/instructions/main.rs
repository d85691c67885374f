//! Instructions instead of time: figures that come out the same on a busy machine, and a check against those recorded.
//!
//! Every workload runs in a process of its own under callgrind, which counts the instructions of the measured part and nothing
//! else. `--check` fails when one needs more than 5 % more than `baseline.json` says; what another compiler made than the one it
//! was recorded with is told and fails nothing. Valgrind's processor is the same on every machine that has AVX2.

#![expect(dead_code, reason = "shared with benches that use more of it")]
#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

#[path = "../allocator.rs"]
mod allocator;
mod baseline;
mod callgrind;
#[path = "../credential.rs"]
mod credential;
#[path = "../proxy/load.rs"]
mod load;
#[path = "../world.rs"]
mod policy;
#[path = "../proxy/process.rs"]
mod process;
mod request;
#[path = "../proxy/served.rs"]
mod served;
mod workload;
#[path = "../proxy/world.rs"]
mod world;

use std::error::Error;
use std::io::Write;

use clap::Parser;

use self::baseline::Baseline;
use self::served::Serve;
use self::workload::Workload;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Counts the instructions of what must stay cheap.
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Options {
    /// Fail when something needs more than 5 % more than recorded.
    #[arg(long)]
    check: bool,
    /// Record what was counted as what must hold from now on.
    #[arg(long, conflicts_with = "check")]
    record: bool,
    /// Count those only whose name contains this.
    #[arg(value_name = "NAME")]
    only: Option<String>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the workload of this name.
    #[arg(long, hide = true)]
    run: Option<String>,
    #[command(flatten)]
    serve: Serve,
}

fn main() -> Result<()> {
    let options = Options::parse();
    postern::tls::install_crypto_provider();
    if let Some(name) = &options.run {
        let workload = Workload::all().into_iter().find(|workload| workload.name == *name).ok_or("no such workload")?;
        (workload.run)();
        return Ok(());
    }
    if options.serve.run()? {
        return Ok(());
    }
    count(&options)
}

fn count(options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    let mut counted = Vec::new();
    for workload in Workload::all().into_iter().filter(|workload| wanted(workload.name)) {
        let instructions = callgrind::count(workload.name)?;
        counted.push((workload.name, instructions / workload.times));
    }
    if request::NAMES.into_iter().any(wanted) {
        counted.extend(request::count()?);
    }
    let recorded = Baseline::read()?;
    let now = Baseline::of(&counted)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", now.beside(&recorded))?;
    if options.record {
        now.write()?;
    }
    match options.check.then(|| now.regressions(&recorded)) {
        Some(worse) if !worse.is_empty() => Err(worse.join("\n").into()),
        _ => Ok(()),
    }
}
