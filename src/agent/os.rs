//! The operating system: its name in OpenZiti's spelling and its version as `x.y.z`.
//!
//! On Linux the version is the kernel's, reduced to three numbers, because that is what OpenZiti's own clients report;
//! the distribution is kept beside it and travels as the build. On macOS it is the product version. On Windows it is what the
//! command interpreter prints, and a server is not told from a workstation.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Collected, Collector, Machine, Obstacle, program};
use crate::posture::Platform;
use crate::posture::facts::Os;

const KERNEL_RELEASE: &str = "proc/sys/kernel/osrelease";
const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
const WINDOWS_INTERPRETER: &str = "cmd.exe";
const MACOS_VERSION: &str = "System/Library/CoreServices/SystemVersion.plist";

/// The operating system as read from the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatingSystem {
    /// Which one.
    pub platform: Platform,
    /// The version, exactly three numbers.
    pub version: String,
    /// The kernel's release as the kernel spells it, on Linux.
    pub kernel: Option<String>,
    /// The Linux distribution, when it says.
    pub distribution: Option<Distribution>,
}

impl OperatingSystem {
    /// As a posture fact: the distribution and the kernel's full release become the build.
    pub fn to_fact(&self) -> Os {
        let mut build = Vec::new();
        if let Some(distribution) = &self.distribution {
            build.push(distribution.short_name());
        }
        if let Some(kernel) = &self.kernel {
            build.push(format!("kernel {kernel}"));
        }
        Os {
            name: self.platform.as_str().to_owned(),
            version: self.version.clone(),
            build: Some(build.join(", ")).filter(|build| !build.is_empty()),
            ..Os::default()
        }
    }
}

impl OperatingSystem {
    /// As a native report carries it.
    pub fn to_report(&self) -> Value {
        let Os { name, version, build, .. } = self.to_fact();
        let mut told = json!({ "name": name, "version": version });
        let Some(members) = told.as_object_mut() else { return told };
        let extra = self.kernel.as_deref().and_then(kernel_patch);
        let texts = [("build", build), ("extra", extra)];
        members.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))));
        if let Some(Distribution { id, version, .. }) = &self.distribution {
            let distribution = match version {
                Some(version) => json!({ "name": id, "revision": version }),
                None => json!({ "name": id }),
            };
            members.insert("distribution".to_owned(), distribution);
        }
        told
    }
}

/// A Linux distribution, from `os-release`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    /// Its id, for example `debian`.
    pub id: String,
    /// Its version, for example `12`; rolling distributions have none.
    pub version: Option<String>,
    /// How it calls itself.
    pub description: Option<String>,
}

impl Distribution {
    fn short_name(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.id),
            None => self.id.clone(),
        }
    }
}

/// Reads the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsCollector;

impl Collector for OsCollector {
    type Fact = OperatingSystem;

    fn collect(&self, machine: &Machine) -> Collected<OperatingSystem> {
        match machine.platform() {
            Some(platform @ (Platform::Linux | Platform::Android)) => linux(machine, platform).into(),
            Some(Platform::MacOs) => macos(machine).into(),
            Some(platform @ (Platform::Windows | Platform::WindowsServer)) => windows(machine, platform).into(),
            Some(Platform::Ios) | None => Collected::unsupported("the version of the operating system"),
        }
    }
}

fn linux(machine: &Machine, platform: Platform) -> Result<OperatingSystem, Obstacle> {
    let kernel = machine.read_text(KERNEL_RELEASE)?.trim().to_owned();
    let version = three_numbers(&kernel).ok_or_else(|| Obstacle::Malformed {
        path: machine.locate(KERNEL_RELEASE).display().to_string(),
        expected: "a kernel release such as 6.1.0-18-amd64",
    })?;
    Ok(OperatingSystem { platform, version, kernel: Some(kernel), distribution: distribution(machine) })
}

