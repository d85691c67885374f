//! Certificates of clients and of the gateway, believed, refused, revoked and replaced while it runs.

use std::fs;

use rcgen::{CertificateParams, DnType, SanType, SerialNumber};
use rustls::ClientConfig;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::admin::Admin;
use super::client::{Client, connect, get};
use super::process::{Mark, Running};
use super::support::client::{RawConnection, tls};
use super::support::{Authority, Issued, Origin};
use super::world::World;

const HOST: &str = "files.example.test";

/// Whether a new connection with this certificate gets an answer to a request.
async fn gets_in(gateway: &Running, world: &World, certificate: &Issued) -> bool {
    match connect(gateway, &world.authority, certificate, HOST).await {
        Ok(connection) => answered(connection).await,
        Err(_) => false,
    }
}

/// In TLS 1.3 a client learns that it was refused when it reads.
async fn answered(connection: RawConnection) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = connection.into_stream();
    if stream.write_all(get(HOST, "/").as_bytes()).await.is_err() {
        return false;
    }
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.is_ok_and(|_| first.starts_with(b"HTTP/1.1 200"))
}

/// A certificate that names `subject` and carries `serial`.
fn named(subject: &str, serial: u64) -> impl FnOnce(&mut CertificateParams) + use<'_> {
    move |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, subject);
        params.subject_alt_names = vec![SanType::URI("spiffe://postern.test/alice".try_into().unwrap())];
        params.serial_number = Some(SerialNumber::from(serial));
        params.use_authority_key_identifier_extension = true;
    }
}

fn handshakes(result: &str) -> String {
    format!(r#"postern_tls_handshakes_total{{listener="gateway",result="{result}"}}"#)
}

fn is_refusal(event: &Value, subject: &str) -> bool {
    event["message"].as_str().is_some_and(|message| message.starts_with("client certificate refused"))
        && event["subject"].as_str().is_some_and(|found| found.contains(subject))
}

#[tokio::test]
async fn certificates_that_are_not_believed_are_counted_by_reason_and_logged_with_subject_and_serial() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let elsewhere = Authority::new("Another CA");
    let now = OffsetDateTime::now_utc();
    let expired = world.authority.client_with("expired", |params| {
        named("expired-laptop", 0x4d2)(params);
        params.not_before = now - Duration::days(30);
        params.not_after = now - Duration::days(1);
    });
    let early = world.authority.client_with("early", |params| {
        named("early-laptop", 0x4d3)(params);
        params.not_before = now + Duration::days(1);
    });
    let stranger = elsewhere.client_with("stranger", named("strange-laptop", 0x4d4));
    let server = world.authority.server("not-a-client", &["files.example.test"]);

    for (certificate, subject, serial, reason) in [
        (&expired, "expired-laptop", "04d2", "certificate-expired"),
        (&early, "early-laptop", "04d3", "certificate-not-yet-valid"),
        (&stranger, "strange-laptop", "04d4", "certificate-untrusted-ca"),
        (&server, "not-a-client", server.serial.as_str(), "certificate-wrong-purpose"),
    ] {
        assert!(!gets_in(&gateway, &world, certificate).await, "{subject}");
        let told = gateway.event(Mark::start(), |event| is_refusal(event, subject)).await;
        assert_eq!(told["reason"], reason, "{told}");
        assert_eq!(told["serial"].as_str().unwrap().trim_start_matches('0'), serial.trim_start_matches('0'), "{told}");
        assert_eq!(admin.metric(&handshakes(reason)).await, 1.0, "{reason}");
    }
    assert_eq!(origin.requests(), 0);
    assert_eq!(admin.metric(&handshakes("accepted")).await, 0.0);
    // The gateway is none the worse for it.
    assert!(gets_in(&gateway, &world, &world.certificate("alice")).await);
    assert_eq!(admin.metric(&handshakes("accepted")).await, 1.0);
}

