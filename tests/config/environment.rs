//! Environment variables over the file.

use postern::config::{AdminRole, Environment, Place, Store};

use crate::support::{TLS, brief, load_with};

fn env(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

#[test]
fn variables_win_over_the_file() {
    let file = format!("log: {{ level: info }}\ndata: {{ store: redb }}\n{TLS}");
    let environment = env(&[
        ("POSTERN_LOG__LEVEL", "debug"),
        ("POSTERN_DATA__STORE", "memory"),
        ("POSTERN_LISTENERS__CLIENT_API__ADDRESS", "127.0.0.1:0"),
        ("POSTERN_PROXY__CONCEALED", "true"),
        ("POSTERN_PROXY__RETRIES", "3"),
        ("POSTERN_WORKERS", "2"),
    ]);
    let (settings, warnings) = load_with(file, &environment).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(settings.log.level, "debug");
    assert_eq!(settings.data.store, Store::Memory);
    assert_eq!(settings.listeners.client_api.address.to_string(), "127.0.0.1:0");
    assert!(settings.proxy.service_defaults.concealed);
    assert_eq!(settings.proxy.service_defaults.retries, 3);
    assert_eq!(settings.workers.count(), 2);
    assert_eq!(settings.places.find("log.level"), &Place::Variable("POSTERN_LOG__LEVEL".into()));
}

#[test]
fn a_file_may_be_empty_when_variables_say_it_all() {
    let environment = env(&[
        ("POSTERN_TLS__CERTIFICATES__0__CERT_FILE", "a.crt"),
        ("POSTERN_TLS__CERTIFICATES__0__KEY_FILE", "a.key"),
        ("POSTERN_TLS__CLIENT_CA_FILES", r#"["ca.crt", other.crt]"#),
    ]);
    let (settings, _) = load_with("", &environment).unwrap();
    assert!(settings.tls.certificates[0].key_file.ends_with("a.key"));
    assert_eq!(settings.tls.client_ca_files.len(), 2);
}

#[test]
fn items_of_a_list_are_replaced_and_added_by_number() {
    let digest = "ab".repeat(32);
    let file = format!("admin: {{ tokens: [{{ name: a, sha256: '{digest}' }}] }}\n{TLS}");
    let other = "0".repeat(64);
    let environment = env(&[
        ("POSTERN_ADMIN__TOKENS__0__ROLE", "admin"),
        ("POSTERN_ADMIN__TOKENS__1__NAME", "12"),
        ("POSTERN_ADMIN__TOKENS__1__SHA256", &other),
    ]);
    let (settings, _) = load_with(file, &environment).unwrap();
    assert_eq!(settings.admin.tokens[0].role, AdminRole::Admin);
    // Text stays text, whatever it looks like.
    assert_eq!(&*settings.admin.tokens[1].name, "12");
    assert_eq!(settings.admin.tokens[1].role, AdminRole::ReadOnly);
}

#[test]
fn findings_name_the_variable() {
    let environment = env(&[
        ("POSTERN_LISTENERS__GATEWAY__ADDRES", "1"),
        ("POSTERN_DATA", "{ store: redb, store: memory }"),
        ("POSTERN_LOG__FORMAT", "xml"),
        ("POSTERN_PROXY__FORWARDED__TRUSTED", "[10.0.0.0/8, x"),
        ("POSTERN_TLS__CRL_FILES", "a.crl"),
        ("POSTERN_TLS__CLIENT_CA_FILES__7", "a.crt"),
        ("POSTERN_TYPO", "x"),
    ]);
    let findings = load_with(TLS, &environment).unwrap_err();
    assert_eq!(
        brief(&findings),
        "\
POSTERN_DATA: error: data.store: key is given twice, first at POSTERN_DATA
POSTERN_LISTENERS__GATEWAY__ADDRES: error: listeners.gateway.addres: unknown key; did you mean `address`?
POSTERN_LOG__FORMAT: error: log.format: `xml` is not one of json, pretty
POSTERN_PROXY__FORWARDED__TRUSTED: error: proxy.forwarded.trusted: is not valid YAML: unclosed bracket '['
POSTERN_TLS__CLIENT_CA_FILES__7: error: tls.client_ca_files.7: item 7 would leave a gap; the list has 1 items
POSTERN_TLS__CRL_FILES: error: tls.crl_files: expected a list, found text
POSTERN_TYPO: error: typo: unknown key"
    );
}

#[test]
fn other_variables_are_left_alone() {
    let environment = env(&[
        ("PATH", "/bin"),
        ("POSTERN_CONFIG", "x"),
        ("POSTERN_LOG", "x"),
        ("POSTERN_VECTORS", "x"),
        ("POSTERN_STORE_CHILD", "x"),
        ("POSTERN_PORT_8443_TCP_ADDR", "10.0.0.1"),
        ("POSTERN_ADMIN_SERVICE_HOST", "10.0.0.1"),
    ]);
    load_with(TLS, &environment).unwrap();
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_text_is_refused() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;

    let value = OsStr::from_bytes(b"\xff").to_owned();
    let name = OsString::from("POSTERN_LOG__LEVEL");
    let environment: Environment = [(name, value)].into_iter().collect();
    let findings = load_with(TLS, &environment).unwrap_err();
    assert_eq!(brief(&findings), "POSTERN_LOG__LEVEL: error: log.level: is not UTF-8 text");
}