/// The distribution only describes, so a machine that does not name one still has a version.
fn distribution(machine: &Machine) -> Option<Distribution> {
    let text = OS_RELEASE.iter().find_map(|path| machine.read_text(path).ok())?;
    Some(Distribution {
        id: assigned(&text, "ID")?,
        version: assigned(&text, "VERSION_ID"),
        description: assigned(&text, "PRETTY_NAME"),
    })
}

fn macos(machine: &Machine) -> Result<OperatingSystem, Obstacle> {
    let text = machine.read_text(MACOS_VERSION)?;
    let version = text
        .split_once("<key>ProductVersion</key>")
        .and_then(|(_, rest)| rest.split_once("<string>"))
        .and_then(|(_, rest)| rest.split_once("</string>"))
        .and_then(|(version, _)| three_numbers(version.trim()));
    Ok(OperatingSystem {
        platform: Platform::MacOs,
        version: version.ok_or_else(|| Obstacle::Malformed {
            path: machine.locate(MACOS_VERSION).display().to_string(),
            expected: "a product version such as 14.5",
        })?,
        kernel: None,
        distribution: None,
    })
}

fn windows(machine: &Machine, platform: Platform) -> Result<OperatingSystem, Obstacle> {
    let told = program::ask(machine, WINDOWS_INTERPRETER, &["/d", "/c", "ver"])?;
    let version = windows_version(&told).ok_or_else(|| Obstacle::Malformed {
        path: WINDOWS_INTERPRETER.to_owned(),
        expected: "a version such as 10.0.19045",
    })?;
    Ok(OperatingSystem { platform, version, kernel: None, distribution: None })
}

/// `10.0.19045` of `Microsoft Windows [Version 10.0.19045.4529]`, whatever the word is in the system's language.
fn windows_version(told: &str) -> Option<String> {
    three_numbers(told.get(told.find(|letter: char| letter.is_ascii_digit())?..)?)
}

/// The numbers a version starts with, as `x.y.z`: missing ones are 0, what follows the third is cut off.
fn three_numbers(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let mut parts = text.get(..end)?.split('.').map(str::parse::<u64>);
    let major = parts.next()?.ok()?;
    let mut next = || parts.next().and_then(Result::ok).unwrap_or(0);
    let (minor, patch) = (next(), next());
    Some(format!("{major}.{minor}.{patch}"))
}

/// The number behind the first dash of a kernel's release: `25` in `6.1.0-25-amd64`. A release candidate has none.
fn kernel_patch(release: &str) -> Option<String> {
    let (_, rest) = release.split_once('-')?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let ends = rest.chars().nth(digits.len()).is_none_or(|next| matches!(next, '-' | '.' | '+'));
    Some(digits).filter(|digits| !digits.is_empty() && ends)
}

