//! Distinguished names as text, in the form of RFC 4514: most specific part first, `CN=a,O=b`.
//!
//! The text is safe to log and to put into a header: everything that is not printable leaves as a hex escape.

use std::fmt::Write;

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Writes `name` as RFC 4514 text.
pub(super) fn to_text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|rdn| rdn.iter().map(attribute_text).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute_text(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let name = short_name(&oid).unwrap_or(&oid);
    match attribute.as_str() {
        Ok(value) => format!("{name}={}", escaped(value)),
        // A string type nobody should use any more: shown as its bytes rather than guessed at.
        Err(_) => format!("{name}=#{}", hex(attribute.as_slice())),
    }
}

fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (position, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            '#' if position == 0 => text.push_str("\\#"),
            ' ' if position == 0 || position == last => text.push_str("\\ "),
            _ if character.is_control() => push_hex_pairs(&mut text, character),
            _ => text.push(character),
        }
    }
    text
}

fn push_hex_pairs(text: &mut String, character: char) {
    let mut buffer = [0; 4];
    for byte in character.encode_utf8(&mut buffer).bytes() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\\{byte:02x}");
    }
}

/// Lower-case hexadecimal without separators.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_and_unprintable_characters_are_escaped() {
        assert_eq!(escaped("a,b+c\"d\\e;f<g>h"), "a\\,b\\+c\\\"d\\\\e\\;f\\<g\\>h");
        assert_eq!(escaped("#x"), "\\#x");
        assert_eq!(escaped("x#"), "x#");
        assert_eq!(escaped(" x "), "\\ x\\ ");
        assert_eq!(escaped(" "), "\\ ");
        assert_eq!(escaped("line\r\nbreak"), "line\\0d\\0abreak");
        assert_eq!(escaped("Jörg"), "Jörg");
        assert_eq!(escaped("\u{85}"), "\\c2\\85");
    }

    #[test]
    fn hex_is_lower_case_and_padded() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
