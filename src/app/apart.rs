//! Reading files anew, away from the threads that serve.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::clock::cooperative;
use crate::limits::{COOPERATIVE_TURN, RELOADS_AT_ONCE};

static THREADS: Semaphore = Semaphore::const_new(RELOADS_AT_ONCE);

/// Runs work that blocks and takes a processor for a while on a thread of its own, which offers that processor to those that serve
/// again and again. `None` when it did not come to an end, which is logged.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let thread = THREADS.acquire().await.ok()?;
    let runtime = Handle::current();
    let (tell, told) = oneshot::channel();
    let started = thread::Builder::new().name("reload".to_owned()).spawn(move || {
        let _within = runtime.enter();
        let _ends_with_it = thread;
        // Whoever asked may have gone away.
        let _ = tell.send(cooperative(COOPERATIVE_TURN, work));
    });
    if let Err(error) = started {
        tracing::error!(%error, "no thread for a reload");
        return None;
    }
    let done = told.await.ok();
    if done.is_none() {
        tracing::error!("a reload ended badly");
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_beside_those_that_serve() {
        let (told, heard) = oneshot::channel();
        // It waits for the very thread that waits for it.
        let work = tokio::spawn(apart(move || heard.blocking_recv()));
        tokio::task::yield_now().await;
        told.send(7).unwrap();
        assert_eq!(work.await.unwrap(), Some(Ok(7)));
    }

    #[tokio::test]
    async fn a_defect_in_it_is_told() {
        assert_eq!(apart(|| panic!("a defect")).await, None::<()>);
    }
}
