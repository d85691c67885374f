//! Files and running programs (`cloudflare.md` 1.1 to 1.4).

use super::super::error::ApiError;
use super::input::{Input, Question};
use super::kind::RuleType;
use crate::posture::check::Predicate;
use crate::posture::check::file::{FileRule, FileState};
use crate::posture::platform::Family;

const SHA1_DIGITS: usize = 40;
const SHA256_DIGITS: usize = 64;

pub(super) fn file(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["operating_system", "path", "exists", "sha256", "thumbprint"]);
    let state = match input.members.flag("exists")? {
        Some(false) => FileState::Absent,
        // What is asked for is the presence of a file.
        Some(true) | None => FileState::Present,
    };
    if state == FileState::Absent {
        for content in ["sha256", "thumbprint"] {
            if input.members.get(content).is_some() {
                return Err(input.members.wrong(content, "cannot be asked of a file that must not exist"));
            }
        }
    }
    read(input, RuleType::File, state)
}

pub(super) fn running(input: &mut Input<'_>) -> Result<Question, ApiError> {
    // Dashboards used to send `running` and `flavor`; they never had an effect.
    input.knows(&["operating_system", "path", "sha256", "thumbprint", "running", "flavor"]);
    read(input, RuleType::Application, FileState::Running)
}

fn read(input: &mut Input<'_>, kind: RuleType, state: FileState) -> Result<Question, ApiError> {
    let system = input.system(kind.platforms())?;
    let path = input.members.required_text("path")?.to_owned();
    let sha256 = input.text("sha256")?.map(|text| digest(input, text)).transpose()?;
    let thumbprint = input.text("thumbprint")?.map(|text| thumbprint(input, text)).transpose()?;
    if thumbprint.is_some() && system == Family::Linux {
        input.warn("input.thumbprint never matches on linux, where programs are not signed");
    }
    Ok(Question::to(system, Predicate::File(FileRule { system, path, state, sha256, thumbprint })))
}

fn digest(input: &Input<'_>, text: &str) -> Result<String, ApiError> {
    if text.len() != SHA256_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(input.members.wrong("sha256", "must be a SHA-256 digest of 64 hexadecimal digits"));
    }
    Ok(text.to_ascii_lowercase())
}

/// A fingerprint with SHA-1 or SHA-256; tools print them with `:` or spaces between the bytes.
fn thumbprint(input: &Input<'_>, text: &str) -> Result<String, ApiError> {
    let bare = text.replace([':', ' '], "").to_ascii_lowercase();
    let known_length = [SHA1_DIGITS, SHA256_DIGITS].contains(&bare.len());
    if !known_length || !bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(input.members.wrong("thumbprint", "must be a fingerprint of 40 or 64 hexadecimal digits"));
    }
    Ok(bare)
}
