//! The secret that opens a guest's cart: made of chance, kept here as a digest only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Says what it is for, to people and to scanners for leaked secrets.
const PREFIX: &str = "dbc_";
/// Bytes of chance: beyond guessing, and 43 characters.
const BYTES: usize = 32;

pub(super) fn new() -> String {
    let chance: [u8; BYTES] = rand::random();
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(chance))
}

/// No salt and no work factor: chance cannot be guessed. Carts are found by it, so that nothing is
/// compared byte by byte.
pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_alike_and_each_has_a_digest_of_its_own() {
        let (one, other) = (new(), new());
        assert_ne!(one, other);
        assert_ne!(digest(&one), digest(&other));
        assert_eq!(one.len(), PREFIX.len() + 43);
    }
}
