//! Everything collected at one time, and its way into a posture report.

use std::collections::BTreeMap;

use serde::Serialize;

use super::digest::HashAlgorithm;
use super::process::{Process, Processes};
use super::response::{Answers, Asks, PostureResponse, Query, Unanswered};
use super::{
    Collected, Collector, DomainCollector, HostnameCollector, MacCollector, Machine, Obstacle, OperatingSystem,
    OsCollector,
};
use crate::clock::{SharedClock, Timestamp};
use crate::limits;
use crate::posture::Platform;
use crate::posture::facts;
use crate::posture::report::Seen;

/// All collectors of one machine. Keep it: it remembers digests from one collection to the next.
#[derive(Debug)]
pub struct Collectors {
    machine: Machine,
    clock: SharedClock,
    processes: Processes,
}

impl Collectors {
    /// Collectors for the machine this program runs on.
    pub fn new(clock: SharedClock) -> Self {
        Collectors::of(Machine::this(), clock)
    }

    /// Collectors for a Linux machine whose file system lies below `root`.
    pub fn at(root: impl Into<std::path::PathBuf>, clock: SharedClock) -> Self {
        Collectors::of(Machine::at(root, Platform::Linux), clock)
    }

    /// Collectors for `machine`.
    pub fn of(machine: Machine, clock: SharedClock) -> Self {
        Collectors { machine, clock, processes: Processes::default() }
    }

    /// The machine that is looked at.
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The process collector, to list what runs.
    pub const fn processes(&self) -> &Processes {
        &self.processes
    }

    /// Collects everything, and of the processes those whose executables are named by `paths`.
    ///
    /// Reads files and digests executables: call it where blocking is allowed.
    pub fn collect<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Inventory {
        let observed_at = self.clock.now();
        Inventory {
            observed_at,
            hostname: HostnameCollector.collect(&self.machine),
            os: OsCollector.collect(&self.machine),
            domain: DomainCollector.collect(&self.machine),
            macs: MacCollector.collect(&self.machine),
            processes: self.find_processes(paths),
        }
    }

    /// Collects what `queries` ask about.
    pub fn collect_for(&self, queries: &[Query]) -> Inventory {
        self.collect(queries.iter().flat_map(|query| query.asks.paths()))
    }

    fn find_processes<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, Collected<Process>> {
        let survey = self.processes.survey(&self.machine);
        let mut found = BTreeMap::new();
        for path in paths {
            if found.contains_key(path) || found.len() == limits::PROCESSES_PER_IDENTITY_MAX {
                continue;
            }
            let process = match &survey {
                Collected::Known(survey) => survey.find(path),
                Collected::Unknown { reason } => Collected::Unknown { reason: reason.clone() },
            };
            found.insert(path.to_owned(), process);
        }
        found
    }
}

/// What a machine could say about itself at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// When the collection began.
    pub observed_at: Timestamp,
    /// The machine's name.
    pub hostname: Collected<String>,
    /// Its operating system.
    pub os: Collected<OperatingSystem>,
    /// The domain it is joined to; empty when to none.
    pub domain: Collected<String>,
    /// Its hardware addresses.
    pub macs: Collected<Vec<String>>,
    /// The processes that were asked for, by path; at most [`limits::PROCESSES_PER_IDENTITY_MAX`].
    pub processes: BTreeMap<String, Collected<Process>>,
}

impl Inventory {
    /// Everything known, as posture observations. What is unknown is left out.
    pub fn observations(&self, algorithm: HashAlgorithm) -> Vec<Seen> {
        let machine = [&Asks::Os, &Asks::Domain, &Asks::Mac].into_iter();
        let machine = machine.filter_map(|asks| self.seen(asks, algorithm)?.ok());
        let processes = self.processes.values().filter_map(Collected::known);
        machine.chain(processes.map(|process| seen_process(process, algorithm))).collect()
    }

    /// Answers each of `queries`, in order, as OpenZiti posture responses.
    ///
    /// A query about something unknown is not answered and listed as such. A query that no response exists for (MFA) is
    /// passed over.
    pub fn answers(&self, queries: &[Query], algorithm: HashAlgorithm) -> Answers {
        let mut answers = Answers::default();
        for query in queries {
            let paths = query.asks.paths();
            let seen = match self.seen(&query.asks, algorithm) {
                Some(seen) => vec![seen],
                None => paths.map(|path| self.seen_at(path, algorithm)).collect(),
            };
            for outcome in seen {
                match outcome {
                    Ok(seen) => answers.responses.extend(PostureResponse::new(&query.id, seen)),
                    Err(reason) => answers.unanswered.push(Unanswered { id: query.id.clone(), reason }),
                }
            }
        }
        answers
    }

    /// The one observation that answers a question about the machine as a whole; `None` for other questions.
    fn seen(&self, asks: &Asks, algorithm: HashAlgorithm) -> Option<Result<Seen, Obstacle>> {
        let seen = match asks {
            Asks::Os => self.os.as_result().map(|os| Seen::Os(os.to_fact())),
            Asks::Domain => self.domain.as_result().map(|domain| Seen::Domain(domain.clone())),
            Asks::Mac => self.macs.as_result().map(|macs| Seen::Macs(macs.clone())),
            Asks::Process { process } => return Some(self.seen_at(&process.path, algorithm)),
            Asks::ProcessMulti { .. } | Asks::Other => return None,
        };
        Some(seen.map_err(Obstacle::clone))
    }

