//! The operating systems a check can name.

use serde::{Deserialize, Serialize};

/// An operating system, in the spelling of OpenZiti's API (`openziti.md` 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Platform {
    /// Google Android.
    Android,
    /// Linux of any distribution.
    Linux,
    /// Windows for workstations.
    Windows,
    /// Windows Server, unrelated to [`Platform::Windows`].
    WindowsServer,
    /// Apple iOS.
    #[serde(rename = "iOS")]
    Ios,
    /// Apple macOS.
    #[serde(rename = "macOS")]
    MacOs,
}

impl Platform {
    /// Every platform, in byte order of the spelling.
    pub const ALL: [Platform; 6] = [
        Platform::Android,
        Platform::Linux,
        Platform::Windows,
        Platform::WindowsServer,
        Platform::Ios,
        Platform::MacOs,
    ];

    /// The one accepted spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Platform::Android => "Android",
            Platform::Linux => "Linux",
            Platform::Windows => "Windows",
            Platform::WindowsServer => "WindowsServer",
            Platform::Ios => "iOS",
            Platform::MacOs => "macOS",
        }
    }

    /// Whether a device that calls itself `reported` is this platform: same letters, any case.
    pub fn is_reported_as(self, reported: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(reported)
    }
}

/// A kind of device, by which a check says what it is meant for. Cloudflare's spelling (`cloudflare.md` 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Windows, servers included.
    Windows,
    /// macOS.
    Mac,
    /// Linux of any distribution.
    Linux,
    /// Android.
    Android,
    /// iOS.
    Ios,
    /// ChromeOS.
    ChromeOs,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 6] =
        [Family::Windows, Family::Mac, Family::Linux, Family::Android, Family::Ios, Family::ChromeOs];

    /// The one accepted spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Family::Windows => "windows",
            Family::Mac => "mac",
            Family::Linux => "linux",
            Family::Android => "android",
            Family::Ios => "ios",
            Family::ChromeOs => "chromeos",
        }
    }

    /// The family of a spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Family::ALL.into_iter().find(|family| family.as_str() == text)
    }

    /// The family of a device that calls its system `reported`, in any letter case.
    pub fn of_reported(reported: &str) -> Option<Self> {
        const NAMES: [(&str, Family); 10] = [
            ("windows", Family::Windows),
            ("windowsserver", Family::Windows),
            ("macos", Family::Mac),
            ("mac", Family::Mac),
            ("darwin", Family::Mac),
            ("linux", Family::Linux),
            ("android", Family::Android),
            ("ios", Family::Ios),
            ("ipados", Family::Ios),
            ("chromeos", Family::ChromeOs),
        ];
        NAMES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(reported.trim())).map(|(_, family)| family)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Family>", into = "Vec<Family>")]
pub struct Families(u8);

impl Families {
    /// No family: a check meant for none never has a result.
    pub const NONE: Families = Families(0);
    /// Every family.
    pub const ALL: Families = Families::of(&Family::ALL);

    /// The set of these families.
    pub const fn of(families: &[Family]) -> Self {
        let mut bits = 0;
        let mut rest = families;
        while let [first, others @ ..] = rest {
            bits |= first.bit();
            rest = others;
        }
        Families(bits)
    }

    /// Whether a family is in the set.
    pub const fn contains(self, family: Family) -> bool {
        self.0 & family.bit() != 0
    }

    /// The families in both sets.
    #[must_use]
    pub const fn and(self, other: Families) -> Self {
        Families(self.0 & other.0)
    }

    /// The families in either set.
    #[must_use]
    pub const fn or(self, other: Families) -> Self {
        Families(self.0 | other.0)
    }

    /// Whether every family of this set is in the other one.
    pub const fn is_within(self, other: Families) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is no family in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The families, in the order of [`Family::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.contains(*family))
    }
}

impl From<Vec<Family>> for Families {
    fn from(families: Vec<Family>) -> Self {
        Families::of(&families)
    }
}

impl From<Families> for Vec<Family> {
    fn from(families: Families) -> Self {
        families.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_known_by_many_names() {
        for (reported, family) in [
            ("Windows", Family::Windows),
            ("WindowsServer", Family::Windows),
            ("Darwin", Family::Mac),
            ("macOS", Family::Mac),
            ("linux ", Family::Linux),
            ("ChromeOS", Family::ChromeOs),
        ] {
            assert_eq!(Family::of_reported(reported), Some(family), "{reported}");
        }
        for reported in ["", "win", "Linux 6.1", "beos"] {
            assert_eq!(Family::of_reported(reported), None, "{reported}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = Families::of(&[Family::Mac, Family::ChromeOs]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Family::Mac, Family::ChromeOs]);
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["mac","chromeos"]"#);
        assert!(set.is_within(Families::ALL) && !Families::ALL.is_within(set));
        assert!(set.and(Families::of(&[Family::Linux])).is_empty());
        assert!(set.or(Families::of(&[Family::Linux])).contains(Family::Linux));
    }
}
