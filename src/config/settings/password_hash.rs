//! Passwords as they are kept: argon2id in the PHC string format.
//!
//! The cost is checked when the configuration is read. Below OWASP's minimum a stolen file gives its passwords away; far
//! above it, a few logins at once would take the memory the gateway needs.

use std::borrow::Cow;
use std::fmt;

use argon2::password_hash::phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::rand::{SecureRandom, SystemRandom};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::limits;
use crate::secret::Secret;

/// Bytes of the salt of a hash made here.
const SALT_BYTES: usize = 16;

/// The argon2id hash of a password. Never printed, but on request by its owner.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(phc::PasswordHash);

/// Why a text is no acceptable password hash. The text is not repeated: it may be the password itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// It is something else.
    #[error("expected an argon2id hash as `postern admin hash-password` prints it, not the password itself")]
    NotAHash,
    /// It can be guessed too fast.
    #[error(
        "the hash is too cheap to guess: argon2id needs m=19456,t=2 at least, or as much work, with salt and digest of \
         16 bytes; `postern admin hash-password` makes one"
    )]
    TooCheap,
    /// A login would take too much.
    #[error(
        "the hash costs too much at each login: m={}, t={} and p={} are the most that is accepted",
        limits::PASSWORD_HASH_MEMORY_KIB_MAX,
        limits::PASSWORD_HASH_PASSES_MAX,
        limits::PASSWORD_HASH_LANES_MAX
    )]
    TooCostly,
}

/// Why a password could not be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashingError {
    /// It can be guessed.
    #[error("the password is shorter than {} bytes", limits::PASSWORD_BYTES_MIN)]
    TooShort,
    /// A login with it would be refused.
    #[error("the password is longer than {} bytes", limits::PASSWORD_BYTES_MAX)]
    TooLong,
    /// The system has no random bytes.
    #[error("the system gave no random bytes for the salt")]
    NoRandomness,
    /// The algorithm refused.
    #[error("the password could not be hashed")]
    Algorithm,
}

impl PasswordHash {
    /// Hashes a password with a new salt.
    pub fn of(password: &Secret) -> Result<Self, HashingError> {
        let password = password.expose().as_bytes();
        if password.len() < limits::PASSWORD_BYTES_MIN {
            return Err(HashingError::TooShort);
        }
        if password.len() > limits::PASSWORD_BYTES_MAX {
            return Err(HashingError::TooLong);
        }
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| HashingError::NoRandomness)?;
        let params = Params::new(limits::PASSWORD_HASH_MEMORY_KIB, limits::PASSWORD_HASH_PASSES, 1, None);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| HashingError::Algorithm)?);
        argon2.hash_password_with_salt(password, &salt).map(PasswordHash).map_err(|_| HashingError::Algorithm)
    }

    /// Reads a hash in the PHC string format.
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::NotAHash)?;
        let expected = (Algorithm::Argon2id.as_str(), Some(Version::V0x13.into()));
        if (hash.algorithm.as_str(), hash.version) != expected {
            return Err(PasswordHashError::NotAHash);
        }
        let params = Params::try_from(&hash).map_err(|_| PasswordHashError::NotAHash)?;
        let (Some(salt), Some(digest)) = (hash.salt, hash.hash) else {
            return Err(PasswordHashError::NotAHash);
        };
        let (memory, passes) = (params.m_cost(), params.t_cost());
        let reaches = |(least_memory, least_passes)| memory >= least_memory && passes >= least_passes;
        let long = salt.len() >= limits::PASSWORD_SALT_BYTES_MIN && digest.len() >= limits::PASSWORD_DIGEST_BYTES_MIN;
        if !long || !limits::PASSWORD_HASH_COSTS_MIN.into_iter().any(reaches) {
            return Err(PasswordHashError::TooCheap);
        }
        let bearable = memory <= limits::PASSWORD_HASH_MEMORY_KIB_MAX
            && passes <= limits::PASSWORD_HASH_PASSES_MAX
            && params.p_cost() <= limits::PASSWORD_HASH_LANES_MAX;
        if !bearable {
            return Err(PasswordHashError::TooCostly);
        }
        Ok(PasswordHash(hash))
    }

    /// Whether this is the hash of `password`. Takes the memory and the time its parameters ask for.
    pub fn matches(&self, password: &Secret) -> bool {
        // The parameters are those of the hash, not those of the verifier.
        Argon2::default().verify_password(password.expose().as_bytes(), &self.0).is_ok()
    }

    /// The hash as it is written into a configuration file.
    pub fn expose(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(…)")
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Secret::deserialize(deserializer).map_err(|_| D::Error::custom(PasswordHashError::NotAHash))?;
        PasswordHash::parse(text.expose()).map_err(D::Error::custom)
    }
}

