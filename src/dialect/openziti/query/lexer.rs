//! The words of a filter.

use super::refused::Refused;
use super::syntax::{Number, Relation};
use crate::clock::Timestamp;

/// One word, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) symbol: Symbol,
    /// In characters from 1.
    pub(super) character: usize,
    pub(super) text: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Symbol {
    Name(String),
    Keyword(Keyword),
    Text(String),
    Number(Number),
    Instant(Timestamp),
    Relation(Relation),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    End,
}

macro_rules! keywords {
    ($($variant:ident = $text:literal,)*) => {
        /// A word with a meaning of its own, in upper or lower case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Keyword { $($variant,)* }

        impl Keyword {
            fn of(word: &str) -> Option<Self> {
                match word { $(word if word.eq_ignore_ascii_case($text) => Some(Keyword::$variant),)* _ => None }
            }
        }
    };
}

keywords! {
    And = "and",
    Or = "or",
    Not = "not",
    Contains = "contains",
    Icontains = "icontains",
    In = "in",
    Between = "between",
    True = "true",
    False = "false",
    Null = "null",
    AllOf = "allOf",
    AnyOf = "anyOf",
    Count = "count",
    IsEmpty = "isEmpty",
    Sort = "sort",
    By = "by",
    Asc = "asc",
    Desc = "desc",
    Skip = "skip",
    Limit = "limit",
    None = "none",
    From = "from",
    Where = "where",
}

/// Characters of texts that are written with a backslash, and the letter after it.
const ESCAPES: [(char, char); 6] = [('\\', '\\'), ('"', '"'), ('\u{c}', 'f'), ('\n', 'n'), ('\r', 'r'), ('\t', 't')];

/// The letter that stands for a character after a backslash.
pub(super) fn escape_of(character: char) -> Option<char> {
    ESCAPES.iter().find(|(plain, _)| *plain == character).map(|(_, escape)| *escape)
}

/// Whether a name can be written without quotes.
pub(super) fn is_plain_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name_length(name) == name.len()
        && Keyword::of(name).is_none()
}

/// All the words of a text; the last one is its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Refused> {
    let mut lexer = Lexer { rest: text, character: 1 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token()?;
        let ended = token.symbol == Symbol::End;
        tokens.push(token);
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    character: usize,
}

