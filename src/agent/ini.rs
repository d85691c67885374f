//! Reads `[section]` / `key = value` text, the common part of sssd's, Kerberos' and Samba's configuration.
//!
//! Lines that are neither are passed over (Kerberos nests braces in sections that are of no interest here).
//! Included files are not followed.

/// The value of the last `key` in `[section]`, both compared without regard to letter case. Empty values count as absent.
pub(super) fn value<'text>(text: &'text str, section: &str, key: &str) -> Option<&'text str> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim().eq_ignore_ascii_case(section);
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((name, text)) = line.split_once('=')
            && name.trim().eq_ignore_ascii_case(key)
        {
            found = Some(text.trim());
        }
    }
    found.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::value;

    const TEXT: &str = "realm = outside\n# realm = comment\n[ Global ]\n  Realm = CORP.EXAMPLE  \n;realm = no\nempty =\n\
                        [realms]\n CORP = {\n  kdc = host\n }\nrealm = other\n";

    #[test]
    fn a_key_is_found_only_in_its_section() {
        assert_eq!(value(TEXT, "global", "realm"), Some("CORP.EXAMPLE"));
        assert_eq!(value(TEXT, "realms", "realm"), Some("other"));
        assert_eq!(value(TEXT, "global", "empty"), None);
        assert_eq!(value(TEXT, "absent", "realm"), None);
    }
}
