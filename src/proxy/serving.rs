//! A connection that came in, until its end: by itself, with the gateway, or because nothing is allowed on it any more.

use std::sync::Arc;

use pingora::apps::ServerApp;
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use tokio::sync::watch;
use tokio::time::timeout;

use super::beside::{Seldom, unless};
use super::farewell;
use super::gate::Gate;
use super::loan::{LOAN, Loan, Returned};
use crate::enforce::{EndSignal, Place};
use crate::limits::CONNECTION_FAREWELL_WAIT_MAX;

/// A connection in its place among what is under way.
pub(super) struct Serving<'a> {
    pub(super) gate: &'a Gate,
    pub(super) place: Place,
    pub(super) signal: Arc<EndSignal>,
    /// True once the gateway stops.
    pub(super) shutdown: &'a ShutdownWatch,
}

impl Serving<'_> {
    /// Has `app` serve the connection.
    pub(super) async fn http<A>(self, app: &Arc<A>, stream: Stream)
    where
        A: ServerApp + Send + Sync + 'static,
    {
        // A connection of its own may be told to stop like all of them are when the gateway stops: over HTTP/2 that is a GOAWAY.
        let (stop, stopped) = watch::channel(*self.shutdown.borrow());
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            self.drive(app.process_new(stream, &stopped), &stop, true).await;
        } else {
            let (loan, lent) = Loan::of(stream);
            let work = LOAN.scope(Arc::clone(&loan), app.process_new(lent, &stopped));
            let by_itself = self.drive(work, &stop, false).await;
            if let Some(Returned { mut stream, unsent, .. }) = loan.reclaim() {
                // After a cut nothing of an answer goes out any more.
                farewell::say(&mut stream, if by_itself { &unsent } else { &[] }).await;
            }
        }
    }

    /// Has the work done until it ends by itself, or is cut; returns which.
    async fn drive(&self, work: impl Future<Output = Option<Stream>>, stop: &watch::Sender<bool>, http2: bool) -> bool {
        tokio::pin!(work);
        let ended = async {
            let mut shutdown = self.shutdown.clone();
            let rung = self.signal.rung();
            tokio::pin!(rung);
            tokio::select! {
                biased;
                ended = &mut rung => return ended,
                _ = shutdown.changed() => {}
            }
            stop.send_replace(true);
            rung.await
        };
        let Err(ended) = unless(&mut work, Seldom::new(ended)).await else { return true };
        let session = self.place.session();
        self.gate.tell_of_end(session, ended);
        stop.send_replace(true);
        // Requests have signals of their own and last words of their own, which are not cut short here.
        if http2 || self.place.has_requests() {
            let _ = timeout(CONNECTION_FAREWELL_WAIT_MAX, &mut work).await;
        }
        self.gate.metrics().revoked(ended.cause.code(), ended.since.elapsed().as_secs_f64());
        false
    }
}
