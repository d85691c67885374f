//! This machine: what is true of it when the demo starts, and what it says when it is asked again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::agent::{
    Answer, Asks, Collected, Collectors, HashAlgorithm, Inventory, OperatingSystem, PostureResponse, Process, Query,
    Survey,
};
use crate::clock::SharedClock;
use crate::id::CheckId;

/// The check of the operating system.
pub(super) const SUPPORTED_OS: &str = "supported-os";
/// The check of the hardware addresses.
pub(super) const KNOWN_HARDWARE: &str = "known-hardware";
/// The check of the demo's own process.
pub(super) const GATEWAY_PROGRAM: &str = "gateway-program";
/// The check of the protection agent, and of a process that was there before.
pub(super) const PROTECTION_AGENT: &str = "protection-agent";
/// The check of the domain, which no machine is joined to.
pub(super) const OFFICE_DOMAIN: &str = "office-domain";

/// The digest that is reported and expected.
const DIGEST: HashAlgorithm = HashAlgorithm::Sha256;
/// How many processes are looked at to find one that was there before.
const CANDIDATES_MAX: usize = 16;
/// The largest executable of such a process, in bytes, so that the demo starts soon.
const CANDIDATE_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// An address that no machine has: it is kept free for documentation (RFC 7042).
const FOREIGN_MAC: &str = "00:00:5e:00:53:01";

/// A program that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The path of its executable.
    pub(super) path: String,
    /// The executable's SHA-256; `None` when it cannot be read.
    pub(super) sha256: Option<String>,
}

/// What is true of this machine when the demo starts. What could not be read is `None`, and told in `unknown`.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) os: Option<OperatingSystem>,
    pub(super) mac: Option<String>,
    pub(super) domain: Option<String>,
    /// The demo itself.
    pub(super) gateway: Option<Program>,
    /// The program that plays the protection agent.
    pub(super) agent: Program,
    /// A process that was there before.
    pub(super) resident: Option<Program>,
    /// What could not be read, and why.
    pub(super) unknown: Vec<String>,
}

/// This machine, asked again and again.
#[derive(Debug)]
pub(super) struct Machine {
    collectors: Collectors,
    agent_path: String,
    queries: Vec<Query>,
}

impl Machine {
    /// Looks at this machine for the first time. The agent at `agent_path` must be running. Blocks.
    pub(super) fn survey(clock: SharedClock, agent_path: &Path) -> (Self, Facts) {
        let collectors = Collectors::new(clock);
        let agent_path = agent_path.display().to_string();
        let own_path = std::env::current_exe().ok().map(|path| path.display().to_string());
        let resident = resident(&collectors, [own_path.as_deref(), Some(agent_path.as_str())]);
        let inventory = collectors.collect(own_path.as_deref().into_iter().chain([agent_path.as_str()]));
        let facts = Facts::of(&inventory, own_path.as_deref(), &agent_path, resident);
        let queries = facts.queries();
        (Machine { collectors, agent_path, queries }, facts)
    }

    /// Looks again, and answers what the demo's checks ask. Blocks.
    ///
    /// Whether the agent runs, the demo knows first-hand: `agent_runs` stands in where the system hides the processes of
    /// others, and so does not let anybody say that something is not running.
    pub(super) fn answers(&self, agent_runs: bool) -> Vec<PostureResponse> {
        let inventory = self.collectors.collect_for(&self.queries);
        let mut responses = inventory.answers(&self.queries, DIGEST).responses;
        if inventory.processes.get(&self.agent_path).is_none_or(|process| process.known().is_none()) {
            let answer = Answer::Process {
                path: self.agent_path.clone(),
                is_running: agent_runs,
                hash: String::new(),
                signer_fingerprints: Vec::new(),
            };
            responses.push(PostureResponse { id: CheckId::from(PROTECTION_AGENT), answer });
        }
        responses
    }
}

/// The same answers as a machine would give that is in no good state.
pub(super) fn spoiled(answers: &[PostureResponse]) -> Vec<PostureResponse> {
    let mut spoiled = answers.to_vec();
    for response in &mut spoiled {
        match &mut response.answer {
            Answer::Os { version, build, .. } => {
                *version = "1.0.0".to_owned();
                *build = None;
            }
            Answer::Mac { mac_addresses } => *mac_addresses = vec![FOREIGN_MAC.to_owned()],
            Answer::Process { is_running, hash, .. } => {
                *is_running = false;
                hash.clear();
            }
            Answer::Domain { .. } | Answer::EndpointState { .. } => {}
        }
    }
    spoiled
}

