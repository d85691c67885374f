//! What operators write, as the settings it becomes.

use crate::support::{TLS, settings};

#[test]
fn the_key_of_the_secrets_lies_beside_the_store_unless_told_otherwise() {
    let data = settings(&format!("data: {{ directory: kept }}\n{TLS}")).data;
    assert_eq!(data.secrets_key_file, data.directory.join("secrets.key"));
    assert!(data.directory.ends_with("kept"));

    let data = settings(&format!("data: {{ directory: kept, secrets_key_file: keys/postern.key }}\n{TLS}")).data;
    let folder = data.directory.parent().unwrap();
    assert_eq!(data.secrets_key_file, folder.join("keys/postern.key"));
    let data = settings(&format!("data: {{ secrets_key_file: /run/secrets/postern }}\n{TLS}")).data;
    assert_eq!(data.secrets_key_file.to_str(), Some("/run/secrets/postern"));
}

#[test]
fn a_token_may_have_an_address() {
    let (one, other) = ("ab".repeat(32), "cd".repeat(32));
    let text = format!(
        "admin:\n  tokens:\n    - {{ name: a, sha256: {one}, email: Ada@example.org }}\n    - {{ name: b, sha256: {other} }}\n{TLS}"
    );
    let tokens = settings(&text).admin.tokens;
    assert_eq!(tokens[0].email.as_deref(), Some("Ada@example.org"));
    assert_eq!(tokens[1].email, None);
}

#[test]
fn an_account_id_is_kept_in_lower_case() {
    let text = format!("cloudflare: {{ account_id: 0123456789ABCDEF0123456789abcdef }}\n{TLS}");
    let cloudflare = settings(&text).cloudflare;
    assert_eq!(cloudflare.account_id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
    assert!(cloudflare.test_integrations);

    let text = format!("cloudflare: {{ test_integrations: false }}\n{TLS}");
    let cloudflare = settings(&text).cloudflare;
    assert_eq!(cloudflare.account_id, None);
    assert!(!cloudflare.test_integrations);
}
