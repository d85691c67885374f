//! What an integration of each type is configured with.

use std::collections::BTreeMap;
// The type alone; nothing is connected to.
use core::net::IpAddr;
use std::sync::Arc;

use http::Uri;

use super::super::error::ApiError;
use super::super::members::Members;
use super::super::notes::Notes;
use crate::limits;
use crate::policy::integration::Provider;
use crate::secret::{Sealed, Secret};

/// Members that are never shown.
const SECRETS: [&str; 3] = ["client_secret", "access_client_secret", "client_key"];
/// Members that are shown.
const SHOWN: [&str; 5] = ["api_url", "auth_url", "client_id", "customer_id", "access_client_id"];
/// An Access service token; neither half is of use alone.
const SERVICE_TOKEN: [&str; 2] = ["access_client_id", "access_client_secret"];

/// The members an integration must have, and those it may have.
const fn members_of(provider: Provider) -> (&'static [&'static str], &'static [&'static str]) {
    match provider {
        Provider::WorkspaceOne => (&["api_url", "auth_url", "client_id", "client_secret"], &[]),
        Provider::CrowdStrike => (&["api_url", "client_id", "client_secret", "customer_id"], &[]),
        Provider::Uptycs => (&["api_url", "client_key", "client_secret", "customer_id"], &[]),
        Provider::Intune => (&["client_id", "client_secret", "customer_id"], &[]),
        Provider::Kolide => (&["client_id", "client_secret"], &[]),
        Provider::Tanium => (&["api_url", "client_secret"], &SERVICE_TOKEN),
        Provider::SentinelOne => (&["api_url", "client_secret"], &[]),
        Provider::Custom => (&["api_url", "access_client_id", "access_client_secret"], &[]),
    }
}

/// A configuration: what may be shown, the secrets that are kept, and those that are given anew.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) shown: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) kept: BTreeMap<Arc<str>, Sealed>,
    pub(super) given: BTreeMap<Arc<str>, Secret>,
}

impl Config {
    /// The configuration with the members of a body in place of its own. An empty text takes an optional member away.
    pub(super) fn merged(
        mut self,
        members: &Members<'_>,
        provider: Provider,
        notes: &mut Notes,
    ) -> Result<Self, ApiError> {
        let (required, optional) = members_of(provider);
        for name in required.iter().chain(optional) {
            match members.text_within(name, longest(name))? {
                None => {}
                Some("") if optional.contains(name) => self.take_away(name),
                Some(text) => self.put(name, text).map_err(|reason| members.wrong(name, reason))?,
            }
        }
        if let Some(missing) = required.iter().find(|name| !self.has(name)) {
            return Err(members.missing(missing));
        }
        let [id, secret] = SERVICE_TOKEN;
        match (self.has(id), self.has(secret)) {
            (true, false) => return Err(members.wrong(secret, format!("is required with {id}"))),
            (false, true) => return Err(members.wrong(id, format!("is required with {secret}"))),
            (true, true) | (false, false) => {}
        }
        let of = format!("the config of type {}", provider.as_str());
        notes.ignored(members, &of, |name| required.contains(&name) || optional.contains(&name));
        Ok(self)
    }

    fn has(&self, name: &str) -> bool {
        self.shown.contains_key(name) || self.kept.contains_key(name) || self.given.contains_key(name)
    }

    fn take_away(&mut self, name: &str) {
        self.shown.remove(name);
        self.kept.remove(name);
    }

    fn put(&mut self, name: &str, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        match name {
            "api_url" | "auth_url" => check_url(text)?,
            _ if SERVICE_TOKEN.contains(&name) => check_header(text)?,
            _ => {}
        }
        if SECRETS.contains(&name) {
            self.kept.remove(name);
            self.given.insert(name.into(), Secret::new(text.to_owned()));
        } else {
            self.shown.insert(name.into(), text.into());
        }
        Ok(())
    }
}

/// The bound of a member, in bytes.
fn longest(name: &str) -> usize {
    match name {
        "api_url" | "auth_url" => limits::PROVIDER_URL_BYTES_MAX,
        _ if SERVICE_TOKEN.contains(&name) => limits::PROVIDER_CREDENTIAL_BYTES_MAX,
        _ if SECRETS.contains(&name) => limits::SECRET_BYTES_MAX,
        _ => limits::PROVIDER_MEMBER_BYTES_MAX,
    }
}

/// What may be shown of a configuration, wherever it came from.
pub(super) fn shown(config: &BTreeMap<Arc<str>, Arc<str>>) -> BTreeMap<&str, &str> {
    let known = config.iter().filter(|(name, _)| SHOWN.contains(&&***name));
    known.map(|(name, value)| (&**name, &**value)).collect()
}

/// A secret sent to the address must not travel in the clear, and none may stand in the address itself, which is shown.
fn check_url(text: &str) -> Result<(), String> {
    const NO_URL: &str = "must be an absolute URL with a host, such as https://posture.example/check";
    let url: Uri = text.parse().map_err(|_| NO_URL.to_owned())?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err(NO_URL.to_owned());
    };
    let (credentials, place) = match authority.as_str().rsplit_once('@') {
        Some((_, place)) => (true, place),
        None => (false, authority.as_str()),
    };
    let port = place.strip_prefix(authority.host());
    if authority.host().is_empty() || !port.is_some_and(|port| port.is_empty() || authority.port_u16().is_some()) {
        return Err(NO_URL.to_owned());
    }
    if credentials {
        return Err("must not hold a user name or a password: it is shown".to_owned());
    }
    // A name, even `localhost`, is for the resolver to say; an address is what it is.
    let address = authority.host().trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match scheme {
        "https" => Ok(()),
        "http" if address.is_ok_and(|address| address.is_loopback()) => Ok(()),
        _ => Err("must begin with https://; only a loopback address, such as 127.0.0.1, is asked over http".to_owned()),
    }
}

/// The two halves of a service token travel in header fields.
fn check_header(text: &str) -> Result<(), String> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("must hold neither blanks nor letters beyond ASCII: it travels in a header field".to_owned())
    }
}
