//! Work that takes a processor for a while.

use crate::clock::cooperative;
use crate::limits::COOPERATIVE_TURN;

/// Runs work that keeps a processor busy without holding up other tasks, where the runtime has threads to spare. At its checkpoints
/// it offers the processor to them.
pub fn busy<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => {
            tokio::task::block_in_place(|| cooperative(COOPERATIVE_TURN, work))
        }
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_have_their_turn_meanwhile() {
        let (told, heard) = mpsc::channel();
        let work = tokio::spawn(async move { busy(|| heard.recv()) });
        tokio::spawn(async move { told.send(7) }).await.unwrap().unwrap();
        assert_eq!(work.await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn work_is_done_where_there_is_one_thread_only() {
        assert_eq!(busy(|| 7), 7);
    }
}
