//! Comparing texts without regard to letter case, and reading hexadecimal digits out of decorated text.

/// Whether two texts are equal under Unicode simple case folding: one character against one, so `ß` is not `ss`.
pub fn eq_folded(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.chars().map(fold).eq(right.chars().map(fold))
}

/// The text's hexadecimal digits, lower-cased; everything else (separators, prefixes) is left out.
pub fn bare_hex(text: &str) -> String {
    text.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase()).collect()
}

/// One character for all that Unicode's simple folding (statuses C and S of its case folding table) takes for the same.
///
/// Going up and then down through the standard library's mappings, wherever these are one to one, groups characters exactly
/// as that table does, but for the characters named here.
fn fold(letter: char) -> char {
    match letter {
        // The dotless i goes up to I, but is not the same letter.
        '\u{131}' => letter,
        // Pairs whose capitals are several characters long.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb06}' => '\u{fb05}',
        _ => {
            let upper = single(letter.to_uppercase()).unwrap_or(letter);
            single(upper.to_lowercase()).unwrap_or(upper)
        }
    }
}

fn single(mut mapping: impl Iterator<Item = char>) -> Option<char> {
    let first = mapping.next();
    first.filter(|_| mapping.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_one_case_pair_are_equal() {
        for (left, right) in [
            ("CORP.example", "corp.EXAMPLE"),
            ("BÜRO.example", "büro.example"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("\u{212a}elvin", "kelvin"),
            ("ſtraße", "STRAẞE"),
            ("\u{390}", "\u{1fd3}"),
            ("ﬅ", "ﬆ"),
            ("ǅ", "ǆ"),
        ] {
            assert!(eq_folded(left, right), "{left} {right}");
        }
    }

    #[test]
    fn other_letters_are_not() {
        for (left, right) in [("straße", "strasse"), ("ı", "i"), ("İ", "i"), ("a", "a "), ("é", "e\u{301}"), ("", "a")]
        {
            assert!(!eq_folded(left, right), "{left} {right}");
        }
    }

    #[test]
    fn hex_is_read_out_of_decorated_text() {
        assert_eq!(bare_hex("14-B2-2C-E5-F0-61"), "14b22ce5f061");
        assert_eq!(bare_hex("0x ﬀ é"), "0");
    }
}
