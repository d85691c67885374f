//! The demo itself: every step as expected, its files complete, and the folder good for another time.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{ServingDemo, arg, manifest, output, text};

/// Walks once, and returns the steps.
fn walk_once(dir: &Path) -> Vec<Value> {
    let demo = output(&["demo", "--dir", arg(dir), "--once", "--output", "json"]);
    let (stdout, stderr) = (text(&demo.stdout), text(&demo.stderr));
    assert!(demo.status.success(), "{stdout}\n{stderr}");
    assert_eq!(stderr, "");
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_step_goes_as_expected_and_a_second_time_in_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let steps = walk_once(&dir);
    assert!(steps.len() >= 10, "{steps:?}");
    for step in &steps {
        assert_eq!(step["ok"], true, "{step}");
        for member in ["step", "expected", "got"] {
            assert!(step[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {step}");
        }
    }
    let first = manifest(&dir);
    assert_manifest_is_complete(&first, &dir);
    let checked = output(&["check", "--config", arg(&dir.join("postern.yaml"))]);
    assert!(text(&checked.stdout).ends_with("postern.yaml: no findings\n"), "{}", text(&checked.stdout));

    let certificate = dir.join("pki/alice-laptop.pem");
    let before = fs::read(&certificate).unwrap();
    let again = walk_once(&dir);
    assert_eq!(names(&again), names(&steps));
    assert_eq!(fs::read(&certificate).unwrap(), before, "certificates are kept");
    assert_eq!(manifest(&dir)["admin_token"], first["admin_token"], "the token is kept");
}

fn names(steps: &[Value]) -> Vec<&str> {
    steps.iter().map(|step| step["step"].as_str().unwrap()).collect()
}

fn assert_manifest_is_complete(manifest: &Value, dir: &Path) {
    for url in ["gateway_url", "client_api_url", "admin_url"] {
        assert!(manifest[url].as_str().unwrap().starts_with("https://"), "{manifest}");
    }
    assert!(manifest["ops_url"].as_str().unwrap().starts_with("http://"));
    assert!(manifest["admin_token"].as_str().unwrap().len() >= 32);
    let identities = manifest["identities"].as_array().unwrap();
    assert_eq!(identities.len(), 3);
    for file in identities.iter().flat_map(|identity| [&identity["cert_file"], &identity["key_file"]]) {
        assert_is_absolute_file(file);
    }
    assert_is_absolute_file(&manifest["ca_file"]);
    for service in manifest["services"].as_array().unwrap() {
        assert!(["id", "name", "host"].iter().all(|member| service[*member].is_string()), "{service}");
    }
    #[cfg(unix)]
    for secret in ["demo.json", "admin.header", "pki/ca.key", "pki/alice-laptop.key"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
}

fn assert_is_absolute_file(path: &Value) {
    let path = Path::new(path.as_str().unwrap());
    assert!(path.is_absolute() && path.is_file(), "{}", path.display());
}

#[test]
fn two_demos_run_side_by_side_but_not_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let serving = ServingDemo::start(&one);
    let second = output(&["demo", "--dir", arg(&one), "--once"]);
    let stderr = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("another demo is running"), "{stderr}");
    walk_once(&other);
    drop(serving);
}

#[test]
fn an_edit_that_the_demo_writes_over_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    walk_once(&dir);
    let policies = dir.join("policy/policies.yaml");
    fs::write(&policies, "# mine\n").unwrap();
    walk_once(&dir);
    assert_eq!(fs::read_to_string(dir.join("policy/policies.yaml.previous")).unwrap(), "# mine\n");
    assert_ne!(fs::read_to_string(&policies).unwrap(), "# mine\n");
}

#[test]
fn a_folder_of_somebody_else_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "words").unwrap();
    let demo = output(&["demo", "--dir", arg(folder.path()), "--once"]);
    assert_eq!(demo.status.code(), Some(1));
    assert_eq!(text(&demo.stderr).lines().count(), 1);
}

#[test]
fn a_demo_that_was_killed_leaves_a_folder_that_is_good_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let killed = ServingDemo::start(&dir);
    killed.running.signal("KILL");
    assert!(!killed.running.wait().0.success());
    walk_once(&dir);
}
