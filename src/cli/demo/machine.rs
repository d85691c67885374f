//! This machine: what is true of it when the demo starts, and what it says when it is asked again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::agent::{
    Changes, Collected, Collector, DomainCollector, Gatherer, MacCollector, OperatingSystem, OsCollector, Process,
    Survey,
};
use crate::clock::SharedClock;
use crate::dialect::native::{Wanted, WantedFact, WantedProcess};

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

/// This machine, asked again and again, as the agent asks it.
#[derive(Debug)]
pub(super) struct Machine {
    gatherer: Gatherer,
    agent_path: String,
    wanted: Wanted,
}

/// A native posture report.
pub(super) type PostureReport = Map<String, Value>;

impl Machine {
    /// Looks at this machine for the first time. The agent at `agent_path` must be running. Blocks.
    pub(super) fn survey(clock: SharedClock, agent_path: &Path) -> (Self, Facts) {
        let gatherer = Gatherer::new(clock);
        let agent_path = agent_path.display().to_string();
        let facts = Facts::of(&gatherer, &agent_path);
        let wanted = facts.wanted();
        (Machine { gatherer, agent_path, wanted }, facts)
    }

    /// Looks again at what the demo's checks ask about. Blocks.
    ///
    /// Whether the agent runs, the demo knows first-hand: `agent_runs` stands in where the system hides the processes of
    /// others, and so does not let anybody say that something is not running.
    pub(super) fn report(&self, agent_runs: bool) -> PostureReport {
        let mut report = self.gatherer.gather(&self.wanted, Changes::default()).report;
        let about_agent = |told: &Value| told.get("path").is_some_and(|path| *path == self.agent_path);
        let mut processes = list_in(&report, "processes");
        if !processes.iter().any(about_agent) {
            processes.push(json!({ "path": self.agent_path, "running": agent_runs }));
            let mut unknown = list_in(&report, "unknown");
            unknown.retain(|unknown| !about_agent(unknown));
            report.insert("processes".to_owned(), processes.into());
            report.insert("unknown".to_owned(), unknown.into());
        }
        report
    }
}

/// The same report as a machine would make that is in no good state.
pub(super) fn spoiled(report: &PostureReport) -> PostureReport {
    let mut spoiled = report.clone();
    if let Some(name) = report.get("os").and_then(|os| os.get("name")) {
        spoiled.insert("os".to_owned(), json!({ "name": name, "version": "1.0.0" }));
    }
    if report.contains_key("macAddresses") {
        spoiled.insert("macAddresses".to_owned(), json!([FOREIGN_MAC]));
    }
    let mut processes = list_in(report, "processes");
    for process in processes.iter_mut().filter_map(Value::as_object_mut) {
        process.insert("running".to_owned(), false.into());
        process.retain(|name, _| !name.starts_with("sha"));
    }
    spoiled.insert("processes".to_owned(), processes.into());
    spoiled
}

