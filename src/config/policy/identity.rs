//! Identities in policy files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::{Register, Source, Tags, attributes};
use crate::config::document::{Field, Located, Session};
use crate::config::findings::Place;
use crate::config::settings::SubjectText;
use crate::config::values::{AttributeText, NameText};
use crate::id::IdentityId;
use crate::policy::Subject;
use crate::policy::objects::Identity;

/// Who may ask: a device, known by the names in its certificate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"]))]
pub(super) struct RawIdentity {
    /// Its name, unique over identities.
    name: Field<NameText>,
    /// Its id, unique over identities. Default: the name.
    id: Field<NameText>,
    /// Certificate names that are this identity: `spiffe://…`, `email:…`, `dns:…`, `cn:…` or `sha256:…` (a fingerprint).
    /// A name belongs to one identity only.
    subjects: Field<Vec<Field<SubjectText>>>,
    /// Attributes by which policies select it (`#attribute`), written without the `#`.
    role_attributes: Field<Vec<Field<AttributeText>>>,
    /// Whether it is refused everywhere. Default: false.
    disabled: Field<bool>,
    /// Free-form tags, shown and filtered by, never used in a decision.
    tags: Field<Tags>,
}

/// Identities read so far.
pub(super) struct Identities {
    pub(super) register: Register,
    subjects: BTreeMap<Subject, Place>,
}

impl Identities {
    pub(super) fn new() -> Self {
        Identities { register: Register::new("identity"), subjects: BTreeMap::new() }
    }

    pub(super) fn read(&mut self, source: &Source<'_>, raw: Located<RawIdentity>) -> Option<Identity> {
        let Located { node, value: raw } = raw;
        let session = source.session;
        let unnamed = raw.subjects.as_ref().is_none_or(Vec::is_empty);
        if unnamed && raw.disabled.as_ref() != Some(&true) {
            let place = raw.subjects.node().unwrap_or(node);
            session.warn(place, "no certificate is this identity; list its names under `subjects`");
        }
        let subjects = raw.subjects.items();
        let subjects = subjects.into_iter().filter_map(|subject| self.claim(session, subject)).collect();
        let role_attributes = attributes(session, raw.role_attributes);
        let head = source.head(&mut self.register, node, raw.name, raw.id, raw.tags)?;
        Some(Identity {
            id: IdentityId::new(head.id),
            name: head.name,
            subjects,
            role_attributes,
            disabled: raw.disabled.or(false),
            enrolment: None,
            certificates: Vec::new(),
            service_configs: Vec::new(),
            kept: serde_json::Map::new(),
            meta: head.meta,
        })
    }

    /// Takes a certificate name, unless an earlier identity has it.
    fn claim(&mut self, session: &Session, subject: Located<SubjectText>) -> Option<Subject> {
        let Located { node, value: SubjectText(subject) } = subject;
        if let Some(earlier) = self.subjects.get(&subject) {
            session.error(node, format!("`{subject}` is already listed at {earlier}"));
            return None;
        }
        self.subjects.insert(subject.clone(), session.document().place(node));
        Some(subject)
    }
}
