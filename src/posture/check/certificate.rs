//! A certificate that the device holds, signed by one that an operator uploaded.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::CertificateId;
use crate::posture::certificate::{DeviceCertificate, KeyUsage, Signer, TrustStore};
use crate::posture::facts::{Fact, Posture};
use crate::posture::fold::eq_folded;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::platform::Family;

/// Passes when one single certificate of the device satisfies everything that is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRule {
    /// The id of the signing certificate.
    pub signed_by: CertificateId,
    /// The signing certificate, put here when a snapshot is compiled; `None` when there is no such certificate.
    #[serde(skip)]
    pub signer: Option<Signer>,
    /// Whether the device must hold the private key.
    pub private_key: bool,
    /// The wanted common name, in any letter case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub common_name: Option<Template>,
    /// Alternative names of which the certificate must have one, in any letter case.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub names: Vec<Template>,
    /// Uses that must all be allowed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub key_usages: Vec<KeyUsage>,
    /// Where the certificate may lie; `None` for where the device's system keeps such certificates by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub locations: Option<Locations>,
}

/// Places a certificate may lie in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Locations {
    /// PEM files; they count on Linux.
    pub paths: Vec<String>,
    /// Trust stores.
    pub stores: Vec<TrustStore>,
}

/// A text with variables of the device: `${serial_number}` and `${hostname}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    /// The text in pieces, each with the variable that follows it.
    pieces: Vec<(String, Option<Variable>)>,
}

/// A variable of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    SerialNumber,
    Hostname,
}

/// A template that uses a variable nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("uses `${{{0}}}`; the variables are `${{serial_number}}` and `${{hostname}}`")]
pub struct UnknownVariable(String);

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, UnknownVariable> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}').ok_or_else(|| UnknownVariable(after.to_owned()))?;
            let variable = match name {
                "serial_number" => Variable::SerialNumber,
                "hostname" => Variable::Hostname,
                other => return Err(UnknownVariable(other.to_owned())),
            };
            pieces.push((before.to_owned(), Some(variable)));
            rest = tail;
        }
        pieces.push((rest.to_owned(), None));
        Ok(Template { text: text.to_owned(), pieces })
    }

    /// The text with its variables replaced by what is known now, and how long that counts; `None` when one is not known.
    fn filled(&self, look: &Look<'_>) -> Option<(String, Timestamp)> {
        let mut filled = String::new();
        let mut until = Timestamp::MAX;
        for (text, variable) in &self.pieces {
            filled.push_str(text);
            let fact = match variable {
                None => continue,
                Some(Variable::SerialNumber) => look.posture.inventory().serial_number.as_ref()?,
                Some(Variable::Hostname) => look.posture.inventory().hostname.as_ref()?,
            };
            until = until.min(fact.counts_until(look.max_age, look.now)?);
            let value = fact.value.trim();
            if value.is_empty() {
                return None;
            }
            filled.push_str(value);
        }
        Some((filled, until))
    }
}

impl TryFrom<String> for Template {
    type Error = UnknownVariable;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Template::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

/// What is looked at, and when.
struct Look<'a> {
    posture: &'a Posture,
    max_age: Option<Duration>,
    now: Timestamp,
}

/// The wanted names with the device's variables filled in.
struct Wanted {
    common_name: Option<String>,
    /// `None` when none is wanted.
    names: Option<Vec<String>>,
    /// Whether further names are wanted that use variables nobody told.
    untold_names: bool,
    until: Timestamp,
}

