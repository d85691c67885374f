//! Filters are read, printed and refused.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::parser;
use super::refused::Refused;
use super::syntax::{Bounds, Expression, Literal, Name, Number, Operand, Query, Relation, SortField, Test, Values};
use crate::clock::Timestamp;
use crate::limits;

#[track_caller]
fn printed(text: &str) -> String {
    parser::query(text).unwrap().to_string()
}

fn refused(text: &str) -> Refused {
    parser::query(text).unwrap_err()
}

#[test]
fn filters_mean_what_they_say() {
    for (text, meaning) in [
        ("", "true"),
        ("\ttrue\r\n", "true"),
        (r#"name="a""#, r#"name = "a""#),
        (r#"name  !=  "a""#, r#"name != "a""#),
        ("count(roleAttributes)>=2", "count(roleAttributes) >= 2"),
        ("n < -1.5", "n < -1.5"),
        ("n = 2E+3", "n = 2000.0"),
        ("n = 99999999999999999999", "n = 1e20"),
        ("disabled", "disabled"),
        ("TAGS.Some-Thing_2 = NULL", "TAGS.Some-Thing_2 = null"),
        ("'tags.cost centre' = null", "'tags.cost centre' = null"),
        ("'name' = null", "name = null"),
        ("'count' = null", "'count' = null"),
        ("when > DateTime( 2026-01-02t05:04:05+02:00 )", "when > datetime(2026-01-02T03:04:05.000Z)"),
        (r#"name in ["b" , "a","b"]"#, r#"name in ["a", "b"]"#),
        ("n Not In [1, 2.5]", "n not in [1, 2.5]"),
        ("n between 1 and 3 and disabled", "n between 1 and 3 and disabled"),
        (r#"name not iContains "x""#, r#"name not icontains "x""#),
        ("name contains 5", r#"name contains "5""#),
        (r#"anyof(roleAttributes) = "x""#, r#"anyOf(roleAttributes) = "x""#),
        ("ISEMPTY( roleAttributes )", "isEmpty(roleAttributes)"),
        (r#"name = "\"\\\n\t\r\f""#, r#"name = "\"\\\n\t\r\f""#),
        ("true limit none", "true limit none"),
        ("sort by name desc, createdAt ASC skip 5 limit 7", "true sort by name desc, createdAt skip 5 limit 7"),
        ("skip -3", "true skip 0"),
        ("limit -7", "true limit none"),
    ] {
        assert_eq!(printed(text), meaning, "{text}");
    }
}

#[test]
fn words_take_in_what_follows_them() {
    for (text, meaning) in [
        ("a and b and c", "a and b and c"),
        ("a and b or c", "a and (b or c)"),
        ("a or b and c", "a or (b and c)"),
        ("a and b or c and d", "a and (b or (c and d))"),
        ("(a and b) or c", "(a and b) or c"),
        ("not a or b", "not (a or b)"),
        ("a and not b or c", "a and (not (b or c))"),
        ("(not a) or b", "(not (a)) or b"),
    ] {
        assert_eq!(printed(text), meaning, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    for (text, character, part) in [
        (" ", 2, ""),
        ("name =", 7, ""),
        ("name = name", 8, "name"),
        ("name == 1", 7, "="),
        ("name ! 1", 6, "!"),
        ("name < true", 8, "true"),
        ("name > null", 8, "null"),
        ("\u{e4} = 1", 1, "\u{e4}"),
        ("'\u{e4}' = \u{f6}", 7, "\u{f6}"),
        (r#"name = "abc"#, 8, r#""abc"#),
        (r#"name = "a\b""#, 8, r#""a\b""#),
        ("name = \"a\tb\"", 8, "\"a"),
        ("n = 01", 5, "01"),
        ("n = 1.", 5, "1."),
        ("n = 1e999", 5, "1e999"),
        ("n = 5x", 5, "5x"),
        ("t = datetime(2026-01-02)", 5, "datetime(2026-01-02)"),
        ("t = datetime(2026-13-02T00:00:00Z)", 5, "datetime(2026-13-02T00:00:00Z)"),
        ("t = datetime(2026-01-02T00:00:00)", 5, "datetime(2026-01-02T00:00:00)"),
        ("t = datetime(2026-01-02T00:00:00Z", 5, "datetime(2026-01-02T00:00:00Z"),
        ("(a", 3, ""),
        ("a)", 2, ")"),
        ("a b", 3, "b"),
        ("a and", 6, ""),
        ("n in []", 7, "]"),
        (r#"n in [1, "a"]"#, 10, r#""a""#),
        ("n in [1 2]", 9, "2"),
        (r#"n between 1 and "b""#, 17, r#""b""#),
        ("n between 1 or 2", 13, "or"),
        (r#"n between "a" and "b""#, 19, r#""b""#),
        ("n not = 1", 7, "="),
        ("n icontains 5", 13, "5"),
        ("noneOf(roleAttributes) = 1", 1, "noneOf"),
        ("anyOf roleAttributes = 1", 7, "roleAttributes"),
        ("anyOf(roleAttributes)", 22, ""),
        ("isEmpty(from services where true)", 9, "from"),
        ("count(from services where true) > 1", 7, "from"),
        ("from services where true", 1, "from"),
        ("true sort name", 11, "name"),
        ("true sort by", 13, ""),
        ("true limit 1.5", 12, "1.5"),
        ("true limit 1 skip 1", 14, "skip"),
        ("tags. = 1", 5, "."),
        ("'' = 1", 1, "'' = 1"),
    ] {
        let refused = refused(text);
        assert_eq!((refused.character, &*refused.part), (character, part), "{text}: {}", refused.reason);
    }
    assert!(refused("isEmpty(from services where true)").reason.contains("not supported"));
    assert!(parser::sort("name desc limit 1").is_err());
    assert!(parser::sort("").is_err());
}

#[test]
fn filters_have_bounds() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(printed(&nested(limits::FILTER_DEPTH_MAX)), "a");
    assert!(refused(&nested(limits::FILTER_DEPTH_MAX + 1)).reason.contains("deeper"));
    assert!(refused(&"not ".repeat(limits::FILTER_DEPTH_MAX + 1)).reason.contains("deeper"));
    assert!(refused(&"a and b or ".repeat(limits::FILTER_DEPTH_MAX)).reason.contains("deeper"));
    // A long chain of one word is not deep.
    assert!(parser::query(&format!("{}a", "a or ".repeat(limits::FILTER_LEAVES_MAX - 1))).is_ok());
    assert!(refused(&format!("{}a", "a or ".repeat(limits::FILTER_LEAVES_MAX))).reason.contains("comparisons"));

    let list = |length: usize| format!("n in [{}1]", "1,".repeat(length - 1));
    assert!(parser::query(&list(limits::FILTER_LIST_ENTRIES_MAX)).is_ok());
    assert!(refused(&list(limits::FILTER_LIST_ENTRIES_MAX + 1)).reason.contains("entries"));

    assert!(parser::query(&" ".repeat(limits::FILTER_BYTES_MAX)).unwrap_err().reason.contains("must stand"));
    assert!(refused(&" ".repeat(limits::FILTER_BYTES_MAX + 1)).reason.contains("bytes"));

    let sort = |length: usize| format!("sort by {}a", "a,".repeat(length - 1));
    assert!(parser::query(&sort(limits::SORT_FIELDS_MAX)).is_ok());
    assert!(refused(&sort(limits::SORT_FIELDS_MAX + 1)).reason.contains("fields"));
}

fn name() -> impl Strategy<Value = Name> {
    let text = prop_oneof![
        "[a-zA-Z][a-zA-Z0-9_]{0,6}",
        "tags\\.[a-z0-9_-]{1,6}",
        "[^'\\p{C}]{1,6}",
        Just("and".to_owned()),
        Just("DateTime".to_owned()),
    ];
    text.prop_map(|text| Name { text, character: 0 })
}

fn number() -> impl Strategy<Value = Number> {
    let decimal = any::<f64>().prop_filter("finite", |number| number.is_finite());
    prop_oneof![any::<i64>().prop_map(Number::Whole), decimal.prop_map(Number::Decimal)]
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(Timestamp::from_millis)
}

fn relation() -> impl Strategy<Value = Test> {
    let equality = prop_oneof![Just(Relation::Equal), Just(Relation::NotEqual)];
    let order = prop_oneof![
        Just(Relation::Less),
        Just(Relation::LessOrEqual),
        Just(Relation::Greater),
        Just(Relation::GreaterOrEqual),
    ];
    let literal = prop_oneof![
        text().prop_map(Literal::Text),
        number().prop_map(Literal::Number),
        instant().prop_map(Literal::Instant),
    ]
    .boxed();
    let sign = prop_oneof![Just(Literal::Null), any::<bool>().prop_map(Literal::Flag)];
    let any_relation = prop_oneof![equality.clone(), order];
    prop_oneof![(any_relation, literal), (equality, sign.boxed())]
        .prop_map(|(relation, literal)| Test::Relation(relation, literal))
}

/// Texts without control characters that cannot be written.
fn text() -> impl Strategy<Value = String> {
    "[^\\x00-\\x1f]{0,6}[\\n\\r\\t\\x0c\\\\\"]{0,2}"
}

fn test() -> impl Strategy<Value = Test> {
    let values = prop_oneof![
        btree_set(text(), 1..4).prop_map(Values::Texts),
        vec(number(), 1..4).prop_map(Values::Numbers),
        btree_set(instant(), 1..4).prop_map(Values::Instants),
    ];
    let bounds = prop_oneof![
        (number(), number()).prop_map(|(low, high)| Bounds::Numbers(low, high)),
        (instant(), instant()).prop_map(|(low, high)| Bounds::Instants(low, high)),
    ];
    prop_oneof![
        relation(),
        (any::<bool>(), any::<bool>(), text()).prop_map(|(negated, folded, text)| Test::Contains {
            negated,
            folded,
            text
        }),
        (any::<bool>(), values).prop_map(|(negated, values)| Test::In { negated, values }),
        (any::<bool>(), bounds).prop_map(|(negated, bounds)| Test::Between { negated, bounds }),
    ]
}

fn expression() -> impl Strategy<Value = Expression> {
    let operand = (0..4_u8, name()).prop_map(|(function, name)| match function {
        0 => Operand::Field(name),
        1 => Operand::AnyOf(name),
        2 => Operand::AllOf(name),
        _ => Operand::Count(name),
    });
    let leaf = prop_oneof![
        any::<bool>().prop_map(Expression::Constant),
        name().prop_map(Expression::Flag),
        name().prop_map(Expression::IsEmpty),
        (operand, test()).prop_map(|(operand, test)| Expression::Comparison(operand, test)),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
            vec(inner.clone(), 2..4).prop_map(Expression::And),
            vec(inner, 2..4).prop_map(Expression::Or),
        ]
    })
}

fn query() -> impl Strategy<Value = Query> {
    let field = (name(), any::<bool>()).prop_map(|(name, descending)| SortField { name, descending });
    (expression(), vec(field, 0..4), proptest::option::of(0..i64::MAX), proptest::option::of(-1..i64::MAX))
        .prop_map(|(filter, sort, skip, limit)| Query { filter, sort, skip, limit })
}

proptest! {
    #[test]
    fn a_printed_filter_is_read_again_as_it_was(query in query()) {
        prop_assert_eq!(parser::query(&query.to_string()), Ok(query.clone()), "{}", query);
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in ".*") {
        read_or_refused(&text)?;
    }

    #[test]
    fn any_words_are_read_or_refused_with_a_place(words in vec(word(), 0..20), blanks in any::<bool>()) {
        read_or_refused(&words.join(if blanks { " " } else { "" }))?;
    }
}

fn word() -> impl Strategy<Value = String> {
    let words: BTreeSet<_> =
        "and or not contains icontains in between true false null allOf anyOf count isEmpty sort by \
        asc desc skip limit none from where ( ) [ ] , = != < <= > >= \" ' \\ -1 2.5 \"a\" \"\\n\" name tags.x 'y z' . \
        datetime( datetime(2026-01-02T03:04:05Z)"
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
    proptest::sample::select(words.into_iter().collect::<Vec<_>>())
}

fn read_or_refused(text: &str) -> Result<(), TestCaseError> {
    match parser::query(text) {
        Ok(query) => prop_assert_eq!(parser::query(&query.to_string()), Ok(query)),
        Err(refused) => {
            let length = text.chars().count();
            prop_assert!((1..=length + 1).contains(&refused.character), "{:?} of {}", refused, length);
            prop_assert!(text.contains(&refused.part) && !refused.reason.is_empty());
        }
    }
    Ok(())
}
