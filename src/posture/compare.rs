//! Comparisons as checks write them: `device value OP wanted value`.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How a device's value is compared with the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// Lower than wanted.
    #[serde(rename = "<")]
    Less,
    /// At most what is wanted.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Higher than wanted.
    #[serde(rename = ">")]
    Greater,
    /// At least what is wanted.
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// Exactly what is wanted.
    #[serde(rename = "==")]
    Equal,
}

impl Comparison {
    /// Every comparison.
    pub const ALL: [Comparison; 5] =
        [Comparison::Less, Comparison::LessOrEqual, Comparison::Greater, Comparison::GreaterOrEqual, Comparison::Equal];

    /// The one accepted spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Equal => "==",
        }
    }

    /// The comparison of a spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Comparison::ALL.into_iter().find(|comparison| comparison.as_str() == text)
    }

    /// Whether it holds of a device's value that stands in this order to the wanted one.
    pub fn holds(self, device_to_wanted: Ordering) -> bool {
        match self {
            Comparison::Less => device_to_wanted.is_lt(),
            Comparison::LessOrEqual => device_to_wanted.is_le(),
            Comparison::Greater => device_to_wanted.is_gt(),
            Comparison::GreaterOrEqual => device_to_wanted.is_ge(),
            Comparison::Equal => device_to_wanted.is_eq(),
        }
    }

    /// Whether it holds of two numbers. It holds of no number that is not one.
    pub fn holds_of(self, device: f64, wanted: f64) -> bool {
        device.partial_cmp(&wanted).is_some_and(|order| self.holds(order))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_read_back() {
        for comparison in Comparison::ALL {
            assert_eq!(Comparison::parse(comparison.as_str()), Some(comparison));
            assert_eq!(serde_json::to_value(comparison).unwrap(), comparison.as_str());
        }
        assert_eq!(Comparison::parse("!="), None);
        assert_eq!(Comparison::parse("="), None);
    }

    #[test]
    fn nothing_holds_of_what_is_no_number() {
        for comparison in Comparison::ALL {
            assert!(!comparison.holds_of(f64::NAN, 1.0));
            assert!(!comparison.holds_of(1.0, f64::NAN));
        }
        assert!(Comparison::LessOrEqual.holds_of(-0.0, 0.0));
    }
}
