//! Secrets that somebody else keeps: made of chance, kept here as a digest only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Bytes of chance in a secret: beyond guessing, and 43 characters.
pub(crate) const BYTES: usize = 32;

/// Bytes of chance.
pub(crate) fn chance() -> [u8; BYTES] {
    rand::random()
}

/// A new secret; the prefix says what it is for, to people and to scanners for leaked secrets.
pub(crate) fn token(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(chance()))
}

/// What is kept of a secret. No salt and no work factor: chance cannot be guessed.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Text that any header, body and address can carry.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Bytes of such a text.
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
