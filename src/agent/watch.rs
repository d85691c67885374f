//! Notices changes of what is watched, by cheap looks a few times a second.
//!
//! Looks were chosen over notifications: the kernel tells of starting processes to root only, and of files only while their folders
//! stay the same. A look reads the list of processes, the programs of those that are new, and the versions of the watched files;
//! what changes rarely (interfaces, mounts, the lock of the screen) is looked at less often.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::digest::FileVersion;
use super::process::{executable_of, process_ids, with_folders_resolved};
use super::{Collected, Collector, MacCollector, Machine, ScreenCollector};
use crate::clock;

/// Looks at a new process before its program counts as settled: a new process first is what made it, then becomes what it runs.
const YOUNG_LOOKS: u8 = 6;
/// Looks from one reading of every process's program to the next: a settled process may become another program too.
const LOOKS_BETWEEN_SURVEYS: u32 = 20;
/// Looks from one reading of interfaces and mounts to the next.
const LOOKS_BETWEEN_SLOW: u32 = 4;
/// Looks from one question about the screen to the next, which starts a program.
const LOOKS_BETWEEN_SCREEN: u32 = 10;
/// A clock that went on this much longer than the machine did: the machine slept.
const SLEEP_MIN: Duration = Duration::from_secs(2);

/// What is watched, and how it was at the last look.
#[derive(Debug)]
pub struct Watch {
    machine: Machine,
    looks: u32,
    programs: Vec<String>,
    processes: HashMap<u32, Seen>,
    files: Vec<(PathBuf, Option<FileVersion>)>,
    interfaces: Option<Vec<String>>,
    mounts: Option<String>,
    slept: Option<Duration>,
    locked: Option<bool>,
}

/// A process at the last look.
#[derive(Clone, Copy, Debug)]
struct Seen {
    looks: u8,
    /// Which of the watched programs it runs.
    program: Option<usize>,
}

/// What changed since the look before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// A watched program was started or ended.
    pub processes: bool,
    /// A watched file came, went or was written.
    pub files: bool,
    /// An interface or its address came or went.
    pub interfaces: bool,
    /// A file system was mounted or unmounted.
    pub mounts: bool,
    /// The machine woke from sleep.
    pub woken: bool,
    /// The screen was locked.
    pub locked: bool,
    /// The screen was unlocked.
    pub unlocked: bool,
}

impl Changes {
    /// These and those.
    #[must_use]
    pub fn and(self, more: Changes) -> Changes {
        Changes {
            processes: self.processes || more.processes,
            files: self.files || more.files,
            interfaces: self.interfaces || more.interfaces,
            mounts: self.mounts || more.mounts,
            woken: self.woken || more.woken,
            locked: self.locked || more.locked,
            unlocked: self.unlocked || more.unlocked,
        }
    }

    /// Whether anything changed.
    pub fn any(self) -> bool {
        self != Changes::default()
    }
}

impl Watch {
    /// Watches the machine for what needs no asking: interfaces, mounts, sleep and the screen. The first look finds nothing new.
    pub fn new(machine: Machine) -> Self {
        let mut watch = Watch {
            machine,
            looks: 0,
            programs: Vec::new(),
            processes: HashMap::new(),
            files: Vec::new(),
            interfaces: None,
            mounts: None,
            slept: None,
            locked: None,
        };
        watch.look();
        watch
    }

