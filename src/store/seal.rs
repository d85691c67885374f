//! Secrets encrypted at rest. What is sealed for one purpose opens for no other, and with no other key.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::directory::create_private;
use crate::limits::{SEALED_BYTES_MAX, SECRET_BYTES_MAX};
use crate::secret::{Sealed, Secret};

/// The length of a key file, in bytes: one 256-bit key, nothing else.
const KEY_BYTES: usize = 32;
/// The form of sealed texts that this build writes, and the only one it opens: a nonce, the ciphertext and its tag.
const VERSION: &str = "v1.";
/// The part of a temporary name that keeps two starting processes apart, in random bytes.
const TEMPORARY_NAME_BYTES: usize = 8;

/// Seals secrets and opens them again, with one key that is made once and never leaves its file.
///
/// ChaCha20-Poly1305 with a random nonce each time, which is sound for far more seals (2^32) than there will ever be.
/// The context goes into the seal: a sealed text that is moved to another object, or to another member of the same
/// object, does not open there.
pub struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

/// A secret that cannot be sealed or opened, or a key that cannot be used. Holds nothing of either.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read.
    #[error("cannot read the key file `{}`: {source}", path.display())]
    ReadKey {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// There is no key file and none can be made.
    #[error("cannot make the key file `{}`: {source}", path.display())]
    MakeKey {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Something else lies in the key file's place.
    #[error(
        "`{}` is not a key file of {KEY_BYTES} bytes; bring back the one that sealed the store's secrets, or move it \
         away to have a new one made and enter the secrets anew",
        path.display()
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may use the key file.
    #[error(
        "the key file `{}` is open to others than its owner (mode {mode:03o}); close it with `chmod 600`",
        path.display()
    )]
    ExposedKey {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// A secret past its bound.
    #[error("the secret for `{context}` has {bytes} bytes, more than {SECRET_BYTES_MAX}")]
    TooLong {
        /// What it is for.
        context: String,
        /// Its length.
        bytes: usize,
    },
    /// A stored text that no sealer of this build made.
    #[error("the sealed secret for `{context}` is not in a form that this build knows")]
    Unreadable {
        /// What it is for.
        context: String,
    },
    /// The seal is broken.
    #[error(
        "the sealed secret for `{context}` does not open: it was changed, or sealed for another purpose or with another key"
    )]
    Broken {
        /// What it is for.
        context: String,
    },
}

impl SealError {
    /// The stable label of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            SealError::ReadKey { .. } => "seal-key-unreadable",
            SealError::MakeKey { .. } => "seal-key-not-made",
            SealError::NotAKey { .. } => "seal-key-invalid",
            SealError::ExposedKey { .. } => "seal-key-exposed",
            SealError::NoRandomness => "seal-no-randomness",
            SealError::TooLong { .. } => "seal-secret-too-long",
            SealError::Unreadable { .. } => "seal-unreadable",
            SealError::Broken { .. } => "seal-broken",
        }
    }
}

impl Sealer {
    /// The sealer of the key in the file `path`. Where there is no file, one is made with a new key, for its owner's
    /// eyes only; it is on disk when this returns. Blocks.
    pub fn load_or_create(path: &Path) -> Result<Sealer, SealError> {
        let key = match read_key(path)? {
            Some(key) => key,
            None => {
                make_key(path)?;
                let missing = || read_error(path, io::ErrorKind::NotFound.into());
                read_key(path)?.ok_or_else(missing)?
            }
        };
        Sealer::over(&key).ok_or_else(|| SealError::NotAKey { path: path.to_owned() })
    }

    /// Whether the key in the file `path` could be used, without making one where there is none. Blocks.
    pub fn check(path: &Path) -> Result<(), SealError> {
        read_key(path).map(drop)
    }

    /// A sealer whose key is gone with it, for a store that is gone with the process.
    pub fn ephemeral() -> Result<Sealer, SealError> {
        Sealer::over(&new_key()?).ok_or(SealError::NoRandomness)
    }

