//! Notes gathered while a body is read: what was odd, although it was taken.

use super::envelope::Message;
use super::members::Members;
use crate::limits;

/// The first few notes, and how many more there were.
#[derive(Debug, Default)]
pub(super) struct Notes {
    messages: Vec<Message>,
    left_out: usize,
}

impl Notes {
    pub(super) fn add(&mut self, note: String) {
        if self.messages.len() < limits::REPLY_NOTES_MAX {
            self.messages.push(Message::new(note));
        } else {
            self.left_out += 1;
        }
    }

    /// Names the members that are not among the known ones. Their values are not repeated: a misspelt secret is still one.
    pub(super) fn ignored(&mut self, members: &Members<'_>, of: &str, known: impl Fn(&str) -> bool) {
        for name in members.names().filter(|name| !known(name)) {
            self.add(format!("{} is not a member of {of} and was ignored", excerpt(name)));
        }
    }

    pub(super) fn into_messages(mut self) -> Vec<Message> {
        if self.left_out > 0 {
            self.messages.push(Message::new(format!("{} further notes are left out", self.left_out)));
        }
        self.messages
    }
}

/// A given text as it is repeated in a note.
pub(super) fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(limits::NOTE_EXCERPT_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
