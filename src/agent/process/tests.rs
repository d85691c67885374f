use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::posture::Platform;

/// A machine whose processes are made up by the test.
struct Fixture {
    root: tempfile::TempDir,
    processes: Processes,
}

impl Fixture {
    /// With a first process, as every machine has.
    fn new() -> Self {
        let fixture = Fixture { root: tempfile::tempdir().unwrap(), processes: Processes::default() };
        let first = fixture.executable("sbin/init", "init");
        fixture.process(1, &first);
        fixture
    }

    fn path(&self, relative: &str) -> String {
        let root = fs::canonicalize(self.root.path()).unwrap();
        root.join(relative).display().to_string()
    }

    fn executable(&self, relative: &str, content: &str) -> String {
        let path = self.path(relative);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn process(&self, pid: u32, executable: &str) {
        let folder = self.path(&format!("proc/{pid}"));
        fs::create_dir_all(&folder).unwrap();
        symlink(executable, format!("{folder}/exe")).unwrap();
    }

    /// A process whose executable cannot be read, known by its names only.
    fn hidden_process(&self, pid: u32, name: &str, arguments: &str) {
        self.executable(&format!("proc/{pid}/exe"), "not a link");
        self.executable(&format!("proc/{pid}/comm"), name);
        self.executable(&format!("proc/{pid}/cmdline"), arguments);
    }

    fn find(&self, path: &str) -> Collected<Process> {
        let machine = Machine::at(self.root.path(), Platform::Linux);
        match self.processes.survey(&machine) {
            Collected::Known(survey) => survey.find(path),
            Collected::Unknown { reason } => Collected::Unknown { reason },
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn found_sha256(process: &Collected<Process>) -> &str {
    &process.known().unwrap().digests.known().unwrap().sha256
}

#[test]
fn a_running_executable_is_found_with_its_digest_and_another_is_not_running() {
    let fixture = Fixture::new();
    let agent = fixture.executable("opt/agent", "agent one");
    fixture.process(20, &agent);
    fixture.process(7, &agent);

    let found = fixture.find(&agent);
    assert_eq!(found_sha256(&found), sha256(b"agent one"));
    let process = found.known().unwrap();
    assert!(process.running && process.in_place);
    assert_eq!(process.instances, 2);

    let other = fixture.find(&fixture.path("opt/other"));
    let process = other.known().unwrap();
    assert!(!process.running);
    assert_eq!(process.digests.obstacle().unwrap().code(), "not-running");
}

#[test]
fn a_path_through_a_linked_folder_is_the_same_program_but_a_linked_name_is_not() {
    let fixture = Fixture::new();
    let tool = fixture.executable("usr/bin/busybox", "many tools");
    fixture.process(9, &tool);
    symlink(fixture.path("usr/bin"), fixture.path("bin")).unwrap();
    symlink(&tool, fixture.path("usr/bin/sshd")).unwrap();

    let asked = fixture.path("bin/busybox");
    let found = fixture.find(&asked);
    assert_eq!(found.known().map(|process| (process.running, process.path.as_str())), Some((true, asked.as_str())));
    assert!(!fixture.find(&fixture.path("bin/sshd")).known().unwrap().running);
}

#[test]
fn a_hidden_process_makes_only_the_names_it_could_have_unknown() {
    let fixture = Fixture::new();
    fixture.hidden_process(30, "a-very-long-nam", "");
    fixture.hidden_process(31, "MainThread", "/usr/local/bin/node\0server.js\0");

    let unknown = fixture.find("/opt/a-very-long-name-indeed");
    assert_eq!(unknown.obstacle().unwrap().code(), "hidden-process");
    assert_eq!(fixture.find("/usr/local/bin/node").obstacle().unwrap().code(), "hidden-process");
    assert!(!fixture.find("/opt/other").known().unwrap().running);
}

#[test]
fn a_process_with_unreadable_names_makes_every_absence_unknown() {
    let fixture = Fixture::new();
    fixture.hidden_process(30, "name", "");
    fs::remove_file(fixture.path("proc/30/comm")).unwrap();
    fs::create_dir(fixture.path("proc/30/comm")).unwrap();

    assert_eq!(fixture.find("/opt/other").obstacle().unwrap().code(), "hidden-process");
}

#[test]
fn where_the_first_process_is_not_shown_nothing_is_said_to_be_absent() {
    let fixture = Fixture::new();
    let agent = fixture.executable("opt/agent", "agent");
    fixture.process(50, &agent);
    fs::remove_dir_all(fixture.path("proc/1")).unwrap();

    assert!(fixture.find(&agent).known().unwrap().running);
    assert_eq!(fixture.find("/opt/other").obstacle().unwrap().code(), "hidden-processes");
}

#[test]
fn a_file_that_is_really_called_deleted_keeps_its_name() {
    let fixture = Fixture::new();
    let agent = fixture.executable("opt/agent (deleted)", "agent");
    fixture.process(50, &agent);

    assert!(fixture.find(&agent).known().unwrap().running);
    assert!(!fixture.find(&fixture.path("opt/agent")).known().unwrap().running);
}

#[test]
fn kernel_threads_and_entries_that_are_no_processes_are_passed_over() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path("proc/2")).unwrap();
    fs::create_dir_all(fixture.path("proc/sys")).unwrap();
    let machine = Machine::at(fixture.root.path(), Platform::Linux);
    let survey = fixture.processes.survey(&machine);
    let survey = survey.known().unwrap();
    assert_eq!(survey.list().iter().map(|process| process.pid).collect::<Vec<_>>(), [1]);
    assert_eq!(survey.hidden_count(), 0);
}

#[test]
fn the_running_test_itself_is_found_with_the_digest_of_its_file() {
    let myself = std::env::current_exe().unwrap();
    let (machine, processes) = (Machine::this(), Processes::default());
    let survey = processes.survey(&machine);
    let survey = survey.known().unwrap();

    let listed = survey.list().iter().find(|process| process.pid == std::process::id()).unwrap();
    assert_eq!(Path::new(&listed.path), fs::canonicalize(&myself).unwrap());
    let found = survey.find(&listed.path);
    assert_eq!(found_sha256(&found), sha256(&fs::read(&myself).unwrap()));
}

#[test]
fn a_deleted_executable_that_still_runs_is_digested_as_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(folder.path()).unwrap().join("waits");
    fs::copy("/bin/cat", &path).unwrap();
    let mut child = spawn(&path);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "something else under the old name").unwrap();

    let (machine, processes) = (Machine::this(), Processes::default());
    let survey = processes.survey(&machine);
    let found = survey.known().unwrap().find(&path.display().to_string());
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(found_sha256(&found), sha256(&fs::read("/bin/cat").unwrap()));
    let process = found.known().unwrap();
    assert!(process.running && !process.in_place);

    let after = processes.survey(&machine);
    let after = after.known().unwrap().find(&path.display().to_string());
    assert_ne!(after.known().map(|process| process.running), Some(true));
}

/// Starts a program that waits for its input. Another test's child may for a moment still hold the copy open for writing.
fn spawn(path: &Path) -> Child {
    loop {
        match Command::new(path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            outcome => return outcome.unwrap(),
        }
    }
}
