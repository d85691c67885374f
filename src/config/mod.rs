//! Configuration: YAML files in, checked values out, everything that is wrong reported at once.
//!
//! Two kinds of files are read. The configuration file ([`load`]) says how the gateway runs; the policy folder
//! ([`policy::load`]) says who may reach what. Both are read strictly: unknown keys, duplicate keys and values that do not fit
//! are refused, each as a [`Finding`] with file, line, column and key path. A load gives a whole set of checked values or
//! none. Findings never repeat a secret, nor the text of a file that turned out not to be a configuration.
//!
//! [`schema`] makes the JSON Schemas in `config/` from the definitions the reader itself uses; [`watch`] tells when files
//! have changed. This floor reads files and nothing else: no sockets, no clock.

use std::path::Path;

mod agent;
mod document;
mod environment;
mod findings;
mod network;
mod places;
pub mod policy;
pub mod schema;
mod settings;
mod values;
pub mod watch;

pub use agent::{AgentSettings, load_agent};
pub use environment::{Environment, RESERVED};
pub use findings::{Finding, Findings, Place, Severity};
pub use network::Network;
pub use places::Places;
pub use settings::{
    Admin, AdminCertificate, AdminRole, AdminSession, AdminToken, AdminUser, AutoEnroll, ClientAuth, ClientAuthMode,
    Cloudflare, Data, Enrollment, ExpiredCrl, Forwarded, FrontDoor, HashingError, Identification, Limits, Listeners,
    Log, LogFormat, NameFrom, PasswordHash, PasswordHashError, PlainListener, Proxy, RequestIds, ServerCertificate,
    ServiceDefaults, Settings, Shutdown, Store, Tls, TlsListener, TokenDigest, Workers,
};

use crate::limits::CONFIG_FILE_BYTES_MAX;
use document::session::Spelling;
use document::{Session, file, overlay, parse};
use settings::RawSettings;

/// Reads the configuration file at `path` with the overrides of `environment` over it.
///
/// Returns the settings and any warnings, or every reason why there are none. Relative paths in the file and in overrides
/// start at the file's folder.
pub fn load(path: &Path, environment: &Environment) -> Result<(Settings, Findings), Findings> {
    let bytes = file::read(path, CONFIG_FILE_BYTES_MAX)?;
    let (mut document, mut findings) = parse::parse(path, &bytes.content);
    let readable = !findings.has_errors() || !document.is_blank();
    overlay::overlay(&mut document, environment, &mut findings);
    if !readable {
        return findings.settle(None);
    }
    let session = Session::new(document, findings, Spelling::Snake);
    let raw: Option<RawSettings> = session.decode();
    let folder = path.parent().unwrap_or(Path::new(""));
    let settings = raw.and_then(|raw| raw.check(&session, folder));
    session.into_findings().settle(settings)
}
