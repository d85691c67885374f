//! A proxy in a process of its own, and who runs on which processor.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use super::Result;
use super::served::Kind;
use super::world::World;

/// A running proxy. It ends when this is dropped.
pub(crate) struct Proxy {
    name: String,
    address: SocketAddr,
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// How a proxy is started.
pub(crate) struct Launch<'a> {
    pub(crate) executable: &'a Path,
    pub(crate) kind: Kind,
    pub(crate) world: &'a World,
    pub(crate) origin: SocketAddr,
    pub(crate) logged: bool,
    /// The processor it may run on.
    pub(crate) processor: Option<usize>,
    /// What is said of it in the table beside its kind.
    pub(crate) label: Option<&'a str>,
    /// Another program that runs it, with its arguments.
    pub(crate) under: Option<(OsString, Vec<OsString>)>,
}

impl<'a> Launch<'a> {
    pub(crate) fn of(executable: &'a Path, kind: Kind, world: &'a World, origin: SocketAddr) -> Self {
        Launch { executable, kind, world, origin, logged: false, processor: None, label: None, under: None }
    }

    fn command(&self) -> Result<Command> {
        let mut command = match &self.under {
            None => Command::new(self.executable),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(self.executable);
                command
            }
        };
        let value = self.kind.to_possible_value().ok_or("every kind has a name")?;
        command.arg("--serve").arg(value.get_name()).arg("--config").arg(self.world.config_file());
        command.arg("--origin").arg(self.origin.to_string());
        if let Some(processor) = self.processor {
            command.arg("--processor").arg(processor.to_string());
        }
        if self.logged {
            // Log lines go to standard error.
            command.arg("--logged").stderr(Stdio::null());
        }
        Ok(command)
    }
}

impl Proxy {
    pub(crate) fn start(launch: &Launch<'_>) -> Result<Self> {
        let mut process = launch.command()?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = process.stdin.take();
        let mut answers = BufReader::new(process.stdout.take().ok_or("the proxy's output is a pipe")?);
        let address = line(&mut answers)?.parse()?;
        let name = [Some(launch.kind.describe()), launch.logged.then_some("logged"), launch.label];
        let name = name.into_iter().flatten().collect::<Vec<_>>().join(", ");
        Ok(Proxy { name, address, process, questions, answers })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time it used so far, user and system, of all its threads.
    pub(crate) fn processor_time(&mut self) -> Result<Duration> {
        let questions = self.questions.as_mut().ok_or("the proxy's input is a pipe")?;
        writeln!(questions)?;
        Ok(Duration::from_nanos(line(&mut self.answers)?.parse()?))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        self.questions = None;
        let _ = self.process.wait();
    }
}

fn line(answers: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    match line.trim_end() {
        "" => Err("a proxy did not start or ended; without `logged` it says why on standard error".into()),
        line => Ok(line.to_owned()),
    }
}

/// The proxy's side: tells where it listens, then its processor time whenever it is asked, until nobody is left to ask.
pub(crate) fn answer(address: SocketAddr) -> Result<()> {
    let mut answers = std::io::stdout().lock();
    writeln!(answers, "{address}")?;
    for question in std::io::stdin().lines() {
        question?;
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let used = Duration::new(used.tv_sec.try_into()?, used.tv_nsec.try_into()?);
        writeln!(answers, "{}", used.as_nanos())?;
    }
    Ok(())
}

/// Takes one processor for this process and returns another one for the proxies; `None` where there is one only, and
/// everybody runs everywhere.
pub(crate) fn share_processors() -> Result<Option<usize>> {
    let allowed = sched_getaffinity(None)?;
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
    let (Some(theirs), Some(ours)) = (allowed.next(), allowed.next()) else {
        return Ok(None);
    };
    stay_on(ours)?;
    Ok(Some(theirs))
}

/// Keeps this thread, and those it starts, on one processor.
pub(crate) fn stay_on(processor: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(processor);
    Ok(sched_setaffinity(None, &only)?)
}
