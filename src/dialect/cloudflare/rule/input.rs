//! A rule's `input`: what all types read the same way, and which reader reads which type.

use serde_json::Value;

use super::super::duration;
use super::super::error::ApiError;
use super::super::members::Members;
use super::super::notes::{Notes, excerpt};
use super::kind::RuleType;
use super::timing::Timing;
use super::{certificate, device, listed, program, provider, system};
use crate::limits;
use crate::posture::check::Predicate;
use crate::posture::compare::Comparison;
use crate::posture::platform::{Families, Family};

/// What a rule asks, and of which devices.
pub(super) struct Question {
    pub(super) predicate: Predicate,
    /// The system that the input names; `None` when it names none.
    pub(super) system: Option<Family>,
}

impl Question {
    /// A question to devices of every platform that the type supports.
    pub(super) fn to_all(predicate: Predicate) -> Self {
        Question { predicate, system: None }
    }

    /// A question to devices of one system.
    pub(super) fn to(system: Family, predicate: Predicate) -> Self {
        Question { predicate, system: Some(system) }
    }
}

/// Reads the input of a rule of a known type.
pub(super) fn read(kind: RuleType, input: &mut Input<'_>, timing: &Timing) -> Result<Question, ApiError> {
    match kind {
        RuleType::File => program::file(input),
        RuleType::Application | RuleType::SentinelOne | RuleType::CarbonBlack => program::running(input),
        RuleType::Tanium => Ok(provider::legacy_tanium()),
        RuleType::Gateway => Ok(device::tunnel(input, true, timing)),
        RuleType::Warp => Ok(device::tunnel(input, false, timing)),
        RuleType::DiskEncryption => device::disk_encryption(input),
        RuleType::Firewall => device::firewall(input),
        RuleType::Antivirus => device::antivirus(input),
        RuleType::OsVersion => system::os_version(input),
        RuleType::DomainJoined => system::domain_joined(input),
        RuleType::SerialNumber => listed::serial_number(input),
        RuleType::UniqueClientId => listed::unique_client_id(input),
        RuleType::ClientCertificate => certificate::first_version(input),
        RuleType::ClientCertificateV2 => certificate::second_version(input),
        RuleType::Kolide => provider::kolide(input),
        RuleType::TaniumS2s => provider::tanium(input),
        RuleType::CrowdStrikeS2s => provider::crowdstrike(input),
        RuleType::Intune => provider::intune(input),
        RuleType::WorkspaceOne => provider::workspace_one(input),
        RuleType::SentinelOneS2s => provider::sentinelone(input),
        RuleType::CustomS2s => provider::custom(input),
    }
}

/// The members of an input, and what was odd about them so far.
pub(super) struct Input<'a> {
    pub(super) members: Members<'a>,
    pub(super) notes: Notes,
    /// The platforms on which the rule could be answered where it stands.
    pub(super) supported: Families,
}

impl<'a> Input<'a> {
    pub(super) fn warn(&mut self, note: impl Into<String>) {
        self.notes.add(note.into());
    }

    /// Points out members that no reader of this type looks at.
    pub(super) fn knows(&mut self, known: &[&str]) {
        for name in self.members.names().filter(|name| !known.contains(name)) {
            self.notes
                .add(format!("input.{} is not known for this type; it is kept, and has no effect", excerpt(name)));
        }
    }

    /// A text that may be left out but must not be empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.members.text(name)? {
            Some("") => Err(self.members.wrong(name, "must not be empty; leave it out")),
            text => Ok(text),
        }
    }

    /// The id of something else.
    pub(super) fn reference(&self, name: &str) -> Result<&'a str, ApiError> {
        let id = self.members.required_text(name)?;
        if id.chars().count() > limits::RULE_REFERENCE_CHARS_MAX {
            let reason = format!("is longer than {} characters", limits::RULE_REFERENCE_CHARS_MAX);
            return Err(self.members.wrong(name, reason));
        }
        Ok(id)
    }

    /// One of a few texts, which must be there.
    pub(super) fn required_one_of<T: Copy>(
        &self,
        name: &str,
        known: &[T],
        spelling: impl Fn(T) -> &'static str,
    ) -> Result<T, ApiError> {
        self.members.one_of(name, known, spelling)?.ok_or_else(|| self.members.missing(name))
    }

    /// The system the rule is for, one of those that the type supports.
    pub(super) fn system(&self, supported: Families) -> Result<Family, ApiError> {
        let known: Vec<Family> = supported.iter().collect();
        self.required_one_of("operating_system", &known, Family::as_str)
    }

    pub(super) fn required_flag(&self, name: &str) -> Result<bool, ApiError> {
        self.members.flag(name)?.ok_or_else(|| self.members.missing(name))
    }

    pub(super) fn comparison(&self, name: &str) -> Result<Option<Comparison>, ApiError> {
        self.members.one_of(name, &Comparison::ALL, Comparison::as_str)
    }

    pub(super) fn required_comparison(&self, name: &str) -> Result<Comparison, ApiError> {
        self.comparison(name)?.ok_or_else(|| self.members.missing(name))
    }

    /// A comparison that applies to `what`; where it is left out the default is taken, and said.
    pub(super) fn comparison_or(
        &mut self,
        name: &str,
        default: Comparison,
        what: &str,
    ) -> Result<Comparison, ApiError> {
        if let Some(given) = self.comparison(name)? {
            return Ok(given);
        }
        self.warn(format!("input.{name} is not given; input.{what} is compared with {default}"));
        Ok(default)
    }

    /// A comparison that has nothing to apply to is refused like any other when it is no comparison, and pointed out otherwise.
    pub(super) fn idle_comparison(&mut self, name: &str) -> Result<(), ApiError> {
        if self.comparison(name)?.is_some() {
            self.warn(format!("input.{name} has nothing to compare"));
        }
        Ok(())
    }

    /// A number without sign and exponent, as a text or as a number.
    pub(super) fn decimal(&self, name: &str) -> Result<Option<f64>, ApiError> {
        let Some(given) = self.members.get(name) else {
            return Ok(None);
        };
        let number = match given {
            Value::String(text) => decimal(text),
            Value::Number(number) => number.as_f64().filter(|number| *number >= 0.0),
            _ => None,
        };
        let wrong = || self.members.wrong(name, "must be a decimal number such as \"80\"");
        number.filter(|number| number.is_finite()).map(Some).ok_or_else(wrong)
    }

    pub(super) fn duration(&self, name: &str) -> Result<Option<std::time::Duration>, ApiError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        duration::parse(text).map(Some).map_err(|error| self.members.wrong(name, error))
    }
}

fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain(whole) && plain(fraction)).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_plain() {
        assert_eq!(decimal("82"), Some(82.0));
        assert_eq!(decimal("82.5"), Some(82.5));
        for text in ["", " 1", "1 ", "-1", "+1", "1e3", ".5", "5.", "1.2.3", "inf", "NaN", "0x1"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
