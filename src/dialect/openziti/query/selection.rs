//! What a list selects is what looking at one thing after the other would select: the same things, in the same order.

use std::cmp::Ordering;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::ListQuery;
use super::syntax::{Bounds, Expression, Literal, Name, Number, Operand, Query, Relation, SortField, Test, Values};
use crate::clock::Timestamp;
use crate::dialect::openziti::paging::Paging;
use crate::id::IdentityId;
use crate::policy::objects::{Identity, Meta, Origin};

/// Texts that are often equal, begin alike, or differ late.
fn text() -> impl Strategy<Value = String> {
    select(vec![
        "",
        "a",
        "ab",
        "AB",
        "prefix-of-many-1",
        "prefix-of-many-10",
        "prefix-of-many-2",
        "1",
        "true",
        "zoë",
        "ZOË",
    ])
    .prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![(-1..3i64).prop_map(Number::Whole), select(vec![0.5, 1.0, -1.0]).prop_map(Number::Decimal)]
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..4i64).prop_map(|second| Timestamp::from_millis(second * 1000))
}

fn tag() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1..3i64).prop_map(Value::from),
        select(vec![0.5, 1.0]).prop_map(Value::from),
        Just(Value::Null),
        text().prop_map(|text| json!({"z": text})),
    ]
}

fn identity() -> impl Strategy<Value = Identity> {
    let tags = proptest::collection::btree_map(select(vec!["x", "y", "v", "w", "x.z"]), tag(), 0..5);
    (text(), btree_set(text(), 0..4), any::<bool>(), tags, instant(), instant()).prop_map(
        |(name, attributes, disabled, tags, created_at, updated_at)| Identity {
            name: name.into(),
            role_attributes: attributes.into_iter().map(Into::into).collect(),
            disabled,
            meta: Meta {
                created_at,
                updated_at,
                tags: tags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
                origin: Origin::Api,
            },
            ..Identity::anonymous()
        },
    )
}

fn identities() -> impl Strategy<Value = Vec<Identity>> {
    vec(identity(), 0..300).prop_map(|mut all| {
        let numbered = all.iter_mut().enumerate();
        numbered.for_each(|(number, identity)| identity.id = IdentityId::new(format!("{number:03}")));
        all
    })
}

fn name(names: &'static [&'static str]) -> impl Strategy<Value = Name> {
    select(names).prop_map(|name| Name { text: name.to_owned(), character: 0 })
}

fn related(literal: impl Strategy<Value = Literal> + 'static) -> impl Strategy<Value = Test> {
    let relation = select(vec![
        Relation::Equal,
        Relation::NotEqual,
        Relation::Less,
        Relation::LessOrEqual,
        Relation::Greater,
        Relation::GreaterOrEqual,
    ]);
    (relation, literal).prop_map(|(relation, literal)| Test::Relation(relation, literal))
}

fn equated(literal: impl Strategy<Value = Literal> + 'static) -> impl Strategy<Value = Test> {
    let relation = select(vec![Relation::Equal, Relation::NotEqual]);
    (relation, literal).prop_map(|(relation, literal)| Test::Relation(relation, literal))
}

fn of_texts() -> impl Strategy<Value = Test> {
    prop_oneof![
        related(text().prop_map(Literal::Text)),
        related(number().prop_map(Literal::Number)),
        equated(Just(Literal::Null)),
        (any::<bool>(), any::<bool>(), text()).prop_map(|(negated, folded, text)| Test::Contains {
            negated,
            folded,
            text
        }),
        (any::<bool>(), btree_set(text(), 1..4))
            .prop_map(|(negated, texts)| Test::In { negated, values: Values::Texts(texts) }),
    ]
}

fn of_numbers() -> impl Strategy<Value = Test> {
    prop_oneof![
        related(number().prop_map(Literal::Number)),
        (any::<bool>(), vec(number(), 1..4))
            .prop_map(|(negated, numbers)| Test::In { negated, values: Values::Numbers(numbers) }),
        (any::<bool>(), number(), number())
            .prop_map(|(negated, low, high)| Test::Between { negated, bounds: Bounds::Numbers(low, high) }),
    ]
}

fn of_instants() -> impl Strategy<Value = Test> {
    prop_oneof![
        related(instant().prop_map(Literal::Instant)),
        equated(Just(Literal::Null)),
        (any::<bool>(), btree_set(instant(), 1..3))
            .prop_map(|(negated, instants)| Test::In { negated, values: Values::Instants(instants) }),
        (any::<bool>(), instant(), instant())
            .prop_map(|(negated, low, high)| Test::Between { negated, bounds: Bounds::Instants(low, high) }),
    ]
}

fn of_flags() -> impl Strategy<Value = Test> {
    equated(prop_oneof![any::<bool>().prop_map(Literal::Flag), Just(Literal::Null)])
}

