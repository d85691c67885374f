//! One collection for a gateway: what it wants to know, and a little more for people, as a native posture report.
//!
//! What cannot be read is told as unknown, with the reason: the gateway then knows nothing of it, which opens nothing, and operators
//! and the machine's owner can see why.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::file::Files;
use super::process::{Process, Processes, Survey};
use super::watch::Changes;
use super::{
    Collected, Collector, DomainCollector, FirewallCollector, HostnameCollector, MacCollector, Machine, Obstacle,
    OsCollector, ProductCollector, ScreenCollector, SerialNumberCollector, VolumeCollector, antivirus, certificate,
};
use crate::clock::SharedClock;
use crate::dialect::native::{Wanted, WantedFact};
use crate::limits;
use crate::posture::check::file::expand;
use crate::posture::inventory::UnknownFact;
use crate::posture::platform::{Family, Platform};

/// Collects for reports. Keep it: it remembers digests from one collection to the next.
#[derive(Debug)]
pub struct Gatherer {
    machine: Machine,
    clock: SharedClock,
    processes: Processes,
    files: Files,
    /// Where variables of paths come from.
    variable: fn(&str) -> Option<String>,
}

/// What one collection found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gathered {
    /// The native posture report.
    pub report: Map<String, Value>,
    /// What cannot be told, as the report has it.
    pub unknown: Vec<UnknownFact>,
}

impl Gatherer {
    /// Collects from the machine this program runs on.
    pub fn new(clock: SharedClock) -> Self {
        Gatherer::of(Machine::this(), clock)
    }

    /// Collects from `machine`.
    pub fn of(machine: Machine, clock: SharedClock) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Gatherer { machine, clock, processes: Processes::default(), files: Files::default(), variable }
    }

    /// The machine that is looked at.
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The processes, for who looks at more of them than a gateway asks for.
    pub const fn processes(&self) -> &Processes {
        &self.processes
    }

    /// Collects what is wanted, and by what people recognise a device: its system, host name and product, and whether its screen is
    /// locked. Tells of what just happened. Reads files and digests executables: call it where blocking is allowed.
    pub fn gather(&self, wanted: &Wanted, happened: Changes) -> Gathered {
        let mut found = Gathered::default();
        found.add("os", OsCollector.collect(&self.machine).map(|os| os.to_report()));
        found.add("hostname", HostnameCollector.collect(&self.machine));
        found.add("product", ProductCollector.collect(&self.machine));
        found.add("screenLocked", ScreenCollector.collect(&self.machine));
        let environment = self.environment(wanted);
        self.add_simple(wanted, &mut found);
        if wanted.wants(WantedFact::Processes) || wanted.wants(WantedFact::Antivirus) {
            let survey = self.processes.survey(&self.machine);
            if wanted.wants(WantedFact::Processes) {
                found.add_processes(wanted, &environment, &survey);
            }
            if wanted.wants(WantedFact::Antivirus) {
                found.add("antivirus", antivirus::collect(&self.machine, &survey, self.clock.now()));
            }
        }
        if wanted.wants(WantedFact::Files) {
            found.add_files(wanted, &environment, &self.files, &self.machine);
        }
        if wanted.wants(WantedFact::Environment) {
            found.add("environment", Collected::Known(environment));
        }
        if happened.woken || happened.unlocked {
            let endpoint = json!({ "woken": happened.woken, "unlocked": happened.unlocked });
            found.add("endpoint", Collected::Known(endpoint));
        }
        found.unknown.truncate(limits::INVENTORY_ENTRIES_MAX);
        // Also when there is nothing: what was unknown before is not any more.
        found.report.insert("unknown".to_owned(), json!(found.unknown));
        found
    }

    /// Whether somebody asked for what cannot be told. Much of what only helps to recognise a device is not there on every machine.
    pub fn is_missed(wanted: &Wanted, unknown: &UnknownFact) -> bool {
        match unknown.fact.as_str() {
            "os" => wanted.wants(WantedFact::Os),
            "hostname" => wanted.wants(WantedFact::Hostname),
            "product" => false,
            "screenLocked" => wanted.wants(WantedFact::Endpoint),
            _ => true,
        }
    }

    fn add_simple(&self, wanted: &Wanted, found: &mut Gathered) {
        let machine = &self.machine;
        for fact in &wanted.facts {
            match fact {
                WantedFact::Domain => found.add("domain", DomainCollector.collect(machine)),
                WantedFact::MacAddresses => found.add("macAddresses", MacCollector.collect(machine)),
                WantedFact::Volumes => found.add("volumes", VolumeCollector.collect(machine).map(told_volumes)),
                WantedFact::Firewall => {
                    let firewall = FirewallCollector.collect(machine).map(|on| json!({ "packetFilter": on }));
                    found.add("firewall", firewall);
                }
                WantedFact::SerialNumber => found.add("serialNumber", SerialNumberCollector.collect(machine)),
                WantedFact::Certificates => {
                    let (paths, stores) = (&wanted.certificate_paths, &wanted.certificate_stores);
                    found.add("certificates", certificate::held_certificates(machine, paths, stores));
                }
                WantedFact::UniqueClientId => found.unsupported("uniqueClientId", "an id from device management"),
                WantedFact::Tunnel => found.unsupported("tunnel", "a tunnel client"),
                WantedFact::Other => found.unsupported("other", "something this program does not know"),
                WantedFact::Os
                | WantedFact::Hostname
                | WantedFact::Processes
                | WantedFact::Files
                | WantedFact::Antivirus
                | WantedFact::Environment
                // Told when it happens.
                | WantedFact::Endpoint => {}
            }
        }
    }

    /// The variables that paths use, as far as they are set.
    fn environment(&self, wanted: &Wanted) -> BTreeMap<String, String> {
        let set = wanted.environment.iter().filter_map(|name| Some((name.clone(), (self.variable)(name)?)));
        set.collect()
    }

    /// The paths of the wanted programs and files with their variables replaced, to be watched.
    pub fn watched(&self, wanted: &Wanted) -> (Vec<String>, Vec<String>) {
        let environment = self.environment(wanted);
        let expanded = |path: &String| expand(self.family(), path, &environment);
        let programs = wanted.processes.iter().filter_map(|process| expanded(&process.path));
        let files = wanted.files.iter().chain(&wanted.certificate_paths).filter_map(expanded);
        (programs.collect(), files.collect())
    }

    fn family(&self) -> Family {
        family_of(&self.machine)
    }
}

