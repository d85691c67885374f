//! What vendors say of a device, in their spelling or in Cloudflare's (`cloudflare.md` 1.17 to 1.23 and 4).

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::ApiError;
use super::members::{Members, object};
use super::notes::excerpt;
use crate::clock::Timestamp;
use crate::limits;
use crate::policy::integration::Provider;
use crate::posture::provider::{ProviderMember, ProviderValue, ProviderValues, RiskLevel};

/// How a value is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A text that may be empty, such as the id of a device that the provider does not know.
    Id,
    /// A text of the vendor's choice: vendors add words, and a word that no rule asks for passes none.
    Word,
    /// As [`Kind::Word`], in small letters.
    SmallWord,
    /// Workspace ONE's word for compliance.
    Compliance,
    /// Online, offline or unknown.
    State,
    /// A level of risk.
    Level,
    /// A number that is not negative; vendors and Cloudflare write some as texts.
    Number,
    /// A number from 0 to 100.
    Score,
    /// True or false.
    Flag,
    /// A moment.
    Instant,
    /// How many seconds ago a moment was.
    Age,
}

type Known = (&'static str, ProviderMember, Kind);

/// What each provider tells, by name in small letters without underscores.
const fn known(provider: Provider) -> &'static [Known] {
    use ProviderMember as Member;
    match provider {
        Provider::Intune => &[
            ("compliancestate", Member::ComplianceStatus, Kind::SmallWord),
            ("compliancestatus", Member::ComplianceStatus, Kind::SmallWord),
        ],
        Provider::WorkspaceOne => &[("compliancestatus", Member::ComplianceStatus, Kind::Compliance)],
        Provider::Kolide => {
            &[("authstate", Member::AuthState, Kind::Word), ("issuecount", Member::IssueCount, Kind::Number)]
        }
        Provider::CrowdStrike => &[
            ("overall", Member::Overall, Kind::Score),
            ("os", Member::Os, Kind::Score),
            ("sensorconfig", Member::SensorConfig, Kind::Score),
            ("version", Member::Version, Kind::Word),
            ("state", Member::State, Kind::State),
            ("lastseen", Member::LastSeen, Kind::Instant),
            ("lastseenseconds", Member::LastSeen, Kind::Age),
        ],
        Provider::Tanium => &[
            ("risklevel", Member::RiskLevel, Kind::Level),
            ("totalscore", Member::TotalScore, Kind::Number),
            ("eidlastseen", Member::EndpointLastSeen, Kind::Instant),
            ("eidlastseenseconds", Member::EndpointLastSeen, Kind::Age),
        ],
        Provider::SentinelOne => &[
            ("infected", Member::Infected, Kind::Flag),
            ("activethreats", Member::ActiveThreats, Kind::Number),
            ("isactive", Member::IsActive, Kind::Flag),
            ("networkstatus", Member::NetworkStatus, Kind::Word),
            ("operationalstate", Member::OperationalState, Kind::Word),
        ],
        Provider::Custom => &[("s2sid", Member::ProviderId, Kind::Id), ("score", Member::Score, Kind::Score)],
        Provider::Uptycs => &[("score", Member::Score, Kind::Score)],
    }
}

/// Reads the values that a provider has for one device. Names are compared without letter case and underscores, and a member
/// `type` is passed over. No value at all means that the provider knows the device and tells nothing.
pub fn read_provider_values(provider: Provider, body: &[u8], now: Timestamp) -> Result<ProviderValues, ApiError> {
    read_provider_object(provider, &object(body)?, now)
}