// Handshakes that ended before there was a certificate to judge used to be counted by the API listeners and not by the
// gateway's own, where clients without a certificate matter most.
#[tokio::test]
async fn handshakes_without_a_certificate_and_such_that_are_none_are_counted() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let opened = RawConnection::open(gateway.addresses.gateway, tls(&world.authority, None), HOST, b"http/1.1").await;
    if let Ok(connection) = opened {
        assert!(!answered(connection).await);
    }
    gateway.message(Mark::start(), "handshake failed").await;
    let mark = gateway.mark();
    let mut plain = tokio::net::TcpStream::connect(gateway.addresses.gateway).await.unwrap();
    plain.write_all(get(HOST, "/").as_bytes()).await.unwrap();
    // Whatever comes, it is not an answer in HTTP.
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    gateway.message(mark, "handshake failed").await;

    assert_eq!(admin.metric(&handshakes("no-certificate")).await, 1.0);
    assert_eq!(admin.metric(&handshakes("failed")).await, 1.0);
    // A certificate that is refused counts once, by its own reason.
    assert!(!gets_in(&gateway, &world, &Authority::new("Another CA").client("alice")).await);
    gateway.event(mark, |event| is_refusal(event, "alice")).await;
    assert_eq!(admin.metric(&handshakes("certificate-untrusted-ca")).await, 1.0);
    assert_eq!(admin.metric(&handshakes("failed")).await, 1.0);
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn a_certificate_nobody_knows_and_one_that_may_reach_nothing_are_closed_before_any_byte_of_http() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    for (name, reason) in [("mallory", "unknown-identity"), ("dora", "no-policy")] {
        assert!(!gets_in(&gateway, &world, &world.certificate(name)).await, "{name}");
        let refused = |event: &Value| event["message"] == "connection refused" && event["reason"] == reason;
        let told = gateway.event(Mark::start(), refused).await;
        let certificate = told["certificate"].as_str().unwrap();
        assert!(certificate.contains(name), "{told}");
        assert_eq!(admin.metric(&format!(r#"postern_refused_connections_total{{reason="{reason}"}}"#)).await, 1.0);
    }
    assert_eq!(admin.failures("dora").await[0]["reasonCode"], "no-policy");
}

#[tokio::test]
async fn a_revocation_ends_open_connections_and_keeps_new_ones_out() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let (alice, bob) = (world.certificate("alice"), world.certificate("bob"));
    let mut open = connect(&gateway, &world.authority, &alice, HOST).await.unwrap();
    open.say(&get(HOST, "/")).await;
    assert_eq!(open.answer().await.unwrap().status, 200);
    let http2 = Client::http2(&gateway, &world.authority, &alice);
    assert_eq!(http2.status(HOST, "/").await, 200);
    // A configuration that remembers the session, to come back with it.
    let resuming = tls(&world.authority, Some(&alice));
    assert!(answered(reopened(&gateway, &resuming).await).await);
    let reached = origin.requests();

    let mark = gateway.mark();
    world.authority.revoke(&alice);
    world.publish_revocations();
    let loaded = gateway.message(mark, "client trust loaded").await;
    assert_eq!(loaded["changed"], true, "{loaded}");

    assert_eq!(open.rest().await, "", "the connection is closed at once");
    assert!(!gets_in(&gateway, &world, &alice).await);
    let told = gateway.event(mark, |event| is_refusal(event, "alice") && event["when"] == "handshake").await;
    assert_eq!((&told["reason"], &told["serial"]), (&"certificate-revoked".into(), &alice.serial.clone().into()));
    assert_eq!(admin.metric(&handshakes("certificate-revoked")).await, 1.0);
    // A session that was begun in better times is no way round it.
    assert!(!answered(reopened(&gateway, &resuming).await).await);
    gateway.event(mark, |event| is_refusal(event, "alice") && event["when"] == "resumption").await;
    assert!(http2.request("GET", HOST, "/").send().await.is_err(), "nor is the connection that was open");
    assert_eq!(origin.requests(), reached);

    assert!(gets_in(&gateway, &world, &bob).await, "nobody else is concerned");
}

async fn reopened(gateway: &Running, config: &ClientConfig) -> RawConnection {
    RawConnection::open(gateway.addresses.gateway, config.clone(), HOST, b"http/1.1").await.unwrap()
}

#[tokio::test]
async fn a_certificate_that_ends_while_its_connection_is_open_is_refused_from_then_on() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let ending = world.authority.client_with("ending", |params| {
        named("ending-laptop", 77)(params);
        params.not_after = OffsetDateTime::now_utc() + Duration::seconds(3);
    });
    let mut open = connect(&gateway, &world.authority, &ending, HOST).await.unwrap();
    let last = loop {
        match open.ask(&get(HOST, "/")).await {
            Some(answer) if answer.status == 200 => {}
            last => break last,
        }
    };
    // Closed by the watch over the certificate's end, unless a request is refused first.
    if let Some(refusal) = last {
        assert_eq!((refusal.status, refusal.reason().as_str()), (403, "certificate-expired"));
    }
    assert!(origin.requests() > 0, "it was good in the beginning");
    assert!(!gets_in(&gateway, &world, &ending).await);
}

