//! Posture expressions: `all`, `any` and `not` over checks, three-valued.

use serde::{Deserialize, Serialize};

use crate::limits;

/// A boolean expression over checks, as written in a policy.
///
/// Three-valued (Kleene): `not` of no result is no result; `all` passes when every part passes; `any` when one does.
/// `C` names a check: a reference as written, or a check of a compiled snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expression<C> {
    /// One check.
    Check(C),
    /// Every part; never empty in an accepted policy.
    All(Vec<Expression<C>>),
    /// At least one part; never empty in an accepted policy.
    Any(Vec<Expression<C>>),
    /// The opposite.
    Not(Box<Expression<C>>),
    /// Anything but a pass: what fails and what has no result both let through. This is the exclusion of Cloudflare Access
    /// (`cloudflare.md` 2.3); unlike `not` it lets in devices of which nothing is known, which [`super::lint`] points out.
    Unless(Box<Expression<C>>),
}

/// Why an expression is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExpression {
    /// `all` or `any` without parts would pass or fail by accident.
    #[error("`all` and `any` need at least one part")]
    Empty,
    /// Too deep to be evaluated on a bounded stack.
    #[error("the expression nests deeper than {} levels", limits::EXPRESSION_DEPTH_MAX)]
    TooDeep,
    /// Too large to be evaluated for each request.
    #[error("the expression names more than {} checks", limits::EXPRESSION_LEAVES_MAX)]
    TooLarge,
}

impl<C> Expression<C> {
    /// Checks the bounds every accepted expression keeps.
    pub fn validate(&self) -> Result<(), InvalidExpression> {
        let mut leaves = 0;
        self.validate_at(1, &mut leaves)
    }

    fn validate_at(&self, depth: usize, leaves: &mut usize) -> Result<(), InvalidExpression> {
        if depth > limits::EXPRESSION_DEPTH_MAX {
            return Err(InvalidExpression::TooDeep);
        }
        match self {
            Expression::Check(_) => {
                *leaves += 1;
                if *leaves > limits::EXPRESSION_LEAVES_MAX { Err(InvalidExpression::TooLarge) } else { Ok(()) }
            }
            Expression::All(parts) | Expression::Any(parts) => {
                if parts.is_empty() {
                    return Err(InvalidExpression::Empty);
                }
                parts.iter().try_for_each(|part| part.validate_at(depth + 1, leaves))
            }
            Expression::Not(part) | Expression::Unless(part) => part.validate_at(depth + 1, leaves),
        }
    }

    /// The same expression with every check replaced by what `replace` makes of it.
    pub fn map<D>(&self, replace: &mut impl FnMut(&C) -> D) -> Expression<D> {
        match self {
            Expression::Check(check) => Expression::Check(replace(check)),
            Expression::All(parts) => Expression::All(parts.iter().map(|part| part.map(replace)).collect()),
            Expression::Any(parts) => Expression::Any(parts.iter().map(|part| part.map(replace)).collect()),
            Expression::Not(part) => Expression::Not(Box::new(part.map(replace))),
            Expression::Unless(part) => Expression::Unless(Box::new(part.map(replace))),
        }
    }

    /// Calls `visit` with every check named, in the order written.
    pub fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a C)) {
        match self {
            Expression::Check(check) => visit(check),
            Expression::All(parts) | Expression::Any(parts) => parts.iter().for_each(|part| part.visit(visit)),
            Expression::Not(part) | Expression::Unless(part) => part.visit(visit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_deep_and_large_expressions_are_refused() {
        assert_eq!(Expression::<u8>::All(vec![]).validate(), Err(InvalidExpression::Empty));
        let mut deep = Expression::Check(0u8);
        for _ in 0..limits::EXPRESSION_DEPTH_MAX {
            deep = Expression::Not(Box::new(deep));
        }
        assert_eq!(deep.validate(), Err(InvalidExpression::TooDeep));
        let large = Expression::Any(vec![Expression::Check(0u8); limits::EXPRESSION_LEAVES_MAX + 1]);
        assert_eq!(large.validate(), Err(InvalidExpression::TooLarge));
    }
}