fn list_in(report: &PostureReport, name: &str) -> Vec<Value> {
    report.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

impl Facts {
    fn of(gatherer: &Gatherer, agent_path: &str) -> Self {
        let machine = gatherer.machine();
        let own_path = std::env::current_exe().ok().map(|path| path.display().to_string());
        let mut unknown = Vec::new();
        let mut learn = |what: &str, obstacle: Option<String>| {
            unknown.extend(obstacle.map(|obstacle| format!("{what}: {obstacle}")));
        };
        let (os, macs) = (OsCollector.collect(machine), MacCollector.collect(machine));
        learn("operating system", os.obstacle().map(ToString::to_string));
        learn("hardware addresses", macs.obstacle().map(ToString::to_string));
        let mac = macs.known().and_then(|macs| macs.first()).map(|mac| with_colons(mac));
        if mac.is_none() && macs.obstacle().is_none() {
            learn("hardware addresses", Some("this machine has none".to_owned()));
        }
        let survey = gatherer.processes().survey(machine);
        let found = own_path.as_deref().map(|path| find(&survey, path));
        let gateway = found.as_ref().and_then(running_program);
        if gateway.is_none() {
            let obstacle = found.as_ref().and_then(Collected::obstacle);
            learn("this process", Some(obstacle.map_or_else(|| "it was not found".to_owned(), ToString::to_string)));
        }
        let resident = survey.known().and_then(|survey| resident(survey, [own_path.as_deref(), Some(agent_path)]));
        if resident.is_none() {
            learn("another process", Some("there is none that may be inspected by this user".to_owned()));
        }
        let agent = running_program(&find(&survey, agent_path))
            .unwrap_or_else(|| Program { path: agent_path.to_owned(), sha256: None });
        let domain = DomainCollector.collect(machine).known().cloned();
        Facts { os: os.known().cloned(), mac, domain, gateway, agent, resident, unknown }
    }

    /// What the demo's checks ask about and this machine can tell.
    fn wanted(&self) -> Wanted {
        let facts = [
            (WantedFact::Os, self.os.is_some()),
            (WantedFact::MacAddresses, self.mac.is_some()),
            (WantedFact::Domain, self.domain.is_some()),
            (WantedFact::Processes, true),
        ];
        let process = |program: &Program, check: Option<&str>| WantedProcess {
            path: program.path.clone(),
            check_id: check.map(str::to_owned),
        };
        let gateway = self.gateway.iter().map(|program| process(program, Some(GATEWAY_PROGRAM)));
        let others = std::iter::once(&self.agent).chain(&self.resident).map(|program| process(program, None));
        Wanted {
            facts: facts.into_iter().filter_map(|(fact, is_known)| is_known.then_some(fact)).collect(),
            processes: gateway.chain(others).collect(),
            ..Wanted::default()
        }
    }
}

fn find(survey: &Collected<Survey<'_>>, path: &str) -> Collected<Process> {
    match survey {
        Collected::Known(survey) => survey.find(path),
        Collected::Unknown { reason } => Collected::Unknown { reason: reason.clone() },
    }
}

fn running_program(found: &Collected<Process>) -> Option<Program> {
    let process = found.known().filter(|process| process.running)?;
    Some(Program { path: process.path.clone(), sha256: sha256(process) })
}

/// A hardware address as people write it.
fn with_colons(mac: &str) -> String {
    let digits: Vec<char> = mac.chars().filter(char::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| pair.iter().collect::<String>()).collect::<Vec<_>>().join(":")
}

fn sha256(process: &Process) -> Option<String> {
    process.digests.known().map(|digests| digests.sha256.clone())
}

/// A process that was there before and will be there for a while: the lowest id whose executable can be read. Programs by
/// the names of ours are passed over: they belong to another demo, and end with it.
fn resident(survey: &Survey<'_>, ours: [Option<&str>; 2]) -> Option<Program> {
    let names: Vec<_> = ours.into_iter().flatten().filter_map(|path| Path::new(path).file_name()).collect();
    let is_ours = |path: &str| Path::new(path).file_name().is_none_or(|name| names.contains(&name));
    let strangers = survey.list().iter().filter(|process| !is_ours(&process.path));
    strangers.take(CANDIDATES_MAX).find_map(|process| readable_program(survey, &process.path))
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
        let report = json!({
            "os": {"name": "Linux", "version": "6.1.0", "build": "x"},
            "hostname": "laptop-7",
            "macAddresses": ["02fc00000001"],
            "processes": [{"path": "/opt/agent", "checkId": "x", "running": true, "sha256": "ab", "sha512": "cd"}],
        });
        let expected = json!({
            "os": {"name": "Linux", "version": "1.0.0"},
            "hostname": "laptop-7",
            "macAddresses": [FOREIGN_MAC],
            "processes": [{"path": "/opt/agent", "checkId": "x", "running": false}],
        });
        assert_eq!(Value::from(spoiled(report.as_object().unwrap())), expected);
    }

    #[test]
    fn the_agent_is_reported_as_the_machine_sees_it_or_else_as_the_demo_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let agent_path = folder.path().join("agent-of-a-test");
        let (machine, facts) = Machine::survey(Arc::new(SystemClock), &agent_path);
        assert_eq!(facts.agent.sha256, None);
        let survey = machine.gatherer.processes().survey(machine.gatherer.machine());
        let sees_processes = find(&survey, agent_path.to_str().unwrap()).known().is_some();
        for agent_runs in [true, false] {
            let report = machine.report(agent_runs);
            let processes = report["processes"].as_array().unwrap().iter();
            let told = processes.filter(|process| agent_path == Path::new(process["path"].as_str().unwrap()));
            let told: Vec<_> = told.map(|process| process["running"].as_bool().unwrap()).collect();
            assert_eq!(told, [agent_runs && !sees_processes]);
        }
    }
}
