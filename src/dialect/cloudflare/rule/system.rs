//! The operating system's version and the joined domain (`cloudflare.md` 1.12 and 1.13).

use super::super::error::ApiError;
use super::input::{Input, Question};
use super::kind::RuleType;
use crate::posture::check::Predicate;
use crate::posture::check::domain::{DomainMatching, DomainRule};
use crate::posture::check::os_version::{Extra, Numbers, OsVersionRule};
use crate::posture::platform::Family;

pub(super) fn os_version(input: &mut Input<'_>) -> Result<Question, ApiError> {
    const NAMES: [&str; 6] =
        ["operating_system", "operator", "version", "os_distro_name", "os_distro_revision", "os_version_extra"];
    input.knows(&NAMES);
    let system = input.system(RuleType::OsVersion.platforms())?;
    let comparison = input.required_comparison("operator")?;
    let version = Numbers::parse_whole(input.members.required_text("version")?)
        .ok_or_else(|| input.members.wrong("version", "must be three numbers such as 10.0.19045"))?;
    let extra = input.text("os_version_extra")?.map(|text| extra(input, system, text)).transpose()?;
    let distribution = input.text("os_distro_name")?.map(str::to_owned);
    let revision = input.text("os_distro_revision")?.map(str::to_owned);
    if system != Family::Linux && (distribution.is_some() || revision.is_some()) {
        input.warn("only linux has distributions: the rule fails on every device");
    }
    let rule = OsVersionRule { system, comparison, version, extra, distribution, revision };
    Ok(Question::to(system, Predicate::OsVersion(rule)))
}

fn extra(input: &Input<'_>, system: Family, text: &str) -> Result<Extra, ApiError> {
    Extra::parse(system, text).ok_or_else(|| {
        let reason = match system {
            Family::Windows | Family::Linux => "must be a number such as 3803",
            Family::Mac | Family::Ios => "must be a letter in parentheses such as (a)",
            Family::Android | Family::ChromeOs => "has no meaning on this system",
        };
        input.members.wrong("os_version_extra", reason)
    })
}

pub(super) fn domain_joined(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["operating_system", "domain"]);
    let system = input.system(RuleType::DomainJoined.platforms())?;
    let rule = match input.text("domain")? {
        Some(domain) => DomainRule { domains: vec![domain.to_owned()], matching: DomainMatching::Exact },
        None => DomainRule { domains: Vec::new(), matching: DomainMatching::Any },
    };
    Ok(Question::to(system, Predicate::Domain(rule)))
}
