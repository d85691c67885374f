//! Version ranges in OpenZiti's grammar.

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::reading::strict;
use super::trap::{self, Trap};
use crate::limits;

/// A version range in OpenZiti's grammar (`openziti.md` 1.2.1), kept with its text.
///
/// ```text
/// range  := all ( " || " all )*        any alternative suffices
/// all    := one ( " " one )*           every comparison must hold
/// one    := operator? ( MAJOR.MINOR.PATCH[-pre][+build] | MAJOR.x | MAJOR.MINOR.x )
/// ```
///
/// The grammar's traps are kept, since a range must mean here what it means there; [`VersionRange::warnings`] points at them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange {
    text: Box<str>,
    /// INVARIANT: neither the list nor any alternative is empty, so that a range never matches everything by accident.
    alternatives: Box<[Box<[Comparison]>]>,
}

impl VersionRange {
    /// Reads a range.
    pub fn parse(text: &str) -> Result<Self, InvalidVersionRange> {
        match alternatives(text) {
            Ok(alternatives) => Ok(VersionRange { text: text.into(), alternatives }),
            Err(reason) => Err(InvalidVersionRange { text: shortened(text), reason }),
        }
    }

    /// Whether a version is in the range.
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|all| all.iter().all(|comparison| comparison.holds(version)))
    }

    /// The range as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the range does not mean what it seems to say.
    pub fn warnings(&self) -> Vec<Trap> {
        trap::find(&self.text)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::str::FromStr for VersionRange {
    type Err = InvalidVersionRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        VersionRange::parse(text)
    }
}

impl TryFrom<String> for VersionRange {
    type Error = InvalidVersionRange;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        VersionRange::parse(&text)
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> Self {
        range.text.into()
    }
}

/// A text that is not a version range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version range: {reason}")]
pub struct InvalidVersionRange {
    text: String,
    reason: String,
}

impl InvalidVersionRange {
    /// What is wrong with it.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Comparison {
    operator: Operator,
    version: Version,
}

impl Comparison {
    fn holds(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "=" | "==" => Some(Operator::Equal),
            "!" | "!=" => Some(Operator::NotEqual),
            "<" => Some(Operator::Less),
            "<=" => Some(Operator::LessOrEqual),
            ">" => Some(Operator::Greater),
            ">=" => Some(Operator::GreaterOrEqual),
            _ => None,
        }
    }
}

/// The pieces of a range between blanks. A blank after `>`, `<` or `=` does not end a piece.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut previous = '\0';
    text.split(move |letter| {
        if letter != ' ' {
            previous = letter;
        }
        letter == ' ' && !matches!(previous, '>' | '<' | '=')
    })
}

/// Whether a piece counts: pieces of one character are passed over, as OpenZiti does.
pub(super) fn counts(piece: &str) -> bool {
    piece.len() > 1
}

fn alternatives(text: &str) -> Result<Box<[Box<[Comparison]>]>, String> {
    if text.len() > limits::VERSION_RANGE_BYTES_MAX {
        return Err(format!("it is longer than {} bytes", limits::VERSION_RANGE_BYTES_MAX));
    }
    if pieces(text).any(|piece| piece == "-") {
        return Err("there is no `-` between versions; write `>=1.2.3 <=2.0.0`".to_owned());
    }
    let tokens: Vec<String> = pieces(text).filter(|piece| counts(piece)).map(|piece| piece.replace(' ', "")).collect();
    if tokens.is_empty() {
        return Err("it names no version".to_owned());
    }
    tokens.split(|token| token == "||").map(comparisons).collect()
}

fn comparisons(tokens: &[String]) -> Result<Box<[Comparison]>, String> {
    if tokens.is_empty() {
        return Err("`||` must stand between two versions".to_owned());
    }
    let mut all = Vec::with_capacity(tokens.len());
    for token in tokens {
        let (operator, version) = condition(token)?;
        if token.contains('x') {
            expand(token, operator, version, &mut all)?;
        } else {
            all.push(Comparison { operator, version: parsed(version)? });
        }
    }
    Ok(all.into())
}

