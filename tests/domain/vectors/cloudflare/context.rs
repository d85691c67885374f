//! What the rules of a file refer to: lists, signing certificates and integrations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::id::{CertificateId, ConnectionId, ListId};
use postern::policy::Objects;
use postern::policy::compile::compile;
use postern::policy::device_list::{DeviceList, ListItem};
use postern::policy::integration::{Integration, Provider};
use postern::policy::objects::PostureCheck;
use postern::policy::signing_certificate::SigningCertificate;
use postern::posture::certificate::Signer;
use postern::posture::check::Check;
use postern::posture::check::listed::DeviceName;
use serde_json::Value;

use super::certificates::Authorities;
use super::text;
use crate::objects::meta;

pub(crate) struct Context {
    pub(crate) now: Timestamp,
    /// The organisation whose clients are this gateway's, if the file names it.
    pub(super) organization: Option<String>,
    pub(super) authorities: Authorities,
    objects: Objects,
}

impl Context {
    pub(crate) fn new(content: &Value, now: Timestamp) -> Self {
        let context = &content["context"];
        let authorities = Authorities::default();
        let mut objects = Objects::default();
        for (id, list) in context["lists"].as_object().into_iter().flatten() {
            objects.lists.insert(ListId::from(id.as_str()), Arc::new(device_list(id, list, now)));
        }
        for id in ids(&context["certificates"]) {
            let pem = authorities.pem(&id);
            let certificate = SigningCertificate {
                id: CertificateId::from(id.as_str()),
                name: None,
                signer: Signer::from_pem(&pem).unwrap(),
                pem: pem.into(),
                meta: meta(),
            };
            objects.signing_certificates.insert(certificate.id.clone(), certificate.into());
        }
        for id in ids(&context["integrations"]) {
            let provider = context["integrations"][&id]["type"].as_str();
            let integration = integration(&id, provider);
            objects.integrations.insert(integration.id.clone(), integration.into());
        }
        let organization = text(&context["organization"]).or_else(|| text(&content["meta"]["organization"]));
        Context { now, organization, authorities, objects }
    }

    pub(crate) fn objects(&self) -> Objects {
        self.objects.clone()
    }

    /// The rule's check as it is in a snapshot, with what it refers to in its place.
    pub(crate) fn compiled(&self, rule: PostureCheck) -> Result<Arc<Check>, String> {
        let id = rule.check.id.clone();
        let mut objects = self.objects();
        objects.checks.insert(id.clone(), rule.into());
        let snapshot = compile(objects, 1).map_err(|errors| format!("{errors:?}"))?;
        let check = snapshot.find_check(&id).and_then(|index| snapshot.check(index));
        check.cloned().ok_or_else(|| "the check is lost".to_owned())
    }
}

/// The ids of things told as a list of ids or as an object by id.
fn ids(things: &Value) -> Vec<String> {
    match things {
        Value::Object(things) => things.keys().cloned().collect(),
        Value::Array(things) => things.iter().filter_map(|thing| text(thing).or_else(|| text(&thing["id"]))).collect(),
        _ => Vec::new(),
    }
}

fn device_list(id: &str, list: &Value, now: Timestamp) -> DeviceList {
    let values = list["items"].as_array().into_iter().flatten();
    let values = values.filter_map(|item| text(item).or_else(|| text(&item["value"])));
    let items = values.map(|value| ListItem { value: value.into(), description: None, created_at: now });
    DeviceList {
        id: ListId::from(id),
        name: list["name"].as_str().unwrap_or(id).into(),
        holds: match list["type"].as_str() {
            Some("DEVICE") => DeviceName::UniqueClientId,
            _ => DeviceName::SerialNumber,
        },
        description: None,
        items: items.collect(),
        meta: meta(),
    }
}

fn integration(id: &str, provider: Option<&str>) -> Integration {
    let known = Provider::ALL.iter().copied().find(|known| Some(known.as_str()) == provider);
    Integration {
        id: ConnectionId::from(id),
        name: id.into(),
        provider: known.unwrap_or(Provider::Custom),
        interval: Duration::from_secs(600),
        interval_text: "10m".into(),
        config: BTreeMap::new(),
        secrets: BTreeMap::new(),
        meta: meta(),
    }
}
