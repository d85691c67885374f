//! Lengths of time as Cloudflare writes them: `5m`, `1h30m`, `15d3h20m4s`, `1.5h` (`cloudflare.md` 2.1).

use std::time::Duration;

use crate::limits;

/// Why a text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidDuration {
    /// It is not written as one.
    #[error("must be a duration such as 5m, 1h30m or 2d")]
    Unreadable,
    /// It is longer than anything makes sense of.
    #[error("is longer than {} days", limits::RULE_DURATION_MAX.as_secs() / SECONDS_PER_DAY)]
    TooLong,
}

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;
const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// As many decimal places as nanoseconds need: with them every unit's fraction is a whole number of nanoseconds.
const DECIMAL_PLACES_MAX: usize = 9;

/// Reads one or more numbers, each with its unit, and adds them up. Nothing is rounded.
pub(super) fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    if text.is_empty() || text.len() > limits::RULE_DURATION_BYTES_MAX {
        return Err(InvalidDuration::Unreadable);
    }
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (nanos, after) = term(rest)?;
        total = nanos.checked_add(total).ok_or(InvalidDuration::TooLong)?;
        rest = after;
    }
    let total = u64::try_from(total).map(Duration::from_nanos).map_err(|_| InvalidDuration::TooLong)?;
    if total > limits::RULE_DURATION_MAX { Err(InvalidDuration::TooLong) } else { Ok(total) }
}

/// The first number with its unit, in nanoseconds, and what follows.
fn term(text: &str) -> Result<(u128, &str), InvalidDuration> {
    let (whole, after) = digits(text)?;
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => digits(after)?,
        None => ("", after),
    };
    if fraction.len() > DECIMAL_PLACES_MAX {
        return Err(InvalidDuration::Unreadable);
    }
    let (unit, after) = after.split_at_checked(1).ok_or(InvalidDuration::Unreadable)?;
    let seconds: u128 = match unit {
        "d" => SECONDS_PER_DAY.into(),
        "h" => 60 * 60,
        "m" => 60,
        "s" => 1,
        _ => return Err(InvalidDuration::Unreadable),
    };
    let whole = u128::from(whole.parse::<u64>().map_err(|_| InvalidDuration::TooLong)?);
    let billionths: u128 =
        format!("{fraction:0<DECIMAL_PLACES_MAX$}").parse().map_err(|_| InvalidDuration::Unreadable)?;
    Ok(((whole * NANOS_PER_SECOND + billionths) * seconds, after))
}

/// The digits a text begins with, at least one, and what follows.
fn digits(text: &str) -> Result<(&str, &str), InvalidDuration> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    match text.split_at_checked(count) {
        Some((digits, after)) if !digits.is_empty() => Ok((digits, after)),
        _ => Err(InvalidDuration::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_add_up_exactly() {
        let seconds = [
            ("5m", 300),
            ("24h", 86_400),
            ("15d3h20m4s", 15 * 86_400 + 3 * 3600 + 20 * 60 + 4),
            ("1.5h", 5400),
            ("0s", 0),
            ("0.5m0.5m", 60),
            ("30m1h", 5400),
            ("007m", 420),
        ];
        for (text, seconds) in seconds {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("0.000000001h"), Ok(Duration::from_nanos(3600)));
        assert_eq!(parse("1.1s"), Ok(Duration::from_millis(1100)));
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            " ",
            "5",
            "m",
            "5 m",
            "5m ",
            "-5m",
            "+5m",
            "5M",
            "1w",
            "5ms",
            "1h-30m",
            ".5h",
            "5.h",
            "1e3s",
            "5m\u{b5}",
            "0.0000000001s",
            "\u{665}m",
            "1,5h",
        ] {
            assert_eq!(parse(text), Err(InvalidDuration::Unreadable), "{text}");
        }
        assert_eq!(parse(&"1s".repeat(33)), Err(InvalidDuration::Unreadable));
    }

    #[test]
    fn no_number_overflows() {
        for text in ["36601d", "18446744073709551615d", "18446744073709551616s", "99999999999999999999999999999999h"] {
            assert_eq!(parse(text), Err(InvalidDuration::TooLong), "{text}");
        }
        let most = "18446744073709551615d".repeat(3);
        assert_eq!(parse(&most), Err(InvalidDuration::TooLong));
        assert_eq!(parse("36600d"), Ok(limits::RULE_DURATION_MAX));
    }
}
