//! The codes of promotions: what customers type in, however they type it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest code: what fits on a voucher and is still typed in.
pub const CODE_CHARS_MAX: usize = 40;
/// What no promotion is called: addresses below `/promotions` are.
const RESERVED: &str = "ALL";

/// A promotion's code, in capitals: 1 to [`CODE_CHARS_MAX`] of `A-Z`, `0-9`, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code(String);

/// Why a text is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a code has 1 to {CODE_CHARS_MAX} characters: letters without accents, digits, - and _; it is \
     not {RESERVED}"
)]
pub struct BadCode;

impl Code {
    /// In capitals.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = BadCode;

    /// Capitals or not makes no difference, nor does space around it.
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let text = text.trim().to_ascii_uppercase();
        let may_be =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let well_formed = (1..=CODE_CHARS_MAX).contains(&text.len())
            && text.bytes().all(may_be)
            && text != RESERVED;
        if well_formed {
            Ok(Self(text))
        } else {
            Err(BadCode)
        }
    }
}

impl TryFrom<String> for Code {
    type Error = BadCode;

    fn try_from(text: String) -> Result<Self, BadCode> {
        text.parse()
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_typed() {
        let code: Code = " spring-26 ".parse().unwrap();
        assert_eq!((code.as_str(), code.clone()), ("SPRING-26", "Spring-26".parse().unwrap()));
        let longest = "x".repeat(CODE_CHARS_MAX);
        assert!(longest.parse::<Code>().is_ok());
        for bad in [
            "",
            " ",
            "A B",
            "Ä",
            "50%",
            "all",
            &"x".repeat(CODE_CHARS_MAX + 1),
        ] {
            assert_eq!(bad.parse::<Code>(), Err(BadCode), "{bad:?}");
        }
    }
}