    /// Watches these programs and files from now on, in place of those before. What both have in common is not lost sight of.
    pub fn attend<'a>(
        &mut self,
        programs: impl IntoIterator<Item = &'a str>,
        files: impl IntoIterator<Item = &'a str>,
    ) {
        let mut programs: Vec<String> = programs.into_iter().map(str::to_owned).collect();
        programs.sort_unstable();
        programs.dedup();
        if programs != self.programs {
            self.programs = programs;
            self.processes.clear();
            self.look_at_processes(true);
        }
        let known: HashMap<PathBuf, Option<FileVersion>> = self.files.drain(..).collect();
        let mut paths: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
        paths.sort_unstable();
        paths.dedup();
        self.files = paths
            .into_iter()
            .map(|path| {
                let version = known.get(&path).copied().unwrap_or_else(|| version_at(&path));
                (path, version)
            })
            .collect();
    }

    /// Looks, and tells what changed since the look before.
    pub fn look(&mut self) -> Changes {
        let due = |every: u32| self.looks.is_multiple_of(every);
        let (all, slow, screen) = (due(LOOKS_BETWEEN_SURVEYS), due(LOOKS_BETWEEN_SLOW), due(LOOKS_BETWEEN_SCREEN));
        self.looks = self.looks.wrapping_add(1);
        let (locked, unlocked) = if screen { self.look_at_screen() } else { (false, false) };
        Changes {
            processes: self.look_at_processes(all),
            files: self.look_at_files(),
            interfaces: slow && self.look_at_interfaces(),
            mounts: slow && self.look_at_mounts(),
            woken: self.look_at_sleep(),
            locked,
            unlocked,
        }
    }

    /// Whether a watched program was started or ended. Processes that cannot be listed now are as they were.
    fn look_at_processes(&mut self, all: bool) -> bool {
        if self.programs.is_empty() || !self.machine.has_linux_kernel() {
            return false;
        }
        let Ok((pids, _)) = process_ids(&self.machine) else {
            return false;
        };
        let resolved: Vec<Option<String>> = self.programs.iter().map(|path| with_folders_resolved(path)).collect();
        let mut now = HashMap::with_capacity(pids.len());
        let mut changed = false;
        for pid in pids {
            let before = self.processes.remove(&pid);
            let settled = before.is_some_and(|seen| seen.looks >= YOUNG_LOOKS && seen.program.is_none());
            let seen = match before {
                Some(seen) if settled && !all => seen,
                _ => Seen {
                    looks: before.map_or(0, |seen| seen.looks.saturating_add(1)),
                    program: self.program_of(pid, &resolved),
                },
            };
            changed |= seen.program != before.and_then(|before| before.program);
            now.insert(pid, seen);
        }
        // What is left was there and is gone.
        changed |= self.processes.values().any(|gone| gone.program.is_some());
        self.processes = now;
        changed
    }

    fn program_of(&self, pid: u32, resolved: &[Option<String>]) -> Option<usize> {
        let path = executable_of(&self.machine, pid).ok()?;
        let path = path.to_str()?;
        let is_it =
            |(wanted, resolved): (&String, &Option<String>)| wanted == path || resolved.as_deref() == Some(path);
        self.programs.iter().zip(resolved).position(is_it)
    }

    fn look_at_files(&mut self) -> bool {
        let mut changed = false;
        for (path, version) in &mut self.files {
            let now = version_at(path);
            changed |= now != *version;
            *version = now;
        }
        changed
    }

    fn look_at_interfaces(&mut self) -> bool {
        let Collected::Known(now) = MacCollector.collect(&self.machine) else {
            return false;
        };
        let changed = self.interfaces.as_ref().is_some_and(|before| *before != now);
        self.interfaces = Some(now);
        changed
    }

    fn look_at_mounts(&mut self) -> bool {
        let Ok(now) = self.machine.read_text("proc/self/mountinfo") else {
            return false;
        };
        let changed = self.mounts.as_ref().is_some_and(|before| *before != now);
        self.mounts = Some(now);
        changed
    }

    fn look_at_sleep(&mut self) -> bool {
        self.slept_in_all(clock::time_asleep())
    }

    fn slept_in_all(&mut self, now: Option<Duration>) -> bool {
        let woke = self.slept.zip(now).is_some_and(|(before, now)| now.saturating_sub(before) >= SLEEP_MIN);
        self.slept = now.or(self.slept);
        woke
    }

    /// Whether the screen was locked, and whether it was unlocked.
    fn look_at_screen(&mut self) -> (bool, bool) {
        match ScreenCollector.collect(&self.machine) {
            Collected::Known(now) => self.screen_is(now),
            Collected::Unknown { .. } => (false, false),
        }
    }

    fn screen_is(&mut self, locked: bool) -> (bool, bool) {
        let before = self.locked.replace(locked);
        (before == Some(false) && locked, before == Some(true) && !locked)
    }
}

