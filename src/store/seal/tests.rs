use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const CONTEXT: &str = "integration/i-1/client_secret";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn names_in(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn code<T>(result: Result<T, SealError>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}

proptest! {
    #[test]
    fn what_is_sealed_opens_again(text in any::<String>(), context in any::<String>()) {
        let sealer = Sealer::ephemeral().unwrap();
        let sealed = sealer.seal(&context, &secret(&text)).unwrap();
        let opened = sealer.open(&context, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), text);
    }
}

#[test]
fn a_seal_holds_for_one_purpose_and_one_key() {
    let sealer = Sealer::ephemeral().unwrap();
    let sealed = sealer.seal(CONTEXT, &secret("hunter2")).unwrap();
    assert_eq!(code(sealer.open("integration/i-2/client_secret", &sealed)), "seal-broken");
    assert_eq!(code(sealer.open("", &sealed)), "seal-broken");
    assert_eq!(code(Sealer::ephemeral().unwrap().open(CONTEXT, &sealed)), "seal-broken");
}

#[test]
fn the_same_secret_is_never_sealed_to_the_same_text() {
    let sealer = Sealer::ephemeral().unwrap();
    let seal = || sealer.seal(CONTEXT, &secret("hunter2")).unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn no_byte_of_a_seal_can_be_changed() {
    let sealer = Sealer::ephemeral().unwrap();
    let sealed = sealer.seal(CONTEXT, &secret("hunter2")).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(sealed.as_str().strip_prefix(VERSION).unwrap()).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let changed = Sealed::new(format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(&changed)));
        assert_eq!(code(sealer.open(CONTEXT, &changed)), "seal-broken", "byte {at}");
    }
    for length in 0..bytes.len() {
        let cut = Sealed::new(format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(&bytes[..length])));
        let expected = if length < NONCE_LEN { "seal-unreadable" } else { "seal-broken" };
        assert_eq!(code(sealer.open(CONTEXT, &cut)), expected, "{length} bytes");
    }
}

#[test]
fn texts_that_are_no_seals_are_told_apart() {
    let sealer = Sealer::ephemeral().unwrap();
    let endless = format!("{VERSION}{}", "A".repeat(SEALED_BYTES_MAX + 1));
    for text in ["", "v1.", "v1", "v2.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "v1.not base64", "hunter2", &endless] {
        assert_eq!(code(sealer.open(CONTEXT, &Sealed::new(text))), "seal-unreadable", "{text}");
    }
}

#[test]
fn the_longest_secret_is_sealed_and_a_longer_one_is_refused() {
    let sealer = Sealer::ephemeral().unwrap();
    let longest = secret(&"x".repeat(SECRET_BYTES_MAX));
    let sealed = sealer.seal(CONTEXT, &longest).unwrap();
    assert_eq!(sealer.open(CONTEXT, &sealed).unwrap(), longest);
    let longer = sealer.seal(CONTEXT, &secret(&"x".repeat(SECRET_BYTES_MAX + 1)));
    assert_eq!(code(longer), "seal-secret-too-long");
}

#[test]
fn a_key_is_made_once_and_found_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secrets.key");
    let sealed = Sealer::load_or_create(&path).unwrap().seal(CONTEXT, &secret("hunter2")).unwrap();
    assert_eq!(names_in(&folder), ["secrets.key"]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 32);

    let again = Sealer::load_or_create(&path).unwrap();
    assert_eq!(again.open(CONTEXT, &sealed).unwrap().expose(), "hunter2");
}

#[test]
fn the_key_files_folder_is_made_too() {
    let folder = TempDir::new().unwrap();
    Sealer::load_or_create(&folder.path().join("data/keys/secrets.key")).unwrap();
}

#[test]
fn of_processes_that_start_at_once_all_use_one_key() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secrets.key");
    let sealers: Vec<Sealer> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| Sealer::load_or_create(&path).unwrap())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let sealed = sealers[0].seal(CONTEXT, &secret("hunter2")).unwrap();
    for sealer in &sealers {
        assert_eq!(sealer.open(CONTEXT, &sealed).unwrap().expose(), "hunter2");
    }
    assert_eq!(names_in(&folder), ["secrets.key"]);
}

#[test]
fn a_key_file_of_the_wrong_length_is_refused_and_stays() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secrets.key");
    for length in [0, 31, 33, 4096] {
        let mut file = create_private(&path).unwrap();
        file.write_all(&vec![7; length]).unwrap();
        let error = Sealer::load_or_create(&path).unwrap_err();
        assert_eq!(error.code(), "seal-key-invalid", "{length} bytes");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), vec![7; length]);
    }
}

#[test]
fn something_else_in_the_key_files_place_is_refused() {
    let folder = TempDir::new().unwrap();
    assert_eq!(code(Sealer::load_or_create(folder.path())), "seal-key-invalid");
    let below_a_file = folder.path().join("file");
    fs::write(&below_a_file, "").unwrap();
    assert_eq!(code(Sealer::load_or_create(&below_a_file.join("secrets.key"))), "seal-key-unreadable");
}

#[cfg(unix)]
#[test]
fn a_key_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secrets.key");
    Sealer::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    for mode in [0o640, 0o604, 0o660, 0o602, 0o644] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Sealer::load_or_create(&path).unwrap_err();
        assert_eq!(error.code(), "seal-key-exposed", "{mode:o}");
        let told = error.to_string();
        assert!(told.contains(&path.display().to_string()) && told.contains("chmod 600"), "{told}");
        assert!(told.contains(&format!("{mode:o}")), "{told}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    Sealer::load_or_create(&path).unwrap();
}

#[test]
fn nothing_of_key_or_secret_is_shown() {
    let folder = TempDir::new().unwrap();
    let sealer = Sealer::load_or_create(&folder.path().join("secrets.key")).unwrap();
    assert_eq!(format!("{sealer:?}"), "Sealer { .. }");
    let sealed = sealer.seal(CONTEXT, &secret("hunter2")).unwrap();
    assert_eq!(format!("{sealed:?}"), "Sealed(…)");
    assert!(!sealed.as_str().contains("hunter2"));
    let too_long = secret(&"hunter2".repeat(SECRET_BYTES_MAX));
    for error in [
        sealer.open("other", &sealed).unwrap_err(),
        sealer.open(CONTEXT, &Sealed::new("hunter2")).unwrap_err(),
        sealer.seal(CONTEXT, &too_long).unwrap_err(),
    ] {
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
