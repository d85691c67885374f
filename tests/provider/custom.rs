//! What is asked, and what is made of the answer.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use postern::limits::PROVIDER_DEVICES_PER_CALL_MAX;
use postern::provider::custom::{IgnoredReason, KnownDevice, Score, ask};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::vendor::{CLIENT_ID, SECRET, Vendor, client, device, refusal, target};

#[tokio::test]
async fn the_question_is_the_one_providers_know() {
    let mut vendor = Vendor::saying(200, r#"{"result":{"d-1":{"s2s_id":"ext-1","score":90}}}"#).await;
    let known = KnownDevice {
        device_id: "d-1".to_owned(),
        email: "jdoe@mycompany.com".to_owned(),
        serial_number: "jdR44P3d".to_owned(),
        mac_address: "74:1d:3e:23:e0:fe".to_owned(),
        virtual_ipv4: "100.96.0.10".to_owned(),
        hostname: "laptop".to_owned(),
    };
    let answer = ask(&client(&[]), &vendor.target(), &[known, device("d-2")]).await.unwrap();

    let seen = vendor.seen().unwrap();
    assert_eq!((seen.method, seen.path.as_str()), (Method::POST, "/posture"));
    for (name, value) in
        [("content-type", "application/json"), ("cf-access-client-id", CLIENT_ID), ("cf-access-client-secret", SECRET)]
    {
        let sent: Vec<_> = seen.headers.get_all(name).iter().collect();
        assert_eq!(sent, [value], "{name}");
    }
    let blank = |id: &str| {
        json!({
            "device_id": id, "email": "", "serial_number": "", "mac_address": "", "virtual_ipv4": "", "hostname": "",
        })
    };
    let first = json!({
        "device_id": "d-1", "email": "jdoe@mycompany.com", "serial_number": "jdR44P3d",
        "mac_address": "74:1d:3e:23:e0:fe", "virtual_ipv4": "100.96.0.10", "hostname": "laptop",
    });
    assert_eq!(seen.body, json!({ "devices": [first, blank("d-2")] }));
    assert_eq!(answer.scores, [("d-1".to_owned(), Score { s2s_id: "ext-1".to_owned(), score: 90.0 })]);
    assert_eq!(answer.missing, 1);
}

#[tokio::test]
async fn a_thousand_devices_are_asked_for_at_once_and_not_one_more() {
    let devices: Vec<KnownDevice> = (0..=PROVIDER_DEVICES_PER_CALL_MAX).map(|n| device(&format!("d-{n}"))).collect();
    let entry = json!({ "s2s_id": "0123456789abcdef".repeat(4), "score": 50 });
    let entries: Map<String, Value> = devices.iter().map(|device| (device.device_id.clone(), entry.clone())).collect();
    let mut vendor = Vendor::saying(200, json!({ "result": entries }).to_string()).await;
    let client = client(&[]);

    let answer = ask(&client, &vendor.target(), &devices[..PROVIDER_DEVICES_PER_CALL_MAX]).await.unwrap();
    assert_eq!((answer.scores.len(), answer.missing, answer.ignored.len()), (1000, 0, 0));
    let seen = vendor.seen().unwrap();
    assert_eq!(seen.body["devices"].as_array().unwrap().len(), 1000);

    let error = refusal(ask(&client, &vendor.target(), &devices).await);
    assert_eq!(error.code(), "provider-devices-too-many");
    assert!(vendor.seen().is_none());

    let sizes: Vec<usize> = devices.chunks(PROVIDER_DEVICES_PER_CALL_MAX).map(<[KnownDevice]>::len).collect();
    assert_eq!(sizes, [1000, 1]);
}

#[tokio::test]
async fn credentials_can_be_tried_without_a_device() {
    let mut vendor = Vendor::saying(200, r#"{"result":{}}"#).await;
    let answer = ask(&client(&[]), &vendor.target(), &[]).await.unwrap();
    assert_eq!((answer.scores.len(), answer.missing), (0, 0));
    assert_eq!(vendor.seen().unwrap().body, json!({ "devices": [] }));
}

#[tokio::test]
async fn only_good_entries_for_devices_that_were_asked_for_count() {
    let body = json!({ "result": {
        "good": { "s2s_id": "", "score": 0 },
        "high": { "s2s_id": "x", "score": 101 },
        "low": { "s2s_id": "x", "score": -1 },
        "text": { "s2s_id": "x", "score": "90" },
        "none": { "s2s_id": "x" },
        "stranger": { "s2s_id": "x", "score": 100 },
        "odd stranger": { "s2s_id": "x", "score": "100" },
    } });
    let vendor = Vendor::saying(200, body.to_string()).await;
    let devices = ["good", "high", "low", "text", "none", "absent", "also-absent"].map(device);
    let answer = ask(&client(&[]), &vendor.target(), &devices).await.unwrap();
    assert_eq!(answer.scores, [("good".to_owned(), Score { s2s_id: String::new(), score: 0.0 })]);
    assert_eq!(answer.missing, 2);
    let ignored: Vec<_> = answer.ignored.iter().map(|entry| (entry.device_id.as_str(), entry.why)).collect();
    assert_eq!(
        ignored,
        [
            ("high", IgnoredReason::ScoreOutOfRange),
            ("low", IgnoredReason::ScoreOutOfRange),
            ("none", IgnoredReason::ScoreNotANumber),
            ("text", IgnoredReason::ScoreNotANumber),
        ]
    );
}

#[tokio::test]
async fn a_provider_is_believed_by_its_certificate() {
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key = rustls_pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(&format!("https://{}/", listener.local_addr().unwrap()));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let Ok(connection) = acceptor.accept(connection).await else { continue };
            let router = axum::Router::new().fallback(answer_by_version);
            let service = hyper_util::service::TowerToHyperService::new(router);
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await;
        }
    });

    let error = refusal(ask(&client(&[]), &target, &[device("d")]).await);
    assert_eq!(error.code(), "provider-unreachable");
    assert!(error.to_string().contains("certificate"), "{error}");

    let answer = ask(&client(&[certificate]), &target, &[device("d")]).await.unwrap();
    assert_eq!(answer.scores[0].1.s2s_id, "HTTP/2.0");
}

async fn answer_by_version(version: http::Version, headers: HeaderMap) -> Response {
    assert_eq!(headers["cf-access-client-secret"], SECRET);
    json!({ "result": { "d": { "s2s_id": format!("{version:?}"), "score": 1 } } }).to_string().into_response()
}