fn leaf() -> impl Strategy<Value = Expression> {
    let field = |name: &'static [&'static str]| self::name(name).prop_map(Operand::Field);
    let comparison = |(operand, test)| Expression::Comparison(operand, test);
    let tags: &[&str] = &["tags.x", "tags.y", "tags.v", "tags.x.z", "tags.nothing"];
    let set = || name(&["roleAttributes"]);
    let any_or_all = prop_oneof![set().prop_map(Operand::AnyOf), set().prop_map(Operand::AllOf)];
    prop_oneof![
        any::<bool>().prop_map(Expression::Constant),
        name(&["disabled", "isAdmin", "tags.x"]).prop_map(Expression::Flag),
        set().prop_map(Expression::IsEmpty),
        (field(&["id", "name", "type"]), of_texts()).prop_map(comparison),
        (field(&["createdAt", "updatedAt"]), of_instants()).prop_map(comparison),
        (field(&["disabled", "isDefaultAdmin"]), of_flags()).prop_map(comparison),
        (field(tags), prop_oneof![of_texts(), of_numbers(), of_instants(), of_flags()]).prop_map(comparison),
        (any_or_all, of_texts()).prop_map(comparison),
        (set().prop_map(Operand::Count), of_numbers()).prop_map(comparison),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let filter = leaf().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
            vec(inner.clone(), 2..4).prop_map(Expression::And),
            vec(inner, 2..4).prop_map(Expression::Or),
        ]
    });
    let field = (name(&["id", "name", "disabled", "createdAt", "updatedAt", "type"]), any::<bool>());
    let sort = vec(field.prop_map(|(name, descending)| SortField { name, descending }), 0..4);
    let part = proptest::option::of(0..40i64);
    (filter, sort, part.clone(), part).prop_map(|(filter, sort, skip, limit)| Query { filter, sort, skip, limit })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_page_is_what_looking_at_one_after_the_other_gives(all in identities(), query in query()) {
        let written = vec![("filter".to_owned(), query.to_string())];
        let page = ListQuery::<Identity>::read_over(&written, Paging::WHOLE).unwrap().page(all.iter());
        let mut expected: Vec<_> = all.iter().filter(|identity| holds(&query.filter, identity)).collect();
        let total = serde_json::to_value(page.pagination).unwrap()["totalCount"].clone();
        prop_assert_eq!(total, json!(expected.len()), "{}", query);
        expected.sort_by(|a, b| {
            query.sort.iter().map(|field| order(a, b, field)).fold(Ordering::Equal, Ordering::then)
        });
        let place = |number: Option<i64>| number.map(|number| usize::try_from(number).unwrap());
        let part = expected.into_iter().skip(place(query.skip).unwrap_or(0)).take(place(query.limit).unwrap_or(usize::MAX));
        let ids = |identities: Vec<&Identity>| identities.iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
        prop_assert_eq!(ids(page.items), ids(part.collect()), "{}", query);
    }
}

/// A value, looked up by the name it has in JSON.
#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Nothing,
    Flag(bool),
    Number(Number),
    Time(Timestamp),
    Text(String),
}

fn look_up(identity: &Identity, name: &str) -> Plain {
    let text = |text: &str| Plain::Text(text.to_owned());
    match name {
        "id" => text(identity.id.as_str()),
        "name" => text(&identity.name),
        "type" => text("Default"),
        "disabled" => Plain::Flag(identity.disabled),
        "isAdmin" | "isDefaultAdmin" => Plain::Flag(false),
        "createdAt" => Plain::Time(identity.meta.created_at),
        "updatedAt" => Plain::Time(identity.meta.updated_at),
        tag => {
            let (tags, tag) = (&identity.meta.tags, tag.strip_prefix("tags.").unwrap());
            let nested = tag.split_once('.').and_then(|(outer, inner)| tags.get(outer)?.get(inner));
            match tags.get(tag).or(nested) {
                Some(Value::String(value)) => text(value),
                Some(Value::Bool(flag)) => Plain::Flag(*flag),
                Some(Value::Number(number)) => Plain::Number(
                    number.as_i64().map_or_else(|| Number::Decimal(number.as_f64().unwrap()), Number::Whole),
                ),
                _ => Plain::Nothing,
            }
        }
    }
}

fn holds(expression: &Expression, identity: &Identity) -> bool {
    match expression {
        Expression::Constant(flag) => *flag,
        Expression::Flag(name) => look_up(identity, &name.text) == Plain::Flag(true),
        Expression::IsEmpty(_) => identity.role_attributes.is_empty(),
        Expression::Not(inner) => !holds(inner, identity),
        Expression::And(all) => all.iter().all(|inner| holds(inner, identity)),
        Expression::Or(all) => all.iter().any(|inner| holds(inner, identity)),
        Expression::Comparison(operand, test) => {
            let texts: Vec<_> = identity.role_attributes.iter().map(|text| Plain::Text(text.to_string())).collect();
            let holds = match operand {
                Operand::Field(name) if ["id", "name", "type"].contains(&&*name.text) => {
                    passes(&look_up(identity, &name.text), &of_text(test))
                }
                Operand::Field(name) => passes(&look_up(identity, &name.text), test),
                Operand::AnyOf(_) => texts.iter().any(|text| passes(text, &of_text(test))),
                Operand::AllOf(_) => texts.iter().all(|text| passes(text, &of_text(test))),
                Operand::Count(_) => passes(&Plain::Number(Number::Whole(texts.len() as i64)), test),
            };
            let denied = matches!(test, Test::In { negated: true, .. } | Test::Between { negated: true, .. });
            holds != denied
        }
    }
}

