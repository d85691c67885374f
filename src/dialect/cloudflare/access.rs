//! Access groups: `include`, `require` and `exclude` as one more way to write a posture expression (`cloudflare.md` 2.3).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::limits;
use crate::policy::expression::{Expression, InvalidExpression};

/// One entry of an Access policy's list. Only what can be told from a device's posture is supported: who somebody is, a service
/// policy says in its identity roles.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AccessRule {
    /// A posture rule that must have passed.
    DevicePosture(PostureEntry),
    /// Everyone.
    Everyone(Everyone),
    /// A group, written where it is used.
    Group(AccessGroup),
}

/// A posture rule by its id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostureEntry {
    /// The id of the posture rule (not of an integration, whatever the member is called), or its name.
    pub integration_uid: String,
    /// The account that owns the rule; accepted and not looked at.
    #[serde(default)]
    pub account_id: Option<String>,
}

/// Nothing to say about everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Everyone {}

/// Entries of which one, all or none must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessGroup {
    /// At least one of these. It may be left out where `require` is given.
    pub include: Vec<AccessRule>,
    /// All of these.
    pub require: Vec<AccessRule>,
    /// None of these. A rule without a result does not exclude.
    pub exclude: Vec<AccessRule>,
}

/// Why an Access group is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccess {
    /// It lets in nobody in particular.
    #[error("an Access group needs `include` or `require`")]
    NobodyIncluded,
    /// It keeps everyone out.
    #[error("`exclude` keeps everyone out")]
    EveryoneExcluded,
    /// An entry names no rule.
    #[error("`integration_uid` must be the id of a posture rule, of at most {} bytes", limits::NAME_BYTES_MAX)]
    Nameless,
    /// The expression that it makes is not acceptable.
    #[error(transparent)]
    Expression(#[from] InvalidExpression),
}

/// An expression over references to checks.
type Named = Expression<Arc<str>>;
/// An expression, or nothing when the part holds of everyone.
type Part = Option<Named>;

/// The posture expression of an Access policy: any of `include`, all of `require`, and none of `exclude`. `None` asks nothing.
///
/// Access wants an `include`; here it may be left out beside a `require`, because who is meant is said by the identity roles of the
/// policy that the expression stands in. `exclude` alone is refused: it would let in every device of which nothing is known.
pub fn access_expression(
    include: &[AccessRule],
    require: &[AccessRule],
    exclude: &[AccessRule],
) -> Result<Option<Expression<Arc<str>>>, InvalidAccess> {
    let expression = group(include, require, exclude, 1)?;
    if let Some(expression) = &expression {
        expression.validate()?;
    }
    Ok(expression)
}

fn group(
    include: &[AccessRule],
    require: &[AccessRule],
    exclude: &[AccessRule],
    depth: usize,
) -> Result<Part, InvalidAccess> {
    if depth > limits::EXPRESSION_DEPTH_MAX {
        return Err(InvalidExpression::TooDeep.into());
    }
    if include.is_empty() && require.is_empty() {
        return Err(InvalidAccess::NobodyIncluded);
    }
    let required = parts(require, depth)?.into_iter().flatten();
    let mut all: Vec<Named> = any_of(include, depth)?.into_iter().chain(required).collect();
    if !exclude.is_empty() {
        let excluded = any_of(exclude, depth)?.ok_or(InvalidAccess::EveryoneExcluded)?;
        all.push(Expression::Unless(Box::new(excluded)));
    }
    Ok(joined(all, Expression::All))
}

fn parts(rules: &[AccessRule], depth: usize) -> Result<Vec<Part>, InvalidAccess> {
    rules.iter().map(|rule| part(rule, depth)).collect()
}

/// At least one of the entries; everyone when there are none, or one of them is everyone.
fn any_of(rules: &[AccessRule], depth: usize) -> Result<Part, InvalidAccess> {
    let parts: Option<Vec<Named>> = parts(rules, depth)?.into_iter().collect();
    Ok(parts.and_then(|parts| joined(parts, Expression::Any)))
}