/// The value of a shell-style assignment, without its quotes and escapes.
fn assigned(text: &str, name: &str) -> Option<String> {
    let value = text
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))?;
    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    let mut plain = String::new();
    let mut letters = quoted.unwrap_or(value).chars();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    Some(plain).filter(|plain| !plain.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(platform: Platform, files: &[(&str, &str)]) -> Collected<OperatingSystem> {
        let (_folder, machine) = Machine::with_files(platform, files);
        OsCollector.collect(&machine)
    }

    #[test]
    fn a_kernel_release_is_reduced_to_three_numbers() {
        for (release, expected) in [
            ("6.1.0-18-amd64", "6.1.0"),
            ("5.15.167.4-microsoft-standard-WSL2", "5.15.167"),
            ("6.9", "6.9.0"),
            ("6.9-rc3", "6.9.0"),
            ("7", "7.0.0"),
            ("6.18.44+", "6.18.44"),
        ] {
            assert_eq!(three_numbers(release).as_deref(), Some(expected), "{release}");
        }
        assert_eq!(three_numbers("next-20260101"), None);
        assert_eq!(three_numbers(""), None);
    }

    #[test]
    fn what_follows_the_kernels_version_is_told_when_it_is_a_number() {
        for (release, patch) in [
            ("6.1.0-25-amd64", Some("25")),
            ("6.8.0-45-generic", Some("45")),
            ("5.14.0-427.13.1.el9_4.x86_64", Some("427")),
            ("6.9.0-rc3", None),
            ("6.6.9-200x", None),
            ("6.18.44", None),
            ("6.18.44-", None),
        ] {
            assert_eq!(kernel_patch(release).as_deref(), patch, "{release}");
        }
    }

    #[test]
    fn the_distribution_travels_as_the_build() {
        let release = "PRETTY_NAME=\"Example \\\"One\\\" 12\"\nNAME=x\nVERSION_ID='12'\nID=example\n";
        let collected = collect(Platform::Linux, &[(KERNEL_RELEASE, "6.1.0-18-amd64\n"), (OS_RELEASE[1], release)]);
        let system = collected.known().unwrap();
        let distribution = system.distribution.as_ref().unwrap();
        assert_eq!(distribution.description.as_deref(), Some("Example \"One\" 12"));
        assert_eq!(
            system.to_fact(),
            Os {
                name: "Linux".to_owned(),
                version: "6.1.0".to_owned(),
                build: Some("example 12, kernel 6.1.0-18-amd64".to_owned()),
                ..Os::default()
            }
        );
    }

    #[test]
    fn a_release_that_is_no_version_and_a_missing_file_are_unknown() {
        let malformed = collect(Platform::Linux, &[(KERNEL_RELEASE, "unknown\n")]);
        assert_eq!(malformed.obstacle().unwrap().code(), "malformed");
        assert_eq!(collect(Platform::Linux, &[]).obstacle().unwrap().code(), "absent");
        assert_eq!(collect(Platform::Windows, &[]).obstacle().unwrap().code(), "absent");
        assert_eq!(collect(Platform::Ios, &[]).obstacle().unwrap().code(), "unsupported");
    }

    #[test]
    fn windows_reports_what_its_interpreter_prints() {
        for (told, version) in [
            ("\r\nMicrosoft Windows [Version 10.0.19045.4529]\r\n", Some("10.0.19045")),
            ("\r\nMicrosoft Windows [versi\u{fffd}n 6.1.7601]\r\n", Some("6.1.7601")),
            ("Microsoft Windows 10.0.17763\r\n", Some("10.0.17763")),
            ("/d /c ver\n", None),
            ("", None),
        ] {
            assert_eq!(windows_version(told).as_deref(), version, "{told}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_interpreter_that_prints_no_version_leaves_it_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("Windows/System32");
        std::fs::create_dir_all(&programs).unwrap();
        std::os::unix::fs::symlink("/bin/echo", programs.join(WINDOWS_INTERPRETER)).unwrap();
        let collected = OsCollector.collect(&Machine::at(folder.path(), Platform::Windows));
        assert_eq!(collected.obstacle().unwrap().code(), "malformed");
    }

    #[test]
    fn macos_reports_its_product_version() {
        let plist = "<dict>\n<key>ProductName</key>\n<string>macOS</string>\n<key>ProductVersion</key>\n<string>14.5</string>\n</dict>";
        let collected = collect(Platform::MacOs, &[(MACOS_VERSION, plist)]);
        assert_eq!(collected.known().unwrap().to_fact().version, "14.5.0");
        assert_eq!(collected.known().unwrap().to_fact().build, None);
    }

    proptest! {
        #[test]
        fn whatever_the_release_says_the_version_is_three_numbers_or_unknown(release in "\\PC{0,24}") {
            if let Some(version) = three_numbers(&release) {
                let numbers: Vec<_> = version.split('.').map(|part| part.parse::<u64>().is_ok()).collect();
                prop_assert_eq!(numbers, vec![true; 3]);
            }
        }
    }
}
