//! Signatures, compared in constant time.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use crate::webhook::BadSignature;

/// Whether this is the HMAC-SHA256 of these parts, one after another.
pub(crate) fn is_hmac_sha256(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(signature).is_ok()
}

/// Whether this is the HMAC-SHA512 of a text.
pub(crate) fn is_hmac_sha512(key: &[u8], text: &[u8], signature: &[u8]) -> bool {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.verify_slice(signature).is_ok()
}

/// Whether two texts are the same. Only their length can be told from the time it takes.
pub(crate) fn is_same(shown: &[u8], expected: &[u8]) -> bool {
    shown.ct_eq(expected).into()
}

/// Lower or upper case hexadecimal.
pub(crate) fn from_hex(text: &str) -> Result<Vec<u8>, BadSignature> {
    hex::decode(text.trim()).map_err(|_| BadSignature::Malformed)
}

pub(crate) fn must(holds: bool) -> Result<(), BadSignature> {
    if holds {
        Ok(())
    } else {
        Err(BadSignature::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, section 4.3: test case 2.
    #[test]
    fn digests_are_those_of_the_rfc() {
        let (key, text) = (b"Jefe", b"what do ya want for nothing?");
        let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                      9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
        let (first, rest) = text.split_at(7);
        assert!(is_hmac_sha256(key, &[first, rest], &from_hex(sha256).unwrap()));
        assert!(is_hmac_sha512(key, text, &from_hex(sha512).unwrap()));
        assert!(!is_hmac_sha256(b"jefe", &[text], &from_hex(sha256).unwrap()));
        assert!(!is_hmac_sha512(key, first, &from_hex(sha512).unwrap()));
    }

    #[test]
    fn what_is_not_the_same_is_not_the_same() {
        assert!(is_same(b"hash", b"hash"));
        for other in [b"hasH".as_slice(), b"has", b"hashh", b""] {
            assert!(!is_same(other, b"hash"));
        }
    }
}