impl<'a> Lexer<'a> {
    fn token(&mut self) -> Result<Token<'a>, Refused> {
        const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
        self.take(self.rest.len() - self.rest.trim_start_matches(BLANKS).len());
        let mut following = self.rest.chars();
        let (first, second) = (following.next(), following.next());
        let (symbol, length) = match (first, second) {
            (None, _) => (Symbol::End, 0),
            (Some('('), _) => (Symbol::Open, 1),
            (Some(')'), _) => (Symbol::Close, 1),
            (Some('['), _) => (Symbol::OpenList, 1),
            (Some(']'), _) => (Symbol::CloseList, 1),
            (Some(','), _) => (Symbol::Comma, 1),
            (Some('='), _) => (Symbol::Relation(Relation::Equal), 1),
            (Some('!'), Some('=')) => (Symbol::Relation(Relation::NotEqual), 2),
            (Some('<'), Some('=')) => (Symbol::Relation(Relation::LessOrEqual), 2),
            (Some('<'), _) => (Symbol::Relation(Relation::Less), 1),
            (Some('>'), Some('=')) => (Symbol::Relation(Relation::GreaterOrEqual), 2),
            (Some('>'), _) => (Symbol::Relation(Relation::Greater), 1),
            (Some('"'), _) => self.text()?,
            (Some('\''), _) => self.quoted_name()?,
            (Some(first), _) if first == '-' || first.is_ascii_digit() => self.number()?,
            (Some(first), _) if first.is_ascii_alphabetic() => self.word()?,
            (Some(other), _) => return Err(self.refused("this means nothing here", other.len_utf8())),
        };
        let character = self.character;
        Ok(Token { symbol, character, text: self.take(length) })
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.character += taken.chars().count();
        taken
    }

    fn refused(&self, reason: &str, length: usize) -> Refused {
        Refused::new(self.character, reason, self.rest.get(..length).unwrap_or(self.rest))
    }

    fn text(&self) -> Result<(Symbol, usize), Refused> {
        let mut text = String::new();
        let mut following = self.rest.char_indices().skip(1);
        while let Some((at, character)) = following.next() {
            match character {
                '"' => return Ok((Symbol::Text(text), at + 1)),
                '\\' => {
                    let escape = following.next().map(|(_, escape)| escape);
                    let known = ESCAPES.iter().find(|(_, letter)| Some(*letter) == escape);
                    let reason = r#"after a backslash one of \ " f n r t must follow"#;
                    let (plain, _) = known.ok_or_else(|| self.refused(reason, self.rest.len()))?;
                    text.push(*plain);
                }
                character if character < ' ' => {
                    return Err(self.refused("a text holds a control character; write \\n, \\r, \\t or \\f", at));
                }
                character => text.push(character),
            }
        }
        Err(self.refused("the text that begins here has no closing quote", self.rest.len()))
    }

    /// A name in single quotes may hold what other names may not, such as blanks in the name of a tag.
    fn quoted_name(&self) -> Result<(Symbol, usize), Refused> {
        let inside = self.rest.get(1..).and_then(|rest| rest.split_once('\'')).map(|(inside, _)| inside);
        match inside {
            Some(name) if !name.is_empty() && !name.contains(char::is_control) => {
                Ok((Symbol::Name(name.to_owned()), name.len() + 2))
            }
            _ => Err(self.refused("a quoted name must end with a single quote and hold one", self.rest.len())),
        }
    }

    fn number(&self) -> Result<(Symbol, usize), Refused> {
        let run = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-');
        let length = self.rest.find(|c| !run(c)).unwrap_or(self.rest.len());
        let text = self.rest.get(..length).unwrap_or_default();
        let number = if is_number(text) { read_number(text) } else { None };
        number
            .map(|number| (Symbol::Number(number), length))
            .ok_or_else(|| self.refused("this is not a number such as 42, -1.5 or 2e3", length))
    }

    fn word(&self) -> Result<(Symbol, usize), Refused> {
        let length = name_length(self.rest);
        let (word, following) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        if word.eq_ignore_ascii_case("datetime") && following.starts_with('(') {
            return self.instant(length + 1);
        }
        Ok(match Keyword::of(word) {
            Some(keyword) => (Symbol::Keyword(keyword), length),
            None => (Symbol::Name(word.to_owned()), length),
        })
    }

    fn instant(&self, begin: usize) -> Result<(Symbol, usize), Refused> {
        let inside = self.rest.get(begin..).and_then(|rest| rest.split_once(')')).map(|(inside, _)| inside);
        let read = |inside: &str| {
            let text = inside.trim();
            let instant = text.parse::<Timestamp>().ok().filter(|_| is_rfc_3339(text))?;
            Some((Symbol::Instant(instant), begin + inside.len() + 1))
        };
        inside.and_then(read).ok_or_else(|| {
            let end = inside.map_or(self.rest.len(), |inside| begin + inside.len() + 1);
            self.refused("this is not a time such as datetime(2026-01-02T03:04:05Z)", end)
        })
    }
}

/// How much of the beginning of a text is a name: letters, digits and underscores, and behind a dot also hyphens.
fn name_length(text: &str) -> usize {
    let mut length = 0;
    for (index, segment) in text.split('.').enumerate() {
        let belongs = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == '-' && index > 0);
        let end = segment.find(|c| !belongs(c)).unwrap_or(segment.len());
        if end == 0 {
            break;
        }
        length += end + usize::from(index > 0);
        if end < segment.len() {
            break;
        }
    }
    length
}

/// An optional minus, digits without leading zeros, perhaps a fraction, perhaps an exponent.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = |text: &str| digits(text) && (text.len() == 1 || !text.starts_with('0'));
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let mantissa = match mantissa.split_once('.') {
        Some((before, after)) => whole(before) && digits(after),
        None => whole(mantissa),
    };
    mantissa && exponent.is_none_or(whole)
}

fn read_number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse() {
        return Some(Number::Whole(whole));
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Decimal)
}

/// Whether a text has the shape of an RFC 3339 time; the clock reads more than that.
fn is_rfc_3339(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let date = text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => byte.eq_ignore_ascii_case(&b'T'),
        other => byte == *other,
    });
    let rest = text.get(SHAPE.len()..).unwrap_or_default();
    let zoned = rest.ends_with(['Z', 'z']) || rest.contains(['+', '-']);
    date && zoned && rest.bytes().all(|byte| byte.is_ascii_digit() || b".:+-Zz".contains(&byte))
}
