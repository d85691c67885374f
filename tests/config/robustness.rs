//! No text makes the reader panic, and nothing that is refused is half accepted.

use std::time::Duration;

use postern::config::{Environment, Severity};
use proptest::prelude::*;

use crate::support::{TLS, load, load_policy, load_with};

/// Pieces that make texts likely to get far into the reader.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "listeners:", "gateway:", "address:", "tls:", "certificates:", "identities:", "services:", "service_policies:",
            "posture_checks:", "name:", "type:", "OS", "hosts:", "require:", "all:", "not:", "subjects:", "tags:", "- ", "  ",
            "    ", "\n", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ", ", ": ", "&a ", "*a", "<<: *a", "!!str ", "!x ", "|",
            ">-", "'", "\"", "#", "---", "...", "? ", "~", "true", "1e99", "-1", ".nan", "0x1F", "\t", "\u{feff}", "\r\n",
            "1.10", "30s", "cn:x", "#all", "@x", "%YAML 1.2", "99999999999999999999999999999999999999999",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_with_a_reason(text in yamlish()) {
        if let Err(findings) = load(&text) {
            prop_assert!(findings.has_errors());
            prop_assert!(!findings.to_string().is_empty());
        }
        match load_policy(&[("p.yaml", &text)]) {
            Ok(loaded) => prop_assert!(!loaded.warnings.has_errors()),
            Err(findings) => prop_assert!(findings.has_errors()),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(findings) = load(&bytes) {
            prop_assert!(findings.has_errors());
        }
    }

    #[test]
    fn any_variable_is_read_or_refused(name in "[A-Z0-9_]{0,30}", value in yamlish()) {
        let environment: Environment = [(format!("POSTERN_{name}"), value)].into_iter().collect();
        if let Err(findings) = load_with(TLS, &environment) {
            prop_assert!(findings.has_errors());
        }
    }

    #[test]
    fn findings_point_into_the_file(text in yamlish()) {
        if let Err(findings) = load(&text) {
            let lines = text.split(['\n', '\r']).count();
            for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
                if let postern::config::Place::File { line, column, .. } = &finding.place {
                    let line = usize::try_from(*line).unwrap();
                    prop_assert!(line >= 1 && line <= lines + 1 && *column >= 1, "{}", finding);
                }
            }
        }
    }

    #[test]
    fn durations_are_read_as_written(seconds in 1u64..100_000) {
        let (settings, _) = load(format!("shutdown: {{ grace: {seconds}s }}\n{TLS}")).unwrap();
        prop_assert_eq!(settings.shutdown.grace, Duration::from_secs(seconds));
    }
}
