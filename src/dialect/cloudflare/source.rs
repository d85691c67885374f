//! Where an object came from, as a member of our own that Cloudflare's clients pass over.

use crate::policy::objects::Origin;

/// `api`, or the file and the line.
pub(super) fn source(origin: &Origin) -> String {
    match origin {
        Origin::File { path, line } => format!("file:{path}:{line}"),
        Origin::Api | Origin::Enrolled => "api".to_owned(),
    }
}
