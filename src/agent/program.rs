//! Programs of the system that are asked where no file tells: bounded in time and output, and never found by `PATH`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use super::{Machine, Obstacle};
use crate::limits;
use crate::posture::Platform;

/// Where the system keeps its programs. `PATH` is not asked: whoever sets it could answer for the system.
const FOLDERS: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];
const FOLDERS_OF_WINDOWS: [&str; 1] = ["Windows/System32"];

/// Where a program of the system lies.
pub(super) fn find(machine: &Machine, name: &str) -> Option<PathBuf> {
    let folders: &[&str] = match machine.platform() {
        Some(Platform::Windows | Platform::WindowsServer) => &FOLDERS_OF_WINDOWS,
        _ => &FOLDERS,
    };
    folders.iter().map(|folder| machine.locate(Path::new(folder).join(name))).find(|path| path.is_file())
}

/// What a program of the system prints, if it ends well and in time.
pub(super) fn ask(machine: &Machine, name: &str, arguments: &[&str]) -> Result<String, Obstacle> {
    let program = find(machine, name).ok_or_else(|| Obstacle::Absent { path: name.to_owned() })?;
    let failed = || Obstacle::Unanswered { program: program.display().to_string() };
    let mut command = Command::new(&program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| Obstacle::from_io(&program, &error))?;
    let output = within_bounds(child).ok_or_else(failed)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// The output of a child that ends well; one that does not end in time, or says too much, is ended.
fn within_bounds(mut child: Child) -> Option<Vec<u8>> {
    let output = child.stdout.take()?;
    let (sender, read) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let bound = u64::try_from(limits::AGENT_FILE_BYTES_MAX).unwrap_or(u64::MAX);
        let whole = output.take(bound.saturating_add(1)).read_to_end(&mut bytes).is_ok();
        // Nobody waits any more when the time is over.
        let _ = sender.send(whole.then_some(bytes));
    });
    let bytes = read.recv_timeout(limits::AGENT_PROGRAM_TIME_MAX).ok().flatten();
    let bytes = bytes.filter(|bytes| bytes.len() <= limits::AGENT_FILE_BYTES_MAX);
    if bytes.is_none() {
        // It may have ended by itself meanwhile.
        let _ = child.kill();
    }
    let ended_well = child.wait().is_ok_and(|status| status.success());
    bytes.filter(|_| ended_well)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_heard_out_within_bounds() {
        let machine = Machine::this();
        assert_eq!(ask(&machine, "echo", &["one", "two"]).unwrap(), "one two\n");
        assert_eq!(ask(&machine, "false", &[]).unwrap_err().code(), "unanswered");
        assert_eq!(ask(&machine, "no-such-program-anywhere", &[]).unwrap_err().code(), "absent");
        assert_eq!(ask(&machine, "cat", &["/dev/zero"]).unwrap_err().code(), "unanswered");
    }
}