fn family_of(machine: &Machine) -> Family {
    match machine.platform() {
        Some(Platform::Windows | Platform::WindowsServer) => Family::Windows,
        Some(Platform::MacOs) => Family::Mac,
        _ => Family::Linux,
    }
}

fn told_volumes(volumes: Vec<super::Volume>) -> Value {
    let told = volumes.into_iter().map(|volume| match volume.encrypted {
        Some(encrypted) => json!({ "name": volume.name, "encrypted": encrypted }),
        None => json!({ "name": volume.name }),
    });
    told.collect()
}

impl Gathered {
    fn add<T: Serialize>(&mut self, name: &str, collected: Collected<T>) {
        match collected {
            // Texts, numbers and lists of them can always be written.
            Collected::Known(fact) => drop(self.report.insert(name.to_owned(), json!(fact))),
            Collected::Unknown { reason } => self.miss(name, None, &reason),
        }
    }

    fn miss(&mut self, fact: &str, path: Option<&str>, reason: &Obstacle) {
        // It names a path, which may be as long as anything in a report by itself.
        let detail = reason.to_string().chars().take(limits::FACT_TEXT_BYTES_MAX / 4).collect();
        let (fact, path) = (fact.to_owned(), path.map(str::to_owned));
        self.unknown.push(UnknownFact { fact, path, reason: reason.code().to_owned(), detail });
    }

    fn unsupported(&mut self, fact: &str, what: &'static str) {
        self.miss(fact, None, &Obstacle::Unsupported { what });
    }

    fn add_processes(
        &mut self,
        wanted: &Wanted,
        environment: &BTreeMap<String, String>,
        survey: &Collected<Survey<'_>>,
    ) {
        let survey = match survey {
            Collected::Known(survey) => survey,
            Collected::Unknown { reason } => return self.miss("processes", None, reason),
        };
        let mut told = Vec::new();
        let mut known: BTreeMap<&str, Collected<Process>> = BTreeMap::new();
        for process in wanted.processes.iter().take(limits::PROCESSES_PER_IDENTITY_MAX) {
            // A path with a variable that is not set leads nowhere, which the environment says.
            let Some(path) = expand(Family::Linux, &process.path, environment) else { continue };
            match known.entry(&process.path).or_insert_with(|| survey.find(&path)) {
                Collected::Known(found) => {
                    told.push(self.told_process(&process.path, process.check_id.as_deref(), found));
                }
                Collected::Unknown { reason } => {
                    let reason = reason.clone();
                    self.miss("processes", Some(&process.path), &reason);
                }
            }
        }
        self.report.insert("processes".to_owned(), told.into());
    }

