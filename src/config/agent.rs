//! The agent's configuration file: which gateway a device reports to, and with which certificate.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::document::session::Spelling;
use super::document::{Document, Field, Session, file, parse};
use super::findings::Findings;
use super::settings::{Log, RawLog, positive};
use super::values::{DurationText, PathText, UrlText};
use crate::limits::{AGENT_INTERVAL, CONFIG_FILE_BYTES_MAX};

/// What an agent goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSettings {
    /// The gateway's client API, such as `https://gateway.example:8444`.
    pub gateway: String,
    /// The device's certificate chain, a PEM file.
    pub cert_file: PathBuf,
    /// The certificate's key, a PEM file.
    pub key_file: PathBuf,
    /// The CAs of which one must have issued the gateway's certificate, a PEM file.
    pub ca_file: PathBuf,
    /// The longest time between two reports.
    pub interval: Duration,
    /// Services of which `status` asks whether they answer, as URLs.
    pub services: Vec<String>,
    /// Log output.
    pub log: Log,
}

/// The configuration file of a device's agent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Postern agent configuration", extend("required" = ["gateway", "cert_file", "key_file", "ca_file"]))]
pub(super) struct RawAgent {
    /// The gateway's client API.
    gateway: Field<UrlText>,
    /// PEM file of the device's certificate chain, its own certificate first.
    cert_file: Field<PathText>,
    /// PEM file of the certificate's private key.
    key_file: Field<PathText>,
    /// PEM file of the CAs of which one must have issued the gateway's certificate.
    ca_file: Field<PathText>,
    /// The longest time between two reports; shorter where a check asks for fresher facts. Default: 1m.
    interval: Field<DurationText>,
    /// Services of which `postern-agent status` also asks whether they answer. Default: none.
    services: Field<Vec<Field<UrlText>>>,
    /// Log output.
    log: Field<RawLog>,
}

/// Reads the agent's configuration file at `path`. Relative paths start at the file's folder.
pub fn load_agent(path: &Path) -> Result<(AgentSettings, Findings), Findings> {
    let bytes = file::read(path, CONFIG_FILE_BYTES_MAX)?;
    let (document, findings) = parse::parse(path, &bytes.content);
    if findings.has_errors() && document.is_blank() {
        return findings.settle(None);
    }
    let session = Session::new(document, findings, Spelling::Snake);
    let raw: Option<RawAgent> = session.decode();
    let settings = raw.and_then(|raw| raw.check(&session, path.parent().unwrap_or(Path::new(""))));
    session.into_findings().settle(settings)
}

impl RawAgent {
    fn check(self, session: &Session, folder: &Path) -> Option<AgentSettings> {
        let gateway = self.gateway.required(session, Document::ROOT, "gateway");
        let file = |field: Field<PathText>, key: &str| {
            Some(folder.join(field.required(session, Document::ROOT, key)?.value.0))
        };
        let cert_file = file(self.cert_file, "cert_file");
        let key_file = file(self.key_file, "key_file");
        let ca_file = file(self.ca_file, "ca_file");
        let interval = positive(session, self.interval, AGENT_INTERVAL);
        Some(AgentSettings {
            gateway: gateway?.value.0,
            cert_file: cert_file?,
            key_file: key_file?,
            ca_file: ca_file?,
            interval,
            services: self.services.items().into_iter().map(|service| service.value.0).collect(),
            log: self.log.or_default().check(),
        })
    }
}
