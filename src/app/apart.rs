//! Reading files anew, away from the threads that serve.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::limits::RELOAD_NICENESS;

/// Runs work that blocks and takes a processor for a while on a thread of its own, which leaves the processor to those that serve
/// where there are not enough. `None` when that did not come to an end, which is logged.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let runtime = Handle::current();
    let (tell, told) = oneshot::channel();
    let started = thread::Builder::new().name("reload".to_owned()).spawn(move || {
        let _within = runtime.enter();
        give_way();
        // Whoever asked may have gone away.
        let _ = tell.send(work());
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

/// On Linux a thread has a niceness of its own; elsewhere this would be that of the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, RELOAD_NICENESS) {
        tracing::debug!(%error, "a reload does not give way");
    }
}
