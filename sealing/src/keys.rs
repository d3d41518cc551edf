//! Keys that seal: Ed25519, in the text forms of c2sp.org/signed-note, each a line.
//!
//! | line | is |
//! | --- | --- |
//! | `PRIVATE+KEY+<name>+<id>+<base64>` | secret; whoever has it can seal |
//! | `<name>+<id>+<base64>` | public; auditors keep it |

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::SigningKey;
use signed_note::{Signer as _, StandardSigner, StandardVerifier, Verifier as _};

/// The name of keys that are made without one.
pub const NAME: &str = "daybook";
/// Marks an Ed25519 key in its text form.
const ED25519: u8 = 1;

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not the secret half.
    #[error("this is no secret key; `daybook seal-key` makes one, which begins with PRIVATE+KEY+")]
    Secret,
    /// Not the public half.
    #[error("this is no public key, such as daybook+1a2b3c4d+AQ...; `daybook seal-key` shows it")]
    Public,
    /// A name that no note could carry.
    #[error("a key's name has no spaces and no plus sign, and at least one character")]
    Name,
    /// Nothing was there.
    #[error("there is no key in it")]
    None,
}

/// A secret key. Never printed by accident.
#[derive(Clone)]
pub struct SealKey {
    pub(crate) signer: StandardSigner,
    text: String,
    public: PublicKey,
}

impl SealKey {
    /// A new one, of 256 bits of chance.
    pub fn random(name: &str) -> Result<Self, BadKey> {
        if !signed_note::is_key_name_valid(name) || name.chars().any(char::is_control) {
            return Err(BadKey::Name);
        }
        let key = SigningKey::from_bytes(&rand::random());
        let id = signed_note::key_id(name, &typed(key.verifying_key().as_bytes()));
        let secret = BASE64_STANDARD.encode(typed(key.as_bytes()));
        format!("PRIVATE+KEY+{name}+{id:08x}+{secret}").parse()
    }

    /// The half that everybody may see.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// To be kept where nobody else reads it.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl FromStr for SealKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        let signer = StandardSigner::new(text).map_err(|_| BadKey::Secret)?;
        // Behind the fourth plus sign; base64 has some of its own.
        let secret = text
            .splitn(5, '+')
            .last()
            .and_then(|secret| BASE64_STANDARD.decode(secret).ok())
            .and_then(|secret| SigningKey::try_from(secret.get(1..)?).ok())
            .ok_or(BadKey::Secret)?;
        let public = signed_note::new_ed25519_verifier_key(signer.name(), &secret.verifying_key());
        Ok(Self { signer, text: text.to_owned(), public: public.parse()? })
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.public)
    }
}

/// The keys in a file, one a line; what follows a `#` is for people. All of them sign.
pub fn in_file(text: &str) -> Result<Vec<SealKey>, BadKey> {
    let keys = lines(text)
        .map(str::parse)
        .collect::<Result<Vec<SealKey>, _>>()?;
    if keys.is_empty() {
        return Err(BadKey::None);
    }
    Ok(keys)
}

/// The same for public keys.
pub fn public_in_file(text: &str) -> Result<Vec<PublicKey>, BadKey> {
    lines(text).map(str::parse).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
}

fn typed(key: &[u8; 32]) -> Vec<u8> {
    [&[ED25519], key.as_slice()].concat()
}

/// A public key.
#[derive(Clone)]
pub struct PublicKey {
    pub(crate) verifier: StandardVerifier,
    text: String,
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        let verifier = StandardVerifier::new(text).map_err(|_| BadKey::Public)?;
        Ok(Self { verifier, text: text.to_owned() })
    }
}

impl PublicKey {
    /// Its name and number, as signatures tell it.
    pub(crate) fn named(&self) -> (String, u32) {
        (self.verifier.name().to_owned(), self.verifier.key_id())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PublicKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_text_and_not_printed_by_accident() {
        // Some of them have a plus sign in their base64, and some have none.
        for key in std::iter::repeat_with(|| SealKey::random("daybook").unwrap()).take(100) {
            let again: SealKey = key.reveal().parse().unwrap();
            assert_eq!(again.public(), key.public());
            assert!(!format!("{key:?}").contains("PRIVATE"));
        }
        let [one, other] = [(); 2].map(|()| SealKey::random("daybook").unwrap());
        assert_ne!(one.public(), other.public());
    }

    #[test]
    fn a_file_may_hold_several_keys_and_words_for_people() {
        let (old, new) = (SealKey::random("a").unwrap(), SealKey::random("b").unwrap());
        let text = format!("# until May\n{}\n\n{} # from May\n", old.reveal(), new.reveal());
        let keys = in_file(&text).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[1].public(), new.public());
    }

    #[test]
    fn what_is_no_key_is_told_so() {
        let key = SealKey::random("daybook").unwrap();
        assert_eq!(in_file("# nothing").unwrap_err(), BadKey::None);
        assert_eq!(in_file(&key.public().to_string()).unwrap_err(), BadKey::Secret);
        assert_eq!(key.reveal().parse::<PublicKey>().unwrap_err(), BadKey::Public);
        assert_eq!("daybook+1+AQ==".parse::<PublicKey>().unwrap_err(), BadKey::Public);
        assert_eq!(SealKey::random("two words").unwrap_err(), BadKey::Name);
    }
}
