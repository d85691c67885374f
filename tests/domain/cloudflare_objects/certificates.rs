//! Uploaded certificates that sign those of devices.

use postern::clock::Timestamp;
use postern::dialect::cloudflare::{Written, certificate, create_certificate, same_certificate_content};
use postern::id::CertificateId;
use postern::limits;
use postern::policy::objects::Origin;
use postern::policy::signing_certificate::SigningCertificate;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, SerialNumber};
use serde_json::{Value, json};

use super::{bytes, later, notes, now, pointer, shown};

/// A certificate and its key, in PEM.
fn made(is_ca: IsCa) -> (String, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Device CA");
    params.is_ca = is_ca;
    params.serial_number = Some(SerialNumber::from_slice(&[0x01, 0x00, 0x00]));
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn authority() -> (String, String) {
    made(IsCa::Ca(BasicConstraints::Unconstrained))
}

#[track_caller]
fn created(body: &Value) -> Written<SigningCertificate> {
    create_certificate(&bytes(body), CertificateId::from("c1"), now()).unwrap()
}

#[test]
fn a_certificate_is_shown_as_it_was_uploaded() {
    let (pem, _) = authority();
    let Written { mut object, warnings } = created(&json!({"certificates": pem, "ca": true, "name": "Devices"}));
    assert!(warnings.is_empty(), "{warnings:?}");
    let at = "2026-01-05T10:00:00.000Z";
    let mut expected = json!({
        "id": "c1", "name": "Devices", "ca": true, "certificates": pem, "expires_on": "2030-01-01T00:00:00.000Z",
        "issuer": "CN=Device CA", "serial_number": "65536", "signature": "ECDSAWithSHA256", "uploaded_on": at,
        "updated_at": at, "source": "api",
    });
    assert_eq!(shown(certificate(&object)), expected);

    object.name = None;
    object.meta.origin = Origin::File { path: "ca.yaml".into(), line: 3 };
    expected.as_object_mut().unwrap().remove("name");
    expected["source"] = json!("file:ca.yaml:3");
    assert_eq!(shown(certificate(&object)), expected);
    assert_eq!(created(&json!({"certificates": pem, "ca": true, "name": ""})).object.name, None);
}

#[test]
fn an_authority_that_has_expired_is_taken_and_pointed_out() {
    let (pem, _) = authority();
    let body = bytes(&json!({"certificates": pem, "ca": true}));
    let at = |millis| create_certificate(&body, CertificateId::from("c1"), Timestamp::from_millis(millis)).unwrap();
    let last_moment = 1_893_456_000_000;
    assert!(at(last_moment).warnings.is_empty());
    let expected = ["certificates expired at 2030-01-01T00:00:00.000Z, and vouches for what it signed all the same"];
    assert_eq!(notes(&at(last_moment + 1).warnings), expected);
}

#[test]
fn a_private_key_is_never_kept() {
    let (pem, key) = authority();
    for text in [format!("{key}{pem}"), format!("{pem}\n{key}"), format!("# mine\n{pem}{key}{key}")] {
        let body = json!({"certificates": text, "ca": true, "private_key": key});
        let Written { object, warnings } = created(&body);
        assert_eq!(object.pem.trim(), pem.trim());
        let expected = [
            "certificates holds more than a certificate: nothing else of it is kept",
            "private_key is not kept: nothing here signs with it",
        ];
        assert_eq!(notes(&warnings), expected);
        let secret = key.lines().nth(1).unwrap();
        let places = [
            shown(certificate(&object)).to_string(),
            serde_json::to_string(&object).unwrap(),
            format!("{object:?}"),
            format!("{warnings:?}"),
        ];
        assert!(places.iter().all(|place| !place.contains("PRIVATE") && !place.contains(secret)), "{places:?}");
    }
    let misplaced = format!("-----BEGIN CERTIFICATE-----\n{key}-----END CERTIFICATE-----\n");
    let body = bytes(&json!({"certificates": misplaced, "ca": true}));
    let error = create_certificate(&body, CertificateId::from("c1"), now()).unwrap_err();
    assert!(!error.to_string().contains(key.lines().nth(1).unwrap()), "{error}");
}

#[test]
fn refusals_point_to_what_is_wrong_and_say_why() {
    let (pem, key) = authority();
    let (leaf, _) = made(IsCa::NoCa);
    let (outspoken, _) = made(IsCa::ExplicitNoCa);
    let (other, _) = authority();
    let broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let long = "x".repeat(limits::CERTIFICATE_TEXT_BYTES_MAX + 1);
    let cases = [
        ("/certificates", "is required", json!({"ca": true})),
        ("/certificates", "must not be empty", json!({"ca": true, "certificates": ""})),
        ("/certificates", "must be a string", json!({"ca": true, "certificates": [pem]})),
        ("/certificates", "is longer than", json!({"ca": true, "certificates": long})),
        ("/certificates", "no certificate in PEM form", json!({"ca": true, "certificates": "hello"})),
        ("/certificates", "no certificate in PEM form", json!({"ca": true, "certificates": key})),
        ("/certificates", "not an X.509 certificate", json!({"ca": true, "certificates": broken})),
        ("/certificates", "more than one", json!({"ca": true, "certificates": format!("{pem}{other}")})),
        ("/certificates", "more than one", json!({"ca": true, "certificates": format!("{leaf}{pem}")})),
        ("/certificates", "certificate authority", json!({"ca": true, "certificates": leaf})),
        ("/certificates", "certificate authority", json!({"ca": true, "certificates": outspoken})),
        ("/ca", "is required", json!({"certificates": pem})),
        ("/ca", "must be true", json!({"certificates": pem, "ca": false})),
        ("/ca", "must be true or false", json!({"certificates": pem, "ca": "yes"})),
        ("/name", "must be a string", json!({"certificates": pem, "ca": true, "name": 5})),
    ];
    for (expected, reason, body) in cases {
        let result = create_certificate(&bytes(&body), CertificateId::from("c1"), now());
        let said = result.as_ref().unwrap_err().to_string();
        assert!(said.contains(reason), "{said}");
        assert_eq!(pointer(result), expected);
    }
}

#[test]
fn an_upload_sent_again_is_recognised() {
    let (pem, key) = authority();
    let one = created(&json!({"certificates": pem, "ca": true, "name": "Devices"})).object;
    let again = json!({"certificates": format!("{key}{pem}"), "ca": true, "name": "Devices"});
    let again = create_certificate(&bytes(&again), CertificateId::from("c2"), later()).unwrap().object;
    assert!(same_certificate_content(&one, &again));
    let unnamed = created(&json!({"certificates": pem, "ca": true})).object;
    let other = created(&json!({"certificates": authority().0, "ca": true, "name": "Devices"})).object;
    assert!(!same_certificate_content(&one, &unnamed) && !same_certificate_content(&one, &other));
}

#[test]
fn members_nobody_knows_are_named() {
    let (pem, _) = authority();
    let written = created(&json!({"certificates": pem, "ca": true, "id": "x", "issuer": "y", "colour": "red"}));
    assert_eq!(notes(&written.warnings), ["colour is not a member of a certificate and was ignored"]);
}
