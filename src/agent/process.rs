//! The running processes, by the executable each of them runs.
//!
//! A process counts as running `path` when the kernel's `/proc/<pid>/exe` names that path, or names it once the folders of
//! `path` are resolved (`/bin/sh` where `/bin` is `/usr/bin`). Digests are taken through `/proc/<pid>/exe` and so are of what
//! actually runs, also after the file was replaced or deleted.
//!
//! "Not running" is said only when it can be known. A process that this user may not inspect might be the one asked for;
//! unless its name, which anyone may read, says otherwise, the answer is [`Collected::Unknown`].

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::digest::{DigestCache, Digests};
use super::machine::read_at_most;
use super::{Collected, Machine, Obstacle};
use crate::limits;

const PROC: &str = "proc";
/// What the kernel appends to the path of an executable that was unlinked.
const DELETED: &str = " (deleted)";
/// The kernel keeps this much of a process's name.
const NAME_BYTES_MAX: usize = 15;

/// One executable that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its path, exactly as asked for.
    pub path: String,
    /// Whether a process runs it.
    pub running: bool,
    /// How many processes run it.
    pub instances: usize,
    /// Whether what runs is the file that lies at the path now; it is not after an update, a deletion, or in a container.
    pub in_place: bool,
    /// The digests of what runs. Where instances differ, one that is in place is taken, then the one with the lowest id.
    pub digests: Collected<Digests>,
}

/// One running process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunningProcess {
    /// The process id.
    pub pid: u32,
    /// The executable it runs.
    pub path: String,
}

/// Looks at processes, and remembers digests from one look to the next.
#[derive(Debug, Default)]
pub struct Processes {
    digests: DigestCache,
}

impl Processes {
    /// Looks at all processes once; any number of questions can then be asked of the survey.
    pub fn survey<'a>(&'a self, machine: &'a Machine) -> Collected<Survey<'a>> {
        machine.on_linux("running processes", |machine| Survey::take(machine, &self.digests))
    }
}

/// All processes at one moment.
#[derive(Debug)]
pub struct Survey<'a> {
    machine: &'a Machine,
    digests: &'a DigestCache,
    running: Vec<RunningProcess>,
    hidden: Vec<HiddenProcess>,
    /// Whether every process was seen, at least its id.
    complete: Result<(), Obstacle>,
}

/// A process whose executable may not be read.
#[derive(Debug)]
struct HiddenProcess {
    pid: u32,
    /// The names it goes by, or `None` when not even those may be read.
    names: Option<Vec<String>>,
}

impl<'a> Survey<'a> {
    fn take(machine: &'a Machine, digests: &'a DigestCache) -> Result<Self, Obstacle> {
        let (pids, mut complete) = process_ids(machine)?;
        if complete.is_ok() && !pids.contains(&1) {
            // Every process tree has a first one. Not seeing it means that the system shows each user only their own.
            complete = Err(Obstacle::HiddenProcesses);
        }
        let mut survey = Survey { machine, digests, running: Vec::new(), hidden: Vec::new(), complete };
        for pid in pids {
            match executable_of(machine, pid) {
                Ok(path) => survey.running.push(RunningProcess { pid, path: path.display().to_string() }),
                Err(error) if is_gone(&error) => {}
                Err(_) => survey.hidden.extend(HiddenProcess::of(machine, pid)),
            }
        }
        Ok(survey)
    }

    /// Every process whose executable could be read, by ascending id. Kernel threads run none.
    pub fn list(&self) -> &[RunningProcess] {
        &self.running
    }

    /// How many processes may not be inspected.
    pub fn hidden_count(&self) -> usize {
        self.hidden.len()
    }

    /// Looks for processes that run the executable at `path`.
    pub fn find(&self, path: &str) -> Collected<Process> {
        match self.sighting(path) {
            Some(process) => Collected::Known(process),
            None => self.absence(path).into(),
        }
    }

    /// Whether a process runs the executable at `path`, without digesting it.
    pub fn is_running(&self, path: &str) -> Result<bool, Obstacle> {
        if self.running_at(path).next().is_some() {
            Ok(true)
        } else {
            self.absence(path).map(|process| process.running)
        }
    }

    fn running_at(&self, path: &str) -> impl Iterator<Item = &RunningProcess> {
        let resolved = with_folders_resolved(path);
        let path = path.to_owned();
        self.running
            .iter()
            .filter(move |process| process.path == path || resolved.as_deref() == Some(process.path.as_str()))
    }

    fn sighting(&self, path: &str) -> Option<Process> {
        let mut instances: Vec<(bool, &RunningProcess)> =
            self.running_at(path).map(|process| (self.is_in_place(process), process)).collect();
        instances.sort_by_key(|(in_place, process)| (!in_place, process.pid));
        let count = instances.len();
        let mut unreadable = None;
        for (in_place, process) in instances {
            let digests = match self.digests_of(process) {
                Ok(None) => continue,
                Ok(Some(digests)) => Ok(digests),
                Err(reason) => {
                    unreadable.get_or_insert((in_place, reason));
                    continue;
                }
            };
            return Some(running(path, count, in_place, digests));
        }
        unreadable.map(|(in_place, reason)| running(path, count, in_place, Err(reason)))
    }

