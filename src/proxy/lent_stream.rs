//! An HTTP/2 stream, lent to Pingora: when Pingora lets go of it, it comes back instead of being reset, and a last word can be
//! said on it.
//!
//! Pingora takes such a stream for one of a protocol it does not know. It asks the same of it, but shows it to nobody as HTTP/2;
//! so only streams are lent that have a last word of their own: gRPC calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream as Messages;
use http::HeaderMap;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::v2::server::HttpSession;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;

/// Where a lent stream comes back to.
#[derive(Default)]
pub(super) struct StreamLoan(Mutex<Option<HttpSession>>);

impl StreamLoan {
    /// Lends a stream.
    pub(super) fn of(stream: HttpSession) -> (Arc<Self>, ServerSession) {
        let loan = Arc::new(StreamLoan::default());
        let lent = LentStream { stream: Some(stream), loan: Arc::clone(&loan) };
        (loan, ServerSession::new_custom(Box::new(lent)))
    }

    /// The stream, once it was let go of.
    pub(super) fn reclaim(&self) -> Option<HttpSession> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct LentStream {
    /// `None` only while it is being dropped.
    stream: Option<HttpSession>,
    loan: Arc<StreamLoan>,
}

impl Drop for LentStream {
    fn drop(&mut self) {
        *self.loan.0.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl LentStream {
    #[expect(clippy::expect_used, reason = "INVARIANT: it is taken out by `drop` only, after which nobody asks")]
    fn stream(&self) -> &HttpSession {
        self.stream.as_ref().expect("a lent stream")
    }

    #[expect(clippy::expect_used, reason = "INVARIANT: it is taken out by `drop` only, after which nobody asks")]
    fn stream_mut(&mut self) -> &mut HttpSession {
        self.stream.as_mut().expect("a lent stream")
    }
}

#[async_trait]
impl Session for LentStream {
    fn req_header(&self) -> &RequestHeader {
        self.stream().req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.stream_mut().req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.stream_mut().read_body_bytes().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.stream_mut().drain_request_body().await
    }

    async fn write_response_header(&mut self, response: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.stream_mut().write_response_header(response, end)
    }

    async fn write_response_header_ref(&mut self, response: &ResponseHeader, end: bool) -> Result<()> {
        self.stream_mut().write_response_header_ref(response, end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.stream_mut().write_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.stream_mut().write_trailers(trailers)
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.stream_mut().response_duplex_vec(tasks).await
    }

    // Like every HTTP/2 stream in Pingora it has no read time-out.
    fn set_read_timeout(&mut self, _timeout: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.stream_mut().set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.stream().get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.stream_mut().set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.stream().get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.stream().request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.stream().response_written()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.stream_mut().shutdown();
    }

    fn is_body_done(&mut self) -> bool {
        self.stream().is_body_done()
    }

    async fn finish(&mut self) -> Result<()> {
        self.stream_mut().finish()
    }

    fn is_body_empty(&mut self) -> bool {
        self.stream().is_body_empty()
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        self.stream_mut().read_body_or_idle(no_body_expected).await
    }

    fn body_bytes_sent(&self) -> usize {
        self.stream().body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.stream().body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.stream().digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.stream_mut().digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.stream().client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.stream().server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.stream().pseudo_raw_h1_request_header()
    }

    fn enable_retry_buffering(&mut self) {
        self.stream_mut().enable_retry_buffering();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.stream().retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.stream().get_retry_buffer()
    }

    // It has no messages beside its body.

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
