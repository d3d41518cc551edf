//! Texts as Postgres can keep and index them.
//!
//! The log holds what people wrote, as json, and a projector must get past all of it: one name
//! with a NUL would otherwise hold a read model up for ever.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};

use crate::error::Error;

/// Longest text in an index, in characters: an e-mail address has at most 320, and a btree entry
/// of more than 2,704 bytes is refused.
const KEY_CHARS_MAX: usize = 320;

/// The text with NUL, which `text` cannot hold, shown as what it is: unprintable.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The text as an index holds it.
pub(crate) fn key(text: &str) -> String {
    storable(text).chars().take(KEY_CHARS_MAX).collect()
}

/// The key of an e-mail address: how people write it does not tell addresses apart.
pub(crate) fn email_key(email: &str) -> String {
    key(email.trim()).to_lowercase()
}

/// Reads a value from the name it has in a column.
pub(crate) fn named<T: DeserializeOwned>(name: &str) -> Result<T, Error> {
    let name: StrDeserializer<'_, serde_json::Error> = name.into_deserializer();
    Ok(T::deserialize(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_nul_can_be_stored() {
        assert_eq!(storable("A\0B"), "A\u{fffd}B");
    }

    #[test]
    fn a_key_fits_an_index() {
        assert_eq!(key(&"\u{10ffff}".repeat(5_000)).len(), 4 * KEY_CHARS_MAX);
    }

    #[test]
    fn an_email_is_found_however_it_is_written() {
        assert_eq!(email_key(" Ada@Example.COM"), email_key("ada@example.com"));
    }
}