    /// No process was seen to run `path`: whether that means that none does.
    fn absence(&self, path: &str) -> Result<Process, Obstacle> {
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        if let Some(hidden) = self.hidden.iter().find(|process| process.could_be(&name)) {
            return Err(Obstacle::HiddenProcess { pid: hidden.pid, path: path.to_owned() });
        }
        self.complete.clone()?;
        Ok(Process {
            path: path.to_owned(),
            running: false,
            instances: 0,
            in_place: false,
            digests: Collected::Unknown { reason: Obstacle::NotRunning { path: path.to_owned() } },
        })
    }

    /// The digests of what `process` runs, or `None` when it ended or became another program since the survey.
    fn digests_of(&self, process: &RunningProcess) -> Result<Option<Digests>, Obstacle> {
        let link = link_of(self.machine, process.pid);
        let mut file = match File::open(&link) {
            Ok(file) => file,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(Obstacle::from_io(&link, &error)),
        };
        // The id may have passed to another process between the survey and the opening, but not after the opening.
        match executable_of(self.machine, process.pid) {
            Ok(path) if path == Path::new(&process.path) => self.digests.digests_of(&mut file, &link).map(Some),
            _ => Ok(None),
        }
    }

    fn is_in_place(&self, process: &RunningProcess) -> bool {
        is_same_file(Path::new(&process.path), &link_of(self.machine, process.pid))
    }
}

impl HiddenProcess {
    /// `None` when the process is gone.
    fn of(machine: &Machine, pid: u32) -> Option<Self> {
        let folder = machine.locate(PROC).join(pid.to_string());
        let name = read_at_most(&folder.join("comm"), limits::FACT_TEXT_BYTES_MAX);
        let arguments = read_at_most(&folder.join("cmdline"), limits::FACT_TEXT_BYTES_MAX);
        let names = match (name, arguments) {
            (Err(error), _) | (_, Err(error)) if is_gone(&error) => return None,
            (Ok(name), Ok(arguments)) => {
                Some(vec![String::from_utf8_lossy(&name).trim_end().to_owned(), called_as(&arguments)])
            }
            _ => None,
        };
        Some(HiddenProcess { pid, names })
    }

    /// Whether the executable of this process could have the file name `wanted`.
    fn could_be(&self, wanted: &str) -> bool {
        let Some(names) = &self.names else {
            return true;
        };
        let kept = wanted
            .char_indices()
            .take_while(|(start, letter)| start + letter.len_utf8() <= NAME_BYTES_MAX)
            .map(|(_, letter)| letter)
            .collect::<String>();
        names.iter().any(|name| name.starts_with(&kept))
    }
}

fn running(path: &str, instances: usize, in_place: bool, digests: Result<Digests, Obstacle>) -> Process {
    Process { path: path.to_owned(), running: true, instances, in_place, digests: digests.into() }
}

/// The ids of all processes in ascending order, and whether these are all.
pub(super) fn process_ids(machine: &Machine) -> Result<(Vec<u32>, Result<(), Obstacle>), Obstacle> {
    let folder = machine.locate(PROC);
    let failed = |error: io::Error| Obstacle::from_io(&folder, &error);
    let mut pids = Vec::new();
    let mut complete = Ok(());
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if pids.len() == limits::AGENT_PROCESSES_MAX {
            complete = Err(Obstacle::TooMany { what: "processes", max: limits::AGENT_PROCESSES_MAX });
            break;
        }
        pids.push(pid);
    }
    pids.sort_unstable();
    Ok((pids, complete))
}

fn link_of(machine: &Machine, pid: u32) -> PathBuf {
    machine.locate(PROC).join(pid.to_string()).join("exe")
}

/// The path of the executable of a process, without the mark the kernel puts on deleted ones.
pub(super) fn executable_of(machine: &Machine, pid: u32) -> io::Result<PathBuf> {
    let link = link_of(machine, pid);
    let target = fs::read_link(&link)?;
    let unmarked = target.to_str().and_then(|target| target.strip_suffix(DELETED)).map(PathBuf::from);
    match unmarked {
        // A file may really be called so; then it is the file that runs.
        Some(unmarked) if !is_same_file(&target, &link) => Ok(unmarked),
        _ => Ok(target),
    }
}

/// A process that ended reads as absent, or as `ESRCH`; a kernel thread has no executable and reads as absent too.
fn is_gone(error: &io::Error) -> bool {
    const NO_SUCH_PROCESS: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NO_SUCH_PROCESS)
}

/// The file name in a process's first argument: `-zsh` and `/usr/sbin/sshd: listener` give `zsh` and `sshd:`.
fn called_as(arguments: &[u8]) -> String {
    let first = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let word = first.split_whitespace().next().unwrap_or_default();
    let name = word.rsplit('/').next().unwrap_or_default();
    name.trim_start_matches('-').to_owned()
}

/// `path` with its folder's symbolic links followed. The file's own link is not followed: many names of one file (as of
/// BusyBox) are many programs.
pub(super) fn with_folders_resolved(path: &str) -> Option<String> {
    let path = Path::new(path);
    let folder = fs::canonicalize(path.parent()?).ok()?;
    Some(folder.join(path.file_name()?).display().to_string())
}

#[cfg(unix)]
fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
