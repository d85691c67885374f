//! What the device is called, looked up in a list (`cloudflare.md` 1.9 and 1.10).

use super::super::error::ApiError;
use super::input::{Input, Question};
use super::kind::RuleType;
use crate::id::ListId;
use crate::posture::check::Predicate;
use crate::posture::check::listed::{DeviceName, ListedRule};

pub(super) fn serial_number(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["id"]);
    Ok(Question::to_all(lookup(DeviceName::SerialNumber, input.reference("id")?.into())))
}

pub(super) fn unique_client_id(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["id", "operating_system"]);
    let predicate = lookup(DeviceName::UniqueClientId, input.reference("id")?.into());
    Ok(Question::to(input.system(RuleType::UniqueClientId.platforms())?, predicate))
}

/// The entries are put in when a snapshot is compiled.
pub(super) fn lookup(name: DeviceName, list: ListId) -> Predicate {
    Predicate::Listed(ListedRule { name, list, entries: None })
}
