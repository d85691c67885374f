//! Whether the screen is locked, as the session service tells it.
//!
//! On Linux systemd's logind is asked about graphical sessions. Desktops that do not tell it when they lock, and machines without
//! it, leave this unknown.

use super::{Collected, Collector, Machine, Obstacle, program};
use crate::limits;

const SESSIONS: &str = "run/systemd/sessions";
const GRAPHICAL: [&str; 3] = ["TYPE=x11", "TYPE=wayland", "TYPE=mir"];

/// Reads whether the screen is locked: it is when every graphical session is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScreenCollector;

impl Collector for ScreenCollector {
    type Fact = bool;

    fn collect(&self, machine: &Machine) -> Collected<bool> {
        machine.on_linux("the lock of the screen", is_locked)
    }
}

fn is_locked(machine: &Machine) -> Result<bool, Obstacle> {
    let sessions = graphical_sessions(machine)?;
    if sessions.is_empty() {
        return Err(Obstacle::Unsupported { what: "the lock of the screen without a graphical session" });
    }
    for session in sessions {
        match program::ask(machine, "loginctl", &["show-session", &session, "--property=LockedHint", "--value"])?.trim()
        {
            "yes" => {}
            "no" => return Ok(false),
            _ => return Err(Obstacle::Malformed { path: "loginctl".to_owned(), expected: "yes or no" }),
        }
    }
    Ok(true)
}

/// The ids of graphical sessions. Files whose names end in `.ref` are pipes, and are not read.
fn graphical_sessions(machine: &Machine) -> Result<Vec<String>, Obstacle> {
    let names = machine.names_in(SESSIONS, "sessions", limits::AGENT_SESSIONS_MAX)?;
    let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut graphical = Vec::new();
    for name in names.into_iter().filter(plain) {
        match machine.read_text(format!("{SESSIONS}/{name}")) {
            Ok(text) if text.lines().any(|line| GRAPHICAL.contains(&line)) => graphical.push(name),
            Ok(_) => {}
            Err(reason) if reason.is_absence() => {}
            Err(reason) => return Err(reason),
        }
    }
    Ok(graphical)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::posture::Platform;

    #[test]
    fn without_a_graphical_session_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::at(folder.path(), Platform::Linux);
        assert_eq!(ScreenCollector.collect(&machine).obstacle().unwrap().code(), "absent");
        let sessions = folder.path().join(SESSIONS);
        std::fs::create_dir_all(&sessions).unwrap();
        std::fs::write(sessions.join("3"), "UID=0\nTYPE=tty\n").unwrap();
        assert_eq!(ScreenCollector.collect(&machine).obstacle().unwrap().code(), "unsupported");
        std::fs::write(sessions.join("4"), "UID=1000\nTYPE=wayland\n").unwrap();
        assert_eq!(graphical_sessions(&machine).unwrap(), ["4"]);
        // The session is there, and who could tell of its lock is not.
        assert_eq!(ScreenCollector.collect(&machine).obstacle().unwrap().code(), "absent");
        // Neither yes nor no is neither locked nor unlocked.
        let programs = folder.path().join("usr/bin");
        std::fs::create_dir_all(&programs).unwrap();
        std::os::unix::fs::symlink("/bin/echo", programs.join("loginctl")).unwrap();
        assert_eq!(ScreenCollector.collect(&machine).obstacle().unwrap().code(), "malformed");
    }
}
