//! Where each key of a configuration file was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::Document;
use super::findings::Place;

/// Key paths to places, for findings of stages that come after loading (a certificate file that cannot be used).
#[derive(Clone, Debug, PartialEq)]
pub struct Places {
    file: Place,
    keys: Arc<BTreeMap<String, Place>>,
}

impl Places {
    pub(super) fn of(document: &Document) -> Self {
        let ids = document.ids().into_iter();
        Places {
            file: Place::Path(Arc::clone(document.path())),
            keys: Arc::new(ids.map(|id| (document.key_path(id), document.place(id))).collect()),
        }
    }

    /// Where a key such as `tls.certificates[0].key_file` was written, or else the nearest key above it, or else the file.
    pub fn find(&self, key: &str) -> &Place {
        let mut key = key;
        loop {
            if let Some(place) = self.keys.get(key) {
                return place;
            }
            match key.rfind(['.', '[']).and_then(|end| key.get(..end)) {
                Some(parent) => key = parent,
                None => return &self.file,
            }
        }
    }
}
