//! Durations as OpenZiti writes them: `5s`, `1m30s`, `250ms`.

use std::time::Duration;

/// Reads a duration above zero. What is wrong is told without the text itself.
pub(super) fn read(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "must be a duration above zero, such as 5s, 1m30s or 250ms";
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(WRONG)?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let millis_each = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return Err(WRONG),
        };
        let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis_each)).ok_or(WRONG)?;
        total = total.checked_add(Duration::from_millis(millis)).ok_or(WRONG)?;
        rest = after;
    }
    if total.is_zero() { Err(WRONG) } else { Ok(total) }
}

/// Writes a duration in its largest whole unit.
pub(super) fn write(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, each) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis > 0 && millis.is_multiple_of(each) {
            return format!("{}{unit}", millis / each);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis) in [("5s", 5000), ("1m30s", 90_000), ("250ms", 250), ("2h", 7_200_000), ("1s250ms", 1250)] {
            assert_eq!(read(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "0s", "-1s", "1.5s", "5 s", "5d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in ["5s", "90s", "2h", "250ms", "3m"] {
            assert_eq!(read(&write(read(text).unwrap())), read(text));
        }
        assert_eq!(write(Duration::from_secs(7200)), "2h");
    }
}
