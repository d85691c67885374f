//! The program that plays a protection agent: a real process, which the demo can end and start again.
//!
//! It is this very program under another path, so that the process list shows it as a program of its own. It waits for its
//! standard input to end, so it never outlives the demo, however that ends.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::folder::{Folder, FolderError};
use crate::cli::Exit;

/// The command under which this program plays the agent.
pub(in crate::cli) const COMMAND: &str = "demo-agent";
const FILE: &str = "bin/protection-agent";

/// The agent's program, and its process while it runs.
#[derive(Debug)]
pub(super) struct AgentProgram {
    path: PathBuf,
    process: Option<Child>,
}

impl AgentProgram {
    /// Puts the program into the folder. Blocks.
    pub(super) fn install(folder: &Folder) -> Result<Self, FolderError> {
        let path = folder.path(FILE);
        let failed = |action| {
            let path = path.clone();
            move |source| FolderError::File { action, path, source }
        };
        if path.exists() {
            fs::remove_file(&path).map_err(failed("remove"))?;
        }
        let own = std::env::current_exe().map_err(failed("find this program to make"))?;
        // A second name costs nothing, where the file system allows one.
        if fs::hard_link(&own, &path).is_err() {
            fs::copy(running_program(&own), &path).map_err(failed("copy this program to"))?;
        }
        Ok(AgentProgram { path, process: None })
    }

    /// Where the program lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its process was started and not ended.
    pub(super) fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// Starts the process. When this returns, the program runs.
    pub(super) fn start(&mut self) -> Result<(), FolderError> {
        let process = Command::new(&self.path)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| FolderError::new("run", &self.path, source))?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends the process. When this returns, it is gone.
    pub(super) async fn stop(&mut self) -> Result<(), FolderError> {
        if let Some(mut process) = self.process.take() {
            process.kill().await.map_err(|source| FolderError::new("end", &self.path, source))?;
        }
        Ok(())
    }
}

/// Plays the agent: waits until whoever started it goes away.
pub(in crate::cli) fn play() -> Exit {
    let mut ignored = [0; 64];
    loop {
        match io::stdin().read(&mut ignored) {
            Ok(0) => return Exit::Success,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Exit::Failure,
        }
    }
}

/// What runs now; the file at its path may have been replaced since.
fn running_program(own: &Path) -> PathBuf {
    let link = Path::new("/proc/self/exe");
    if link.exists() { link.to_owned() } else { own.to_owned() }
}