    fn told_process(&mut self, path: &str, check: Option<&str>, found: &Process) -> Value {
        let mut told = json!({ "path": path, "running": found.running });
        let Some(members) = told.as_object_mut() else { return told };
        if let Some(check) = check {
            members.insert("checkId".to_owned(), check.into());
        }
        match &found.digests {
            Collected::Known(digests) => {
                members.insert("sha256".to_owned(), digests.sha256.as_str().into());
                members.insert("sha512".to_owned(), digests.sha512.as_str().into());
            }
            Collected::Unknown { reason } if found.running => self.miss("digest", Some(path), reason),
            Collected::Unknown { .. } => {}
        }
        told
    }

    fn add_files(&mut self, wanted: &Wanted, environment: &BTreeMap<String, String>, files: &Files, machine: &Machine) {
        let mut told = Vec::new();
        for written in &wanted.files {
            let Some(path) = expand(family_of(machine), written, environment) else { continue };
            match files.find(path.as_ref()) {
                Collected::Unknown { reason } => self.miss("files", Some(written), &reason),
                Collected::Known(found) => {
                    let mut file = json!({ "path": written, "exists": found.exists });
                    match (found.digests, file.as_object_mut()) {
                        (Some(Collected::Known(digests)), Some(members)) => {
                            members.insert("sha256".to_owned(), digests.sha256.into());
                        }
                        (Some(Collected::Unknown { reason }), _) => {
                            self.miss("digest", Some(written), &reason);
                        }
                        _ => {}
                    }
                    told.push(file);
                }
            }
        }
        self.report.insert("files".to_owned(), told.into());
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::dialect::native::{WantedProcess, read_posture_report};
    use crate::posture::facts::Source;

    fn fixture() -> (tempfile::TempDir, Gatherer, String) {
        let files = [
            ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
            ("proc/sys/kernel/hostname", "laptop-7\n"),
            ("proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"),
            ("sys/class/dmi/id/product_name", "ThinkPad X1\n"),
            ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
            ("proc/1/comm", "agent\n"),
            ("opt/agent", "abc"),
        ];
        let (root, machine) = Machine::with_files(Platform::Linux, &files);
        let agent = root.path().join("opt/agent").display().to_string();
        symlink(&agent, root.path().join("proc/1/exe")).unwrap();
        let mut gatherer = Gatherer::of(machine, ManualClock::at(Timestamp::from_millis(1)));
        gatherer.variable = |name| (name == "HOME").then(|| "/root".to_owned());
        (root, gatherer, agent)
    }

    fn process(path: &str, check: Option<&str>) -> WantedProcess {
        WantedProcess { path: path.to_owned(), check_id: check.map(str::to_owned) }
    }

    fn missed(found: &Gathered) -> Vec<(&str, Option<&str>, &str)> {
        let unknown = found.unknown.iter();
        unknown.map(|unknown| (unknown.fact.as_str(), unknown.path.as_deref(), unknown.reason.as_str())).collect()
    }

    #[test]
    fn nothing_is_told_that_nobody_asks_for_but_what_a_device_is_recognised_by() {
        let (_root, gatherer, _) = fixture();
        let wanted = Wanted::default();
        let found = gatherer.gather(&wanted, Changes::default());
        let os = json!({"name": "Linux", "version": "6.1.0", "extra": "18", "build": "debian 12, kernel 6.1.0-18-amd64",
            "distribution": {"name": "debian", "revision": "12"}});
        assert_eq!(missed(&found), [("screenLocked", None, "absent")]);
        assert!(!Gatherer::is_missed(&wanted, &found.unknown[0]));
        let asked = Wanted { facts: vec![WantedFact::Endpoint], ..wanted };
        assert!(Gatherer::is_missed(&asked, &found.unknown[0]));
        let report = json!({"os": os, "hostname": "laptop-7", "product": "ThinkPad X1", "unknown": found.unknown});
        assert_eq!(Value::from(found.report), report);
    }

    #[test]
    fn everything_wanted_is_told_or_missed_with_its_reason_and_the_gateway_can_read_it() {
        let (root, gatherer, agent) = fixture();
        let absent = root.path().join("opt/absent").display().to_string();
        let wanted = Wanted {
            facts: vec![
                WantedFact::Processes,
                WantedFact::Files,
                WantedFact::Volumes,
                WantedFact::MacAddresses,
                WantedFact::SerialNumber,
                WantedFact::Antivirus,
                WantedFact::Certificates,
                WantedFact::Environment,
                WantedFact::Tunnel,
                WantedFact::Other,
            ],
            processes: vec![
                process(&agent, Some("one")),
                process(&agent, None),
                process(&absent, None),
                process("${NO}/x", None),
            ],
            files: vec![agent.clone(), absent.clone(), "${HOME}/.nothing-here".to_owned()],
            environment: vec!["HOME".to_owned(), "NO".to_owned()],
            ..Wanted::default()
        };
        let found = gatherer.gather(&wanted, Changes { woken: true, ..Changes::default() });
        let report = &found.report;
        let running = &report["processes"];
        assert_eq!((&running[0]["checkId"], &running[0]["running"]), (&json!("one"), &json!(true)));
        assert_eq!((running[1]["sha512"].as_str().unwrap().len(), &running[2]["running"]), (128, &json!(false)));
        assert_eq!(running.as_array().unwrap().len(), 3);
        assert!(report["files"][0]["sha256"].as_str().unwrap().starts_with("ba7816bf"));
        assert_eq!(report["files"][1], json!({"path": absent, "exists": false}));
        assert_eq!(report["files"][2], json!({"path": "${HOME}/.nothing-here", "exists": false}));
        assert_eq!(report["volumes"], json!([{"name": "/"}]));
        assert_eq!(report["environment"], json!({"HOME": "/root"}));
        assert_eq!((&report["antivirus"], &report["certificates"]), (&json!([]), &json!([])));
        assert_eq!(report["endpoint"], json!({"woken": true, "unlocked": false}));
        let expected = [
            ("screenLocked", None, "absent"),
            ("macAddresses", None, "absent"),
            ("serialNumber", None, "absent"),
            ("tunnel", None, "unsupported"),
            ("other", None, "unsupported"),
        ];
        assert_eq!(missed(&found), expected);

        let body = serde_json::to_vec(report).unwrap();
        let read = read_posture_report(&body, Timestamp::from_millis(2), Source::Device).unwrap();
        let posture = crate::posture::Posture::default().apply(&read).unwrap();
        assert_eq!(posture.inventory().product.as_ref().unwrap().value, "ThinkPad X1");
        assert_eq!(posture.inventory().unknown.as_ref().unwrap().value, found.unknown);
    }

    #[test]
    fn a_process_that_may_be_hidden_is_missed_and_not_told_as_ended() {
        let (root, gatherer, _) = fixture();
        fs::create_dir_all(root.path().join("proc/9")).unwrap();
        fs::write(root.path().join("proc/9/exe"), "not a link").unwrap();
        fs::write(root.path().join("proc/9/comm"), "guard\n").unwrap();
        fs::write(root.path().join("proc/9/cmdline"), "guard").unwrap();
        let wanted = Wanted {
            facts: vec![WantedFact::Processes],
            processes: vec![process("/opt/guard", None)],
            ..Wanted::default()
        };
        let found = gatherer.gather(&wanted, Changes::default());
        assert_eq!(found.report["processes"], json!([]));
        assert_eq!(missed(&found)[1], ("processes", Some("/opt/guard"), "hidden-process"));
    }

    #[test]
    fn no_more_processes_are_looked_for_than_a_gateway_keeps() {
        let (_root, gatherer, _) = fixture();
        let paths = (0..=limits::PROCESSES_PER_IDENTITY_MAX).map(|number| process(&format!("/opt/{number}"), None));
        let wanted = Wanted { facts: vec![WantedFact::Processes], processes: paths.collect(), ..Wanted::default() };
        let found = gatherer.gather(&wanted, Changes::default());
        assert_eq!(found.report["processes"].as_array().unwrap().len(), limits::PROCESSES_PER_IDENTITY_MAX);
    }

    #[test]
    fn this_machine_knows_its_system_and_its_own_process() {
        let myself = fs::canonicalize(std::env::current_exe().unwrap()).unwrap().display().to_string();
        let gatherer = Gatherer::new(std::sync::Arc::new(crate::clock::SystemClock));
        let wanted =
            Wanted { facts: vec![WantedFact::Processes], processes: vec![process(&myself, None)], ..Wanted::default() };
        let report = gatherer.gather(&wanted, Changes::default()).report;
        assert_eq!(report["os"]["name"], "Linux");
        assert_eq!(report["os"]["version"].as_str().unwrap().split('.').count(), 3);
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(report["hostname"], hostname.trim());
        assert_eq!(report["processes"][0]["running"], true);
    }

    #[test]
    fn what_is_watched_has_its_variables_replaced() {
        let (_root, gatherer, _) = fixture();
        let wanted = Wanted {
            processes: vec![process("${HOME}/bin/x", None), process("${NO}/y", None)],
            files: vec!["${HOME}/.ok".to_owned()],
            environment: vec!["HOME".to_owned()],
            ..Wanted::default()
        };
        assert_eq!(gatherer.watched(&wanted), (vec!["/root/bin/x".to_owned()], vec!["/root/.ok".to_owned()]));
    }
}
