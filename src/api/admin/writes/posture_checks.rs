//! Posture checks of OpenZiti's six types.

use std::sync::Arc;

use super::{Edit, Kind, Scene, must_not_be_from_a_file};
use crate::api::admin::objects::has_a_word;
use crate::api::refusal::Refusal;
use crate::api::writing::FORCING;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::{Object, ObjectId};
use crate::id::CheckId;
use crate::limits;
use crate::policy::objects::PostureCheck;
use crate::posture::check::Predicate;

pub(super) struct PostureChecks;

impl PostureChecks {
    /// A check that is written here, and not in a file or in Cloudflare's language; also one that could not be read back, or
    /// nobody could get rid of it.
    fn find<'a>(id: &str, scene: &'a Scene<'_>) -> Result<&'a PostureCheck, Refusal> {
        let is_shown = |check: &&Arc<PostureCheck>| has_a_word(check) || check.check.predicate == Predicate::Missing;
        let known = scene.objects().checks.get(id).filter(is_shown).ok_or(ErrorCode::NotFound)?;
        must_not_be_from_a_file(&known.meta)?;
        if known.as_written.is_some() {
            let reason = "is a Cloudflare posture rule, which can say more than a body here; change it in its own API";
            return Err(Refusal::because(ErrorCode::CouldNotValidate, "id", reason, id));
        }
        Ok(known)
    }

    /// Cloudflare's rules may share names, OpenZiti's checks may not.
    fn with_own_name(check: PostureCheck, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let (id, name) = (&check.check.id, &check.check.name);
        let taken = scene.objects().checks.values().any(|other| other.check.name == *name && other.check.id != *id);
        if taken {
            return Err(Refusal::because(
                ErrorCode::CouldNotValidate,
                "name",
                "is taken by another posture check",
                name,
            ));
        }
        Ok(Object::Check(Arc::new(check)))
    }
}

impl Kind for PostureChecks {
    const COLLECTION: &'static str = "/posture-checks";

    fn create(body: &[u8], id: String, scene: &Scene<'_>) -> Result<Object, Refusal> {
        Self::with_own_name(openziti::create_posture_check(body, CheckId::new(id), scene.now)?, scene)
    }

    fn edit(body: &[u8], id: &str, edit: Edit, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let known = Self::find(id, scene)?;
        let read = match edit {
            Edit::Replace => openziti::replace_posture_check(body, known, scene.now)?,
            Edit::Patch => openziti::patch_posture_check(body, known, scene.now)?,
        };
        Self::with_own_name(read, scene)
    }

    /// OpenZiti deletes a check that policies ask for and leaves them with one question less; here that must be meant.
    fn deletable(id: &str, forced: bool, scene: &Scene<'_>) -> Result<ObjectId, Refusal> {
        let known = Self::find(id, scene)?;
        let asked_by = scene.published.snapshot().policies_asking(&known.check.id);
        if !asked_by.is_empty() && !forced {
            let ids: Vec<_> = asked_by.iter().take(limits::IN_USE_NAMES_MAX).map(|policy| policy.id.as_str()).collect();
            let reason = format!("is asked for by {} of the service policies; {FORCING}", asked_by.len());
            return Err(Refusal::because(ErrorCode::CanNotDeleteReferencedEntity, "id", reason, &ids.join(",")));
        }
        Ok(ObjectId::Check(known.check.id.clone()))
    }
}
