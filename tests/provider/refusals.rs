//! Providers that do not answer as they should, and exactly what is said about them.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream;
use postern::limits::{PROVIDER_ANSWER_BYTES_MAX, PROVIDER_EXCERPT_CHARS_MAX};
use postern::provider::custom::{PollError, ask, ask_within};
use serde_json::json;

use crate::vendor::{SECRET, Vendor, client, device, refusal, target};

/// Enough for a machine's own loopback, and short enough to wait for.
const PATIENCE: Duration = Duration::from_millis(200);

async fn told(vendor: &Vendor) -> PollError {
    refusal(ask(&client(&[]), &vendor.target(), &[device("d")]).await)
}

#[tokio::test]
async fn a_status_is_told_with_the_providers_own_words() {
    for (status, body, expected) in [
        (403, r#"{"success":false,"error":"JWT missing"}"#, "the provider answered 403: `JWT missing`"),
        (500, r#"{"error":" two\nlines "}"#, "the provider answered 500: `two lines`"),
        (500, r#"{"error":{"code":7}}"#, "the provider answered 500"),
        (405, "<html>not allowed</html>", "the provider answered 405"),
        (401, "", "the provider answered 401"),
        (204, "", "the provider answered 204"),
        (201, r#"{"result":{"d":{"s2s_id":"x","score":1}}}"#, "the provider answered 201"),
    ] {
        let error = told(&Vendor::saying(status, body).await).await;
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.code(), "provider-status");
    }
}

#[tokio::test]
async fn a_provider_that_repeats_the_secret_is_not_quoted() {
    let vendor = Vendor::answering(|headers| async move {
        let secret = headers["cf-access-client-secret"].to_str().unwrap();
        let said = json!({ "error": format!("no such token: {secret}{}", "x".repeat(1000)) });
        Response::builder().status(403).body(Body::from(said.to_string())).unwrap()
    })
    .await;
    let PollError::Status { status: 403, said: Some(said) } = told(&vendor).await else { panic!("no excerpt") };
    assert!(said.starts_with("no such token: [redacted]xxx"), "{said}");
    assert_eq!(said.chars().count(), PROVIDER_EXCERPT_CHARS_MAX);

    // Where the form of the answer is wrong, nothing of it is quoted at all.
    for body in [format!("\"{SECRET}\""), format!(r#"{{"result":"{SECRET}"}}"#), format!(r#"{{"{SECRET}":1}}"#)] {
        let error = told(&Vendor::saying(200, body).await).await;
        assert_eq!(error.code(), "provider-answer-unreadable");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let mut vendor = Vendor::answering(move |_| async move {
            Response::builder().status(status).header("location", "/elsewhere").body(Body::empty()).unwrap()
        })
        .await;
        let error = told(&vendor).await;
        assert_eq!(error.to_string(), format!("the provider answered {status}"));
        assert_eq!(vendor.seen().unwrap().path, "/posture");
        assert!(vendor.seen().is_none(), "{status} led somewhere");
    }
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_not_waited_for() {
    let silent = Vendor::answering(|_| std::future::pending()).await;
    let half = Vendor::writing(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"result\":", false).await;
    for vendor in [silent, half] {
        let error = refusal(ask_within(&client(&[]), &vendor.target(), &[device("d")], PATIENCE).await);
        assert_eq!(error.code(), "provider-timeout");
        assert_eq!(error.to_string(), "the provider did not answer within 200ms");
    }
    // A status that has arrived is worth more than the body that has not.
    let refusing = Vendor::writing(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 100\r\n\r\n{", false).await;
    let error = refusal(ask_within(&client(&[]), &refusing.target(), &[device("d")], 10 * PATIENCE).await);
    assert_eq!(error.to_string(), "the provider answered 403");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let vendor = Vendor::writing(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"result\":{}}", true).await;
    assert_eq!(told(&vendor).await.code(), "provider-answer-interrupted");
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound() {
    let padded = |bytes: usize| {
        let body = r#"{"result":{}}"#;
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    let longest = Vendor::saying(200, padded(PROVIDER_ANSWER_BYTES_MAX)).await;
    assert_eq!(ask(&client(&[]), &longest.target(), &[device("d")]).await.unwrap().missing, 1);
    let longer = Vendor::saying(200, padded(PROVIDER_ANSWER_BYTES_MAX + 1)).await;
    assert_eq!(told(&longer).await.code(), "provider-answer-too-large");

    let endless = Vendor::answering(|_| async {
        let pieces = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
        Response::new(Body::from_stream(pieces))
    })
    .await;
    let error = told(&endless).await;
    assert_eq!(error.to_string(), "the provider's answer is longer than 1048576 bytes");
}

#[tokio::test]
async fn an_endless_refusal_is_still_a_refusal() {
    let endless = Vendor::answering(|_| async {
        let pieces = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
        Response::builder().status(500).body(Body::from_stream(pieces)).unwrap()
    })
    .await;
    assert_eq!(told(&endless).await.to_string(), "the provider answered 500");
}

#[tokio::test]
async fn nobody_there_is_told_in_the_systems_words() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/?key=in-the-address", listener.local_addr().unwrap());
    drop(listener);
    let error = refusal(ask(&client(&[]), &target(&url), &[device("d")]).await);
    assert_eq!(error.code(), "provider-unreachable");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!format!("{error} {error:?}").contains("in-the-address"), "{error:?}");
}
