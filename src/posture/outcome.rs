//! The three-valued answer of a check, and how long it holds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::limits;

/// The answer of a check. Only [`Outcome::Pass`] ever opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The device was shown to be in the wanted state.
    Pass,
    /// The device was shown not to be in the wanted state.
    Fail(FailReason),
    /// Nothing usable is known: absent, stale or unreadable data. NOT of it is still no result.
    NoResult(NoResultReason),
}

impl Outcome {
    /// Whether this is the one answer that opens.
    pub fn is_pass(self) -> bool {
        matches!(self, Outcome::Pass)
    }

    /// Three-valued NOT: swaps pass and fail, keeps no result.
    ///
    /// A fail that says no more than that something is not known becomes no result: what could not show one thing has not
    /// shown the opposite either.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Outcome::Pass => Outcome::Fail(FailReason::ForbiddenStatePresent),
            Outcome::Fail(reason) => reason.of_ignorance().map_or(Outcome::Pass, Outcome::NoResult),
            Outcome::NoResult(reason) => Outcome::NoResult(reason),
        }
    }

    /// The stable code shown in logs, records and replies; `pass` for a pass.
    pub fn code(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Fail(reason) => reason.code(),
            Outcome::NoResult(reason) => reason.code(),
        }
    }
}

/// An outcome and the first moment at which the passing of time alone could change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The answer.
    pub outcome: Outcome,
    /// The answer holds while `now < valid_until`; [`Timestamp::MAX`] when time does not matter.
    pub valid_until: Timestamp,
}

impl Assessment {
    /// An answer that time alone does not change.
    pub fn lasting(outcome: Outcome) -> Self {
        Assessment { outcome, valid_until: Timestamp::MAX }
    }

    /// An answer that must be asked again at `valid_until`.
    pub fn until(outcome: Outcome, valid_until: Timestamp) -> Self {
        Assessment { outcome, valid_until }
    }

    /// The answer of `ask` at `now`, valid until exactly the first moment at which `ask` answers differently.
    ///
    /// `ask` may say of its answers that they hold for less time than they do; it must not say more.
    pub(super) fn exact(now: Timestamp, ask: impl Fn(Timestamp) -> Assessment) -> Self {
        let first = ask(now);
        let mut next = first.valid_until;
        for _ in 0..limits::ASSESSMENT_STEPS_MAX {
            if next == Timestamp::MAX {
                break;
            }
            let later = ask(next);
            if later.outcome != first.outcome {
                break;
            }
            next = later.valid_until;
        }
        Assessment::until(first.outcome, next)
    }
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $code)] $variant,)* }

        impl $name {
            /// Every reason, for tables and tests.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $($name::$variant => $code,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.code())
            }
        }
    };
}