fn part(rule: &AccessRule, depth: usize) -> Result<Part, InvalidAccess> {
    match rule {
        AccessRule::DevicePosture(entry) => match entry.integration_uid.as_str() {
            "" => Err(InvalidAccess::Nameless),
            id if id.len() > limits::NAME_BYTES_MAX => Err(InvalidAccess::Nameless),
            id => Ok(Some(Expression::Check(format!("@{id}").into()))),
        },
        AccessRule::Everyone(Everyone {}) => Ok(None),
        AccessRule::Group(AccessGroup { include, require, exclude }) => group(include, require, exclude, depth + 1),
    }
}

/// Several parts joined, one as it is, none as nothing.
fn joined(mut parts: Vec<Named>, join: fn(Vec<Named>) -> Named) -> Part {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(join(parts)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(group: Value) -> Result<Part, InvalidAccess> {
        let group: AccessGroup = serde_json::from_value(group).unwrap();
        access_expression(&group.include, &group.require, &group.exclude)
    }

    fn posture(id: &str) -> Value {
        json!({"device_posture": {"integration_uid": id}})
    }

    fn leaf(id: &str) -> Expression<Arc<str>> {
        Expression::Check(format!("@{id}").into())
    }

    #[test]
    fn the_three_lists_are_any_all_and_none() {
        let everyone = json!({"everyone": {}});
        let full = json!({
            "include": [posture("a"), posture("b")], "require": [posture("c"), posture("d")],
            "exclude": [posture("e"), posture("f")],
        });
        let expected = Expression::All(vec![
            Expression::Any(vec![leaf("a"), leaf("b")]),
            leaf("c"),
            leaf("d"),
            Expression::Unless(Box::new(Expression::Any(vec![leaf("e"), leaf("f")]))),
        ]);
        assert_eq!(read(full), Ok(Some(expected)));
        assert_eq!(read(json!({"include": [posture("a"), everyone]})), Ok(None));
        assert_eq!(read(json!({"include": [everyone], "require": [posture("a"), everyone]})), Ok(Some(leaf("a"))));
        assert_eq!(read(json!({"require": [posture("a")]})), Ok(Some(leaf("a"))));
    }

    #[test]
    fn groups_nest() {
        let inner = json!({"group": {"include": [posture("a"), posture("b")], "exclude": [posture("c")]}});
        let any = Expression::Any(vec![leaf("a"), leaf("b")]);
        let expected = Expression::All(vec![any, Expression::Unless(Box::new(leaf("c")))]);
        assert_eq!(read(json!({"include": [{"everyone": {}}], "require": [inner]})), Ok(Some(expected)));
        let mut deep = posture("a");
        for _ in 0..limits::EXPRESSION_DEPTH_MAX {
            deep = json!({"group": {"include": [deep]}});
        }
        assert_eq!(read(json!({"include": [deep]})), Err(InvalidAccess::Expression(InvalidExpression::TooDeep)));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let everyone = json!({"everyone": {}});
        assert_eq!(read(json!({})), Err(InvalidAccess::NobodyIncluded));
        assert_eq!(read(json!({"exclude": [posture("a")]})), Err(InvalidAccess::NobodyIncluded));
        assert_eq!(read(json!({"include": [{"group": {}}]})), Err(InvalidAccess::NobodyIncluded));
        assert_eq!(read(json!({"include": [everyone], "exclude": [everyone]})), Err(InvalidAccess::EveryoneExcluded));
        assert_eq!(read(json!({"include": [posture("")]})), Err(InvalidAccess::Nameless));
        assert_eq!(read(json!({"include": [posture(&"i".repeat(257))]})), Err(InvalidAccess::Nameless));
    }

    #[test]
    fn other_selectors_are_named_in_their_refusal() {
        for (selector, body) in [
            ("email", json!({"email": {"email": "a@example"}})),
            ("ip", json!({"ip": {"ip": "10.0.0.0/8"}})),
            ("certificate", json!({"certificate": {}})),
        ] {
            let error = serde_json::from_value::<AccessRule>(body).unwrap_err().to_string();
            assert!(error.contains(&format!("`{selector}`")), "{error}");
        }
        for body in [json!({"everyone": {"but": "me"}}), json!({"device_posture": {"integration_uid": "a", "x": 1}})] {
            serde_json::from_value::<AccessRule>(body).unwrap_err();
        }
    }
}
