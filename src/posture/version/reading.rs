//! How the text of a version becomes a version.

use schemars::JsonSchema;
use semver::{BuildMetadata, Prerelease, Version};
use serde::{Deserialize, Serialize};

/// How a version that a device reports is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VersionReading {
    /// Exactly three numeric parts without leading zeros, as OpenZiti's controller reads them: `14.5`, `22.04.1` and
    /// `10.0.19045.2006` cannot be read.
    Strict,
    /// One to four numeric parts: missing ones are 0, a fourth is kept as build metadata and so not compared, leading zeros
    /// and surrounding blanks are passed over.
    #[default]
    Tolerant,
}

impl VersionReading {
    /// The version, or `None` when the text is not one.
    pub fn read(self, reported: &str) -> Option<Version> {
        match self {
            VersionReading::Strict => strict(reported),
            VersionReading::Tolerant => tolerant(reported.trim()),
        }
    }
}

/// Reads `MAJOR.MINOR.PATCH[-pre][+build]`.
pub(super) fn strict(text: &str) -> Option<Version> {
    Version::parse(text).ok().filter(|version| fits(&version.pre))
}

/// Whether every number of a pre-release fits 64 bits, as OpenZiti demands and the `semver` crate does not.
fn fits(pre: &Prerelease) -> bool {
    let numeric = |identifier: &&str| identifier.bytes().all(|byte| byte.is_ascii_digit());
    pre.is_empty() || pre.split('.').filter(numeric).all(|identifier| identifier.parse::<u64>().is_ok())
}

fn tolerant(text: &str) -> Option<Version> {
    let (rest, build) = split_suffix(text, '+')?;
    let (numbers, pre) = split_suffix(rest, '-')?;
    let pre = Prerelease::new(pre).ok().filter(fits)?;
    let build = BuildMetadata::new(build).ok()?;

    let mut parts = numbers.split('.');
    let major = number(parts.next()?)?;
    let minor = parts.next().map_or(Some(0), number)?;
    let patch = parts.next().map_or(Some(0), number)?;
    let build = match parts.next() {
        None => build,
        Some(revision) => with_revision(revision, &build)?,
    };
    parts.next().is_none().then_some(Version { major, minor, patch, pre, build })
}

/// Splits what follows a mark off; a mark that nothing follows is an error.
fn split_suffix(text: &str, mark: char) -> Option<(&str, &str)> {
    match text.split_once(mark) {
        Some((_, "")) => None,
        Some(split) => Some(split),
        None => Some((text, "")),
    }
}

fn with_revision(revision: &str, build: &BuildMetadata) -> Option<BuildMetadata> {
    number(revision)?;
    match build.is_empty() {
        true => BuildMetadata::new(revision).ok(),
        false => BuildMetadata::new(&format!("{revision}.{build}")).ok(),
    }
}

fn number(part: &str) -> Option<u64> {
    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| part.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn tolerantly(reported: &str, expected: Option<&str>) {
        let read = VersionReading::Tolerant.read(reported);
        assert_eq!(read.map(|version| version.to_string()).as_deref(), expected, "{reported:?}");
    }

    #[test]
    fn tolerant_reading_fills_and_keeps() {
        tolerantly("14", Some("14.0.0"));
        tolerantly("14.5", Some("14.5.0"));
        tolerantly("22.04.1", Some("22.4.1"));
        tolerantly("  10.0.19045.2006 ", Some("10.0.19045+2006"));
        tolerantly("1.2.3.4+b.1", Some("1.2.3+4.b.1"));
        tolerantly("5.15-91-generic", Some("5.15.0-91-generic"));
        tolerantly("1.2.3-rc.1+b-2", Some("1.2.3-rc.1+b-2"));
    }

    #[test]
    fn tolerant_reading_refuses_what_is_no_version() {
        for text in [
            "",
            " ",
            "10.",
            ".1",
            "1..2",
            "1.2.3.4.5",
            "v1.2.3",
            "+1",
            "-1",
            "1.+2",
            "1.2.x",
            "1 2",
            "1.2.3-",
            "1.2.3+",
            "latest",
            "٣.1",
            "18446744073709551616",
            "1.2.3.x",
        ] {
            tolerantly(text, None);
        }
    }

    #[test]
    fn strict_reading_wants_three_parts() {
        for text in
            ["", "14.5", "10.0.19045.2006", "22.04.1", " 1.2.3", "1.2.3 ", "1.2.3-", "1.2.3-18446744073709551616"]
        {
            assert_eq!(VersionReading::Strict.read(text), None, "{text:?}");
        }
        assert!(VersionReading::Strict.read("1.2.3-18446744073709551615+b.01").is_some());
        assert!(VersionReading::Strict.read("5.15.0-91-generic").is_some());
    }
}
