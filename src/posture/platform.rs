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
