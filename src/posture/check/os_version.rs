//! One operating system's version, compared number by number, with what comes after it and the distribution.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::compare::Comparison;
use crate::posture::facts::{Os, Posture};
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::platform::Family;

/// Passes when the version, and then what comes after it, compares as wanted, and the distribution is the wanted one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OsVersionRule {
    /// The system: it says what comes after its version.
    pub system: Family,
    /// How versions are compared.
    pub comparison: Comparison,
    /// The wanted version.
    pub version: Numbers,
    /// What is wanted to come after it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub extra: Option<Extra>,
    /// The wanted distribution, exact.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distribution: Option<String>,
    /// The wanted revision of the distribution, exact.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revision: Option<String>,
}

/// A version as three numbers; missing ones are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Numbers([u64; 3]);

impl Numbers {
    /// Reads a version of exactly three numbers, as a check must write it (`cloudflare.md` 1.12).
    pub fn parse_whole(text: &str) -> Option<Self> {
        let (numbers, count, rest) = leading(text)?;
        (count == 3 && rest.is_empty()).then_some(Numbers(first_three(numbers)))
    }

    /// Reads the version a text begins with: one to four numbers, of which three count.
    pub fn leading(text: &str) -> Option<Self> {
        let (numbers, _, _) = leading(text.trim())?;
        Some(Numbers(first_three(numbers)))
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Numbers([major, minor, patch]) = self;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

impl From<Numbers> for String {
    fn from(numbers: Numbers) -> Self {
        numbers.to_string()
    }
}

impl TryFrom<String> for Numbers {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Numbers::parse_whole(&text).ok_or("expected three numbers")
    }
}

fn first_three([major, minor, patch, _]: [u64; 4]) -> [u64; 3] {
    [major, minor, patch]
}

/// The run of one to four dotted numbers that a text begins with, how many they are, and what follows.
fn leading(text: &str) -> Option<([u64; 4], usize, &str)> {
    let mut numbers = [0; 4];
    let mut count = 0;
    let mut rest = text;
    for place in &mut numbers {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        if number.is_empty() {
            break;
        }
        *place = number.parse().ok()?;
        count += 1;
        rest = after;
        match after.strip_prefix('.') {
            Some(next) if next.starts_with(|c: char| c.is_ascii_digit()) && count < 4 => rest = next,
            _ => break,
        }
    }
    (count > 0).then_some((numbers, count, rest))
}

/// What comes after a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Extra {
    /// A number: Windows' update build revision, a kernel's patch.
    Number(u64),
    /// A letter in parentheses, lower case: a rapid security response.
    Letter(String),
}

impl Extra {
    /// Reads what comes after a version of `system`. One dash in front is passed over.
    pub fn parse(system: Family, text: &str) -> Option<Self> {
        let text = text.trim();
        match system {
            Family::Windows | Family::Linux => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                plain.then(|| digits.parse().ok().map(Extra::Number))?
            }
            Family::Mac | Family::Ios => {
                let letters = text.strip_prefix('(')?.strip_suffix(')')?;
                let plain = !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphanumeric());
                plain.then(|| Extra::Letter(text.to_ascii_lowercase()))
            }
            Family::Android | Family::ChromeOs => None,
        }
    }

    fn compare(&self, wanted: &Extra) -> Option<Ordering> {
        match (self, wanted) {
            (Extra::Number(own), Extra::Number(wanted)) => Some(own.cmp(wanted)),
            (Extra::Letter(own), Extra::Letter(wanted)) => Some(own.len().cmp(&wanted.len()).then(own.cmp(wanted))),
            _ => None,
        }
    }
}

const NOT_REPORTED: Outcome = Outcome::NoResult(NoResultReason::NotReported);

