//! A serde deserializer over a [`Document`](super::Document) that goes on after an error.
//!
//! Unknown keys, and values inside a [`Field`](super::Field) that do not fit, become findings on the spot; the rest of the
//! document is still read. Messages name kinds of values, never Rust types.

use std::fmt;

use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::field::{FIELD, OR_MAPPING};
use super::session::Spelling;
use super::{Entry, NodeId, Session, Value, push_key};
use crate::clock::checkpoint;
use crate::config::findings::{Finding, closest, excerpt};

/// Why a value could not be read.
#[derive(Debug)]
pub(in crate::config) struct Problem {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
    /// The value, when it is not the one that was asked for but one inside it.
    pub(super) node: Option<NodeId>,
}

impl Problem {
    fn new(message: String) -> Self {
        Problem { message, suggestion: None, node: None }
    }

    fn at(mut self, node: NodeId) -> Self {
        self.node.get_or_insert(node);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Problem::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = wanted(&expected.to_string());
        let (found, advice) = match unexpected {
            Unexpected::Bool(_) => ("a yes-or-no value", quotes_if(&wanted)),
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => ("a number", quotes_if(&wanted)),
            Unexpected::Seq => ("a list", ""),
            Unexpected::Map => ("a mapping", ""),
            Unexpected::Unit | Unexpected::Option => ("nothing", ""),
            _ => ("text", ""),
        };
        Problem::new(format!("expected {wanted}, found {found}{advice}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Problem {
            message: format!("{} is not one of {}", excerpt(variant), expected.join(", ")),
            suggestion: closest(variant, expected.iter().copied()).map(str::to_owned),
            node: None,
        }
    }
}

/// What a reader asks for, in words for people.
fn wanted(expected: &str) -> String {
    match expected {
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "a character" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "i64" | "u64" | "u16" | "u32" => "a whole number".to_owned(),
        other if other.starts_with("struct ") => "a mapping of keys".to_owned(),
        other => other.to_owned(),
    }
}

fn quotes_if(wanted: &str) -> &'static str {
    if wanted == "text" { "; put it in quotes" } else { "" }
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'s> {
    session: &'s Session,
    node: NodeId,
}

impl<'s> Decoder<'s> {
    pub(super) fn new(session: &'s Session, node: NodeId) -> Self {
        Decoder { session, node }
    }

    fn value(&self) -> &'s Value {
        self.session.document().value(self.node)
    }

    fn child(&self, node: NodeId) -> Self {
        Decoder { node, ..*self }
    }
}

impl<'de, 's> Deserializer<'de> for Decoder<'s> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value() {
            Value::Null | Value::Refused => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Whole(value) => visit_whole(*value, visitor),
            Value::Fraction(value) => visitor.visit_f64(*value),
            Value::Text(text) | Value::Loose(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items { decoder: self, rest: items.iter() }),
            Value::Mapping(entries) => visitor.visit_map(Pairs { decoder: self, rest: entries.iter(), value: None }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value() {
            Value::Loose(text) if **text == *"true" => visitor.visit_bool(true),
            Value::Loose(text) if **text == *"false" => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value() {
            Value::Loose(text) => match text.parse() {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value() {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        match name {
            FIELD => visitor.visit_seq(FieldParts { decoder: self, given: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let entries: &[Entry] = match self.value() {
            Value::Mapping(entries) => entries,
            // A section whose keys are all commented out is an empty section.
            Value::Null => &[],
            // Not left to the visitor, which would read a list as the keys' values in order.
            other => return Err(de::Error::invalid_type(other.unexpected(), &visitor)),
        };
        visitor.visit_map(KnownKeys { decoder: self, fields, seen: Vec::new(), rest: entries.iter(), value: None })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if name == OR_MAPPING {
            return visitor.visit_enum(EitherForm(self));
        }
        match self.value() {
            Value::Text(text) | Value::Loose(text) => visitor.visit_enum(text.into_deserializer()),
            other => {
                let wanted = format!("one of {}", variants.join(", "));
                Err(de::Error::invalid_type(other.unexpected(), &&*wanted))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        map identifier ignored_any
    }
}

impl Value {
    /// The kind of value, for messages; contents are not shown.
    fn unexpected(&self) -> Unexpected<'static> {
        match self {
            Value::Null | Value::Refused => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Whole(_) | Value::Fraction(_) => Unexpected::Float(0.0),
            Value::Text(_) | Value::Loose(_) => Unexpected::Str(""),
            Value::List(_) => Unexpected::Seq,
            Value::Mapping(_) => Unexpected::Map,
        }
    }
}

fn visit_whole<'de, V: Visitor<'de>>(value: i128, visitor: V) -> Result<V::Value, Problem> {
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(number), _) => visitor.visit_i64(number),
        (_, Ok(number)) => visitor.visit_u64(number),
        _ => visitor.visit_i128(value),
    }
}

/// A [`Field`](super::Field)'s two parts: the node's number, and its value unless that is a finding.
struct FieldParts<'s> {
    decoder: Decoder<'s>,
    given: u8,
}

impl<'de> SeqAccess<'de> for FieldParts<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        self.given = self.given.saturating_add(1);
        if self.given == 1 {
            return seed.deserialize(U32Deserializer::new(self.decoder.node.0)).map(Some);
        }
        if let Value::Refused = self.decoder.value() {
            return Ok(None);
        }
        match seed.deserialize(self.decoder) {
            Ok(value) => Ok(Some(value)),
            Err(problem) => {
                self.decoder.session.record(self.decoder.node, problem);
                Ok(None)
            }
        }
    }
}

struct Items<'s> {
    decoder: Decoder<'s>,
    rest: std::slice::Iter<'s, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some(node) = self.rest.next() else {
            return Ok(None);
        };
        checkpoint();
        let read = seed.deserialize(self.decoder.child(*node));
        read.map(Some).map_err(|problem| problem.at(*node))
    }
}

