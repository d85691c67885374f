//! Where a panic of a storage engine ends: it becomes an error of the call, not the end of a thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A storage engine panicked.
#[derive(Debug, thiserror::Error)]
#[error("the storage engine gave up: {0}")]
pub(super) struct Panicked(String);

/// Runs `call` into a storage engine.
///
/// The caller must not go on with a value that the panic may have left half-changed.
pub(super) fn contained<R>(call: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Panicked(text_of(&*payload)))
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "without a message".to_owned(),
    }
}