/// Splits a token into its operator and the text after it.
pub(super) fn condition(token: &str) -> Result<(Operator, &str), String> {
    let split = token.find(|letter: char| letter.is_ascii_digit()).and_then(|at| token.split_at_checked(at));
    let (operator, version) = split.ok_or_else(|| format!("`{token}` names no version"))?;
    let operator =
        Operator::parse(operator.trim()).ok_or_else(|| format!("`{operator}` is not one of = == != ! < <= > >="))?;
    Ok((operator, version))
}

/// The lowest version a text with wildcards stands for: the first `.x` (or `.x.x`) becomes zero.
pub(super) fn lowest(version: &str) -> String {
    let lowest = version.replacen(".x.x", ".x", 1).replacen(".x", ".0", 1);
    match lowest.split('.').count() {
        2 => lowest + ".0",
        _ => lowest,
    }
}

/// Writes a token that has the letter x as comparisons without wildcards.
fn expand(token: &str, operator: Operator, version: &str, all: &mut Vec<Comparison>) -> Result<(), String> {
    let lowest = parsed(&lowest(version)).map_err(|_| misplaced(token))?;
    let beyond = || beyond(version, &lowest).ok_or_else(|| misplaced(token));
    let mut push = |operator, version| all.push(Comparison { operator, version });
    match operator {
        Operator::Less => push(Operator::Less, lowest.clone()),
        Operator::GreaterOrEqual => push(Operator::GreaterOrEqual, lowest.clone()),
        Operator::LessOrEqual => push(Operator::Less, beyond()?),
        Operator::Greater => push(Operator::GreaterOrEqual, beyond()?),
        Operator::Equal => {
            push(Operator::GreaterOrEqual, lowest.clone());
            push(Operator::Less, beyond()?);
        }
        Operator::NotEqual => {
            push(Operator::Less, lowest.clone());
            push(Operator::GreaterOrEqual, beyond()?);
        }
    }
    Ok(())
}

/// The lowest version above everything a wildcard stands for; `None` when the text does not end in one.
fn beyond(version: &str, lowest: &Version) -> Option<Version> {
    if !version.ends_with(".x") {
        return None;
    }
    match version.split('.').count() {
        2 => Some(Version::new(lowest.major.checked_add(1)?, lowest.minor, lowest.patch)),
        3 => Some(Version::new(lowest.major, lowest.minor.checked_add(1)?, lowest.patch)),
        _ => None,
    }
}

fn misplaced(token: &str) -> String {
    format!("`{token}`: the letter x stands for any number, and only as the last part (1.x, 1.2.x)")
}

fn parsed(version: &str) -> Result<Version, String> {
    strict(version).ok_or_else(|| format!("`{version}` is not a version of three numbers such as 1.2.3"))
}

