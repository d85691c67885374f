//! What a process and its children have used, as the system tells it.

use std::fs;
use std::time::Duration;

use super::Result;

/// Processor time of a process and its children, user and system, of all threads.
pub(crate) fn processor_time(process: u32) -> Result<Duration> {
    let mut nanos = 0;
    for process in family(process) {
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may end while the list is read; what it used is then missing from one figure.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            nanos += text.split_whitespace().next().ok_or("schedstat is empty")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// Memory of a process and its children that no other process has, in bytes.
pub(crate) fn memory(process: u32) -> Result<u64> {
    let mut kilobytes = 0;
    for process in family(process) {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let private = text.lines().filter_map(|line| line.strip_prefix("Private_")?.split_whitespace().nth(1));
        for part in private {
            kilobytes += part.parse::<u64>()?;
        }
    }
    Ok(kilobytes * 1024)
}

fn family(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let mut family = vec![process];
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        family.extend(self::family(child));
    }
    family
}
