//! Real certificates: authorities by name, and what they issue to devices.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use postern::clock::Timestamp;
use postern::posture::certificate::{DeviceCertificate, TrustStore};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    OtherNameValue, SanType,
};
use serde_json::Value;
use time::OffsetDateTime;

use super::{moment, text};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Authorities, made when first asked for: a device may well hold a certificate of one that nobody uploaded.
#[derive(Default)]
pub(super) struct Authorities(RefCell<BTreeMap<String, Authority>>);

impl Authorities {
    /// The authority's own certificate.
    pub(super) fn pem(&self, name: &str) -> String {
        self.with(name, |authority| authority.pem.clone())
    }

    fn with<T>(&self, name: &str, use_it: impl FnOnce(&Authority) -> T) -> T {
        let mut known = self.0.borrow_mut();
        use_it(known.entry(name.to_owned()).or_insert_with(|| authority(name)))
    }

    /// The certificate that a device holds.
    pub(super) fn issue(&self, held: &Value, now: Timestamp) -> Result<DeviceCertificate, String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(held["cn"].as_str());
        params.subject_alt_names = list(&held["sans"]).map(alternative_name).collect::<Result<_, _>>()?;
        params.extended_key_usages = list(&held["eku"]).filter_map(usage).collect();
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        params.not_before = date(moment(&held["not_before"]).unwrap_or_else(|| now.before(day)));
        params.not_after = date(moment(&held["not_after"]).unwrap_or_else(|| now.after(day)));
        let key = KeyPair::generate().unwrap();
        let issuer = held["issued_by"].as_str().unwrap_or("somebody");
        let pem = self.with(issuer, |authority| params.signed_by(&key, &authority.issuer).unwrap().pem());
        let store = match held["store"].as_str() {
            Some("system") => Some(TrustStore::System),
            Some("user") => Some(TrustStore::User),
            _ => None,
        };
        let private_key = held["private_key"].as_bool().unwrap_or(false);
        DeviceCertificate::from_pem(&pem, text(&held["path"]), store, private_key).map_err(|error| error.to_string())
    }
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(Some(name));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn named(common_name: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(common_name) = common_name {
        name.push(DnType::CommonName, common_name);
    }
    name
}

fn alternative_name(name: &Value) -> Result<SanType, String> {
    let value = name["value"].as_str().or_else(|| name.as_str()).unwrap_or_default();
    let ascii = || value.try_into().map_err(|_| format!("`{value}` is not ASCII"));
    let kind = name["type"].as_str().unwrap_or("dns").to_ascii_lowercase();
    Ok(match kind.as_str() {
        "dns" | "dnsname" => SanType::DnsName(ascii()?),
        "email" | "rfc822" | "rfc822name" => SanType::Rfc822Name(ascii()?),
        "uri" | "url" => SanType::URI(ascii()?),
        "ip" | "ipaddress" => SanType::IpAddress(value.parse::<IpAddr>().map_err(|error| error.to_string())?),
        // A user principal name, as Windows writes it.
        "othername" | "upn" => {
            SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], OtherNameValue::Utf8String(value.to_owned())))
        }
        _ => return Err(format!("no alternative name of type `{kind}` is known")),
    })
}

fn usage(usage: &Value) -> Option<ExtendedKeyUsagePurpose> {
    match usage.as_str()? {
        "clientAuth" => Some(ExtendedKeyUsagePurpose::ClientAuth),
        "emailProtection" => Some(ExtendedKeyUsagePurpose::EmailProtection),
        "serverAuth" => Some(ExtendedKeyUsagePurpose::ServerAuth),
        _ => None,
    }
}

fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_millis().div_euclid(1000)).unwrap()
}
