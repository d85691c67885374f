//! Secrets as values: one that can be used and forgets itself, and one that can only be kept.
//!
//! A [`Secret`] never reaches a log, an error or an answer by accident: it has no `Display`, no `Serialize`, and its
//! `Debug` says nothing. A [`Sealed`] is the encrypted form, for the store; the key is `store::Sealer`'s.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret text. It is overwritten in memory when it is dropped, and compared in the same time wherever it differs.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over as a secret.
    pub fn new(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }

    /// The text, for the one place that must send or compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The refused value is not repeated: a secret written as a number is still one.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Secret::new).map_err(|_| serde::de::Error::custom("expected a secret as text"))
    }
}

/// An encrypted secret, as text that can be stored. What it means is known to the sealer that made it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(Arc<str>);

impl Sealed {
    /// Wraps a sealed text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Sealed(text.into())
    }

    /// The sealed text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sealed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "Secret(…)");
        assert_eq!(format!("{:?}", Sealed::new("v1.aHVudGVyMg")), "Sealed(…)");
    }

    #[test]
    fn secrets_are_equal_by_their_text() {
        let secret = |text: &str| Secret::new(text.to_owned());
        assert_eq!(secret("hunter2"), secret("hunter2"));
        assert_ne!(secret("hunter2"), secret("hunter3"));
        assert_ne!(secret("hunter2"), secret("hunter22"));
        assert_ne!(secret(""), secret("hunter2"));
    }

    #[test]
    fn a_refused_secret_is_not_repeated() {
        let read: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(read.expose(), "hunter2");
        for refused in ["271828", "[\"hunter2\"]", "{\"hunter2\":271828}"] {
            let error = serde_json::from_str::<Secret>(refused).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("271828"), "{error}");
        }
    }

    #[test]
    fn a_sealed_secret_is_plain_text_in_a_record() {
        let sealed = Sealed::new("v1.abc");
        assert_eq!(serde_json::to_string(&sealed).unwrap(), "\"v1.abc\"");
        assert_eq!(serde_json::from_str::<Sealed>("\"v1.abc\"").unwrap(), sealed);
    }
}
