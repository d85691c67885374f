//! Running under callgrind and reading what it counted.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::Result;

/// Instructions of the measured part of a workload.
pub(crate) fn count(workload: &str) -> Result<u64> {
    let folder = TempDir::new()?;
    let mut command = Command::new("valgrind");
    command.args(arguments(folder.path()));
    // Collects inside this function only.
    command.arg("--toggle-collect=*workload::measured*");
    command.arg(std::env::current_exe()?).arg("--run").arg(workload);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("valgrind cannot be run ({error}); Debian has it as `valgrind`"))?;
    if !output.status.success() {
        return Err(format!("`{workload}` failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let counted = total(folder.path())?;
    if counted == 0 {
        return Err(format!("nothing of `{workload}` was counted").into());
    }
    Ok(counted)
}

/// What comes before the program to be counted; the counts go into `folder`.
pub(crate) fn arguments(folder: &Path) -> Vec<OsString> {
    let file = format!("--callgrind-out-file={}", folder.join("%p").display());
    ["--tool=callgrind", "--quiet", &file].map(OsString::from).into()
}

/// The instructions of the one process that ran with [`arguments`].
pub(crate) fn total(folder: &Path) -> Result<u64> {
    let file = fs::read_dir(folder)?.next().ok_or("callgrind wrote nothing")??.path();
    let text = fs::read_to_string(file)?;
    let mut totals = text.lines().filter_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    Ok(totals.next_back().ok_or("callgrind's file has no totals")?.trim().parse()?)
}