impl JsonSchema for PasswordHash {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PasswordHash".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\$argon2id\$v=19\$m=[0-9]",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT_AND_DIGEST: &str = "c29tZSBzYWx0IHRoZXJlIQ$KAUGBMVXf7Se8WUD93wsRWmcFVRDWPp+GkGJyXKDvZk";

    fn parse(cost: &str) -> Result<PasswordHash, PasswordHashError> {
        PasswordHash::parse(&format!("$argon2id$v=19${cost}${SALT_AND_DIGEST}"))
    }

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let password = |text: &str| Secret::new(text.to_owned());
        let hash = PasswordHash::of(&password("correct horse")).unwrap();
        let read = PasswordHash::parse(&hash.expose()).unwrap();
        assert_eq!(read, hash);
        assert!(read.matches(&password("correct horse")));
        assert!(!read.matches(&password("correct hors")) && !read.matches(&password("")));
        assert_ne!(PasswordHash::of(&password("correct horse")).unwrap(), hash, "each has a salt of its own");
        assert_eq!(format!("{hash:?}"), "PasswordHash(…)");
    }

    #[test]
    fn passwords_have_a_shortest_and_a_longest_length() {
        let of = |bytes: usize| PasswordHash::of(&Secret::new("x".repeat(bytes)));
        assert_eq!(of(limits::PASSWORD_BYTES_MIN - 1), Err(HashingError::TooShort));
        assert_eq!(of(limits::PASSWORD_BYTES_MAX + 1), Err(HashingError::TooLong));
        assert!(of(limits::PASSWORD_BYTES_MAX).is_ok());
    }

    #[test]
    fn a_hash_costs_neither_too_little_nor_too_much() {
        for cost in ["m=19456,t=2,p=1", "m=47104,t=1,p=1", "m=7168,t=5,p=1", "m=65536,t=3,p=4", "m=131072,t=10,p=16"] {
            assert!(parse(cost).is_ok(), "{cost}");
        }
        for cost in ["m=19455,t=2,p=1", "m=46000,t=1,p=1", "m=8,t=10,p=1", "m=7168,t=4,p=1"] {
            assert_eq!(parse(cost), Err(PasswordHashError::TooCheap), "{cost}");
        }
        for cost in ["m=131073,t=2,p=1", "m=4294967295,t=2,p=1", "m=19456,t=11,p=1", "m=19456,t=2,p=17"] {
            assert_eq!(parse(cost), Err(PasswordHashError::TooCostly), "{cost}");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused_without_being_repeated() {
        let cost = "m=19456,t=2,p=1";
        for text in [
            "hunter2".to_owned(),
            String::new(),
            "$argon2id$".to_owned(),
            format!("$argon2i$v=19${cost}${SALT_AND_DIGEST}"),
            format!("$argon2d$v=19${cost}${SALT_AND_DIGEST}"),
            format!("$argon2id$v=16${cost}${SALT_AND_DIGEST}"),
            format!("$argon2id${cost}${SALT_AND_DIGEST}"),
            format!("$argon2id$v=19${cost}$c29tZSBzYWx0IHRoZXJlIQ"),
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW".to_owned(),
        ] {
            assert_eq!(PasswordHash::parse(&text), Err(PasswordHashError::NotAHash), "{text}");
        }
        let error = serde_json::from_str::<PasswordHash>("\"hunter2\"").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}", cost in "m=[0-9]{1,12},t=[0-9]{1,12},p=[0-9]{1,9}") {
            let _ = PasswordHash::parse(&text);
            if let Ok(hash) = parse(&cost) {
                let params = Params::try_from(&hash.0).unwrap();
                proptest::prop_assert!(params.m_cost() <= limits::PASSWORD_HASH_MEMORY_KIB_MAX);
            }
        }
    }
}