/// The text as an error quotes it.
fn shortened(text: &str) -> String {
    const QUOTED_CHARS_MAX: usize = 80;
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(range: &str, version: &str, expected: bool) {
        let version = strict(version).unwrap();
        assert_eq!(VersionRange::parse(range).unwrap().matches(&version), expected, "{range:?} on {version}");
    }

    #[track_caller]
    fn reason(range: &str) -> String {
        VersionRange::parse(range).unwrap_err().reason().to_owned()
    }

    #[test]
    fn operators() {
        for (range, below, equal, above) in [
            (">1.2.3", false, false, true),
            (">=1.2.3", false, true, true),
            ("<1.2.3", true, false, false),
            ("<=1.2.3", true, true, false),
            ("1.2.3", false, true, false),
            ("=1.2.3", false, true, false),
            ("==1.2.3", false, true, false),
            ("!=1.2.3", true, false, true),
            ("!1.2.3", true, false, true),
        ] {
            expect(range, "1.2.2", below);
            expect(range, "1.2.3", equal);
            expect(range, "1.2.4", above);
        }
    }

    #[test]
    fn wildcards() {
        expect(">=1.2.x", "1.2.0", true);
        expect(">=1.2.x", "1.1.9", false);
        expect(">1.2.x", "1.2.9", false);
        expect(">1.2.x", "1.3.0", true);
        expect("<1.2.x", "1.1.9", true);
        expect("<1.2.x", "1.2.0", false);
        expect("<=1.2.x", "1.2.9", true);
        expect("<=1.2.x", "1.3.0", false);
        expect("=1.2.x", "1.2.9", true);
        expect("1.x", "1.9.9", true);
        expect("1.x", "2.0.0", false);
        expect(">1.x", "2.0.0", true);
        expect("<=1.x", "1.9.9", true);
        expect("1.x.x", "1.0.9", true);
        expect("1.x.x", "1.1.0", false);
        expect("!=1.2.x", "1.1.0", false);
        expect("!=1.2.x", "1.3.0", false);
    }

    #[test]
    fn blanks_and_alternatives() {
        expect("     1.2.3     1.2.3     ", "1.2.3", true);
        expect("  >=   1.2.3   ", "1.2.4", true);
        expect("      1.2.3      ||     >=2.0.0     <2.1.0    ", "2.0.5", true);
        expect("> =1.2.3", "1.2.3", true);
        expect(">1.2.2 <1.2.5 !=1.2.4", "1.2.4", false);
        expect("1.x || >=2.0.x <2.2.x", "2.1.8", true);
        expect("1.x || >=2.0.x <2.2.x", "2.2.0", false);
    }

    #[test]
    fn pieces_of_one_character_are_passed_over() {
        expect("! 1.2.3", "1.2.3", true);
        expect("1 1.2.3", "1.2.3", true);
        expect("1.2.3 >", "1.2.3", true);
        assert!(reason("1.2.3 || x").contains("||"));
        assert!(reason("1.2.3 > ").contains("names no version"));
    }

    #[test]
    fn prereleases_and_build() {
        expect(">=1.0.0", "2.0.0-rc.1", true);
        expect(">=5.15.0", "5.15.0-91-generic", false);
        expect("5.15.0-91-generic", "5.15.0-91-generic", true);
        expect("=1.2.3+one", "1.2.3+two", true);
        expect(">1.2.3-beta.2", "1.2.3-beta.11", true);
        expect(">=1.2.3-linux", "1.2.3-linux", true);
        assert!(reason("1.2.3-linux").contains("letter x"));
    }

    #[test]
    fn refused() {
        for range in [
            "",
            " ",
            "1",
            "1.0",
            "x",
            "X",
            "1.X",
            "string",
            "1.2.3||2.0.0",
            "|| 1.2.3",
            "1.2.3 ||",
            "1.2.3 || || 2.0.0",
            "||",
            ">>1.2.3",
            "<==1.2.3",
            "=<1.2.3",
            "-1.2.3",
            "v1.2.3",
            "~1.2.3",
            "^1.2.3",
            "~1.x",
            "1.2.*",
            "[1.2.3]",
            "(1.2.3)",
            "1.2.3-",
            "1.2.3.4",
            "01.2.3",
            "1.2.3-01",
            "1.2.3\t1.2.4",
            "1.x.3",
            "1.x.x.x",
            "1.2.3,1.2.4",
            ">",
            ">=",
            "99999999999999999999.0.0",
            "18446744073709551615.x",
            "1.2.3 - 2.0.0",
            "1.2.3 and 2.0.0",
        ] {
            assert!(VersionRange::parse(range).is_err(), "{range:?} was accepted");
        }
        assert!(reason(&"1.2.3 ".repeat(1000)).contains("longer"));
    }

    #[test]
    fn keeps_its_text_through_serde() {
        let range: VersionRange = serde_json::from_str("\" >= 1.2.x\"").unwrap();
        assert_eq!(serde_json::to_string(&range).unwrap(), "\" >= 1.2.x\"");
        assert!(serde_json::from_str::<VersionRange>("\"1.0\"").is_err());
    }
}
