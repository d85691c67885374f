//! The binary as a child process: started, listened to, told by signals, and gone when its value is dropped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

/// Longest wait for anything: enough for a debug build on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, without anything in its environment that could change what it does.
pub(crate) fn postern() -> Command {
    undisturbed(env!("CARGO_BIN_EXE_postern"))
}

/// The same for another binary.
pub(crate) fn undisturbed(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POSTERN_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The same command, run by a shell script as `"$@"` after its own `"$0"`.
pub(crate) fn in_shell(script: &str, zero: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, zero]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// What a process has logged so far.
struct Log {
    lines: Mutex<Vec<String>>,
}

/// A running gateway.
pub(crate) struct Running {
    child: Option<Child>,
    log: Arc<Log>,
    /// How many lines there are; closed when there will be no more.
    arrivals: watch::Receiver<usize>,
    reader: Option<JoinHandle<()>>,
    pub(crate) addresses: Addresses,
    /// What must never be logged.
    secrets: Vec<String>,
}

/// Where a gateway listens, as it says itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) gateway: SocketAddr,
    pub(crate) client_api: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) ops: SocketAddr,
}

/// A place in a log: everything before it is not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Mark {
    /// Before the first line.
    pub(crate) fn start() -> Mark {
        Mark(0)
    }
}

impl Running {
    /// Starts `command` and waits until it says where it listens, and looks after its files.
    pub(crate) async fn start(mut command: Command, secrets: Vec<String>) -> Running {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Log { lines: Mutex::default() });
        let (sender, arrivals) = watch::channel(0);
        let written = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                let mut lines = written.lines.lock().unwrap();
                lines.push(String::from_utf8_lossy(&line).into_owned());
                sender.send_replace(lines.len());
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let addresses = Addresses { gateway: nowhere, client_api: nowhere, admin: nowhere, ops: nowhere };
        let mut running = Running { child: Some(child), log, arrivals, reader: Some(reader), addresses, secrets };
        let listening = running.event(Mark::start(), |event| event["message"] == "listening").await;
        let address = |name: &str| listening[name].as_str().unwrap().parse().unwrap();
        running.addresses = Addresses {
            gateway: address("gateway"),
            client_api: address("client_api"),
            admin: address("admin"),
            ops: address("ops"),
        };
        // From here on it watches its files.
        let watches = |event: &Value| event["message"] == "server certificates loaded" && event["listener"] == "admin";
        running.event(Mark::start(), watches).await;
        running
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The present end of the log.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.log.lines.lock().unwrap().len())
    }

    /// Waits for the first event after `mark` that is `wanted`.
    pub(crate) async fn event(&self, mark: Mark, wanted: impl Fn(&Value) -> bool) -> Value {
        match timeout(PATIENCE, self.next_event(mark, wanted)).await {
            Ok(Some(event)) => event,
            Ok(None) => panic!("the process ended without the event that was waited for:\n{}", self.log_text()),
            Err(_) => panic!("the event that was waited for did not come:\n{}", self.log_text()),
        }
    }

    /// Waits for the first event after `mark` with this message.
    pub(crate) async fn message(&self, mark: Mark, message: &str) -> Value {
        self.event(mark, |event| event["message"] == message).await
    }

    async fn next_event(&self, mark: Mark, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let mut arrivals = self.arrivals.clone();
        let mut looked_at = mark.0;
        loop {
            let ended = arrivals.has_changed().is_err();
            arrivals.mark_unchanged();
            let found = {
                let lines = self.log.lines.lock().unwrap();
                let new = lines.get(looked_at..).unwrap_or_default();
                looked_at = lines.len();
                new.iter().map(|line| parsed(line)).find(&wanted)
            };
            if found.is_some() || ended {
                return found;
            }
            // An error means the end; one more look, then.
            let _ = arrivals.changed().await;
        }
    }

    /// Every event after `mark` that is there now.
    pub(crate) fn events(&self, mark: Mark) -> Vec<Value> {
        self.log.lines.lock().unwrap().iter().skip(mark.0).map(|line| parsed(line)).collect()
    }

    pub(crate) fn log_text(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        // The shell has `kill` built in; the program of that name is not on every machine.
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        let waiting = tokio::task::spawn_blocking(move || child.wait().unwrap());
        match timeout(PATIENCE, waiting).await {
            Ok(status) => status.unwrap(),
            Err(_) => {
                Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status().unwrap();
                panic!("the process does not end:\n{}", self.log_text());
            }
        }
    }

    /// Ends it in order: exit status 0.
    pub(crate) async fn stop(self) {
        self.signal("TERM");
        let status = self.ended().await;
        assert!(status.success(), "{status}");
    }

    /// Ends it as a power cut would end it for the process: no handler runs.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A log line as an event; a line that is none has itself as its message.
fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| serde_json::json!({ "message": line }))
}

/// However a test ends, its gateway ends with it, and no test's log may hold a secret.
impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        if !std::thread::panicking() {
            let log = self.log_text();
            for secret in &self.secrets {
                assert!(!log.contains(secret.as_str()), "a secret is in the log:\n{log}");
            }
        }
    }
}