reasons! {
    /// Why a check failed.
    FailReason {
        /// The device's operating system is not among the listed ones.
        OsTypeNotAllowed = "os-type-not-allowed",
        /// The operating system's version is outside every listed range.
        OsVersionNotAllowed = "os-version-not-allowed",
        /// The device is joined to another domain.
        DomainNotAllowed = "domain-not-allowed",
        /// None of the device's addresses is listed.
        MacNotAllowed = "mac-not-allowed",
        /// The process is not running.
        ProcessNotRunning = "process-not-running",
        /// The executable's digest is not a listed one.
        ProcessHashMismatch = "process-hash-mismatch",
        /// None of the executable's signers is a listed one.
        ProcessSignerMismatch = "process-signer-mismatch",
        /// The MFA pass is older than the check's time-out.
        MfaTimedOut = "mfa-timed-out",
        /// The device woke after the MFA pass and the grace is over.
        MfaRequiredAfterWake = "mfa-required-after-wake",
        /// The device was unlocked after the MFA pass and the grace is over.
        MfaRequiredAfterUnlock = "mfa-required-after-unlock",
        /// The device reported, but not what the check looks at.
        FactMissing = "fact-missing",
        /// What the device reported of it cannot be read.
        FactUnreadable = "fact-unreadable",
        /// The distribution, or its revision, is another one.
        DistributionNotAllowed = "distribution-not-allowed",
        /// The device is joined to no domain.
        DomainNotJoined = "domain-not-joined",
        /// The file is not there.
        FileAbsent = "file-absent",
        /// A file is there that must not be.
        FilePresent = "file-present",
        /// The file's digest is another one.
        FileHashMismatch = "file-hash-mismatch",
        /// The file is signed by somebody else, or by nobody.
        FileSignerMismatch = "file-signer-mismatch",
        /// A volume is not encrypted.
        VolumeNotEncrypted = "volume-not-encrypted",
        /// A volume that must be encrypted is not there.
        VolumeAbsent = "volume-absent",
        /// The device reported that it has no volumes.
        NoVolumesReported = "no-volumes-reported",
        /// The check selects no volumes, so there is nothing that could show anything.
        NoVolumesSelected = "no-volumes-selected",
        /// The firewall is off.
        FirewallOff = "firewall-off",
        /// The firewall is on.
        FirewallOn = "firewall-on",
        /// No antivirus product is on.
        AntivirusOff = "antivirus-off",
        /// An antivirus product is on, but none is up to date.
        AntivirusOutdated = "antivirus-outdated",
        /// What the device is called is not in the list.
        NotListed = "not-listed",
        /// The list does not exist.
        ListNotFound = "list-not-found",
        /// No client of this gateway reports for the device now.
        NoClientSession = "no-client-session",
        /// The device's tunnel belongs to another organisation.
        OtherOrganization = "other-organization",
        /// The device holds no certificate where the check looks.
        NoCertificate = "no-certificate",
        /// No certificate of the device has its private key beside it.
        CertificateWithoutKey = "certificate-without-key",
        /// No certificate of the device is valid now.
        CertificateNotValid = "certificate-not-valid",
        /// No certificate of the device has the wanted name.
        CertificateNameMismatch = "certificate-name-mismatch",
        /// No certificate of the device may be used as wanted.
        CertificateUsageMismatch = "certificate-usage-mismatch",
        /// No certificate of the device was signed directly by the wanted one.
        CertificateSignerMismatch = "certificate-signer-mismatch",
        /// The signing certificate does not exist.
        SignerNotFound = "signer-not-found",
        /// What the provider says of the device is not what is wanted.
        ProviderMismatch = "provider-mismatch",
        /// A state that an expression forbids is present.
        ForbiddenStatePresent = "forbidden-state-present",
    }
}

impl FailReason {
    /// What is not known, for a reason that only says that something is not known.
    pub fn of_ignorance(self) -> Option<NoResultReason> {
        match self {
            FailReason::FactMissing | FailReason::NoVolumesReported => Some(NoResultReason::NotReported),
            FailReason::FactUnreadable => Some(NoResultReason::Unreadable),
            // That no client was heard of, or one of somebody else's, does not show that there is none.
            FailReason::NoClientSession | FailReason::OtherOrganization => Some(NoResultReason::NotReported),
            FailReason::ListNotFound | FailReason::SignerNotFound => Some(NoResultReason::Dangling),
            FailReason::NoVolumesSelected => Some(NoResultReason::Unsatisfiable),
            _ => None,
        }
    }
}

reasons! {
    /// Why a check has no result.
    NoResultReason {
        /// The fact was never reported.
        NotReported = "not-reported",
        /// The fact is older than the check allows.
        Stale = "stale",
        /// The reported value cannot be read.
        Unreadable = "unreadable",
        /// MFA was never passed.
        MfaNotPassed = "mfa-not-passed",
        /// The check names something that does not exist.
        Dangling = "dangling-check",
        /// The check cannot be satisfied as it is written (for example an empty path).
        Unsatisfiable = "unsatisfiable-check",
        /// The check is meant for other systems than the device's.
        NotApplicable = "not-applicable",
        /// The device reported the fact, but its key did not sign the report, as the check demands.
        NotSigned = "not-signed",
        /// The posture provider has no record of the device.
        UnknownToProvider = "unknown-to-provider",
    }
}