impl CertificateRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(signer) = &self.signer else {
            return Assessment::lasting(Outcome::Fail(FailReason::SignerNotFound));
        };
        let Some(fact) = &posture.inventory().certificates else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        let Some(end) = fact.counts_until(max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        let Some(wanted) = self.wanted(&Look { posture, max_age, now }) else {
            return Assessment::until(Outcome::NoResult(NoResultReason::NotReported), end);
        };
        self.judge(fact, posture.family(), signer, &wanted, now, end)
    }

    /// The names as this device must have them; `None` when a variable that all of them need is not known.
    fn wanted(&self, look: &Look<'_>) -> Option<Wanted> {
        let mut until = Timestamp::MAX;
        let mut fill = |template: &Template| {
            let (text, holds) = template.filled(look)?;
            until = until.min(holds);
            Some(text)
        };
        let common_name = match &self.common_name {
            None => None,
            Some(template) => Some(fill(template)?),
        };
        let names: Option<Vec<String>> =
            (!self.names.is_empty()).then(|| self.names.iter().filter_map(&mut fill).collect());
        if names.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let untold_names = names.as_ref().is_some_and(|names| names.len() < self.names.len());
        Some(Wanted { common_name, names, untold_names, until })
    }

    /// The answer for the certificate that comes closest.
    fn judge(
        &self,
        fact: &Fact<Vec<DeviceCertificate>>,
        family: Option<Family>,
        signer: &Signer,
        wanted: &Wanted,
        now: Timestamp,
        end: Timestamp,
    ) -> Assessment {
        let mut until = wanted.until.min(end);
        let mut closest = (0, FailReason::NoCertificate);
        let mut untold = false;
        for certificate in &fact.value {
            let changes = [certificate.not_before, certificate.not_after.after(Duration::from_millis(1))];
            until = changes.into_iter().filter(|change| now < *change).fold(until, Timestamp::min);
            match self.obstacle(certificate, family, signer, wanted, now) {
                None => {
                    let until = wanted.until.min(end).min(certificate.not_after.after(Duration::from_millis(1)));
                    return Assessment::until(Outcome::Pass, until);
                }
                Some(obstacle) => {
                    // With the names that cannot be told the certificate might be the wanted one.
                    untold |= wanted.untold_names && obstacle.1 == FailReason::CertificateNameMismatch;
                    closest = if obstacle.0 > closest.0 { obstacle } else { closest };
                }
            }
        }
        let missing = Outcome::NoResult(NoResultReason::NotReported);
        Assessment::until(if untold { missing } else { Outcome::Fail(closest.1) }, until)
    }

    /// The first thing that is wrong with a certificate, and how far it came. The signature comes last, for it costs most.
    fn obstacle(
        &self,
        certificate: &DeviceCertificate,
        family: Option<Family>,
        signer: &Signer,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Option<(u8, FailReason)> {
        let valid = (certificate.not_before..=certificate.not_after).contains(&now);
        let own_name = certificate.common_name.as_deref();
        let named = wanted.common_name.as_deref().is_none_or(|name| own_name.is_some_and(|own| eq_folded(own, name)));
        let has = |name: &String| certificate.names.iter().any(|own| eq_folded(own, name));
        let known_by = wanted.names.as_ref().is_none_or(|names| names.iter().any(has));
        let usable = self.key_usages.iter().all(|usage| certificate.key_usages.contains(usage));
        if !self.may_lie_there(certificate, family) {
            Some((0, FailReason::NoCertificate))
        } else if self.private_key && !certificate.private_key {
            Some((1, FailReason::CertificateWithoutKey))
        } else if !valid {
            Some((2, FailReason::CertificateNotValid))
        } else if !named || !known_by {
            Some((3, FailReason::CertificateNameMismatch))
        } else if !usable {
            Some((4, FailReason::CertificateUsageMismatch))
        } else if !signer.signed(certificate) {
            Some((5, FailReason::CertificateSignerMismatch))
        } else {
            None
        }
    }

    fn may_lie_there(&self, certificate: &DeviceCertificate, family: Option<Family>) -> bool {
        let stores = |stores: &[TrustStore]| certificate.store.is_some_and(|store| stores.contains(&store));
        match &self.locations {
            Some(locations) => {
                let in_file = || certificate.path.as_ref().is_some_and(|path| locations.paths.contains(path));
                stores(&locations.stores) || (family == Some(Family::Linux) && in_file())
            }
            None if family == Some(Family::Mac) => stores(&[TrustStore::System]),
            None => stores(&TrustStore::ALL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_variables_exist() {
        for text in ["plain", "", "${hostname}.com.${serial_number}", "$hostname", "{hostname}"] {
            assert_eq!(String::from(Template::parse(text).unwrap()), text);
        }
        for text in ["${HOSTNAME}", "${email}", "${", "a${}b", "${serial_number"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        let error = Template::parse("x${email}").unwrap_err();
        assert_eq!(error.to_string(), "uses `${email}`; the variables are `${serial_number}` and `${hostname}`");
    }
}
