//! Reading the members of a JSON object one by one, so that an error names the field.

use serde_json::{Map, Value};

use super::error::{ApiError, ErrorCode, FieldError};
use crate::limits;

/// The members of one object, and where in the body it stands.
#[derive(Clone, Debug)]
pub(super) struct Members<'a> {
    object: &'a Map<String, Value>,
    path: String,
}

/// Reads a body as JSON.
pub(super) fn json(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let reason = format!("is not JSON: {error}");
        ApiError {
            code: ErrorCode::CouldNotParseBody,
            cause: Some(FieldError { field: "body".to_owned(), reason, value: String::new() }),
        }
    })
}

/// A member that is `null` counts as absent, unless a function says otherwise. One that is not there as it is written counts in
/// other letter cases, as it does for OpenZiti: its command line makes operating systems with `Type` and `Versions`.
impl<'a> Members<'a> {
    /// The members of a value that must be an object.
    pub(super) fn of(value: &'a Value, path: &str) -> Result<Self, FieldError> {
        match value {
            Value::Object(object) => Ok(Members { object, path: path.to_owned() }),
            other => Err(FieldError::new(if path.is_empty() { "body" } else { path }, "must be an object", other)),
        }
    }

    /// The path of a member.
    pub(super) fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Whether there is such a member, even if it is `null`.
    pub(super) fn names(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The member, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.find(name).filter(|value| !value.is_null())
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        let folded = || self.object.iter().find(|(written, _)| written.eq_ignore_ascii_case(name));
        self.object.get(name).or_else(|| folded().map(|(_, value)| value))
    }

    /// Refuses members other than these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), FieldError> {
        match self.object.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, value)) => Err(FieldError::new(self.field(name), "is not known", value)),
            None => Ok(()),
        }
    }

    /// A copy of all of them.
    pub(super) fn to_map(&self) -> Map<String, Value> {
        self.object.clone()
    }

    /// Says that a member is missing.
    pub(super) fn missing(&self, name: &str) -> FieldError {
        FieldError::new(self.field(name), "is required", &Value::Null)
    }

    /// Says what is wrong with a member.
    pub(super) fn wrong(&self, name: &str, reason: impl Into<String>) -> FieldError {
        FieldError::new(self.field(name), reason, self.find(name).unwrap_or(&Value::Null))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, FieldError> {
        self.get(name).map(|value| bounded(value).map_err(|reason| self.wrong(name, reason))).transpose()
    }

    pub(super) fn required_text(&self, name: &str) -> Result<&'a str, FieldError> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, FieldError> {
        let flag = |value: &Value| value.as_bool().ok_or_else(|| self.wrong(name, "must be true or false"));
        self.get(name).map(flag).transpose()
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, FieldError> {
        let integer = |value: &Value| value.as_i64().ok_or_else(|| self.wrong(name, "must be a whole number"));
        self.get(name).map(integer).transpose()
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Members<'a>>, FieldError> {
        self.get(name).map(|value| Members::of(value, &self.field(name))).transpose()
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, FieldError> {
        let Some(items) = self.items(name)? else {
            return Ok(None);
        };
        let texts = items.iter().enumerate().map(|(index, item)| match bounded(item) {
            Ok(text) => Ok(text.to_owned()),
            Err(reason) => Err(FieldError::new(self.item(name, index), reason, item)),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn objects(&self, name: &str) -> Result<Option<Vec<Members<'a>>>, FieldError> {
        let Some(items) = self.items(name)? else {
            return Ok(None);
        };
        let objects = items.iter().enumerate().map(|(index, item)| Members::of(item, &self.item(name, index)));
        objects.collect::<Result<_, _>>().map(Some)
    }

    /// The path of an item of a list.
    pub(super) fn item(&self, name: &str, index: usize) -> String {
        format!("{}[{index}]", self.field(name))
    }

    fn items(&self, name: &str) -> Result<Option<&'a [Value]>, FieldError> {
        let list = |value: &'a Value| {
            let items = value.as_array().ok_or_else(|| self.wrong(name, "must be an array"))?;
            if items.len() > limits::LIST_ENTRIES_MAX {
                return Err(FieldError {
                    field: self.field(name),
                    reason: format!("has more than {} entries", limits::LIST_ENTRIES_MAX),
                    value: items.len().to_string(),
                });
            }
            Ok(items.as_slice())
        };
        self.get(name).map(list).transpose()
    }
}

fn bounded(value: &Value) -> Result<&str, String> {
    let text = value.as_str().ok_or("must be a string")?;
    if text.len() > limits::FACT_TEXT_BYTES_MAX {
        return Err(format!("is longer than {} bytes", limits::FACT_TEXT_BYTES_MAX));
    }
    Ok(text)
}
