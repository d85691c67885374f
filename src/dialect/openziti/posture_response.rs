//! Posture responses: what devices report, and what they are told (`openziti.md` 3.2).

use serde::Serialize;
use serde_json::Value;

use super::envelope::{Detail, detail};
use super::error::{ApiError, FieldError};
use super::members::{Members, json};
use super::posture_check::timeout_seconds;
use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::limits;
use crate::posture::check::mfa::MfaRule;
use crate::posture::facts::{Os, Process, Source};
use crate::posture::report::{Observation, Report, Seen};

/// Reads the body of `POST /posture-response`: one response.
pub fn read_posture_response(body: &[u8], received_at: Timestamp) -> Result<Report, ApiError> {
    let body = json(body)?;
    let observation = observation(&body, "")?;
    Ok(Report { received_at, source: Source::Device, observations: vec![observation] })
}

/// Reads the body of `POST /posture-response-bulk`: an array of responses. One that is wrong refuses them all.
pub fn read_posture_responses(body: &[u8], received_at: Timestamp) -> Result<Report, ApiError> {
    let body = json(body)?;
    let Some(items) = body.as_array() else {
        return Err(ApiError::unparsable("body", "must be an array of posture responses", &body));
    };
    if items.len() > limits::REPORT_OBSERVATIONS_MAX {
        let reason = format!("has more than {} responses", limits::REPORT_OBSERVATIONS_MAX);
        return Err(ApiError::invalid(FieldError::new("body", reason, &Value::from(items.len()))));
    }
    let observations = items.iter().enumerate().map(|(index, item)| observation(item, &format!("[{index}]")));
    Ok(Report { received_at, source: Source::Device, observations: observations.collect::<Result<_, _>>()? })
}

fn observation(body: &Value, path: &str) -> Result<Observation, ApiError> {
    let members = Members::of(body, path)?;
    let given = members.get("typeId").unwrap_or(&Value::Null);
    let read: fn(&Members<'_>) -> Result<Seen, FieldError> = match given.as_str() {
        Some("OS") => os,
        Some("DOMAIN") => domain,
        Some("MAC") => macs,
        Some("PROCESS") => process,
        Some("ENDPOINT_STATE") => endpoint,
        other => {
            let reason = match other {
                Some("PROCESS_MULTI") => "is not one of a response; send one PROCESS response for each process",
                Some("MFA") => "is not one of a response; MFA is passed, not reported",
                _ => "must be one of OS, DOMAIN, MAC, PROCESS, ENDPOINT_STATE",
            };
            return Err(ApiError::unparsable(members.field("typeId"), reason, given));
        }
    };
    let id = members.required_text("id")?;
    if id.is_empty() {
        return Err(members.missing("id").into());
    }
    Ok(Observation { asked_by: Some(CheckId::from(id)), seen: read(&members)? })
}

fn os(members: &Members<'_>) -> Result<Seen, FieldError> {
    Ok(Seen::Os(Os {
        name: members.required_text("type")?.to_owned(),
        version: members.required_text("version")?.to_owned(),
        build: members.text("build")?.filter(|build| !build.is_empty()).map(str::to_owned),
        ..Os::default()
    }))
}

fn domain(members: &Members<'_>) -> Result<Seen, FieldError> {
    Ok(Seen::Domain(members.required_text("domain")?.to_owned()))
}

fn macs(members: &Members<'_>) -> Result<Seen, FieldError> {
    let addresses = members.texts("macAddresses")?;
    Ok(Seen::Macs(addresses.ok_or_else(|| members.missing("macAddresses"))?))
}

/// Clients leave out what is false or empty, so a process without `isRunning` is one that does not run.
fn process(members: &Members<'_>) -> Result<Seen, FieldError> {
    Ok(Seen::Process(Process {
        path: members.text("path")?.unwrap_or_default().to_owned(),
        running: members.flag("isRunning")?.unwrap_or(false),
        hash: members.text("hash")?.unwrap_or_default().to_owned(),
        more_hashes: Vec::new(),
        signer_fingerprints: members.texts("signerFingerprints")?.unwrap_or_default(),
    }))
}

fn endpoint(members: &Members<'_>) -> Result<Seen, FieldError> {
    let woken = members.flag("woken")?.unwrap_or(false);
    let unlocked = members.flag("unlocked")?.unwrap_or(false);
    Ok(Seen::Endpoint { woken, unlocked })
}

/// What a device is told in answer to its responses.
#[derive(Clone, Debug, Serialize)]
pub struct PostureResponse<'a> {
    services: &'a [PromptedService],
}

/// A service that will close unless MFA is passed again soon, because the device woke or was unlocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptedService {
    id: String,
    name: String,
    posture_query_type: &'static str,
    timeout: i64,
    timeout_remaining: i64,
}

impl PromptedService {
    /// A service behind an MFA check that [is cut short](MfaRule::is_cut_short_by) by the event just reported.
    pub fn new(id: impl Into<String>, name: impl Into<String>, rule: &MfaRule) -> Self {
        PromptedService {
            id: id.into(),
            name: name.into(),
            posture_query_type: "MFA",
            timeout: timeout_seconds(rule.timeout),
            timeout_remaining: timeout_seconds(Some(rule.grace)),
        }
    }
}

/// The reply to posture responses.
pub fn posture_response_envelope(services: &[PromptedService]) -> Detail<PostureResponse<'_>> {
    detail(PostureResponse { services })
}
