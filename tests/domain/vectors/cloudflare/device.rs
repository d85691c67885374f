//! The neutral model of a device, as a posture.

use std::collections::BTreeMap;

use postern::clock::Timestamp;
use postern::id::ConnectionId;
use postern::posture::Posture;
use postern::posture::facts::{Distribution, Os, Process, Source};
use postern::posture::inventory::{AntivirusProduct, File, Firewall, Tunnel, Volume};
use postern::posture::provider::ProviderRecord;
use postern::posture::report::{Observation, Report, Seen};
use serde_json::Value;

use super::context::Context;
use super::{moment, providers, text};

/// The posture of a device that told all this at `reported_at`.
///
/// Facts alone are no check-in: they are taken in as if somebody else had written them down.
pub(crate) fn posture(device: &Value, rule: &Value, context: &Context) -> Result<Posture, String> {
    let reported_at = moment(&device["reported_at"]).unwrap_or(context.now);
    let mut seen = named(device);
    seen.extend(system(device));
    seen.extend(domain(device));
    seen.extend(files(device, rule));
    seen.extend(processes(device));
    seen.extend(protection(device));
    if let Some(held) = device["certificates"].as_array() {
        let held = held.iter().map(|held| context.authorities.issue(held, context.now));
        seen.push(Seen::Certificates(held.collect::<Result<_, _>>()?));
    }
    let mut posture = take_in(&Posture::default(), seen, reported_at, Source::Provider)?;

    let warp = &device["warp"];
    if warp.is_object() {
        let at = moment(&warp["reported_at"]).unwrap_or(reported_at);
        posture = match is_own_client(warp, context) {
            true => take_in(&posture, Vec::new(), at, Source::Device)?,
            false => take_in(&posture, vec![tunnel(warp)], at, Source::Provider)?,
        };
    }
    for (connection, said) in device["providers"].as_object().into_iter().flatten() {
        let at = moment(&said["reported_at"]).unwrap_or(reported_at);
        let Some(values) = providers::values(said, at) else {
            continue;
        };
        let record = ProviderRecord { connection: ConnectionId::from(connection.as_str()), values };
        posture = take_in(&posture, vec![Seen::Provider(record)], at, Source::Provider)?;
    }
    Ok(posture)
}

fn take_in(posture: &Posture, seen: Vec<Seen>, at: Timestamp, source: Source) -> Result<Posture, String> {
    let observations = seen.into_iter().map(|seen| Observation { asked_by: None, seen }).collect();
    posture.apply(&Report { received_at: at, source, observations }).map_err(|error| error.to_string())
}

fn named(device: &Value) -> Vec<Seen> {
    let names = [
        text(&device["hostname"]).map(Seen::Hostname),
        text(&device["serial_number"]).map(Seen::SerialNumber),
        text(&device["unique_client_id"]).map(Seen::UniqueClientId),
    ];
    let environment = device["environment"].as_object().or_else(|| device["env"].as_object());
    let environment = environment.map(|variables| {
        let variables = variables.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?)));
        Seen::Environment(variables.collect::<BTreeMap<_, _>>())
    });
    names.into_iter().flatten().chain(environment).collect()
}

fn system(device: &Value) -> Option<Seen> {
    let extra = text(&device["os_version_extra"]);
    // A kernel's release tells what comes after its version as well.
    let release = text(&device["kernel_release"]);
    let version = release.filter(|_| extra.is_none()).or_else(|| text(&device["os_version"]));
    let distribution = text(&device["os_distro_name"]);
    let revision = text(&device["os_distro_revision"]);
    let told = distribution.is_some() || revision.is_some();
    Some(Seen::Os(Os {
        name: text(&device["platform"])?,
        version: version.unwrap_or_default(),
        build: None,
        extra,
        distribution: told.then(|| Distribution { name: distribution.unwrap_or_default(), revision }),
    }))
}

/// The name of a workgroup is no domain.
fn domain(device: &Value) -> Option<Seen> {
    match (device["part_of_domain"].as_bool(), text(&device["domain"])) {
        (Some(false), _) => Some(Seen::Domain(String::new())),
        (_, domain) => domain.map(Seen::Domain),
    }
}

/// The list is complete: the rule's own path, where it is not in it, was looked for in vain. A path that is in it comes later, and
/// the last report of a path counts.
fn files(device: &Value, rule: &Value) -> Option<Seen> {
    let listed = device["files"].as_array()?;
    let path = text(&rule["input"]["path"]).unwrap_or_default();
    let mut files = vec![File { path, exists: false, ..File::default() }];
    files.extend(listed.iter().map(|file| File {
        path: text(&file["path"]).unwrap_or_default(),
        exists: file["exists"].as_bool().unwrap_or(true) && !is_directory(file),
        sha256: text(&file["sha256"]),
        thumbprints: text(&file["thumbprint"]).into_iter().collect(),
    }));
    Some(Seen::Files(files))
}

fn is_directory(file: &Value) -> bool {
    file["directory"] == true || file["is_directory"] == true || file["type"] == "directory"
}

fn processes(device: &Value) -> Option<Seen> {
    let running = |process: &Value| {
        let told = process["isRunning"].as_bool().or_else(|| process["running"].as_bool());
        told.unwrap_or(true)
    };
    let processes = device["processes"].as_array()?.iter().map(|process| Process {
        path: text(&process["path"]).unwrap_or_default(),
        running: running(process),
        hash: text(&process["sha256"]).unwrap_or_default(),
        more_hashes: Vec::new(),
        signer_fingerprints: text(&process["thumbprint"]).into_iter().collect(),
    });
    Some(Seen::Processes(processes.collect()))
}

fn protection(device: &Value) -> Vec<Seen> {
    let mut seen = Vec::new();
    if let Some(volumes) = device["volumes"].as_array() {
        let volumes = volumes.iter().map(|volume| Volume {
            name: text(&volume["name"]).unwrap_or_default(),
            encrypted: volume["encrypted"].as_bool(),
        });
        seen.push(Seen::Volumes(volumes.collect()));
    }
    let firewall = &device["firewall"];
    if firewall.is_object() {
        seen.push(Seen::Firewall(Firewall {
            public_profile: firewall["public_profile"].as_bool(),
            application: firewall["application"].as_bool(),
            packet_filter: firewall["pf"].as_bool(),
        }));
    }
    if let Some(products) = device["antivirus"].as_array() {
        let products = products.iter().map(|product| AntivirusProduct {
            name: text(&product["name"]).unwrap_or_default(),
            on: product["on"].as_bool().unwrap_or(false),
            up_to_date: product["up_to_date"].as_bool().unwrap_or(false),
            signatures_at: moment(&product["timestamp"]),
        });
        seen.push(Seen::Antivirus(products.collect()));
    }
    seen
}

/// Whether the client belongs to this gateway's organisation: the one the file names, or else any that does not say otherwise.
fn is_own_client(warp: &Value, context: &Context) -> bool {
    let organization = warp["organization"].as_str();
    let own = match (&context.organization, organization) {
        (_, None) => false,
        (Some(own), Some(organization)) => own == organization,
        (None, Some(organization)) => {
            let says_otherwise = ["else", "other", "foreign", "different", "consumer"];
            !organization.is_empty() && !says_otherwise.iter().any(|word| organization.contains(word))
        }
    };
    own && warp["connected"].as_bool().unwrap_or(false)
}

fn tunnel(warp: &Value) -> Seen {
    let organization = text(&warp["organization"]);
    Seen::Tunnel(Tunnel { connected: warp["connected"].as_bool().unwrap_or(false), organization })
}