/// As [`read_provider_values`], from JSON that was read before.
pub fn read_provider_object(
    provider: Provider,
    body: &Map<String, Value>,
    now: Timestamp,
) -> Result<ProviderValues, ApiError> {
    let members = Members::of_body(body);
    let mut values = ProviderValues::new();
    for name in members.names().filter(|name| *name != "type") {
        let plain = name.replace('_', "").to_ascii_lowercase();
        let (_, member, kind) = *known(provider).iter().find(|(known, ..)| *known == plain).ok_or_else(|| {
            let told: Vec<&str> = known(provider).iter().map(|(_, member, _)| member.as_str()).collect();
            let reason = format!("is nothing that {} tells; it tells {}", provider.as_str(), listed(told));
            ApiError::invalid(members.pointer(&excerpt(name)), reason)
        })?;
        let value = kind.read(&members, name, now)?;
        if values.insert(member, value).is_some() {
            return Err(members.wrong(name, "is given twice, in two spellings"));
        }
    }
    Ok(values)
}

fn listed(mut names: Vec<&str>) -> String {
    names.dedup();
    names.join(" ")
}

impl Kind {
    fn read(self, members: &Members<'_>, name: &str, now: Timestamp) -> Result<ProviderValue, ApiError> {
        let wrong = |reason: String| members.wrong(name, reason);
        Ok(match self {
            Kind::Id => {
                let id = members.text_within(name, limits::PROVIDER_ENTRY_ID_BYTES_MAX)?;
                ProviderValue::Text(id.unwrap_or_default().to_owned())
            }
            Kind::Word => ProviderValue::Text(members.required_text(name)?.to_owned()),
            Kind::SmallWord => ProviderValue::Text(members.required_text(name)?.to_ascii_lowercase()),
            Kind::Compliance => ProviderValue::Text(compliance(members.required_text(name)?).to_owned()),
            Kind::State => {
                let word = members.required_text(name)?.to_ascii_lowercase();
                let is_known = ["online", "offline", "unknown"].contains(&word.as_str());
                let word = is_known.then_some(word);
                ProviderValue::Text(word.ok_or_else(|| wrong("must be one of online offline unknown".to_owned()))?)
            }
            Kind::Level => {
                let level = RiskLevel::parse(members.required_text(name)?);
                let level = level.ok_or_else(|| wrong(format!("must be one of {}", listed(levels()))))?;
                ProviderValue::Text(level.as_str().to_owned())
            }
            Kind::Number => ProviderValue::Number(number(members.get(name)).map_err(|reason| wrong(reason.into()))?),
            Kind::Score => match number(members.get(name)).map_err(|reason| wrong(reason.into()))? {
                score if score <= SCORE_MAX => ProviderValue::Number(score),
                _ => return Err(wrong(format!("must be from 0 to {SCORE_MAX}"))),
            },
            Kind::Flag => ProviderValue::Flag(members.flag(name)?.unwrap_or_default()),
            Kind::Instant => ProviderValue::Instant(instant(members.required_text(name)?).map_err(wrong)?),
            Kind::Age => {
                let seconds = number(members.get(name)).map_err(|reason| wrong(reason.into()))?;
                let age = Duration::try_from_secs_f64(seconds);
                ProviderValue::Instant(now.before(age.map_err(|_| wrong("is too long ago".to_owned()))?))
            }
        })
    }
}

const SCORE_MAX: f64 = 100.0;

fn levels() -> Vec<&'static str> {
    RiskLevel::ALL.into_iter().map(RiskLevel::as_str).collect()
}

/// Everything that is neither compliant nor the opposite is not known to be either.
fn compliance(word: &str) -> &'static str {
    const KNOWN: [&str; 2] = ["compliant", "noncompliant"];
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(word)).unwrap_or("unknown")
}

/// A number, or one written as a text; no sign, no exponent.
fn number(value: Option<&Value>) -> Result<f64, &'static str> {
    const NO_NUMBER: &str = "must be a number that is not negative";
    let number = match value {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            text.parse().ok()
        }
        _ => None,
    };
    number.filter(|number| number.is_finite() && *number >= 0.0).ok_or(NO_NUMBER)
}

fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "must be an RFC 3339 time such as 2026-01-02T03:04:05Z".to_owned())
}
