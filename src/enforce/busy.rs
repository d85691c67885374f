//! Work that takes a processor for a while.

/// Runs work that keeps a processor busy without holding up other tasks, where the runtime has threads to spare.
pub fn busy<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
