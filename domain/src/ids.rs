//! Names of things. A value of one of these types is known to be well formed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_name! {
    /// One order; a `UUIDv7`, so that newer orders sort after older ones.
    OrderId
}
uuid_name! {
    /// One payment; a `UUIDv7`.
    PaymentId
}
uuid_name! {
    /// One refund of an order's money.
    RefundId
}

uuid_name! {
    /// One customer with an account.
    CustomerId
}

uuid_name! {
    /// One vendor: the id of the account that signs in for it.
    VendorId
}

/// Crockford's Base32 alphabet: no letter that is taken for a digit.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A payment attempt's reference: 26 letters and digits (128 bits in Crockford's Base32, as in a
/// ULID), short enough and plain enough for every provider.
pub fn attempt_reference(id: Uuid) -> String {
    (0..26_u32)
        .rev()
        .map(|place| {
            let shifted = id
                .as_u128()
                .checked_shr(place.saturating_mul(5))
                .unwrap_or(0);
            let digit = usize::try_from(shifted & 31).unwrap_or(0);
            BASE32.get(digit).copied().map_or('0', char::from)
        })
        .collect()
}

/// The id that a reference was made of; `None` for what is no reference of ours.
pub fn id_of_reference(reference: &str) -> Option<Uuid> {
    let mut id = 0_u128;
    for byte in reference.bytes() {
        let digit = BASE32.iter().position(|known| *known == byte)?;
        // What does not fit was no 128 bits.
        id = id
            .checked_mul(32)?
            .checked_add(u128::try_from(digit).ok()?)?;
    }
    (reference.len() == 26).then(|| Uuid::from_u128(id))
}

/// Longest SKU, in characters: fits a barcode label and every index.
pub const SKU_CHARS_MAX: usize = 64;

/// A stock keeping unit: the code of one article, exactly as written, upper and lower case told
/// apart. 1 to [`SKU_CHARS_MAX`] characters, no control characters, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sku(String);

/// Why a text is no SKU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a SKU has 1 to {SKU_CHARS_MAX} characters, none of them a control character, and no space at either end"
)]
pub struct BadSku;

impl Sku {
    /// The code as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sku {
    type Error = BadSku;

    fn try_from(text: String) -> Result<Self, BadSku> {
        let well_formed = !text.is_empty()
            && text.chars().count() <= SKU_CHARS_MAX
            && !text.chars().any(char::is_control)
            && text.trim() == text;
        if well_formed {
            Ok(Self(text))
        } else {
            Err(BadSku)
        }
    }
}

impl FromStr for Sku {
    type Err = BadSku;

    fn from_str(text: &str) -> Result<Self, BadSku> {
        text.to_owned().try_into()
    }
}

impl From<Sku> for String {
    fn from(sku: Sku) -> Self {
        sku.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Longest handle, in characters: a name in an address that people still read.
pub const HANDLE_CHARS_MAX: usize = 100;

/// The name of a listing or a category in addresses and files, such as `tea-cup`: 1 to
/// [`HANDLE_CHARS_MAX`] of the letters a to z, digits and hyphens, no hyphen at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handle(String);

/// Why a text is no handle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a handle has 1 to {HANDLE_CHARS_MAX} of the letters a to z, digits and hyphens, and no hyphen at either end"
)]
pub struct BadHandle;

impl Handle {
    /// The handle as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Handle {
    type Error = BadHandle;

    fn try_from(text: String) -> Result<Self, BadHandle> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let well_formed = (1..=HANDLE_CHARS_MAX).contains(&text.len())
            && text.bytes().all(known)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if well_formed {
            Ok(Self(text))
        } else {
            Err(BadHandle)
        }
    }
}

impl FromStr for Handle {
    type Err = BadHandle;

    fn from_str(text: &str) -> Result<Self, BadHandle> {
        text.to_owned().try_into()
    }
}

impl From<Handle> for String {
    fn from(handle: Handle) -> Self {
        handle.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_what_stands_in_an_address_as_it_is() {
        let longest = "x".repeat(HANDLE_CHARS_MAX);
        for text in ["tea-cup", "7", &longest] {
            assert_eq!(text.parse::<Handle>().unwrap().as_str(), text);
        }
        let too_long = "x".repeat(HANDLE_CHARS_MAX + 1);
        for text in [
            "", "-", "-cup", "cup-", "Cup", "tea cup", "té", "a/b", &too_long,
        ] {
            assert_eq!(text.parse::<Handle>(), Err(BadHandle), "{text:?}");
        }
        assert!(serde_json::from_str::<Handle>(r#""Cup""#).is_err());
    }

    #[test]
    fn a_reference_is_26_letters_and_digits_and_sorts_as_its_id() {
        assert_eq!(attempt_reference(Uuid::nil()), "0".repeat(26));
        assert_eq!(attempt_reference(Uuid::max()), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert!(attempt_reference(Uuid::from_u128(31)) < attempt_reference(Uuid::from_u128(32)));
    }

    #[test]
    fn a_reference_leads_back_to_its_id() {
        for id in [Uuid::nil(), Uuid::max(), Uuid::from_u128(7 << 99)] {
            assert_eq!(id_of_reference(&attempt_reference(id)), Some(id));
        }
        for other in [
            "",
            "0",
            "80000000000000000000000000",
            "0000000000000000000000000U",
        ] {
            assert_eq!(id_of_reference(other), None, "{other}");
        }
    }

    #[test]
    fn a_sku_has_up_to_64_characters_of_any_script() {
        let longest = "茶".repeat(SKU_CHARS_MAX);
        assert_eq!(longest.parse::<Sku>().unwrap().as_str(), longest);
        assert_eq!(longest.parse::<Sku>().unwrap().to_string(), longest);
    }

    #[test]
    fn an_order_id_is_read_as_it_is_written() {
        let id = OrderId(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("7".parse::<OrderId>().is_err());
    }

    #[test]
    fn a_stored_sku_is_checked_when_it_is_read() {
        assert!(serde_json::from_str::<Sku>(r#""cup""#).is_ok());
        assert!(serde_json::from_str::<Sku>(r#"" cup""#).is_err());
    }

    #[test]
    fn a_sku_keeps_its_case_and_inner_spaces() {
        assert_eq!("85123a".parse::<Sku>().unwrap().as_str(), "85123a");
        assert_eq!("BANK CHARGES".parse::<Sku>().unwrap().as_str(), "BANK CHARGES");
    }

    #[test]
    fn an_empty_padded_overlong_or_unprintable_sku_is_refused() {
        for text in [
            "",
            " ",
            "A ",
            "A\nB",
            "A\u{0}",
            &"x".repeat(SKU_CHARS_MAX + 1),
        ] {
            assert_eq!(text.parse::<Sku>(), Err(BadSku), "{text:?}");
        }
    }
}