#[tokio::test]
async fn a_revocation_list_that_cannot_be_read_leaves_what_was_believed() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let (alice, bob) = (world.certificate("alice"), world.certificate("bob"));
    let mark = gateway.mark();
    world.authority.revoke(&alice);
    world.publish_revocations();
    gateway.message(mark, "client trust loaded").await;

    let mark = gateway.mark();
    world.write("trust/crl.pem", "not a list\n");
    let told = gateway.message(mark, "client trust not loaded: what was believed stays").await;
    assert!(told["error"].as_str().unwrap().contains("crl.pem"), "{told}");
    assert_eq!(admin.metric(r#"postern_reload_last_successful{subject="trust"}"#).await, 0.0);
    assert!(!gets_in(&gateway, &world, &alice).await);
    assert!(gets_in(&gateway, &world, &bob).await);
    assert_eq!(admin.readiness().await.0, 200);
}

#[tokio::test]
async fn a_new_server_certificate_is_shown_without_a_restart_and_a_bad_one_is_not() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let alice = world.certificate("alice");
    let mut open = connect(&gateway, &world.authority, &alice, HOST).await.unwrap();
    for address in [gateway.addresses.gateway, gateway.addresses.client_api, gateway.addresses.admin] {
        assert_eq!(shown_at(address, &world, &alice).await, world.server.serial);
    }
    let next = world.authority.server("next", &["localhost", "*.example.test"]);
    let mark = gateway.mark();
    world.show(&next);
    for listener in ["gateway", "client_api", "admin"] {
        let loaded = |event: &Value| event["message"] == "server certificates loaded" && event["listener"] == listener;
        gateway.event(mark, loaded).await;
    }
    for address in [gateway.addresses.gateway, gateway.addresses.client_api, gateway.addresses.admin] {
        assert_eq!(shown_at(address, &world, &alice).await, next.serial);
    }
    open.say(&get(HOST, "/")).await;
    assert_eq!(open.answer().await.unwrap().status, 200, "a connection that is open stays");

    let mark = gateway.mark();
    world.write("server.pem", "nothing of use\n");
    let told = gateway.message(mark, "server certificates not loaded: the ones shown stay").await;
    assert!(told["error"].as_str().unwrap().contains("server.pem"), "{told}");
    assert_eq!(shown_at(gateway.addresses.gateway, &world, &alice).await, next.serial);
    let admin = Admin::new(&gateway, &world.authority);
    assert!(admin.metric(r#"postern_reloads_total{result="failed",subject="server-certificates"}"#).await >= 1.0);
}

/// The serial number of the certificate that is shown to somebody who calls for `localhost`.
async fn shown_at(address: std::net::SocketAddr, world: &World, certificate: &Issued) -> String {
    let config = tls(&world.authority, Some(certificate));
    let stream = RawConnection::open(address, config, "localhost", b"http/1.1").await.unwrap().into_stream();
    let (_, session) = stream.get_ref();
    let shown = postern::tls::Certificate::parse(&session.peer_certificates().unwrap()[0]).unwrap();
    shown.serial().to_string()
}

#[tokio::test]
async fn clients_of_a_ca_come_and_go_with_the_bundle_it_is_in() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let partner = Authority::new("Partner CA");
    let guest = partner.client("alice");
    let own = fs::read_to_string(world.authority.ca_file()).unwrap();
    let theirs = fs::read_to_string(partner.ca_file()).unwrap();
    let lists = |authority: &Authority| fs::read_to_string(authority.crl_file()).unwrap();
    assert!(!gets_in(&gateway, &world, &guest).await);

    let mark = gateway.mark();
    world.write("trust/crl.pem", &(lists(&world.authority) + &lists(&partner)));
    gateway.message(mark, "client trust loaded").await;
    assert!(!gets_in(&gateway, &world, &guest).await, "a list alone makes nobody trusted");
    let mark = gateway.mark();
    world.write("trust/clients.pem", &(own.clone() + &theirs));
    gateway.message(mark, "client trust loaded").await;
    let mut open = connect(&gateway, &world.authority, &guest, HOST).await.unwrap();
    open.say(&get(HOST, "/")).await;
    assert_eq!(open.answer().await.unwrap().status, 200);
    assert!(gets_in(&gateway, &world, &world.certificate("bob")).await);

    let mark = gateway.mark();
    world.write("trust/clients.pem", &own);
    gateway.message(mark, "client trust loaded").await;
    assert_eq!(open.rest().await, "", "the connection is closed at once");
    assert!(!gets_in(&gateway, &world, &guest).await);
}
