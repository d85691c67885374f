//! Antivirus products: on Linux ClamAV, whether its daemon runs and how old its signatures are.

use std::time::Duration;

use serde::Serialize;

use super::machine::read_at_most;
use super::process::Survey;
use super::{Collected, Machine, Obstacle, program};
use crate::clock::Timestamp;

/// Where the signatures lie; each is the newest of its kind under one of two names.
const SIGNATURES: [&str; 2] = ["var/lib/clamav/daily.cld", "var/lib/clamav/daily.cvd"];
const DAEMONS: [&str; 3] = ["/usr/sbin/clamd", "/usr/bin/clamd", "/usr/local/sbin/clamd"];
/// A signature file begins with a header of this size.
const HEADER_BYTES: usize = 512;
/// Signatures older than this are no longer current: new ones come every day.
const CURRENT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An antivirus product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Antivirus {
    /// Its name.
    pub name: &'static str,
    /// Whether its daemon runs.
    pub on: bool,
    /// Whether its signatures are less than a week old.
    pub up_to_date: bool,
    /// When its signatures were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures_at: Option<Timestamp>,
}

/// Reads the antivirus products, none where there is none. Which processes run is taken from `survey`.
pub(super) fn collect(machine: &Machine, survey: &Collected<Survey<'_>>, now: Timestamp) -> Collected<Vec<Antivirus>> {
    let products = |machine| Ok(clam(machine, survey, now)?.into_iter().collect());
    machine.on_linux("antivirus products", products)
}

fn clam(machine: &Machine, survey: &Collected<Survey<'_>>, now: Timestamp) -> Result<Option<Antivirus>, Obstacle> {
    let installed = ["clamd", "clamscan"].iter().any(|name| program::find(machine, name).is_some());
    if !installed {
        return Ok(None);
    }
    let survey = survey.as_result().map_err(Obstacle::clone)?;
    let mut on = false;
    for daemon in DAEMONS {
        on |= survey.is_running(daemon)?;
    }
    let signatures_at = signatures_at(machine)?;
    let up_to_date = signatures_at.is_some_and(|at| now.since(at) <= CURRENT);
    Ok(Some(Antivirus { name: "ClamAV", on, up_to_date, signatures_at }))
}

/// When the newest signatures were made; `None` when there are none. One file that cannot be read could be the newest.
fn signatures_at(machine: &Machine) -> Result<Option<Timestamp>, Obstacle> {
    let mut newest = None;
    for path in SIGNATURES {
        match made_at(machine, path) {
            Ok(at) => newest = newest.max(Some(at)),
            Err(reason) if reason.is_absence() => {}
            Err(reason) => return Err(reason),
        }
    }
    Ok(newest)
}

/// When a file of signatures was made, by its own header: `ClamAV-VDB:07 Nov 2025 04-36 -0500:27451:…`.
fn made_at(machine: &Machine, path: &str) -> Result<Timestamp, Obstacle> {
    let path = machine.locate(path);
    let header = read_at_most(&path, HEADER_BYTES).map_err(|error| Obstacle::from_io(&path, &error))?;
    let header = String::from_utf8_lossy(&header);
    let time = header.strip_prefix("ClamAV-VDB:").and_then(|rest| rest.split(':').next());
    let time = time.and_then(|time| jiff::Zoned::strptime("%d %b %Y %H-%M %z", time).ok());
    let time = time.ok_or_else(|| Obstacle::Malformed {
        path: path.display().to_string(),
        expected: "signatures with the time they were made at",
    })?;
    Ok(Timestamp::from_millis(time.timestamp().as_millisecond()))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::super::Processes;
    use super::*;
    use crate::posture::Platform;

    const NOW: &str = "2025-11-08T12:00:00Z";

    fn collected(files: &[(&str, &str)]) -> Collected<Vec<Antivirus>> {
        let files = [&[("proc/1/comm", "init"), ("proc/1/cmdline", "init")], files].concat();
        let (folder, machine) = Machine::with_files(Platform::Linux, &files);
        std::os::unix::fs::symlink("/sbin/init", folder.path().join("proc/1/exe")).unwrap();
        let processes = Processes::default();
        collect(&machine, &processes.survey(&machine), NOW.parse().unwrap())
    }

    #[test]
    fn a_machine_without_a_product_has_none_and_one_that_does_not_run_is_off() {
        assert_eq!(collected(&[]), Collected::Known(Vec::new()));
        let fresh = ("var/lib/clamav/daily.cvd", "ClamAV-VDB:07 Nov 2025 04-36 -0500:27451:2070000:90:x");
        let old = ("var/lib/clamav/daily.cld", "ClamAV-VDB:01 Jan 2025 04-36 -0500:27000:2070000:90:x");
        let clam = ("usr/bin/clamscan", "");
        let product = |files: &[(&str, &str)]| collected(files).known().unwrap().first().cloned().unwrap();
        let found = product(&[clam, fresh, old]);
        assert_eq!(found.signatures_at, Some("2025-11-07T09:36:00Z".parse().unwrap()));
        assert!(found.up_to_date && !found.on);
        assert!(!product(&[clam, old]).up_to_date);
        let without = product(&[clam]);
        assert_eq!((without.signatures_at, without.up_to_date), (None, false));
    }

    /// Signatures that could not be read used to count as old ones.
    #[test]
    fn signatures_that_cannot_be_read_leave_their_age_unknown() {
        let clam = ("usr/bin/clamscan", "");
        for unreadable in ["ClamAV-VDB:tomorrow:", "", "something else"] {
            let found = collected(&[clam, ("var/lib/clamav/daily.cvd", unreadable)]);
            assert_eq!(found.obstacle().unwrap().code(), "malformed", "{unreadable}");
        }
    }
}
