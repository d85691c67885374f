//! Reading the members of a JSON object one by one, so that an error carries a pointer.

use serde_json::{Map, Value};

use super::error::{ApiError, ErrorCode};
use crate::limits;

/// The members of one object, and where in the body it stands. A member that is `null` counts as absent.
#[derive(Clone, Debug)]
pub(super) struct Members<'a> {
    object: &'a Map<String, Value>,
    pointer: String,
}

/// Reads a body as a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ErrorCode::Malformed.into()),
        Err(error) => {
            Err(ApiError::because(ErrorCode::Malformed, format!("{}: {error}", ErrorCode::Malformed.message())))
        }
    }
}

impl<'a> Members<'a> {
    /// The members of the body itself.
    pub(super) fn of_body(object: &'a Map<String, Value>) -> Self {
        Members { object, pointer: String::new() }
    }

    /// The pointer to a member.
    pub(super) fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }

    /// The names of the members that are there.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.object.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
    }

    /// Whether the member is there, be it as `null`.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// The member, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Says what is wrong with a member.
    pub(super) fn wrong(&self, name: &str, reason: impl std::fmt::Display) -> ApiError {
        ApiError::invalid(self.pointer(name), reason)
    }

    /// Says that a member is missing.
    pub(super) fn missing(&self, name: &str) -> ApiError {
        self.wrong(name, "is required")
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.text_within(name, limits::FACT_TEXT_BYTES_MAX)
    }

    /// A text with a bound of its own, in bytes.
    pub(super) fn text_within(&self, name: &str, max: usize) -> Result<Option<&'a str>, ApiError> {
        self.get(name).map(|value| text_within(value, max).map_err(|reason| self.wrong(name, reason))).transpose()
    }

    /// A text that must be there and must not be empty.
    pub(super) fn required_text(&self, name: &str) -> Result<&'a str, ApiError> {
        self.required_text_within(name, limits::FACT_TEXT_BYTES_MAX)
    }

    /// As [`Members::required_text`], with a bound of its own, in bytes.
    pub(super) fn required_text_within(&self, name: &str, max: usize) -> Result<&'a str, ApiError> {
        match self.text_within(name, max)? {
            Some("") => Err(self.wrong(name, "must not be empty")),
            Some(text) => Ok(text),
            None => Err(self.missing(name)),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let flag = |value: &Value| value.as_bool().ok_or_else(|| self.wrong(name, "must be true or false"));
        self.get(name).map(flag).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, ApiError> {
        let number = |value: &Value| value.as_f64().ok_or_else(|| self.wrong(name, "must be a number"));
        self.get(name).map(number).transpose()
    }

    /// One of a few texts.
    pub(super) fn one_of<T: Copy>(
        &self,
        name: &str,
        known: &[T],
        spelling: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, ApiError> {
        let Some(given) = self.text(name)? else {
            return Ok(None);
        };
        match known.iter().find(|known| spelling(**known) == given) {
            Some(found) => Ok(Some(*found)),
            None => {
                let spellings: Vec<&str> = known.iter().map(|known| spelling(*known)).collect();
                Err(self.wrong(name, format!("must be one of {}", spellings.join(" "))))
            }
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Members<'a>>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Members { object, pointer: self.pointer(name) })),
            Some(_) => Err(self.wrong(name, "must be an object")),
        }
    }

    /// The items of a list, each with its pointer.
    pub(super) fn items(&self, name: &str, max: usize) -> Result<Option<Vec<(String, &'a Value)>>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let items = value.as_array().ok_or_else(|| self.wrong(name, "must be an array"))?;
        if items.len() > max {
            return Err(self.wrong(name, format!("has more than {max} entries")));
        }
        let pointer = self.pointer(name);
        Ok(Some(items.iter().zip(0..).map(|(item, index)| (format!("{pointer}/{index}"), item)).collect()))
    }

    pub(super) fn texts(&self, name: &str, max: usize) -> Result<Option<Vec<&'a str>>, ApiError> {
        let Some(items) = self.items(name, max)? else {
            return Ok(None);
        };
        let texts =
            items.into_iter().map(|(pointer, item)| text(item).map_err(|reason| ApiError::invalid(pointer, reason)));
        texts.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn objects(&self, name: &str, max: usize) -> Result<Option<Vec<Members<'a>>>, ApiError> {
        let Some(items) = self.items(name, max)? else {
            return Ok(None);
        };
        let objects = items.into_iter().map(|(pointer, item)| match item {
            Value::Object(object) => Ok(Members { object, pointer }),
            _ => Err(ApiError::invalid(pointer, "must be an object")),
        });
        objects.collect::<Result<_, _>>().map(Some)
    }
}

fn text(value: &Value) -> Result<&str, String> {
    text_within(value, limits::FACT_TEXT_BYTES_MAX)
}

fn text_within(value: &Value, max: usize) -> Result<&str, String> {
    let text = value.as_str().ok_or("must be a string")?;
    if text.len() > max {
        return Err(format!("is longer than {max} bytes"));
    }
    Ok(text)
}