impl OsVersionRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(fact) = &posture.os else {
            return Assessment::lasting(NOT_REPORTED);
        };
        match fact.counts_until(max_age, now) {
            None => Assessment::lasting(Outcome::NoResult(NoResultReason::Stale)),
            Some(end) => Assessment::until(self.judge(&fact.value), end),
        }
    }

    fn judge(&self, os: &Os) -> Outcome {
        let distribution = os.distribution.as_ref();
        let answers = [
            self.judge_version(os),
            exactly(self.distribution.as_deref(), distribution.map(|known| known.name.as_str())),
            exactly(self.revision.as_deref(), distribution.and_then(|known| known.revision.as_deref())),
        ];
        let failed = answers.iter().find(|answer| matches!(answer, Outcome::Fail(_)));
        let missing = answers.iter().find(|answer| matches!(answer, Outcome::NoResult(_)));
        failed.or(missing).copied().unwrap_or(Outcome::Pass)
    }

    fn judge_version(&self, os: &Os) -> Outcome {
        if os.version.trim().is_empty() {
            return NOT_REPORTED;
        }
        let Some((numbers, count, rest)) = leading(os.version.trim()) else {
            return Outcome::NoResult(NoResultReason::Unreadable);
        };
        let order = Numbers(first_three(numbers)).cmp(&self.version);
        let order = match (&self.extra, order) {
            (None, order) | (Some(_), order @ (Ordering::Less | Ordering::Greater)) => order,
            (Some(wanted), Ordering::Equal) => {
                let own = match &os.extra {
                    Some(text) => Extra::parse(self.system, text),
                    None => self.extra_in_version(numbers, count, rest),
                };
                match own.and_then(|own| own.compare(wanted)) {
                    Some(order) => order,
                    // With equal versions nothing but the extra could decide, whatever the comparison.
                    None => return NOT_REPORTED,
                }
            }
        };
        if self.comparison.holds(order) { Outcome::Pass } else { Outcome::Fail(FailReason::OsVersionNotAllowed) }
    }

    /// What comes after the version where the version brings it along: the fourth number on Windows, the first number after the
    /// three on Linux (`6.50.0-1007-oem`).
    fn extra_in_version(&self, [_, _, _, fourth]: [u64; 4], count: usize, rest: &str) -> Option<Extra> {
        match self.system {
            Family::Windows | Family::Linux if count == 4 => Some(Extra::Number(fourth)),
            Family::Linux => {
                let digits: String =
                    rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
                digits.parse().ok().map(Extra::Number)
            }
            Family::Windows | Family::Mac | Family::Ios | Family::Android | Family::ChromeOs => None,
        }
    }
}

/// Whether a text is the wanted one, letter for letter, where one is wanted.
fn exactly(wanted: Option<&str>, reported: Option<&str>) -> Outcome {
    // An empty text is what a device says that has nothing to say.
    match (wanted, reported.filter(|reported| !reported.is_empty())) {
        (None, _) => Outcome::Pass,
        (Some(_), None) => NOT_REPORTED,
        (Some(wanted), Some(reported)) if wanted == reported => Outcome::Pass,
        (Some(_), Some(_)) => Outcome::Fail(FailReason::DistributionNotAllowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_version_has_three_numbers() {
        assert_eq!(
            Numbers::parse_whole("10.0.19045").map(|version| version.to_string()).as_deref(),
            Some("10.0.19045")
        );
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.3-rc.1", "1.2.3+b", "v1.2.3", "1.2.", "1..3", "1.2.x", " 1.2.3"] {
            assert_eq!(Numbers::parse_whole(text), None, "{text}");
        }
        assert_eq!(Numbers::parse_whole("1.2.18446744073709551616"), None);
    }

    #[test]
    fn a_reported_version_is_read_from_its_beginning() {
        assert_eq!(leading("5.14.0-25.el9.x86_64"), Some(([5, 14, 0, 0], 3, "-25.el9.x86_64")));
        assert_eq!(leading("10.0.19045.3803"), Some(([10, 0, 19045, 3803], 4, "")));
        assert_eq!(leading("17"), Some(([17, 0, 0, 0], 1, "")));
        assert_eq!(leading("17."), Some(([17, 0, 0, 0], 1, ".")));
        assert_eq!(leading("1.2.3.4.5"), Some(([1, 2, 3, 4], 4, ".5")));
        assert_eq!(leading("beta 1.2"), None);
    }

    #[test]
    fn extras_are_read_by_system() {
        assert_eq!(Extra::parse(Family::Windows, "3803"), Some(Extra::Number(3803)));
        assert_eq!(Extra::parse(Family::Linux, "-1007"), Some(Extra::Number(1007)));
        assert_eq!(Extra::parse(Family::Mac, "(A)"), Some(Extra::Letter("(a)".into())));
        for (system, text) in
            [(Family::Windows, "(a)"), (Family::Linux, "--1"), (Family::Mac, "a"), (Family::Android, "1")]
        {
            assert_eq!(Extra::parse(system, text), None, "{text}");
        }
    }
}