    /// Seals `secret` for the purpose `context`, such as `integration/<id>/client_secret`.
    pub fn seal(&self, context: &str, secret: &Secret) -> Result<Sealed, SealError> {
        let plain = secret.expose().as_bytes();
        if plain.len() > SECRET_BYTES_MAX {
            return Err(SealError::TooLong { context: context.to_owned(), bytes: plain.len() });
        }
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        // The room for the tag is there from the start: growing would leave a copy of the secret behind.
        let mut text = Zeroizing::new(Vec::with_capacity(plain.len() + CHACHA20_POLY1305.tag_len()));
        text.extend_from_slice(plain);
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to(context), &mut *text)
            .map_err(|_| SealError::TooLong { context: context.to_owned(), bytes: plain.len() })?;
        let sealed = [nonce.as_slice(), text.as_slice()].concat();
        Ok(Sealed::new(format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(sealed))))
    }

    /// Opens what was sealed for the same `context` with the same key.
    pub fn open(&self, context: &str, sealed: &Sealed) -> Result<Secret, SealError> {
        let unreadable = || SealError::Unreadable { context: context.to_owned() };
        let broken = || SealError::Broken { context: context.to_owned() };
        let text = sealed.as_str().strip_prefix(VERSION).filter(|text| text.len() <= SEALED_BYTES_MAX);
        let bytes = URL_SAFE_NO_PAD.decode(text.ok_or_else(unreadable)?).map_err(|_| unreadable())?;
        let (nonce, text) = bytes.split_first_chunk().ok_or_else(unreadable)?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), bound_to(context), &mut text)
            .map_err(|_| broken())?;
        let plain = std::str::from_utf8(plain).map_err(|_| broken())?;
        Ok(Secret::new(plain.to_owned()))
    }

    /// The sealer of a key, or `None` when that is of the wrong length.
    fn over(key: &[u8]) -> Option<Sealer> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).ok()?;
        Some(Sealer { key: LessSafeKey::new(key), random: SystemRandom::new() })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sealer").finish_non_exhaustive()
    }
}

/// What a seal is bound to besides its key: the purpose, and the form of the sealed text.
fn bound_to(context: &str) -> Aad<String> {
    Aad::from(format!("{VERSION}{context}"))
}

/// The key in a file, or `None` when there is no file.
fn read_key(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, SealError> {
    let not_a_key = || SealError::NotAKey { path: path.to_owned() };
    match fs::metadata(path) {
        // A pipe would be waited for, a device read for ever.
        Ok(found) if !found.is_file() => return Err(not_a_key()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read_error(path, error)),
    }
    let file = File::open(path).map_err(|error| read_error(path, error))?;
    refuse_exposed(path, &file)?;
    // One byte more than there should be tells a longer file, and with this capacity no copy is left behind.
    let mut key = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES));
    let read = file.take(KEY_BYTES as u64 + 1).read_to_end(&mut key);
    read.map_err(|error| read_error(path, error))?;
    if key.len() != KEY_BYTES {
        return Err(not_a_key());
    }
    Ok(Some(key))
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), SealError> {
    use std::os::unix::fs::PermissionsExt;

    let mode = file.metadata().map_err(|error| read_error(path, error))?.permissions().mode() & 0o777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(SealError::ExposedKey { path: path.to_owned(), mode }),
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &File) -> Result<(), SealError> {
    Ok(())
}

/// Makes the file `path` with a new key, unless another process is faster: then that one's key stays.
fn make_key(path: &Path) -> Result<(), SealError> {
    let key = new_key()?;
    let mut suffix = [0; TEMPORARY_NAME_BYTES];
    SystemRandom::new().fill(&mut suffix).map_err(|_| SealError::NoRandomness)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".new-{}", URL_SAFE_NO_PAD.encode(suffix)));
    let temporary = PathBuf::from(temporary);

    let made = write_durably(&temporary, &key).and_then(|()| put_in_place(&temporary, path));
    made.map_err(|error| {
        // The error to report is the one that led here; the rest of the file is only tidied away.
        let _ = fs::remove_file(&temporary);
        SealError::MakeKey { path: path.to_owned(), source: Arc::new(error) }
    })
}

fn write_durably(path: &Path, key: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = create_private(path)?;
    file.write_all(key)?;
    file.sync_all()
}

/// Gives a complete file its final name, never in the place of another, and makes the name durable.
fn put_in_place(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Ok(()) => fs::remove_file(temporary)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(temporary)?,
        // Not every file system has links.
        Err(_) => fs::rename(temporary, path)?,
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn new_key() -> Result<Zeroizing<Vec<u8>>, SealError> {
    let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
    SystemRandom::new().fill(&mut key).map_err(|_| SealError::NoRandomness)?;
    Ok(key)
}

fn read_error(path: &Path, error: io::Error) -> SealError {
    SealError::ReadKey { path: path.to_owned(), source: Arc::new(error) }
}

#[cfg(test)]
mod tests;