/// A mapping with keys of the operator's choice.
struct Pairs<'s> {
    decoder: Decoder<'s>,
    rest: std::slice::Iter<'s, Entry>,
    value: Option<NodeId>,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some(entry) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(entry.value);
        seed.deserialize(StrDeserializer::new(&entry.key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        read_value(self.decoder, self.value.take(), seed)
    }
}

fn read_value<'de, V: DeserializeSeed<'de>>(
    decoder: Decoder<'_>,
    node: Option<NodeId>,
    seed: V,
) -> Result<V::Value, Problem> {
    let node = node.ok_or_else(|| Problem::new("value without a key".to_owned()))?;
    let read = seed.deserialize(decoder.child(node));
    read.map_err(|problem| problem.at(node))
}

/// A mapping with keys of our choice: any other key is a finding and skipped.
struct KnownKeys<'s> {
    decoder: Decoder<'s>,
    fields: &'static [&'static str],
    seen: Vec<&'static str>,
    rest: std::slice::Iter<'s, Entry>,
    value: Option<NodeId>,
}

impl KnownKeys<'_> {
    /// The field a key stands for; anything else is a finding.
    fn field(&self, entry: &Entry) -> Option<&'static str> {
        let known = |key: &str| self.fields.iter().copied().find(|field| *field == key);
        let found = match (known(&entry.key), self.decoder.session.spelling) {
            (None, Spelling::SnakeOrCamel) => known(&snake_case(&entry.key)),
            (found, _) => found,
        };
        match found {
            Some(field) if self.seen.contains(&field) => {
                let message = format!("key is given twice, in two spellings of `{field}`");
                self.refuse(entry, message, None);
                None
            }
            Some(field) => Some(field),
            None => {
                let suggestion = closest(&entry.key, self.fields.iter().copied());
                self.refuse(entry, "unknown key".to_owned(), suggestion);
                None
            }
        }
    }

    fn refuse(&self, entry: &Entry, message: String, suggestion: Option<&str>) {
        let session = self.decoder.session;
        let mut path = session.document().key_path(self.decoder.node);
        push_key(&mut path, excerpt(&entry.key).trim_matches('`'));
        let place = session.document().place_of(&entry.mark);
        let finding = Finding::error(place, path, message);
        session.push(finding.suggesting(suggestion.map(str::to_owned)));
    }
}

impl<'de> MapAccess<'de> for KnownKeys<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        while let Some(entry) = self.rest.next() {
            if let Some(field) = self.field(entry) {
                self.seen.push(field);
                self.value = Some(entry.value);
                return seed.deserialize(StrDeserializer::new(field)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        read_value(self.decoder, self.value.take(), seed)
    }
}

/// `osType` to `os_type`.
fn snake_case(key: &str) -> String {
    let mut snake = String::with_capacity(key.len().saturating_add(4));
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// An [`OrMapping`](super::OrMapping): the node's kind chooses the variant.
struct EitherForm<'s>(Decoder<'s>);

impl<'de> EnumAccess<'de> for EitherForm<'_> {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Problem> {
        let variant = match self.0.value() {
            Value::Mapping(_) => "Mapping",
            _ => "Short",
        };
        let chosen = seed.deserialize(StrDeserializer::new(variant))?;
        Ok((chosen, self))
    }
}

impl<'de> VariantAccess<'de> for EitherForm<'_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.0.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Problem> {
        self.0.deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_becomes_snake_case() {
        assert_eq!(snake_case("osType"), "os_type");
        assert_eq!(snake_case("postureCheckRoles"), "posture_check_roles");
        assert_eq!(snake_case("name"), "name");
    }
}
