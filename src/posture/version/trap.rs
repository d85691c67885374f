//! Places where OpenZiti's range grammar does not mean what it seems to say.

use std::fmt;

use super::range::{Operator, condition, counts, lowest, pieces};

/// A part of a range that is accepted, but probably does not mean what was intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A piece of one character is passed over, and with it the meaning it was to give.
    PassedOver(String),
    /// `1.x.x` stands for `1.0.x`.
    DoubleWildcard(String),
    /// `!=1.2.x` asks for below 1.2.0 and above 1.3.0 at once and so never matches.
    NegatedWildcard(String),
    /// A wildcard that is not the last part is read as zero.
    InnerWildcard(String),
}

impl fmt::Display for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trap::PassedOver(piece) if piece == "!" => {
                write!(
                    formatter,
                    "`!` before a blank is ignored, so the version after it is wanted, not excluded; write `!=`"
                )
            }
            Trap::PassedOver(piece) => write!(formatter, "`{piece}` is a single character and is ignored"),
            Trap::DoubleWildcard(token) => {
                write!(
                    formatter,
                    "`{token}` matches only as if its first x were 0; use a single x for every minor version"
                )
            }
            Trap::NegatedWildcard(token) => {
                write!(formatter, "`{token}` never matches; write the versions below and above it with `||` between")
            }
            Trap::InnerWildcard(token) => write!(formatter, "the x in `{token}` is read as 0"),
        }
    }
}

/// The traps of a range, which must be a valid one, in the order written.
pub(super) fn find(range: &str) -> Vec<Trap> {
    pieces(range).filter(|piece| !piece.is_empty()).filter_map(trap).collect()
}

fn trap(piece: &str) -> Option<Trap> {
    if !counts(piece) {
        return Some(Trap::PassedOver(piece.to_owned()));
    }
    let token = piece.replace(' ', "");
    if !token.contains(".x") {
        return None;
    }
    let (operator, version) = condition(&token).ok()?;
    if version.ends_with(".x.x") {
        Some(Trap::DoubleWildcard(token))
    } else if !matches!(version.split('.').count(), 2 | 3) || !version.ends_with(".x") {
        (lowest(version) != version).then_some(Trap::InnerWildcard(token))
    } else {
        (operator == Operator::NotEqual).then_some(Trap::NegatedWildcard(token))
    }
}

#[cfg(test)]
mod tests {
    use super::super::VersionRange;
    use super::*;

    #[track_caller]
    fn traps(range: &str) -> Vec<Trap> {
        VersionRange::parse(range).unwrap().warnings()
    }

    #[test]
    fn the_known_traps_are_pointed_at() {
        assert_eq!(traps("! 1.2.3"), [Trap::PassedOver("!".into())]);
        assert_eq!(traps("1.x.x"), [Trap::DoubleWildcard("1.x.x".into())]);
        assert_eq!(
            traps("!= 1.2.x || !3.x"),
            [Trap::NegatedWildcard("!=1.2.x".into()), Trap::NegatedWildcard("!3.x".into())]
        );
        assert_eq!(traps(">=1.2.3-rc.x"), [Trap::InnerWildcard(">=1.2.3-rc.x".into())]);
        assert_eq!(traps("1.2.3 | 2.0.0"), [Trap::PassedOver("|".into())]);
    }

    #[test]
    fn a_plain_range_has_none() {
        assert_eq!(traps(">= 1.2.3 < 2.0.0 || 3.x || >=4.1.x >=5.0.0-linux1"), []);
    }
}
