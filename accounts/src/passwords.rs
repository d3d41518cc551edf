//! Passwords: what is accepted as one, and Argon2id, which is meant to be slow.
//!
//! 1. Hashes are computed off the async threads, as many at once as there are processors; a bounded
//!    number waits, everybody else is told so at once.
//! 2. A password is judged by computing its hash exactly once, whoever it is for: nobody learns from
//!    the time whether there is such an account. All claims to one address share a salt for that.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use crate::error::Error;

/// OWASP's Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Bytes of chance that make equal passwords different hashes.
const SALT_BYTES: usize = 16;
/// Passwords that wait for a processor: at some 30 ms each, the last waits a few seconds.
const WAITING_MAX: usize = 128;
/// Shortest password, in characters (NIST SP 800-63B).
pub const CHARS_MIN: usize = 8;
/// Longest password, in characters: room for a phrase, and a bound.
pub const CHARS_MAX: usize = 128;
/// Different characters that a password has at least: `aaaaaaaa` is none.
const VARIETY_MIN: usize = 4;

/// A password as somebody typed it. Never printed.
#[derive(Clone)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// A password to sign in with; only its length is judged.
    pub fn shown(text: &str) -> Result<Self, String> {
        if text.is_empty() || CHARS_MAX < text.chars().count() {
            return Err(format!("must have 1 to {CHARS_MAX} characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// A password to be used from now on.
    pub fn chosen(text: &str) -> Result<Self, String> {
        let chars = text.chars().count();
        if !(CHARS_MIN..=CHARS_MAX).contains(&chars) {
            return Err(format!("must have {CHARS_MIN} to {CHARS_MAX} characters"));
        }
        let mut different: Vec<char> = text.chars().collect();
        different.sort_unstable();
        different.dedup();
        if different.len() < VARIETY_MIN {
            return Err(format!("must have at least {VARIETY_MIN} different characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether it is the address, or the part of it before the `@`: the first that anybody tries.
    pub fn is_of(&self, email: &str) -> bool {
        let typed = self.0.to_lowercase();
        let email = email.to_lowercase();
        let local = email.split('@').next().unwrap_or_default();
        typed == email || typed == local
    }
}

/// Where passwords are hashed; clones share the bound.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    processors: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// One of those who wait; counted out when dropped.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Passwords {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { processors: Arc::new(Semaphore::new(processors)), waiting: Arc::default() }
    }
}

impl Passwords {
    /// The hash of a password as a PHC string, with the salt and costs of `like` where there is
    /// one.
    pub(crate) async fn hash(
        &self,
        password: &Password,
        like: Option<&str>,
    ) -> Result<String, Error> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(&self.waiting));
        if WAITING_MAX <= before {
            return Err(Error::Overloaded);
        }
        let permit = Arc::clone(&self.processors).acquire_owned().await;
        let permit = permit.map_err(|_| Error::Broken("passwords are not hashed any more"))?;
        drop(waiting);
        let (password, like) = (password.clone(), like.map(str::to_owned));
        let hashing = tokio::task::spawn_blocking(move || {
            let hash = compute(&password, like.as_deref());
            drop(permit);
            hash
        });
        let hash = hashing.await.ok().flatten();
        hash.ok_or(Error::Broken("a password could not be hashed"))
    }
}

/// In a time that tells nothing of where they differ.
pub(crate) fn is_same(hash: &str, other: &str) -> bool {
    hash.as_bytes().ct_eq(other.as_bytes()).into()
}

/// Whether a stored hash was made at lower costs than are asked for by now.
pub(crate) fn is_outdated(hash: &str) -> bool {
    let made_at = PasswordHash::new(hash).ok();
    let made_at = made_at.and_then(|hash| Params::try_from(&hash).ok());
    made_at.is_some_and(|params| params.m_cost() < MEMORY_KIB || params.t_cost() < PASSES)
}

fn compute(password: &Password, like: Option<&str>) -> Option<String> {
    let like = like.and_then(|like| PasswordHash::new(like).ok());
    let params = like
        .as_ref()
        .and_then(|like| Params::try_from(like).ok())
        .map_or_else(|| Params::new(MEMORY_KIB, PASSES, LANES, None).ok(), Some)?;
    let salt = like.and_then(|like| like.salt);
    let chance: [u8; SALT_BYTES] = rand::random();
    let salt: &[u8] = salt.as_ref().map_or(&chance, AsRef::as_ref);
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.0.as_bytes(), salt);
    hash.ok().map(|hash: PasswordHash| hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_by_its_hash_and_another_is_not() {
        let passwords = Passwords::default();
        let right = Password::chosen("correct horse").unwrap();
        let hash = passwords.hash(&right, None).await.unwrap();

        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_same(&hash, &passwords.hash(&right, Some(&hash)).await.unwrap()));
        let wrong = Password::shown("Correct horse").unwrap();
        assert!(!is_same(&hash, &passwords.hash(&wrong, Some(&hash)).await.unwrap()));
        assert_ne!(hash, passwords.hash(&right, None).await.unwrap(), "each has its own salt");
        assert!(!is_outdated(&hash) && !is_outdated("no hash"));
        for cheaper in ["m=4096,t=2", "m=19456,t=1"] {
            assert!(is_outdated(&hash.replace("m=19456,t=2", cheaper)), "{cheaper}");
        }
    }

    #[test]
    fn what_is_too_easy_is_no_password() {
        for bad in ["", "short", "aaaaaaaaaaaa", &"x1y2".repeat(33)] {
            assert!(Password::chosen(bad).is_err(), "{bad}");
        }
        assert!(Password::chosen("пароль из слов").is_ok());
        assert!(
            Password::chosen("Ada@example.org")
                .unwrap()
                .is_of("ada@example.org")
        );
        assert_eq!(format!("{:?}", Password::chosen("correct horse").unwrap()), "Password");
    }
}
