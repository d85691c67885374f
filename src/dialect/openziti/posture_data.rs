//! Everything known about one device, as the management API shows it (`openziti.md` 4.1).
//!
//! Differs from OpenZiti's controller where that leaves things out: `build`, `path`, `passedAt` and `isRunning: false` are shown,
//! and there is an entry for each process, not only the last one of a check.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::posture::Posture;
use crate::posture::facts::{Distribution, Endpoint, Fact, Process, Sdk, Source};
use crate::posture::inventory::Inventory;

/// The posture of one identity.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureData<'a> {
    api_session_posture_data: BTreeMap<&'a str, SessionData<'a>>,
    domain: DomainData<'a>,
    mac: MacData<'a>,
    os: OsData<'a>,
    processes: Vec<ProcessData<'a>>,
    /// When the device last reported; an addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_in_at: Option<Timestamp>,
    /// When the device last reported something that its key signed; an addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_in_at: Option<Timestamp>,
    /// How far its clock was ahead then; an addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew_millis: Option<i64>,
    /// What OpenZiti has no words for, each fact with its time and source; an addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    inventory: Option<&'a Inventory>,
}

/// Shows a posture; `session` is the id under which what belongs to a session (MFA, wake and unlock, SDK) is listed.
pub fn posture_data<'a>(posture: &'a Posture, session: &'a str) -> PostureData<'a> {
    let Posture { os, domain, macs, processes, endpoint, mfa, sdk, checked_in_at, signed_in_at, inventory, .. } =
        posture;
    let known = mfa.passed_at.is_some() || *endpoint != Endpoint::default() || sdk.is_some();
    let (domain, mac, os) = (domain.as_ref(), macs.as_ref(), os.as_ref());
    PostureData {
        api_session_posture_data: known.then(|| (session, SessionData::of(posture, session))).into_iter().collect(),
        domain: DomainData { base: Base::of(domain), domain: domain.map(|fact| fact.value.as_str()) },
        mac: MacData { base: Base::of(mac), addresses: mac.map(|fact| fact.value.as_slice()) },
        os: OsData {
            base: Base::of(os),
            build: os.and_then(|fact| fact.value.build.as_deref()),
            kind: os.map(|fact| fact.value.name.as_str()),
            version: os.map(|fact| fact.value.version.as_str()),
            extra: os.and_then(|fact| fact.value.extra.as_deref()),
            distribution: os.and_then(|fact| fact.value.distribution.as_ref()),
        },
        processes: processes.iter().map(ProcessData::of).collect(),
        checked_in_at: *checked_in_at,
        signed_in_at: *signed_in_at,
        clock_skew_millis: posture.clock_skew_millis,
        inventory: inventory.as_deref(),
    }
}

/// When and for which check a fact was reported.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Base<'a> {
    last_updated_at: Option<Timestamp>,
    posture_check_id: &'a str,
    timed_out: bool,
    /// The device's key signed the report; an addition of ours.
    #[serde(skip_serializing_if = "is_false")]
    signed: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl<'a> Base<'a> {
    fn of<T>(fact: Option<&'a Fact<T>>) -> Self {
        Base {
            last_updated_at: fact.map(|fact| fact.observed_at),
            posture_check_id: fact.and_then(|fact| fact.asked_by.as_ref()).map_or("", |check| check.as_str()),
            timed_out: false,
            signed: fact.is_some_and(|fact| fact.source == Source::DeviceSigned),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct DomainData<'a> {
    #[serde(flatten)]
    base: Base<'a>,
    domain: Option<&'a str>,
}

#[derive(Clone, Debug, Serialize)]
struct MacData<'a> {
    #[serde(flatten)]
    base: Base<'a>,
    addresses: Option<&'a [String]>,
}

#[derive(Clone, Debug, Serialize)]
struct OsData<'a> {
    #[serde(flatten)]
    base: Base<'a>,
    build: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    version: Option<&'a str>,
    /// What comes after the version; an addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<&'a str>,
    /// The distribution; an addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    distribution: Option<&'a Distribution>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessData<'a> {
    #[serde(flatten)]
    base: Base<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    binary_hash: &'a str,
    is_running: bool,
    path: &'a str,
    signer_fingerprints: &'a [String],
}

impl<'a> ProcessData<'a> {
    fn of(fact: &'a Fact<Process>) -> Self {
        let Process { path, running, hash, signer_fingerprints, .. } = &fact.value;
        ProcessData { base: Base::of(Some(fact)), binary_hash: hash, is_running: *running, path, signer_fingerprints }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionData<'a> {
    mfa: MfaData<'a>,
    endpoint_state: EndpointState,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk_info: Option<SdkInfo<'a>>,
}

impl<'a> SessionData<'a> {
    fn of(posture: &'a Posture, session: &'a str) -> Self {
        let Posture { mfa, endpoint, sdk, .. } = posture;
        let passed_since =
            |event: Option<Timestamp>| mfa.passed_at.is_some_and(|passed| event.is_none_or(|event| event < passed));
        SessionData {
            mfa: MfaData {
                api_session_id: session,
                passed_at: mfa.passed_at,
                passed_mfa: mfa.passed_at.is_some(),
                passed_on_unlock: passed_since(endpoint.unlocked_at),
                passed_on_wake: passed_since(endpoint.woken_at),
            },
            endpoint_state: EndpointState { unlocked_at: endpoint.unlocked_at, woken_at: endpoint.woken_at },
            sdk_info: sdk.as_ref().map(SdkInfo::of),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MfaData<'a> {
    api_session_id: &'a str,
    passed_at: Option<Timestamp>,
    passed_mfa: bool,
    passed_on_unlock: bool,
    passed_on_wake: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointState {
    unlocked_at: Option<Timestamp>,
    woken_at: Option<Timestamp>,
}

/// The software that speaks for a device.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SdkInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

impl<'a> SdkInfo<'a> {
    pub(super) fn of(sdk: &'a Sdk) -> Self {
        SdkInfo {
            app_id: sdk.app_id.as_deref(),
            app_version: sdk.app_version.as_deref(),
            branch: sdk.branch.as_deref(),
            revision: sdk.revision.as_deref(),
            kind: sdk.kind.as_deref(),
            version: sdk.version.as_deref(),
        }
    }
}