/// A number that is compared with what is always a text is one.
fn of_text(test: &Test) -> Test {
    match test {
        Test::Relation(relation, Literal::Number(number)) => Test::Relation(*relation, Literal::Text(number.plain())),
        Test::In { negated, values: Values::Numbers(numbers) } => {
            let texts = numbers.iter().copied().map(Number::plain).collect();
            Test::In { negated: *negated, values: Values::Texts(texts) }
        }
        other => other.clone(),
    }
}

fn as_text(value: &Plain) -> Option<String> {
    match value {
        Plain::Nothing => None,
        Plain::Flag(flag) => Some(flag.to_string()),
        Plain::Number(number) => Some(number.plain()),
        Plain::Time(time) => Some(time.to_string()),
        Plain::Text(text) => Some(text.clone()),
    }
}

fn as_float(number: Number) -> f64 {
    match number {
        Number::Whole(whole) => whole as f64,
        Number::Decimal(decimal) => decimal,
    }
}

/// How a value compares with another one, if it can be taken for the same type.
fn compared(value: &Plain, other: &Plain) -> Option<Ordering> {
    match other {
        Plain::Text(text) => Some(as_text(value)?.cmp(text)),
        Plain::Number(number) => match value {
            Plain::Number(value) => as_float(*value).partial_cmp(&as_float(*number)),
            _ => None,
        },
        Plain::Time(time) => match value {
            Plain::Time(value) => Some(value.cmp(time)),
            _ => None,
        },
        Plain::Flag(flag) => Some((*value == Plain::Flag(true)).cmp(flag)),
        Plain::Nothing => None,
    }
}

fn passes(value: &Plain, test: &Test) -> bool {
    match test {
        Test::Relation(relation, Literal::Null) => (*value == Plain::Nothing) == (*relation == Relation::Equal),
        Test::Relation(relation, literal) => {
            let literal = match literal {
                Literal::Text(text) => Plain::Text(text.clone()),
                Literal::Number(number) => Plain::Number(*number),
                Literal::Instant(time) => Plain::Time(*time),
                Literal::Flag(flag) => Plain::Flag(*flag),
                Literal::Null => Plain::Nothing,
            };
            let ordering = compared(value, &literal);
            match relation {
                Relation::Equal => ordering == Some(Ordering::Equal),
                Relation::NotEqual => ordering != Some(Ordering::Equal),
                Relation::Less => ordering == Some(Ordering::Less),
                Relation::LessOrEqual => ordering.is_some_and(Ordering::is_le),
                Relation::Greater => ordering == Some(Ordering::Greater),
                Relation::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
            }
        }
        Test::Contains { negated, folded, text } => {
            let contains = |whole: String| {
                if *folded {
                    whole.to_uppercase().contains(&text.to_uppercase())
                } else {
                    whole.contains(text.as_str())
                }
            };
            as_text(value).is_some_and(contains) != *negated
        }
        Test::In { values, .. } => {
            let is = |other: Plain| compared(value, &other) == Some(Ordering::Equal);
            match values {
                Values::Texts(texts) => texts.iter().any(|text| is(Plain::Text(text.clone()))),
                Values::Numbers(numbers) => numbers.iter().any(|number| is(Plain::Number(*number))),
                Values::Instants(times) => times.iter().any(|time| is(Plain::Time(*time))),
            }
        }
        Test::Between { bounds, .. } => {
            let (low, high) = match bounds {
                Bounds::Numbers(low, high) => (Plain::Number(*low), Plain::Number(*high)),
                Bounds::Instants(low, high) => (Plain::Time(*low), Plain::Time(*high)),
            };
            compared(value, &low).is_some_and(Ordering::is_ge) && compared(value, &high) == Some(Ordering::Less)
        }
    }
}

fn order(a: &Identity, b: &Identity, field: &SortField) -> Ordering {
    let (a, b) = (look_up(a, &field.name.text), look_up(b, &field.name.text));
    let ordering = match (a, b) {
        (Plain::Text(a), Plain::Text(b)) => a.cmp(&b),
        (Plain::Flag(a), Plain::Flag(b)) => a.cmp(&b),
        (Plain::Time(a), Plain::Time(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    };
    if field.descending { ordering.reverse() } else { ordering }
}
