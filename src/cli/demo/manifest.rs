//! `demo.json`: what a program needs to know to use a running demo.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::people::{APP_HOST, Certificates, EVERYBODY, VAULT_HOST};
use crate::app::Addresses;

/// The contents of `demo.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) gateway_url: String,
    pub(super) client_api_url: String,
    pub(super) admin_url: String,
    pub(super) ops_url: String,
    /// What is behind the gate, for whoever wants to compare.
    pub(super) origin_url: String,
    pub(super) admin_token: String,
    pub(super) ca_file: PathBuf,
    pub(super) identities: Vec<Identity>,
    pub(super) services: Vec<Service>,
}

/// Somebody, with certificate and key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
}

/// Something behind the gate.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) host: String,
}

impl Manifest {
    /// Of a demo that listens at `addresses`. All paths are absolute.
    pub(super) fn new(addresses: &Addresses, origin: SocketAddr, token: &str, certificates: &Certificates) -> Self {
        let identities = EVERYBODY.into_iter().map(|name| Identity {
            id: name.to_owned(),
            name: name.to_owned(),
            cert_file: certificates.certificate_file(name),
            key_file: certificates.key_file(name),
        });
        let services = [("app", APP_HOST), ("vault", VAULT_HOST)];
        let service =
            |(name, host): (&str, &str)| Service { id: name.to_owned(), name: name.to_owned(), host: host.to_owned() };
        Manifest {
            gateway_url: format!("https://{}", addresses.gateway),
            client_api_url: format!("https://{}", addresses.client_api),
            admin_url: format!("https://{}", addresses.admin),
            ops_url: format!("http://{}", addresses.ops),
            origin_url: format!("http://{origin}"),
            admin_token: token.to_owned(),
            ca_file: certificates.ca_file(),
            identities: identities.collect(),
            services: services.map(service).into(),
        }
    }

    /// As the file's text.
    pub(super) fn to_text(&self) -> String {
        // Texts and paths that are UTF-8 always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
