//! Starts the binary, listens to what it says, and makes sure that it is gone afterwards.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

/// The binary, without anything in its environment that could change what it does.
pub(crate) fn postern(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POSTERN_") {
            command.env_remove(name);
        }
    }
    command.args(words).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn output(words: &[&str]) -> Output {
    postern(words).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A process of the binary; ended when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<BufReader<ChildStderr>>,
}

impl Running {
    pub(crate) fn start(words: &[&str]) -> Running {
        let mut child = postern(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take().map(BufReader::new);
        Running { child, stdout, stderr }
    }

    /// Reads standard output up to and including the first line that contains `wanted`.
    pub(crate) fn read_until(&mut self, wanted: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                let stderr = self.stderr.as_mut().map(rest).unwrap_or_default();
                panic!("`{wanted}` was never said, but:\n{said}\n{stderr}");
            }
            said.push_str(&line);
            if line.contains(wanted) {
                return said;
            }
        }
    }

    /// Reads the log lines on standard error up to the first with the message `wanted`, and returns that one.
    pub(crate) fn read_log_until(&mut self, wanted: &str) -> Value {
        let stderr = self.stderr.as_mut().unwrap();
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "`{wanted}` was never logged, but:\n{said}");
            said.push_str(&line);
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == wanted {
                return event;
            }
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        // The shell has `kill` built in; the program of that name is not on every machine.
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end. Reads on in the meantime, so that nothing blocks on a full pipe.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut stderr = self.stderr.take().unwrap();
        let reader = std::thread::spawn(move || rest(&mut stderr));
        rest(&mut self.stdout);
        let stderr = reader.join().unwrap();
        (self.child.wait().unwrap(), stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(reader: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A demo that has walked and serves.
pub(crate) struct ServingDemo {
    pub(crate) running: Running,
    /// What it printed.
    pub(crate) told: String,
}

impl ServingDemo {
    pub(crate) fn start(dir: &Path) -> ServingDemo {
        let mut running = Running::start(&["demo", "--dir", arg(dir)]);
        let told = running.read_until("Serving until Ctrl-C");
        ServingDemo { running, told }
    }
}

pub(crate) fn manifest(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("demo.json")).unwrap()).unwrap()
}

/// A folder with certificates, a policy and a configuration that leaves every port to the system.
pub(crate) struct Gateway {
    pub(crate) folder: tempfile::TempDir,
}

impl Gateway {
    pub(crate) fn new() -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        for words in [
            &["pki", "--dir", arg(&pki), "init"][..],
            &["pki", "--dir", arg(&pki), "issue", "server", "server", "--dns", "localhost", "--ip", "127.0.0.1"],
        ] {
            assert!(output(words).status.success());
        }
        fs::create_dir(folder.path().join("policy")).unwrap();
        let gateway = Gateway { folder };
        gateway.write("policy/objects.yaml", POLICY);
        gateway.write("postern.yaml", SETTINGS);
        gateway
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("postern.yaml")
    }
}

pub(crate) const SETTINGS: &str = "\
listeners:
  gateway: { address: 127.0.0.1:0 }
  client_api: { address: 127.0.0.1:0 }
  admin: { address: 127.0.0.1:0 }
  ops: { address: 127.0.0.1:0 }
tls:
  certificates:
    - cert_file: pki/server.pem
      key_file: pki/server.key
  client_ca_files: [pki/ca.pem]
  crl_files: [pki/crl.pem]
";

pub(crate) const POLICY: &str = "\
identities:
  - name: laptop
    subjects: [\"spiffe://example.org/laptop\"]
    role_attributes: [staff]
services:
  - name: wiki
    hosts: [wiki.example]
    upstreams: [\"127.0.0.1:1\"]
service_policies:
  - name: staff-reach-the-wiki
    identity_roles: [\"#staff\"]
    service_roles: [\"@wiki\"]
    posture_check_roles: [\"@supported-os\"]
posture_checks:
  - name: supported-os
    type: OS
    operating_systems: [Linux]
";
