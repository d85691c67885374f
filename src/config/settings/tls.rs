//! TLS: the certificates the gateway shows, and whom it trusts.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::resolve_all;
use crate::config::document::{Document, Field, NodeId, Session};
use crate::config::values::{NameText, PathText};

/// Certificates and trust, as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificates shown by listeners without their own, chosen by SNI; the first is for everyone else. Never empty.
    pub certificates: Vec<ServerCertificate>,
    /// PEM files of the CAs that issue client certificates. Never empty.
    pub client_ca_files: Vec<PathBuf>,
    /// PEM or DER files of certificate revocation lists.
    pub crl_files: Vec<PathBuf>,
    /// What an expired revocation list means.
    pub expired_crl: ExpiredCrl,
    /// Whether clients of the gateway need a certificate.
    pub client_auth: ClientAuth,
}

/// Whether clients of the gateway need a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAuth {
    /// Under every name that is not listed, and without one.
    pub otherwise: ClientAuthMode,
    /// By the server name the client asks for, in lower case; `*.` stands for one label. The first that fits counts.
    pub by_name: Vec<(String, ClientAuthMode)>,
}

/// Whether a client needs a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuthMode {
    /// Without one, the connection is closed.
    #[default]
    Require,
    /// Without one, only services whose policy says `anonymous` are open. A bad one is refused all the same.
    Optional,
}

impl ClientAuth {
    /// What counts for a client that asks for `server_name`.
    pub fn of(&self, server_name: Option<&str>) -> ClientAuthMode {
        let fits = |pattern: &str, name: &str| match pattern.strip_prefix("*.") {
            Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
            None => name.eq_ignore_ascii_case(pattern),
        };
        let listed = server_name.and_then(|name| self.by_name.iter().find(|(pattern, _)| fits(pattern, name)));
        listed.map_or(self.otherwise, |(_, mode)| *mode)
    }

    /// Whether anybody may come without a certificate.
    pub fn is_optional_for_some(&self) -> bool {
        let modes = self.by_name.iter().map(|(_, mode)| mode);
        modes.chain([&self.otherwise]).any(|mode| *mode == ClientAuthMode::Optional)
    }
}

/// A server certificate and its key, as PEM files, with an OCSP response. It is shown to clients that ask for one of the names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// The certificate chain, leaf first.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
    /// What its CA says of it (OCSP, DER), to be shown with it.
    pub ocsp_file: Option<PathBuf>,
}

impl ServerCertificate {
    /// Every file of it.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.cert_file, &self.key_file].into_iter().chain(&self.ocsp_file)
    }
}

/// What an expired revocation list means for clients of its issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiredCrl {
    /// They are refused: revocation cannot be ruled out.
    #[default]
    Refuse,
    /// They are let in by the old list: a certificate revoked since stays usable.
    DangerousTolerate,
}

/// Certificates and trust.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["certificates", "client_ca_files"]))]
pub(super) struct RawTls {
    /// Server certificates, chosen by SNI; the first one is shown to clients that ask for no known name.
    certificates: Field<Vec<Field<RawServerCertificate>>>,
    /// PEM files of the CAs that issue client certificates.
    client_ca_files: Field<Vec<Field<PathText>>>,
    /// PEM or DER files of certificate revocation lists. Default: none.
    crl_files: Field<Vec<Field<PathText>>>,
    /// What an expired revocation list means for clients of its issuer. Default: refuse.
    expired_crl: Field<ExpiredCrl>,
    /// Whether clients of the gateway need a certificate: `require`, or `optional`, which opens services to everybody whose
    /// policy says `anonymous`. Default: require.
    client_auth: Field<ClientAuthMode>,
    /// The same by the server name the client asks for; the first entry that fits counts. Default: none.
    client_auth_by_name: Field<Vec<Field<RawNamedClientAuth>>>,
}

/// Whether clients that ask for a name need a certificate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "mode"]))]
struct RawNamedClientAuth {
    /// The server name; `*.example.org` stands for every name of one more label.
    name: Field<NameText>,
    /// `require` or `optional`.
    mode: Field<ClientAuthMode>,
}

/// A server certificate and its key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cert_file", "key_file"]))]
pub(super) struct RawServerCertificate {
    /// PEM file of the certificate chain, leaf first.
    cert_file: Field<PathText>,
    /// PEM file of the private key.
    key_file: Field<PathText>,
    /// DER file of an OCSP response about the certificate, which is shown to clients that ask for one. Default: none.
    ocsp_file: Field<PathText>,
}

impl RawTls {
    pub(super) fn check(self, session: &Session, node: NodeId, folder: &Path) -> Option<Tls> {
        require_items(session, node, "certificates", &self.certificates);
        require_items(session, node, "client_ca_files", &self.client_ca_files);
        let certificates = check_certificates(session, folder, self.certificates);
        let client_ca_files = resolve_all(folder, self.client_ca_files);
        if let Some(node) = self.expired_crl.node()
            && self.expired_crl.as_ref() == Some(&ExpiredCrl::DangerousTolerate)
        {
            session.warn(node, "certificates revoked after the list expired are let in");
        }
        let mut client_auth = ClientAuth { otherwise: self.client_auth.or_default(), by_name: Vec::new() };
        for entry in self.client_auth_by_name.items() {
            let name = entry.value.name.required(session, entry.node, "name");
            let mode = entry.value.mode.required(session, entry.node, "mode");
            if let (Some(name), Some(mode)) = (name, mode) {
                client_auth.by_name.push((name.value.0.to_ascii_lowercase(), mode.value));
            }
        }
        let usable = !certificates.is_empty() && !client_ca_files.is_empty();
        usable.then(|| Tls {
            certificates,
            client_ca_files,
            crl_files: resolve_all(folder, self.crl_files),
            expired_crl: self.expired_crl.or_default(),
            client_auth,
        })
    }
}

/// Refuses a required list that is absent or empty.
fn require_items<T>(session: &Session, parent: NodeId, key: &str, list: &Field<Vec<Field<T>>>) {
    match list.node() {
        Some(_) => refuse_empty(session, list),
        None if parent == Document::ROOT => session.missing(parent, &format!("tls.{key}")),
        None => session.missing(parent, key),
    }
}

/// Refuses a list that was given and holds nothing.
pub(super) fn refuse_empty<T>(session: &Session, list: &Field<Vec<Field<T>>>) {
    if let (Some(node), Some([])) = (list.node(), list.as_ref().map(Vec::as_slice)) {
        session.error(node, "needs at least one entry");
    }
}

/// The readable certificates of a list; what is wrong with the others is in `session`.
pub(super) fn check_certificates(
    session: &Session,
    folder: &Path,
    list: Field<Vec<Field<RawServerCertificate>>>,
) -> Vec<ServerCertificate> {
    let mut certificates = Vec::new();
    for raw in list.items() {
        let cert_file = raw.value.cert_file.required(session, raw.node, "cert_file");
        let key_file = raw.value.key_file.required(session, raw.node, "key_file");
        if let (Some(cert_file), Some(key_file)) = (cert_file, key_file) {
            certificates.push(ServerCertificate {
                cert_file: folder.join(cert_file.value.0),
                key_file: folder.join(key_file.value.0),
                ocsp_file: raw.value.ocsp_file.value().map(|file| folder.join(file.0)),
            });
        }
    }
    certificates
}