impl Facts {
    fn of(inventory: &Inventory, own_path: Option<&str>, agent_path: &str, resident: Option<Program>) -> Self {
        let mut unknown = Vec::new();
        let mut learn = |what: &str, obstacle: Option<String>| {
            unknown.extend(obstacle.map(|obstacle| format!("{what}: {obstacle}")));
        };
        learn("operating system", inventory.os.obstacle().map(ToString::to_string));
        learn("hardware addresses", inventory.macs.obstacle().map(ToString::to_string));
        let mac = inventory.macs.known().and_then(|macs| macs.first()).map(|mac| with_colons(mac));
        if mac.is_none() && inventory.macs.obstacle().is_none() {
            learn("hardware addresses", Some("this machine has none".to_owned()));
        }
        let gateway = own_path.and_then(|path| running_program(inventory, path));
        if gateway.is_none() {
            let obstacle = own_path.and_then(|path| inventory.processes.get(path)?.obstacle());
            learn("this process", Some(obstacle.map_or_else(|| "it was not found".to_owned(), ToString::to_string)));
        }
        if resident.is_none() {
            learn("another process", Some("there is none that may be inspected by this user".to_owned()));
        }
        let agent = running_program(inventory, agent_path)
            .unwrap_or_else(|| Program { path: agent_path.to_owned(), sha256: None });
        Facts {
            os: inventory.os.known().cloned(),
            mac,
            domain: inventory.domain.known().cloned(),
            gateway,
            agent,
            resident,
            unknown,
        }
    }

    /// The questions of the demo's checks that this machine can answer.
    fn queries(&self) -> Vec<Query> {
        let query = |id: &str, asks| Query { id: CheckId::from(id), asks };
        let mut queries = Vec::new();
        if self.os.is_some() {
            queries.push(query(SUPPORTED_OS, Asks::Os));
        }
        if self.mac.is_some() {
            queries.push(query(KNOWN_HARDWARE, Asks::Mac));
        }
        if self.domain.is_some() {
            queries.push(query(OFFICE_DOMAIN, Asks::Domain));
        }
        if let Some(gateway) = &self.gateway {
            queries.push(query(GATEWAY_PROGRAM, Asks::process(&gateway.path)));
        }
        let programs = std::iter::once(&self.agent).chain(&self.resident);
        queries.push(query(PROTECTION_AGENT, Asks::processes(programs.map(|program| &program.path))));
        queries
    }
}

fn running_program(inventory: &Inventory, path: &str) -> Option<Program> {
    let process = inventory.processes.get(path)?.known().filter(|process| process.running)?;
    Some(Program { path: process.path.clone(), sha256: sha256(process) })
}

/// A hardware address as people write it.
fn with_colons(mac: &str) -> String {
    let digits: Vec<char> = mac.chars().filter(char::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| pair.iter().collect::<String>()).collect::<Vec<_>>().join(":")
}

fn sha256(process: &Process) -> Option<String> {
    process.digests.known().map(|digests| digests.by(DIGEST).to_owned())
}

/// A process that was there before and will be there for a while: the lowest id whose executable can be read. Programs by
/// the names of ours are passed over: they belong to another demo, and end with it.
fn resident(collectors: &Collectors, ours: [Option<&str>; 2]) -> Option<Program> {
    let Collected::Known(survey) = collectors.processes().survey(collectors.machine()) else { return None };
    let names: Vec<_> = ours.into_iter().flatten().filter_map(|path| Path::new(path).file_name()).collect();
    let is_ours = |path: &str| Path::new(path).file_name().is_none_or(|name| names.contains(&name));
    let strangers = survey.list().iter().filter(|process| !is_ours(&process.path));
    strangers.take(CANDIDATES_MAX).find_map(|process| readable_program(&survey, &process.path))
}

fn readable_program(survey: &Survey<'_>, path: &str) -> Option<Program> {
    let bytes = fs::metadata(PathBuf::from(path)).ok()?.len();
    if bytes > CANDIDATE_BYTES_MAX {
        return None;
    }
    let found = survey.find(path);
    let process = found.known().filter(|process| process.running && process.in_place)?;
    Some(Program { path: process.path.clone(), sha256: Some(sha256(process)?) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_spoiled_report_says_the_opposite_of_the_true_one() {
        let process = Answer::Process {
            path: "/opt/agent".to_owned(),
            is_running: true,
            hash: "ab".to_owned(),
            signer_fingerprints: Vec::new(),
        };
        let os = Answer::Os { name: "Linux".to_owned(), version: "6.1.0".to_owned(), build: Some("x".to_owned()) };
        let answers = [os, process].map(|answer| PostureResponse { id: CheckId::from("x"), answer });
        let spoiled = spoiled(&answers);
        assert!(
            matches!(&spoiled[0].answer, Answer::Os { name, version, build: None } if name == "Linux" && version == "1.0.0")
        );
        assert!(matches!(&spoiled[1].answer, Answer::Process { is_running: false, hash, .. } if hash.is_empty()));
    }

    #[test]
    fn the_agent_is_reported_as_the_machine_sees_it_or_else_as_the_demo_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let agent_path = folder.path().join("agent-of-a-test");
        let (machine, facts) = Machine::survey(Arc::new(SystemClock), &agent_path);
        assert_eq!(facts.agent.sha256, None);
        let sees_processes = machine.collectors.collect([agent_path.to_str().unwrap()]).processes;
        let sees_processes = sees_processes.values().all(|process| process.known().is_some());
        for agent_runs in [true, false] {
            let answers = machine.answers(agent_runs).into_iter();
            let told = answers.filter_map(|response| match response.answer {
                Answer::Process { path, is_running, .. } if agent_path == Path::new(&path) => Some(is_running),
                _ => None,
            });
            assert_eq!(told.collect::<Vec<_>>(), [agent_runs && !sees_processes]);
        }
    }
}
