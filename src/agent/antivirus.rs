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
    if !machine.has_linux_kernel() {
        return Collected::Unknown { reason: Obstacle::Unsupported { what: "antivirus products" } };
    }
    clam(machine, survey, now).map(|product| product.into_iter().collect()).into()
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
    let signatures_at = SIGNATURES.iter().filter_map(|path| made_at(machine, path)).max();
    let up_to_date = signatures_at.is_some_and(|at| now.since(at) <= CURRENT);
    Ok(Some(Antivirus { name: "ClamAV", on, up_to_date, signatures_at }))
}

/// When a file of signatures was made, by its own header: `ClamAV-VDB:07 Nov 2025 04-36 -0500:27451:…`.
fn made_at(machine: &Machine, path: &str) -> Option<Timestamp> {
    let header = read_at_most(&machine.locate(path), HEADER_BYTES).ok()?;
    let header = String::from_utf8_lossy(&header);
    let time = header.strip_prefix("ClamAV-VDB:")?.split(':').next()?;
    let time = jiff::Zoned::strptime("%d %b %Y %H-%M %z", time).ok()?;
    Some(Timestamp::from_millis(time.timestamp().as_millisecond()))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;

    use super::super::Processes;
    use super::*;
    use crate::posture::Platform;

    const NOW: &str = "2025-11-08T12:00:00Z";

    fn collected(files: &[(&str, &str)]) -> Collected<Vec<Antivirus>> {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in [("proc/1/comm", "init"), ("proc/1/cmdline", "init")].iter().chain(files) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        std::os::unix::fs::symlink("/sbin/init", folder.path().join("proc/1/exe")).unwrap();
        let machine = Machine::at(folder.path(), Platform::Linux);
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
        let unreadable = product(&[clam, ("var/lib/clamav/daily.cvd", "ClamAV-VDB:tomorrow:")]);
        assert_eq!((unreadable.signatures_at, unreadable.up_to_date), (None, false));
    }
}
