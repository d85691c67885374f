//! Which service a request is for: by host and path, never by what the connection was made for.

use super::support::policy::{Policy, identity, policy, service};
use super::support::{Gateway, Origin};
use super::wiki;

async fn status(gateway: &Gateway, server_name: &str, host: &str) -> u16 {
    let mut connection = gateway.connect("alice", server_name).await;
    connection.say(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    connection.answer().await.unwrap().status
}

#[tokio::test]
async fn host_and_server_name_must_not_name_different_services() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    assert_eq!(status(&gateway, "wiki.example.test", "wiki.example.test").await, 200);
    assert_eq!(status(&gateway, "wiki.example.test", "WIKI.example.test.:8443").await, 200);
    assert_eq!(status(&gateway, "files.example.test", "wiki.example.test").await, 421);
    assert_eq!(status(&gateway, "wiki.example.test", "files.example.test").await, 421);
    // A server name that names no service contradicts nothing.
    assert_eq!(status(&gateway, "localhost", "wiki.example.test").await, 200);
    assert_eq!(status(&gateway, "wiki.example.test", "unknown.example.test").await, 404);
    assert!(gateway.metrics().contains("postern_refused_requests_total{reason=\"misdirected-request\"} 2"));
}

#[tokio::test]
async fn a_misdirected_http2_request_leaves_the_connection_usable() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let tls = super::support::client::tls(&gateway.authority, Some(&gateway.certificate("alice")));
    let connection =
        super::support::RawConnection::open(gateway.address, tls, "wiki.example.test", b"h2").await.unwrap();
    let (mut client, connection) = h2::client::handshake(connection.into_stream()).await.unwrap();
    tokio::spawn(connection);
    for (host, expected) in [("files.example.test", 421), ("wiki.example.test", 200)] {
        let request = http::Request::get(format!("https://{host}/")).body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), expected, "{host}");
    }
}

#[tokio::test]
async fn the_longest_path_prefix_decides_under_every_reading() {
    let origin = Origin::start().await;
    let mut admin = service("admin", "wiki.example.test", &[origin.upstream()]);
    admin.matching.path_prefix = "/admin".to_owned();
    let gateway = Gateway::with(
        Policy::default()
            .identity(identity("alice"))
            .service(service("wiki", "wiki.example.test", &[origin.upstream()]))
            .service(admin)
            .policy(policy("readers", &["@alice"], &["@wiki"], &[])),
    )
    .start()
    .await;
    let mut connection = gateway.connect("alice", "wiki.example.test").await;
    for (path, expected) in [
        ("/", 200),
        ("/administration", 200),
        ("/a%20page", 200),
        ("/admin", 403),
        ("/admin/users?x", 403),
        ("/%61dmin", 400),
        ("//admin", 400),
        ("/admin%2fusers", 400),
        ("/admin;x=1/users", 400),
    ] {
        connection.say(&format!("GET {path} HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n")).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.status, expected, "{path}: {}", answer.body);
        if expected == 400 {
            assert_eq!(answer.reason(), "ambiguous-path");
            connection = gateway.connect("alice", "wiki.example.test").await;
        }
    }
    assert_eq!(origin.requests(), 3);
}

#[tokio::test]
async fn a_concealed_service_cannot_be_told_from_nothing() {
    let origin = Origin::start().await;
    let mut secret = service("secret", "secret.example.test", &[origin.upstream()]);
    secret.concealed = true;
    let mut hidden_path = service("hidden", "app.example.test", &[origin.upstream()]);
    hidden_path.concealed = true;
    hidden_path.matching.path_prefix = "/hidden".to_owned();
    let gateway = Gateway::with(
        Policy::default()
            .identity(identity("alice"))
            .identity(identity("carol"))
            .service(service("wiki", "wiki.example.test", &[origin.upstream()]))
            .service(secret)
            .service(hidden_path)
            .policy(policy("readers", &["#all"], &["@wiki"], &[]))
            .policy(policy("insiders", &["@carol"], &["@secret"], &[])),
    )
    .start()
    .await;
    let scrubbed = |answer: &super::support::RawAnswer| {
        let id = answer
            .head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("x-request-id: ").map(str::to_owned));
        let id = id.unwrap();
        let date = answer.head.lines().find(|line| line.to_ascii_lowercase().starts_with("date: ")).unwrap();
        (
            answer.head.to_ascii_lowercase().replace(&id, "ID").replace(&date.to_ascii_lowercase(), "DATE"),
            answer.body.replace(&id, "ID"),
        )
    };
    for accept in ["*/*", "text/html"] {
        for (server_name, hidden, nothing, path) in [
            ("secret.example.test", "secret.example.test", "nothing.example.test", "/"),
            ("wiki.example.test", "secret.example.test", "nothing.example.test", "/"),
            ("app.example.test", "app.example.test", "app.example.test", "/hidden"),
            ("app.example.test", "app.example.test", "app.example.test", "/%68idden"),
        ] {
            let mut answers = Vec::new();
            let nowhere = if hidden == nothing { "/nothing" } else { path };
            for (host, path) in [(hidden, path), (nothing, nowhere)] {
                let mut connection = gateway.connect("alice", server_name).await;
                connection.say(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n")).await;
                let answer = connection.answer().await.unwrap();
                assert_eq!(answer.status, 404);
                answers.push(scrubbed(&answer));
            }
            assert_eq!(answers[0], answers[1], "{server_name} {hidden} {path}");
        }
    }
    // Nor by connecting for it and asking for something else.
    assert_eq!(status(&gateway, "secret.example.test", "wiki.example.test").await, 200);
    assert!(gateway.client("carol").get("secret.example.test", "/").await.status().is_success());
    let log = gateway.enforcer.device(&"alice".into()).unwrap().failures();
    assert!(log.iter().any(|failure| failure.reason.code() == "no-policy"), "the operator sees the truth");
}
