//! The last word on something that is no longer allowed, in the language it speaks.
//!
//! A word is said where the protocol has one for this moment; where it has none, the end of the connection or the reset of the
//! stream must do. Whatever is said, the upstream hears nothing more before it.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::date::get_cached_date;
use pingora::protocols::http::v2::server::HttpSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::loan::{Asked, Loan, Returned};
use super::refusal::Refusal;
use super::request_id::RequestId;
use super::respond::{self, Reply};
use crate::decision::Denial;
use crate::enforce::{Ended, Session};
use crate::limits::{FAREWELL_LINGER_BYTES_MAX, FAREWELL_LINGER_MAX, FAREWELL_WRITE_WAIT_MAX};

/// RFC 6455, 7.4.1: what was received, or who sent it, violates a policy.
const POLICY_VIOLATION: u16 = 1008;

/// Ends a request over HTTP/1.1 whose connection came back: with the refusal that it would get now if no byte of an answer went
/// out, with a close frame on a WebSocket, and without a word in the middle of anything. What was written and has not gone out is
/// not sent. Returns the stream while a word is on its way over it.
///
/// Where there is no word TLS is not closed in order either: an answer that lasts until its connection ends would be taken for
/// whole.
pub(super) async fn over_http1(loan: &Loan, session: &Session, ended: &Ended) -> Option<Stream> {
    let Returned { mut stream, progress, asked, .. } = loan.reclaim()?;
    let word = if progress.is_untouched() {
        refusal(session, &ended.denial, &asked)
    } else if progress.takes_a_frame() && asked.websocket {
        close_frame(ended.denial.reason.code())
    } else {
        return None;
    };
    say(&mut stream, &word).await;
    Some(stream)
}

/// Ends a gRPC call whose stream came back, with the status in trailers, or in the head if that was not sent.
pub(super) async fn over_grpc(mut stream: HttpSession, session: &Session, ended: &Ended) {
    let asked = Asked::default();
    let reply = reply(session, &ended.denial, &asked, Version::HTTP_2, &stream.req_header().headers.clone());
    // Where nothing can be said any more, dropping the stream resets it.
    let _ = if stream.response_written().is_none() {
        head(&reply).and_then(|head| stream.write_response_header(Box::new(head), true))
    } else {
        let status = reply.fields.into_iter().filter(|(name, _)| name.as_str().starts_with("grpc-"));
        stream.write_trailers(status.collect::<HeaderMap>())
    };
}

fn head(reply: &Reply) -> pingora::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(reply.status, Some(reply.fields.len()))?;
    for (name, value) in &reply.fields {
        head.insert_header(name.clone(), value.clone())?;
    }
    Ok(head)
}

/// Says a last word and closes for writing.
pub(super) async fn say(stream: &mut Stream, word: &[u8]) {
    // Failing to write is the client's business: there is nobody left to tell.
    let _ = timeout(FAREWELL_WRITE_WAIT_MAX, async {
        if stream.write_all(word).await.is_ok() && stream.flush().await.is_ok() {
            let _ = AsyncWriteExt::shutdown(stream).await;
        }
    })
    .await;
}

/// Reads what the client is still sending, and throws it away: closing on top of unread bytes would reset the connection and
/// could take the last word with it.
pub(super) async fn linger(mut stream: Stream) {
    let mut thrown_away = 0;
    let mut into = [0; 4096];
    let _ = timeout(FAREWELL_LINGER_MAX, async {
        while let Ok(read @ 1..) = stream.read(&mut into).await {
            thrown_away += read;
            if thrown_away > FAREWELL_LINGER_BYTES_MAX {
                break;
            }
        }
    })
    .await;
}

fn refusal(session: &Session, denial: &Arc<Denial>, asked: &Asked) -> Vec<u8> {
    let accept = asked.accept.iter().map(|value| (header::ACCEPT, value.clone())).collect();
    let Reply { status, fields, body } = reply(session, denial, asked, Version::HTTP_11, &accept);
    let mut word = Vec::with_capacity(512 + body.len());
    // Writing to memory cannot fail.
    let _ = write!(word, "HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    for (name, value) in fields {
        let _ = write!(word, "{name}: ");
        word.extend_from_slice(value.as_bytes());
        word.extend_from_slice(b"\r\n");
    }
    word.extend_from_slice(b"date: ");
    word.extend_from_slice(get_cached_date().as_bytes());
    word.extend_from_slice(b"\r\nconnection: close\r\n\r\n");
    if !asked.head_only {
        word.extend_from_slice(&body);
    }
    word
}

fn reply(session: &Session, denial: &Arc<Denial>, asked: &Asked, version: Version, headers: &HeaderMap) -> Reply {
    let refusal = Refusal::Denied { denial: Arc::clone(denial), service: session.service().cloned() };
    let method = if asked.head_only { Method::HEAD } else { Method::GET };
    let request_id = RequestId::known(session.request_id());
    respond::render(&refusal, &respond::Asked { request_id: &request_id, method: &method, version, headers })
}

/// RFC 6455, 5.5.1. A reason code is shorter than the 123 bytes that fit.
fn close_frame(reason: &str) -> Vec<u8> {
    let length = u8::try_from(reason.len().saturating_add(2)).unwrap_or(2).min(125);
    let [high, low] = POLICY_VIOLATION.to_be_bytes();
    let mut frame = vec![0x88, length, high, low];
    frame.extend(Bytes::copy_from_slice(reason.as_bytes()).iter().take(usize::from(length).saturating_sub(2)));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::DenialReason;

    #[test]
    fn every_reason_fits_into_a_close_frame() {
        assert_eq!(close_frame("ab"), [0x88, 4, 0x03, 0xf0, b'a', b'b']);
        for reason in DenialReason::ALL {
            let frame = close_frame(reason.code());
            assert_eq!(frame.len(), 4 + reason.code().len());
            assert_eq!(usize::from(frame[1]), frame.len() - 2);
        }
    }
}
