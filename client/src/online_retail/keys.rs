//! Idempotency keys that a second run makes again, from the file alone.
//!
//! | kind | key | a run with other content |
//! | --- | --- | --- |
//! | product | `online-retail:product:<sku>:<print>` | is another wish, and updates the product |
//! | stock | `online-retail:stock:<block>:<part>:<sku>:<print>` | receives other goods |
//! | order | `online-retail:order:<invoice>` | is refused: an invoice is one order, once |
//! | complete | `online-retail:complete:<invoice>` | has none |
//!
//! The print covers the whole content, the SKU included, so the SKU in the key is for people and
//! may be cut to stay within the server's 255 characters.

use sha2::{Digest as _, Sha256};

const DATASET: &str = "online-retail";
/// Leaves a key below 255 characters with every other part at its longest.
const SHOWN_SKU_BYTES_MAX: usize = 120;
/// 64 bits: no two contents of one SKU meet by chance.
const PRINT_BYTES: usize = 8;

pub(super) fn product(sku: &str, body: &[u8]) -> String {
    let mut print = Print::default();
    print.add(sku.as_bytes());
    print.add(body);
    format!("{DATASET}:product:{}:{}", shown(sku), print.hex())
}

/// `print` has seen all that the receipt stands for.
pub(super) fn stock(block: usize, part: usize, sku: &str, print: Print) -> String {
    format!("{DATASET}:stock:{block}:{part}:{}:{}", shown(sku), print.hex())
}

pub(super) fn order(invoice: &str) -> String {
    format!("{DATASET}:order:{invoice}")
}

pub(super) fn complete(invoice: &str) -> String {
    format!("{DATASET}:complete:{invoice}")
}

/// A fingerprint in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Print(Sha256);

impl Print {
    /// Adds one part; its length goes with it, so that parts cannot run into each other.
    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn hex(self) -> String {
        let digest = self.0.finalize();
        let digits = digest
            .iter()
            .take(PRINT_BYTES)
            .flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(hex_digit).collect()
    }
}

/// The SKU in visible ASCII; what is not, and what has a meaning in a key, is percent-encoded.
fn shown(sku: &str) -> String {
    let mut shown = String::with_capacity(sku.len());
    for byte in sku.bytes() {
        if SHOWN_SKU_BYTES_MAX <= shown.len() {
            break;
        }
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'"' | b'\\' | b':') {
            shown.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|half| hex_digit(half).to_ascii_uppercase());
            shown.push('%');
            shown.extend(digits);
        }
    }
    shown
}

fn hex_digit(half: u8) -> char {
    char::from_digit(u32::from(half), 16).expect("half a byte is one hexadecimal digit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_the_same_from_version_to_version() {
        assert_eq!(order("536365"), "online-retail:order:536365");
        assert_eq!(complete("536365"), "online-retail:complete:536365");
        assert_eq!(
            product("BANK CHARGES", b"{}"),
            "online-retail:product:BANK%20CHARGES:5dc2cb06dfe32477"
        );
        assert_eq!(
            stock(1_000, 1, "85123a", Print::default()),
            "online-retail:stock:1000:1:85123a:e3b0c44298fc1c14"
        );
    }

    #[test]
    fn other_content_is_another_key() {
        assert_ne!(product("A", b"1"), product("A", b"2"));
        assert_ne!(product("a", b"1"), product("A", b"1"));
    }

    #[test]
    fn the_oddest_sku_keeps_a_key_short_and_visible() {
        let odd = "🦀".repeat(64);
        let other = ["🦀".repeat(63), "£".to_owned()].concat();

        let key = product(&odd, b"{}");

        assert!(key.len() <= 255, "{}", key.len());
        assert!(key.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_ne!(key, product(&other, b"{}"));
    }
}
