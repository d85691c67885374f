//! Whatever is wrong with a device's certificate, its record shows it beside what was wanted.

use std::fs;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, date_time_ymd};
use serde_json::{Value, json};

use super::client::Client;
use super::operator::{CERTIFICATES, Operator, RULES};
use super::reporter::{Reporter, os};
use super::scene::{APP, world};
use super::support::{Authority, Origin};

const NAME: &str = "laptop.corp.example";
const PLACE: &str = "/etc/device.pem";

/// A certificate as a report has it, from the place where it should be.
fn held(signer: &Authority, file: &str, shape: impl FnOnce(&mut CertificateParams)) -> Value {
    let issued = signer.client_with(file, |params| {
        params.distinguished_name.push(DnType::CommonName, NAME);
        shape(params);
    });
    json!({"pem": fs::read_to_string(issued.certificate_file).unwrap(), "privateKey": true, "path": PLACE})
}

#[tokio::test]
async fn every_obstacle_is_shown() {
    let origin = Origin::start().await;
    let world = world(&origin);
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let (signer, stranger) = (Authority::new("Signer of devices"), Authority::new("Stranger"));
    let uploaded = fs::read_to_string(signer.ca_file()).unwrap();
    let uploaded = json!({"name": "devices", "ca": true, "certificates": uploaded});
    let uploaded = operator.make(CERTIFICATES, &uploaded).await;
    let input = json!({
        "certificate_id": uploaded, "check_private_key": true, "operating_system": "linux", "cn": NAME,
        "extended_key_usage": ["clientAuth"], "locations": {"paths": [PLACE]},
    });
    let rule = json!({
        "name": "signed", "type": "client_certificate_v2", "role_attributes": ["under-test"], "input": input,
    });
    operator.make(RULES, &rule).await;
    let good = world.certificate("good");
    let device = Reporter::new(&gateway, &world.authority, &good);
    let client = Client::http2(&gateway, &world.authority, &good);
    device.report(&json!({"os": os("Linux", "6.1.0"), "certificates": [held(&signer, "as-wanted", |_| {})]})).await;
    assert_eq!(client.status(APP, "/").await, 200);

    let with = |member: &str, value: Value| {
        let mut certificate = held(&signer, member, |_| {});
        certificate[member] = value;
        certificate
    };
    let renamed =
        held(&signer, "renamed", |params| params.distinguished_name.push(DnType::CommonName, "other.example"));
    let mail = held(&signer, "mail", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    });
    let expired = held(&signer, "expired", |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    for (certificate, reason, wanted, seen) in [
        (
            with("path", json!("/tmp/device.pem")),
            "no-certificate",
            ("/locations/paths/0", json!(PLACE)),
            ("/0/path", json!("/tmp/device.pem")),
        ),
        (
            with("privateKey", json!(false)),
            "certificate-without-key",
            ("/privateKey", json!(true)),
            ("/0/privateKey", json!(false)),
        ),
        (
            expired,
            "certificate-not-valid",
            ("/signedBy", json!(uploaded)),
            ("/0/notBefore", json!("2020-01-01T00:00:00.000Z")),
        ),
        (renamed, "certificate-name-mismatch", ("/commonName", json!(NAME)), ("/0/commonName", json!("other.example"))),
        (
            mail,
            "certificate-usage-mismatch",
            ("/keyUsages", json!(["clientAuth"])),
            ("/0/keyUsages", json!(["emailProtection"])),
        ),
        (
            held(&stranger, "strange", |_| {}),
            "certificate-signer-mismatch",
            ("/signedBy", json!(uploaded)),
            ("/0/issuer", json!("CN=Stranger")),
        ),
    ] {
        device.report(&json!({"certificates": [certificate]})).await;
        assert_eq!(client.status(APP, "/").await, 403, "{reason}");
        let (_, checks) = operator.newest_refusal("good").await;
        let [check] = &checks[..] else { panic!("{checks:?}") };
        assert_eq!(check["reasonCode"], reason, "{check}");
        for (value, (pointer, told)) in [("expectedValue", wanted), ("actualValue", seen)] {
            assert_eq!(check[value].pointer(pointer), Some(&told), "{reason}: {value}{pointer} of {check}");
        }
        assert!(!check.to_string().contains("BEGIN CERTIFICATE"), "{check}");
    }
    gateway.stop().await;
}