fn version_at(path: &Path) -> Option<FileVersion> {
    FileVersion::of(&std::fs::metadata(path).ok()?)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::posture::Platform;

    fn machine() -> (tempfile::TempDir, Watch) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        fs::create_dir_all(folder.path().join("sys/class/net")).unwrap();
        fs::write(folder.path().join("proc/self/mountinfo"), "").unwrap();
        let watch = Watch::new(Machine::at(folder.path(), Platform::Linux));
        (folder, watch)
    }

    fn start(folder: &Path, pid: u32, program: &str) {
        let process = folder.join(format!("proc/{pid}"));
        fs::create_dir_all(&process).unwrap();
        let link = process.join("exe");
        let _ = fs::remove_file(&link);
        symlink(program, link).unwrap();
    }

    const NOTHING: Changes = Changes {
        processes: false,
        files: false,
        interfaces: false,
        mounts: false,
        woken: false,
        locked: false,
        unlocked: false,
    };

    #[test]
    fn watched_programs_are_seen_to_start_and_end_and_others_are_not() {
        let (folder, mut watch) = machine();
        start(folder.path(), 1, "/sbin/init");
        watch.attend(["/opt/agent"], []);
        assert_eq!(watch.look(), NOTHING);
        start(folder.path(), 7, "/bin/other");
        assert_eq!(watch.look(), NOTHING);
        start(folder.path(), 8, "/opt/agent");
        assert_eq!(watch.look(), Changes { processes: true, ..NOTHING });
        assert_eq!(watch.look(), NOTHING);
        fs::remove_dir_all(folder.path().join("proc/8")).unwrap();
        assert_eq!(watch.look(), Changes { processes: true, ..NOTHING });
        assert_eq!(watch.look(), NOTHING);
    }

    #[test]
    fn a_process_that_becomes_another_program_is_seen_at_once_when_young_and_soon_when_old() {
        let (folder, mut watch) = machine();
        watch.attend(["/opt/agent"], []);
        start(folder.path(), 8, "/bin/sh");
        watch.look();
        start(folder.path(), 8, "/opt/agent");
        assert!(watch.look().processes);
        // And one that takes a number that was just freed.
        start(folder.path(), 8, "/bin/sh");
        assert!(watch.look().processes);
        for _ in 0..LOOKS_BETWEEN_SURVEYS * 2 {
            assert_eq!(watch.look(), NOTHING);
        }
        start(folder.path(), 8, "/opt/agent");
        let looks = (0..LOOKS_BETWEEN_SURVEYS).position(|_| watch.look().processes);
        assert!(looks.is_some());
    }

    #[test]
    fn watched_files_are_seen_to_come_change_and_go() {
        let (folder, mut watch) = machine();
        let path = folder.path().join("watched");
        let name = path.display().to_string();
        watch.attend([], [name.as_str()]);
        assert_eq!(watch.look(), NOTHING);
        let change = |watch: &mut Watch| {
            let first = watch.look();
            assert_eq!(watch.look(), NOTHING);
            first == Changes { files: true, ..NOTHING }
        };
        fs::write(&path, "one").unwrap();
        assert!(change(&mut watch));
        let replacement = folder.path().join("replacement");
        fs::write(&replacement, "two").unwrap();
        fs::rename(&replacement, &path).unwrap();
        watch.attend([], [name.as_str()]);
        assert!(change(&mut watch), "asking for the same again does not hide a change");
        fs::remove_file(&path).unwrap();
        assert!(change(&mut watch));
    }

    #[test]
    fn mounts_and_interfaces_are_seen_to_change() {
        let (folder, mut watch) = machine();
        let within = |watch: &mut Watch| {
            let looks: Vec<Changes> = (0..LOOKS_BETWEEN_SLOW).map(|_| watch.look()).collect();
            (looks.iter().any(|look| look.mounts), looks.iter().any(|look| look.interfaces))
        };
        assert_eq!(within(&mut watch), (false, false));
        fs::write(folder.path().join("proc/self/mountinfo"), "1 0 8:1 / /x rw - ext4 /dev/sda1 rw\n").unwrap();
        assert_eq!(within(&mut watch), (true, false));
        let interface = folder.path().join("sys/class/net/eth0");
        fs::create_dir_all(&interface).unwrap();
        for (name, text) in [("type", "1\n"), ("flags", "0x1003\n"), ("address", "14:b2:2c:e5:f0:61\n")] {
            fs::write(interface.join(name), text).unwrap();
        }
        assert_eq!(within(&mut watch), (false, true));
    }

    #[test]
    fn locking_and_unlocking_are_seen_once_each() {
        let (_folder, mut watch) = machine();
        let seen = [false, true, true, false, false].map(|locked| watch.screen_is(locked));
        assert_eq!(seen, [(false, false), (true, false), (false, false), (false, true), (false, false)]);
    }

    #[test]
    fn sleep_is_told_by_the_clock_that_goes_on() {
        let (_folder, mut watch) = machine();
        let seconds = Duration::from_secs;
        watch.slept = Some(seconds(100));
        assert!(!watch.slept_in_all(Some(seconds(101))));
        assert!(watch.slept_in_all(Some(seconds(160))));
        assert!(!watch.slept_in_all(Some(seconds(160))));
        assert!(!watch.slept_in_all(None));
    }
}
