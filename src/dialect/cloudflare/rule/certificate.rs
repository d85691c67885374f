//! A certificate the device holds (`cloudflare.md` 1.14 and 1.15).

use super::super::error::ApiError;
use super::super::members::Members;
use super::entries;
use super::input::{Input, Question};
use super::kind::RuleType;
use crate::posture::certificate::{KeyUsage, TrustStore};
use crate::posture::check::Predicate;
use crate::posture::check::certificate::{CertificateRule, Locations, Template};
use crate::posture::platform::Family;

pub(super) fn first_version(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["certificate_id", "cn"]);
    let mut rule = signed_by(input)?;
    rule.common_name = Some(common_name(&input.members, input.members.required_text("cn")?)?);
    Ok(Question::to_all(Predicate::Certificate(rule)))
}

pub(super) fn second_version(input: &mut Input<'_>) -> Result<Question, ApiError> {
    const NAMES: [&str; 7] = [
        "certificate_id",
        "check_private_key",
        "operating_system",
        "cn",
        "extended_key_usage",
        "locations",
        "subject_alternative_names",
    ];
    input.knows(&NAMES);
    let members = &input.members;
    let system = input.system(RuleType::ClientCertificateV2.platforms())?;
    let common_name = input.text("cn")?.map(|text| common_name(members, text)).transpose()?;
    let rule = CertificateRule {
        private_key: input.required_flag("check_private_key")?,
        common_name,
        names: alternative_names(members)?,
        key_usages: entries::several_of(members, "extended_key_usage", &KeyUsage::ALL, KeyUsage::as_str)?,
        locations: locations(members, system)?,
        ..signed_by(input)?
    };
    Ok(Question::to(system, Predicate::Certificate(rule)))
}

/// Asks for nothing but the signer, which is put in when a snapshot is compiled.
fn signed_by(input: &Input<'_>) -> Result<CertificateRule, ApiError> {
    Ok(CertificateRule {
        signed_by: input.reference("certificate_id")?.into(),
        signer: None,
        private_key: false,
        common_name: None,
        names: Vec::new(),
        key_usages: Vec::new(),
        locations: None,
    })
}

fn common_name(members: &Members<'_>, text: &str) -> Result<Template, ApiError> {
    Template::parse(text).map_err(|error| members.wrong("cn", error))
}

fn alternative_names(members: &Members<'_>) -> Result<Vec<Template>, ApiError> {
    const NAME: &str = "subject_alternative_names";
    let names = entries::texts(members, NAME)?.into_iter().enumerate();
    let parsed =
        names.map(|(index, text)| Template::parse(text).map_err(|error| entries::wrong(members, NAME, index, error)));
    parsed.collect()
}

/// Where to look; a place that names nowhere is left out, and then the default places count.
fn locations(members: &Members<'_>, system: Family) -> Result<Option<Locations>, ApiError> {
    let Some(places) = members.object("locations")? else {
        return Ok(None);
    };
    let paths = entries::texts(&places, "paths")?;
    if !paths.is_empty() && system != Family::Linux {
        return Err(places.wrong("paths", "can be given for linux only"));
    }
    let stores = entries::several_of(&places, "trust_stores", &TrustStore::ALL, TrustStore::as_str)?;
    let paths: Vec<String> = paths.into_iter().map(str::to_owned).collect();
    let somewhere = !paths.is_empty() || !stores.is_empty();
    Ok(somewhere.then_some(Locations { paths, stores }))
}
