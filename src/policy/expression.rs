//! Posture expressions: `all`, `any` and `not` over checks, three-valued.

use serde::{Deserialize, Serialize};

/// A boolean expression over checks, as written in a policy.
///
/// Three-valued (Kleene): `not` of no result is no result; `all` passes when every part passes; `any` when one does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expression<C> {
    /// One check.
    Check(C),
    /// Every part; an empty list is refused when the policy is read.
    All(Vec<Expression<C>>),
    /// At least one part; an empty list is refused when the policy is read.
    Any(Vec<Expression<C>>),
    /// The opposite.
    Not(Box<Expression<C>>),
}
