//! What operators write, as the settings it becomes.

use std::time::Duration;

use postern::config::AdminRole;
use postern::config::watch::Watched;

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
fn what_is_shown_beside_a_certificate_is_watched_with_it() {
    let text = TLS.replace("key_file: server.key", "key_file: server.key, ocsp_file: server.ocsp");
    let settings = settings(&text);
    let folder = settings.tls.client_ca_files[0].parent().unwrap();
    let files = Watched::of(&folder.join("postern.yaml"), &settings).certificate_files;
    assert_eq!(files, ["server.crt", "server.key", "server.ocsp"].map(|name| folder.join(name)).into());
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

/// Of `example password`, as cheap as a hash may be.
const HASH: &str = "$argon2id$v=19$m=7168,t=5,p=1$c29tZSBzYWx0IHRoZXJlIQ$KAUGBMVXf7Se8WUD93wsRWmcFVRDWPp+GkGJyXKDvZk";

#[test]
fn users_sign_in_for_a_while() {
    let text = format!(
        "admin:\n  users:\n    - {{ name: grace, password_hash: '{HASH}', role: admin }}\n    - {{ name: alan, password_hash: '{HASH}' }}\n{TLS}"
    );
    let admin = settings(&text).admin;
    let users: Vec<_> = admin.users.iter().map(|user| (&*user.name, user.role)).collect();
    assert_eq!(users, [("grace", AdminRole::Admin), ("alan", AdminRole::ReadOnly)]);
    assert_eq!(admin.users[0].password_hash.expose(), HASH);
    assert!(!format!("{admin:?}").contains("KAUGBMVX"));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!((admin.session.idle, admin.session.lifetime), (minutes(30), minutes(12 * 60)));

    let session = settings(&format!("admin: {{ session: {{ lifetime: 10m }} }}\n{TLS}")).admin.session;
    assert_eq!((session.idle, session.lifetime), (minutes(10), minutes(10)));
}
