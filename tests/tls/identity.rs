//! What is read from a certificate, and what is not.

use std::sync::Arc;

use postern::clock::SystemClock;
use postern::policy::Subject;
use postern::policy::subject::SubjectKind;
use postern::tls::{
    Certificate, DistrustReason, MalformedCertificate, ReloadableVerifier, SilentObserver, TrustStore,
    VerifiedIdentity, load_certificates,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};

use crate::support::{Authority, Issued, now};

fn identify(ca: &Authority, issued: &Issued) -> Result<Arc<VerifiedIdentity>, DistrustReason> {
    let store = TrustStore::load(ca.trusted(), now()).unwrap();
    let verifier = ReloadableVerifier::new(store, Arc::new(SystemClock), Arc::new(SilentObserver));
    verifier.identify(&load_certificates(&issued.certificate_file).unwrap())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dated(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
}

#[test]
fn two_uris_are_no_spiffe_id() {
    let ca = Authority::new("Test CA");
    let cases: [(&[&str], Option<&str>); 5] = [
        (&["spiffe://a.test/x"], Some("spiffe://a.test/x")),
        (&["spiffe://a.test/x", "spiffe://a.test/y"], None),
        (&["spiffe://a.test/x", "https://a.test/"], None),
        (&["https://a.test/x"], None),
        (&[], None),
    ];
    for (position, (uris, expected)) in cases.into_iter().enumerate() {
        let issued = ca.client_with(&format!("uris-{position}"), |params| {
            dated(params);
            params.subject_alt_names = uris.iter().map(|text| uri(text)).collect();
        });
        let identity = identify(&ca, &issued).unwrap();
        assert_eq!(identity.spiffe_uri().map(AsRef::as_ref), expected, "{uris:?}");
        assert_eq!(identity.uris().len(), uris.len());
    }
}

#[test]
fn names_are_read_as_written_and_dns_in_lower_case() {
    let ca = Authority::new("Test CA");
    let issued = ca.client_with("names", |params| {
        dated(params);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Acme, Inc.");
        params.distinguished_name.push(DnType::CommonName, "Ada \"The First\"");
        params.subject_alt_names = vec![
            SanType::Rfc822Name("Ada@Acme.test".try_into().unwrap()),
            SanType::DnsName("Laptop-7.ACME.test".try_into().unwrap()),
            SanType::DnsName("second.acme.test".try_into().unwrap()),
        ];
    });
    let identity = identify(&ca, &issued).unwrap();
    assert_eq!(identity.emails(), ["Ada@Acme.test".into()]);
    assert_eq!(identity.dns_names(), ["laptop-7.acme.test".into(), "second.acme.test".into()]);
    assert_eq!(identity.common_name().unwrap().as_ref(), "Ada \"The First\"");
    assert_eq!(identity.subject().as_ref(), "CN=Ada \\\"The First\\\",O=Acme\\, Inc.");
    assert_eq!(identity.spiffe_uri(), None);

    // Policy files spell e-mail addresses in lower case, and the kinds come in the order that was asked for.
    let kinds = [SubjectKind::Dns, SubjectKind::Spiffe, SubjectKind::Email, SubjectKind::Fingerprint];
    let subjects: Vec<_> = identity.subjects(&kinds).iter().map(ToString::to_string).collect();
    let fingerprint = format!("sha256:{}", identity.fingerprint());
    let expected = ["dns:laptop-7.acme.test", "dns:second.acme.test", "email:ada@acme.test", &fingerprint];
    assert_eq!(subjects, expected);
    for subject in identity.subjects(&kinds) {
        assert_eq!(subject.to_string().parse::<Subject>().unwrap(), subject);
    }
}

#[test]
fn a_name_with_control_characters_is_refused() {
    let ca = Authority::new("Test CA");
    let issued = ca.client_with("control", |params| {
        dated(params);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "admin\0.evil");
    });
    assert_eq!(identify(&ca, &issued).unwrap_err(), DistrustReason::CertificateMalformed);
    let der = load_certificates(&issued.certificate_file).unwrap();
    assert_eq!(Certificate::parse(&der[0]).unwrap_err(), MalformedCertificate::ControlCharacters);
}

#[test]
fn more_names_than_the_bound_are_refused() {
    let ca = Authority::new("Test CA");
    let issued = ca.client_with("many", |params| {
        dated(params);
        let names = 0..=postern::limits::CERTIFICATE_NAMES_MAX;
        params.subject_alt_names =
            names.map(|n| SanType::DnsName(format!("n{n}.test").as_str().try_into().unwrap())).collect();
    });
    assert_eq!(identify(&ca, &issued).unwrap_err(), DistrustReason::CertificateMalformed);
}

#[test]
fn the_leaf_goes_on_as_pem() {
    let ca = Authority::new("Test CA");
    let issued = ca.client("laptop");
    let identity = identify(&ca, &issued).unwrap();
    let file = std::fs::read_to_string(&issued.certificate_file).unwrap().replace('\r', "");
    assert_eq!(identity.leaf_pem(), file);
    assert_eq!(identity.chain_pem(), file);
}

#[test]
fn debug_names_the_holder_and_shows_no_certificate() {
    let ca = Authority::new("Test CA");
    let identity = identify(&ca, &ca.client("laptop")).unwrap();
    let text = format!("{identity:?}");
    assert!(text.contains("CN=laptop") && text.len() < 400, "{text}");
}
