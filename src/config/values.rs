//! The texts and numbers a configuration is made of, each read once and wrong never.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};

use super::findings::excerpt;
use super::network::Network;
use crate::limits::{DURATION_SECONDS_MAX, NAME_BYTES_MAX, REMEDIATION_BYTES_MAX};
use crate::policy::address;

/// Hex digits of a Cloudflare account id.
const ACCOUNT_ID_DIGITS: usize = 32;

/// A whole number between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    /// The number in a narrower type, or that type's default where the bounds do not fit it.
    pub(super) fn to<T: TryFrom<i64> + Default>(self) -> T {
        T::try_from(self.0).unwrap_or_default()
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(WholeVisitor)
    }
}

struct WholeVisitor<const MIN: i64, const MAX: i64>;

impl<'de, const MIN: i64, const MAX: i64> Visitor<'de> for WholeVisitor<MIN, MAX> {
    type Value = Whole<MIN, MAX>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        if (MIN..=MAX).contains(&value) {
            return Ok(Whole(value));
        }
        Err(E::custom(format!("{value} is not between {MIN} and {MAX}")))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Whole_{MIN}_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// Reads a value from its text: what it is called, how it is read, how a schema describes it.
macro_rules! text_values {
    ($($name:ident($inner:ty) = $wanted:literal, $parse:path, $schema:tt;)*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(super) struct $name(pub(super) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor($wanted, $parse)).map($name)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

struct TextVisitor<T>(&'static str, fn(&str) -> Result<T, String>);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
}

text_values! {
    DurationText(Duration) = "a duration such as `30s`", duration,
        { "type": "string", "pattern": "^[0-9]", "examples": ["250ms", "30s", "15m", "1h 30m", "7days"] };
    Address(SocketAddr) = "an IP address with a port, such as `0.0.0.0:8443`", address,
        { "type": "string", "pattern": ":[0-9]{1,5}$", "examples": ["0.0.0.0:8443", "[::]:8443"] };
    NetworkText(Network) = "a network such as `10.0.0.0/8`", str::parse,
        { "type": "string", "examples": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"] };
    PathText(String) = "text", path,
        { "type": "string", "minLength": 1 };
    NameText(String) = "text", name,
        { "type": "string", "minLength": 1, "maxLength": NAME_BYTES_MAX };
    AttributeText(String) = "text", attribute,
        { "type": "string", "minLength": 1, "maxLength": NAME_BYTES_MAX, "pattern": "^[^#@]" };
    HostPattern(String) = "a host name", host_pattern,
        { "type": "string", "minLength": 1, "examples": ["app.example", "*.apps.example"] };
    HostAndPort(String) = "`host:port`", host_and_port,
        { "type": "string", "pattern": ":[0-9]{1,5}$", "examples": ["127.0.0.1:8080", "app.internal:8080"] };
    PathPrefix(String) = "a path such as `/api`", path_prefix,
        { "type": "string", "pattern": "^/", "examples": ["/", "/api"] };
    RequestPath(String) = "a path such as `/healthz`", request_path,
        { "type": "string", "pattern": "^/", "examples": ["/healthz"] };
    RemediationText(String) = "text", remediation,
        { "type": "string", "minLength": 1, "maxLength": REMEDIATION_BYTES_MAX };
    HexText(String) = "text", hex,
        { "type": "string", "pattern": "^[0-9A-Fa-f][0-9A-Fa-f: ]*$" };
    EmailText(String) = "an address such as `ada@example.org`", email,
        { "type": "string", "maxLength": NAME_BYTES_MAX, "pattern": "^[^@\\s]+@[^@\\s]+$", "examples": ["ada@example.org"] };
    AccountIdText(String) = "the 32 hex digits of an account id", account_id,
        { "type": "string", "pattern": "^[0-9A-Fa-f]{32}$", "examples": ["0123456789abcdef0123456789abcdef"] };
    MacAddress(String) = "text", mac_address,
        { "type": "string", "pattern": "^[0-9A-Fa-f]", "examples": ["02:42:ac:11:00:02", "14-B2-2C-E5-F0-61"] };
    UrlText(String) = "an address such as `https://gateway.example:8444`", url,
        { "type": "string", "pattern": "^https://", "examples": ["https://gateway.example:8444"] };
    LogFilter(String) = "a log filter such as `info`", log_filter,
        { "type": "string", "examples": ["info", "warn,postern=debug"] };
}

fn url(text: &str) -> Result<String, String> {
    let parsed = text.parse::<http::Uri>().ok();
    let usable =
        parsed.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty()));
    if usable {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not an address such as `https://gateway.example:8444`", excerpt(text)))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("{} is not a duration such as `250ms`, `30s`, `15m` or `1h 30m`", excerpt(text)))?;
    if duration.as_secs() > DURATION_SECONDS_MAX {
        return Err(format!("{} is longer than a year", excerpt(text)));
    }
    Ok(duration)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{} is not an IP address with a port, such as `0.0.0.0:8443` or `[::]:8443`", excerpt(text))
    })
}

fn path(text: &str) -> Result<String, String> {
    match text {
        "" => Err("the path is empty".to_owned()),
        path if path.contains('\0') => Err("the path holds a null character".to_owned()),
        path => Ok(path.to_owned()),
    }
}

fn name(text: &str) -> Result<String, String> {
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() > NAME_BYTES_MAX {
        "is too long"
    } else if text.trim() != text {
        "begins or ends with a blank"
    } else if text.contains(char::is_control) {
        "holds a control character"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("{} {problem}", excerpt(text)))
}

fn attribute(text: &str) -> Result<String, String> {
    match text.chars().next() {
        Some('#' | '@') => Err(format!("role attribute {} is written without the leading `#` or `@`", excerpt(text))),
        _ => name(text),
    }
}

fn host_pattern(text: &str) -> Result<String, String> {
    address::host_pattern(text).map_err(|reason| format!("{} {reason}", excerpt(text)))
}

fn host_and_port(text: &str) -> Result<String, String> {
    address::host_and_port(text).map_err(|reason| format!("{} {reason}", excerpt(text)))
}

fn path_prefix(text: &str) -> Result<String, String> {
    address::path_prefix(text).map_err(|reason| format!("{} {reason}", excerpt(text)))
}

fn request_path(text: &str) -> Result<String, String> {
    address::request_path(text).map_err(|reason| format!("{} {reason}", excerpt(text)))
}

fn remediation(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_odd = |c: char| c.is_control() && c != '\n';
    match text {
        "" => Err("the text is empty".to_owned()),
        text if text.len() > REMEDIATION_BYTES_MAX => {
            Err(format!("the text is longer than {REMEDIATION_BYTES_MAX} bytes"))
        }
        text if text.contains(is_odd) => Err("the text holds control characters".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn email(text: &str) -> Result<String, String> {
    let part = |part: &str| !part.is_empty() && !part.contains(|c: char| c == '@' || c.is_whitespace());
    match name(text)?.split_once('@') {
        Some((mailbox, domain)) if part(mailbox) && part(domain) => Ok(text.to_owned()),
        _ => Err(format!("{} is not an address such as `ada@example.org`", excerpt(text))),
    }
}

/// An account id in lower-case hex.
fn account_id(text: &str) -> Result<String, String> {
    let bare = bare_hex(text, &[]).filter(|bare| bare.len() == ACCOUNT_ID_DIGITS);
    bare.ok_or_else(|| format!("{} is not an account id of {ACCOUNT_ID_DIGITS} hex digits", excerpt(text)))
}

/// A digest as bare lower-case hex.
fn hex(text: &str) -> Result<String, String> {
    let bare = bare_hex(text, &[':', ' ']).filter(|bare| bare.len() >= 32 && bare.len() % 2 == 0);
    bare.ok_or_else(|| {
        format!("{} is not a digest in hex digits (40 for SHA-1, 64 for SHA-256, 128 for SHA-512)", excerpt(text))
    })
}

/// A hardware address as bare lower-case hex.
fn mac_address(text: &str) -> Result<String, String> {
    let bare = bare_hex(text, &[':', '-', '.', ' ']);
    bare.filter(|bare| matches!(bare.len(), 12 | 16 | 40))
        .ok_or_else(|| format!("{} is not a hardware address such as `02:42:ac:11:00:02`", excerpt(text)))
}

fn bare_hex(text: &str, separators: &[char]) -> Option<String> {
    let digits = text.chars().filter(|c| !separators.contains(c));
    digits.map(|c| c.is_ascii_hexdigit().then(|| c.to_ascii_lowercase())).collect()
}

fn log_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(format!("{} is not a log filter such as `info` or `warn,postern=debug`", excerpt(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses() {
        for text in ["app.example", "*.apps.example", "App.Example", "localhost", "10.0.0.1", "[::1]"] {
            assert!(host_pattern(text).is_ok(), "{text}");
        }
        for text in ["", "*", "a..b", "app.example.", "http://a", "a:80", "a/b", "*.", "a.*.b", "é.example"] {
            assert!(host_pattern(text).is_err(), "{text}");
        }
        for text in ["127.0.0.1:80", "[::1]:80", "app.internal:8080"] {
            assert!(host_and_port(text).is_ok(), "{text}");
        }
        for text in ["127.0.0.1", "a:0", "a:65536", "::1:80", ":80", "http://a:80", "*.a:80"] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }
}
