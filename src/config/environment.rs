//! Environment variables that override configuration keys.
//!
//! Every key of the configuration file has a variable: `POSTERN_`, then the key path in capitals with `__` between levels,
//! so `listeners.gateway.address` is `POSTERN_LISTENERS__GATEWAY__ADDRESS`. An item of a list is named by its number from 0
//! (`POSTERN_ADMIN__TOKENS__0__NAME`); a text that begins with `[` or `{` is read as YAML (or JSON) and stands for a whole
//! list or section; any other text is taken as it stands, without quotes. Variables win over the file.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// What the name of an override begins with.
const PREFIX: &str = "POSTERN_";

/// Variables that begin like overrides and have a meaning of their own.
pub const RESERVED: &[&str] = &[
    "POSTERN_ADMIN_CA",
    "POSTERN_ADMIN_TOKEN",
    "POSTERN_ADMIN_TOKEN_FILE",
    "POSTERN_ADMIN_URL",
    "POSTERN_CONFIG",
    "POSTERN_LOG",
    "POSTERN_STORE_CHILD",
    "POSTERN_VECTORS",
];

/// The variables of a process that may override configuration keys.
#[derive(Clone, Default)]
pub struct Environment {
    overrides: BTreeMap<String, Override>,
}

#[derive(Clone)]
pub(super) enum Override {
    Text(String),
    NotUnicode,
}

impl Environment {
    /// No variables.
    pub fn empty() -> Self {
        Environment::default()
    }

    /// The variables of this process.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Each override: the variable's name, the key path it names and its value.
    pub(super) fn overrides(&self) -> impl Iterator<Item = (&str, Vec<String>, &Override)> {
        self.overrides.iter().map(|(name, value)| {
            let path = name.strip_prefix(PREFIX).unwrap_or(name);
            let segments = path.split("__").map(str::to_ascii_lowercase).collect();
            (name.as_str(), segments, value)
        })
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let overrides = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let name = name.into().into_string().ok()?;
                let value = match value.into().into_string() {
                    Ok(text) => Override::Text(text),
                    Err(_) => Override::NotUnicode,
                };
                is_override(&name).then_some((name, value))
            })
            .collect();
        Environment { overrides }
    }
}

/// Values may be secret; names are not.
impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.overrides.keys()).finish()
    }
}

fn is_override(name: &str) -> bool {
    name.starts_with(PREFIX) && !RESERVED.contains(&name) && !is_service_link(name)
}

/// Kubernetes gives every container variables for each service of its namespace. A service named `postern` or `postern-…`
/// makes names that look like ours, and must not stop the gateway that stands behind it.
fn is_service_link(name: &str) -> bool {
    if name.contains("__") {
        return false;
    }
    let words: Vec<&str> = name.split('_').collect();
    let number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let protocol = |word: &str| matches!(word, "TCP" | "UDP" | "SCTP");
    match words.as_slice() {
        [.., "SERVICE", "HOST"] | [.., "PORT"] => true,
        [.., "PORT", port, kind] => number(port) && protocol(kind),
        [.., "PORT", port, kind, "PROTO" | "ADDR"] => number(port) && protocol(kind),
        _ => words.windows(2).any(|pair| pair == ["SERVICE", "PORT"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_service_links_are_not_overrides() {
        for name in [
            "POSTERN_SERVICE_HOST",
            "POSTERN_SERVICE_PORT",
            "POSTERN_SERVICE_PORT_HTTPS",
            "POSTERN_PORT",
            "POSTERN_PORT_8443_TCP",
            "POSTERN_PORT_8443_TCP_ADDR",
            "POSTERN_ADMIN_SERVICE_HOST",
            "POSTERN_ADMIN_PORT_9443_TCP_PROTO",
        ] {
            assert!(!is_override(name), "{name}");
        }
    }

    #[test]
    fn names_of_keys_are_overrides_and_others_are_not() {
        for name in ["POSTERN_WORKERS", "POSTERN_LOG__LEVEL", "POSTERN_TYPO"] {
            assert!(is_override(name), "{name}");
        }
        for name in ["POSTERN_CONFIG", "POSTERN_LOG", "PATH", "POSTERNX_A"] {
            assert!(!is_override(name), "{name}");
        }
    }

    #[test]
    fn debug_shows_no_values() {
        let environment: Environment = [("POSTERN_ADMIN__TOKENS", "hush")].into_iter().collect();
        assert!(!format!("{environment:?}").contains("hush"));
    }
}
