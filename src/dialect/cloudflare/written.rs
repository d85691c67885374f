//! What reading a body makes.

use super::envelope::Message;

/// An object made of a body, and what was odd about the body although it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// The object.
    pub object: T,
    /// What to tell the writer.
    pub warnings: Vec<Message>,
}