    fn seen_at(&self, path: &str, algorithm: HashAlgorithm) -> Result<Seen, Obstacle> {
        match self.processes.get(path) {
            Some(Collected::Known(process)) => Ok(seen_process(process, algorithm)),
            Some(Collected::Unknown { reason }) => Err(reason.clone()),
            None => Err(Obstacle::NotCollected { path: path.to_owned() }),
        }
    }
}

/// A running process whose binary cannot be digested is still running: it is reported without a digest, which satisfies
/// only a check that asks for none.
fn seen_process(process: &Process, algorithm: HashAlgorithm) -> Seen {
    let digests = process.digests.known();
    Seen::Process(facts::Process {
        path: process.path.clone(),
        running: process.running,
        hash: digests.map_or_else(String::new, |digests| digests.by(algorithm).to_owned()),
        more_hashes: Vec::new(),
        signer_fingerprints: Vec::new(),
    })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::id::CheckId;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn fixture() -> (tempfile::TempDir, Collectors, String) {
        let root = tempfile::tempdir().unwrap();
        let agent = root.path().join("opt/agent").display().to_string();
        for (path, content) in [
            ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
            ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
            ("sys/class/net/eth0/type", "1\n"),
            ("sys/class/net/eth0/flags", "0x1003\n"),
            ("sys/class/net/eth0/address", "14:b2:2c:e5:f0:61\n"),
            ("proc/1/comm", "agent\n"),
            ("opt/agent", "abc"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        symlink(&agent, root.path().join("proc/1/exe")).unwrap();
        let collectors = Collectors::at(root.path(), ManualClock::at(NOW));
        (root, collectors, agent)
    }

    fn query(id: &str, asks: Asks) -> Query {
        Query { id: CheckId::from(id), asks }
    }

    #[test]
    fn a_collection_becomes_observations_and_leaves_out_what_is_unknown() {
        let (root, collectors, agent) = fixture();
        fs::write(root.path().join("sys/class/net/eth0/flags"), "garbage").unwrap();
        let inventory = collectors.collect([agent.as_str()]);

        assert_eq!(inventory.observed_at, NOW);
        assert_eq!(inventory.hostname.obstacle().unwrap().code(), "absent");
        assert_eq!(
            inventory.observations(HashAlgorithm::Sha256),
            [
                Seen::Os(facts::Os {
                    name: "Linux".to_owned(),
                    version: "6.1.0".to_owned(),
                    build: Some("debian 12, kernel 6.1.0-18-amd64".to_owned()),
                    ..facts::Os::default()
                }),
                Seen::Domain(String::new()),
                Seen::Process(facts::Process {
                    path: agent,
                    running: true,
                    hash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
                    more_hashes: Vec::new(),
                    signer_fingerprints: Vec::new(),
                }),
            ]
        );
    }

    #[test]
    fn queries_are_answered_in_order_and_under_their_own_ids() {
        let (_root, collectors, agent) = fixture();
        let queries = [
            query("mac", Asks::Mac),
            query("mfa", Asks::Other),
            query("multi", Asks::processes([agent.as_str(), "/opt/absent"])),
            query("single", Asks::process(&agent)),
        ];
        let inventory = collectors.collect_for(&queries);
        let answers = inventory.answers(&queries, HashAlgorithm::Sha512);
        let ids: Vec<_> = answers.responses.iter().map(|response| response.id.as_str()).collect();
        assert_eq!(ids, ["mac", "multi", "multi", "single"]);
        assert!(answers.unanswered.is_empty());

        let json = serde_json::to_value(&answers.responses).unwrap();
        assert_eq!(json[0], serde_json::json!({"id": "mac", "typeId": "MAC", "macAddresses": ["14b22ce5f061"]}));
        assert_eq!(json[1]["hash"].as_str().unwrap().len(), 128);
        assert_eq!(json[2]["isRunning"], false);
    }

    #[test]
    fn a_query_about_something_unknown_is_listed_and_not_answered() {
        let (root, collectors, _) = fixture();
        fs::remove_dir_all(root.path().join("sys")).unwrap();
        let queries = [query("mac", Asks::Mac), query("os", Asks::Os)];
        let inventory = collectors.collect_for(&queries);
        let answers = inventory.answers(&queries, HashAlgorithm::Sha256);
        assert_eq!(answers.responses.len(), 1);
        let unanswered: Vec<_> = answers.unanswered.iter().map(|it| (it.id.as_str(), it.reason.code())).collect();
        assert_eq!(unanswered, [("mac", "absent")]);

        let uncollected = inventory.answers(&[query("process", Asks::process("/opt/x"))], HashAlgorithm::Sha256);
        assert_eq!(uncollected.unanswered.first().unwrap().reason.code(), "not-collected");
    }

    #[test]
    fn no_more_processes_are_looked_for_than_a_gateway_keeps() {
        let (_root, collectors, _) = fixture();
        let paths: Vec<String> = (0..=limits::PROCESSES_PER_IDENTITY_MAX).map(|n| format!("/opt/{n}")).collect();
        let inventory = collectors.collect(paths.iter().map(String::as_str));
        assert_eq!(inventory.processes.len(), limits::PROCESSES_PER_IDENTITY_MAX);
    }

    #[test]
    fn this_machine_knows_its_system_and_its_own_process() {
        let myself = fs::canonicalize(std::env::current_exe().unwrap()).unwrap().display().to_string();
        let collectors = Collectors::new(Arc::new(SystemClock));
        let inventory = collectors.collect([myself.as_str()]);

        let os = inventory.os.known().unwrap();
        assert_eq!(os.platform, Platform::Linux);
        assert_eq!(os.version.split('.').count(), 3);
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(inventory.hostname.known().unwrap(), hostname.trim());
        assert!(inventory.processes[&myself].known().unwrap().running);
    }
}
