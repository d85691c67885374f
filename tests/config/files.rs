//! Files that are not what they should be.

use std::path::Path;

use postern::config::{self, Environment, Place, ServiceDefaults, policy};
use tempfile::TempDir;

use crate::support::{brief, load, load_policy, policy_folder, refusal};

fn refusal_of(path: &Path) -> String {
    brief(&config::load(path, &Environment::empty()).unwrap_err())
}

#[test]
fn a_missing_file_and_a_folder_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let missing = refusal_of(&folder.path().join("postern.yaml"));
    assert!(missing.starts_with("postern.yaml: error: cannot be read: "), "{missing}");

    std::fs::create_dir(folder.path().join("postern.yaml")).unwrap();
    let is_folder = refusal_of(&folder.path().join("postern.yaml"));
    assert_eq!(is_folder, "postern.yaml: error: is a folder, expected a file");
}

#[test]
fn a_device_is_not_read() {
    let told = refusal_of(Path::new("/dev/zero"));
    assert_eq!(told, "/dev/zero: error: is not a regular file");
}

#[test]
fn a_file_over_the_bound_is_refused_unread() {
    let told = refusal("# x\n".repeat(2_621_440));
    assert_eq!(told, "postern.yaml: error: is larger than 1048576 bytes");
    let large = "# x\n".repeat(2_621_440);
    let told = brief(&load_policy(&[("p.yaml", &large)]).unwrap_err());
    assert_eq!(told, "p.yaml: error: is larger than 8388608 bytes");
}

#[test]
fn bytes_that_are_not_text_are_found() {
    let told = refusal(b"log: {}\nname: a\xff\n");
    assert_eq!(told, "postern.yaml:2:8: error: is not UTF-8 text");
}

#[test]
fn alias_bombs_do_not_go_off() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let told = refusal(&bomb);
    assert!(told.contains("repeats too much by `*alias`"), "{told}");
    assert!(!told.contains('\n'), "{told}");
}

#[test]
fn anchors_and_merges_within_reason_are_fine() {
    let text = "\
tls:
  certificates:
    - &shared { cert_file: a.crt, key_file: a.key }
    - { <<: *shared, key_file: b.key }
  client_ca_files: [ca.crt]
";
    let (settings, _) = load(text).unwrap();
    assert_eq!(settings.tls.certificates.len(), 2);
    assert!(settings.tls.certificates[1].cert_file.ends_with("a.crt"));
    assert!(settings.tls.certificates[1].key_file.ends_with("b.key"));
}

#[test]
fn a_missing_policy_folder_is_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("policy");
    let findings = policy::load(&path, &ServiceDefaults::default()).unwrap_err();
    assert!(brief(&findings).starts_with("policy: error: cannot be read: "), "{findings}");
}

#[test]
fn an_empty_policy_folder_and_an_empty_file_only_warn() {
    let empty = load_policy(&[]).unwrap();
    assert_eq!(empty.warnings.len(), 1);
    let blank = load_policy(&[("p.yaml", "# nothing yet\n")]).unwrap();
    assert!(blank.warnings.to_string().ends_with("p.yaml: warning: holds no policy objects"));
}

#[test]
fn only_policy_files_of_the_folder_itself_count() {
    let object = "posture_checks: [{ name: NAME, type: MFA }]\n";
    let named = |name: &str| object.replace("NAME", name);
    let folder = policy_folder(&[
        ("a.yaml", &named("a")),
        ("b.yml", &named("b")),
        (".hidden.yaml", "broken: ["),
        ("a.yaml~", "broken: ["),
        ("notes.txt", "broken: ["),
    ]);
    std::fs::create_dir(folder.path().join("below")).unwrap();
    std::fs::write(folder.path().join("below/c.yaml"), "broken: [").unwrap();
    let loaded = policy::load(folder.path(), &ServiceDefaults::default()).unwrap();
    let names: Vec<&str> = loaded.objects.checks.keys().map(|id| id.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[cfg(unix)]
#[test]
fn a_mounted_kubernetes_config_map_is_read_once() {
    use std::os::unix::fs::symlink;

    let folder = TempDir::new().unwrap();
    let real = folder.path().join("..2026_01_02");
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("p.yaml"), "posture_checks: [{ name: a, type: MFA }]\n").unwrap();
    symlink("..2026_01_02", folder.path().join("..data")).unwrap();
    symlink("..data/p.yaml", folder.path().join("p.yaml")).unwrap();
    let loaded = policy::load(folder.path(), &ServiceDefaults::default()).unwrap();
    assert_eq!(loaded.objects.checks.len(), 1);
    let place = loaded.places.check(&"a".into()).unwrap();
    assert!(matches!(place, Place::File { path, line: 1, .. } if path.ends_with("/p.yaml")));
}

#[test]
fn settings_remember_where_their_keys_stand() {
    let text = "tls:\n  certificates:\n    - cert_file: a.crt\n      key_file: a.key\n  client_ca_files: [ca.crt]\n";
    let (settings, _) = load(text).unwrap();
    let position = |key: &str| match settings.places.find(key) {
        Place::File { line, column, .. } => (*line, *column),
        _ => (0, 0),
    };
    assert_eq!(position("tls.certificates[0].key_file"), (4, 17));
    assert_eq!(position("tls.client_ca_files[0]"), (5, 21));
    assert_eq!(position("tls.expired_crl"), (2, 3));
    assert_eq!(position("log.level"), (0, 0));
}
