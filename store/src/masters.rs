//! Master keys: given by the environment, they wrap the keys of personal data, and are kept nowhere.
//!
//! Several may be given: the first wraps, all of them unwrap, so that one can be exchanged while
//! everything goes on. What was wrapped says by a fingerprint with which.
//!
//! Reading asks the keys that this process knows ([`know`]), whichever log it reads: a process has
//! one environment, and readers of the log need not carry keys about.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;
use uuid::Uuid;

use crate::guessing::is_guessable;

/// Bytes of a key of AES-256.
pub(crate) const KEY_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
/// Most master keys at a time: two while one is exchanged, and some that were forgotten about.
const KEYS_MAX: usize = 16;

/// A key of one text.
pub(crate) type DataKey = [u8; KEY_BYTES];

/// Tells master keys apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(pub(crate) [u8; FINGERPRINT_BYTES]);

/// The master keys of a process; the first wraps. Never printed.
#[derive(Clone)]
pub struct MasterKeys(Vec<Master>);

#[derive(Clone)]
struct Master {
    fingerprint: Fingerprint,
    key: Arc<LessSafeKey>,
}

/// Why a text is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMasterKey {
    /// It is something else.
    #[error(
        "DAYBOOK_MASTER_KEY holds something that is no key: each is 64 hexadecimal digits, such as \
         the output of `openssl rand -hex 32`; several are separated by commas, and the first wraps"
    )]
    NotAKey,
    /// It can be guessed.
    #[error(
        "a key in DAYBOOK_MASTER_KEY is too easy to guess: give it the output of \
         `openssl rand -hex 32`"
    )]
    Weak,
    /// There is no end to it.
    #[error("DAYBOOK_MASTER_KEY holds more than {KEYS_MAX} keys")]
    TooMany,
}

impl FromStr for MasterKeys {
    type Err = BadMasterKey;

    fn from_str(text: &str) -> Result<Self, BadMasterKey> {
        let texts = text.split([',', ' ', '\n']).map(str::trim);
        let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        let keys = texts.iter().map(|text| Master::read(text));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        // Older keys only unwrap: whoever began with one that can be guessed must be able to replace it.
        if texts
            .first()
            .is_some_and(|text| is_guessable(text, 2 * KEY_BYTES))
        {
            return Err(BadMasterKey::Weak);
        }
        match keys.len() {
            0 => Err(BadMasterKey::NotAKey),
            1..=KEYS_MAX => Ok(Self(keys)),
            _ => Err(BadMasterKey::TooMany),
        }
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKeys")
    }
}

impl MasterKeys {
    /// Makes one up, as the text that is given to a process.
    pub fn random_text() -> String {
        hex::encode(chance::<KEY_BYTES>())
    }

    fn first(&self) -> &Master {
        self.0
            .first()
            .expect("there is one, or it is no MasterKeys")
    }

    /// Of the key that wraps.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.first().fingerprint
    }

    pub(crate) fn hold(&self, fingerprint: &[u8]) -> bool {
        self.0
            .iter()
            .any(|master| master.fingerprint.0 == fingerprint)
    }

    /// Wraps a data key under its name.
    pub(crate) fn wrap(&self, key_id: Uuid, data_key: &DataKey) -> Vec<u8> {
        let Master { fingerprint, key } = self.first();
        let nonce = chance::<NONCE_LEN>();
        let mut sealed = data_key.to_vec();
        // A nonce of chance is good for some four billion keys under one master key.
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(key_id.as_bytes()),
            &mut sealed,
        )
        .expect("AES-GCM seals 32 bytes");
        [&fingerprint.0, nonce.as_slice(), &sealed].concat()
    }
}

impl Master {
    fn read(text: &str) -> Result<Self, BadMasterKey> {
        let mut bytes: DataKey = [0; KEY_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadMasterKey::NotAKey)?;
        let named = [b"daybook master key".as_slice(), &bytes].concat();
        let digest = digest::digest(&digest::SHA256, &named);
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        fingerprint.copy_from_slice(&digest.as_ref()[..FINGERPRINT_BYTES]);
        Ok(Self { fingerprint: Fingerprint(fingerprint), key: Arc::new(aes(&bytes)) })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

pub(crate) fn aes(key: &DataKey) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of AES-256 has 32 bytes"))
}

/// Bytes of chance, from a generator that the system seeds, again and again: good for keys, and spares
/// a system call or two for every order.
pub(crate) fn chance<const N: usize>() -> [u8; N] {
    rand::random()
}

/// What this process can unwrap.
#[derive(Default)]
struct Known {
    masters: HashMap<[u8; FINGERPRINT_BYTES], Arc<LessSafeKey>>,
    reads_without: bool,
}

static KNOWN: RwLock<Option<Known>> = RwLock::new(None);

/// From now on this process unwraps with these keys as well.
pub fn know(masters: &MasterKeys) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    for Master { fingerprint, key } in &masters.0 {
        known.masters.insert(fingerprint.0, Arc::clone(key));
    }
}

/// From now on this process reads what it has no master key for with `[sealed]` in place of personal
/// data; otherwise that is an error. For those that check or count, and write nothing down.
pub fn read_without() {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_default().reads_without = true;
}

/// What a wrapped key turns out to be.
pub(crate) enum Unwrapped {
    Key(DataKey),
    /// Others have the master key.
    Elsewhere,
}

/// Why a key cannot be unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotUnwrap {
    /// With another master key, perhaps.
    #[error(
        "its key is wrapped with master key {0}, which DAYBOOK_MASTER_KEY of this process does not \
         hold"
    )]
    #[doc(hidden)]
    UnknownMaster(FingerprintText),
    /// It was tampered with.
    #[error("its key was changed, or belongs to something else")]
    Damaged,
}

/// A fingerprint to be shown.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FingerprintText(Fingerprint);

impl fmt::Display for FingerprintText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) fn unwrap(key_id: Uuid, wrapped: &[u8]) -> Result<Unwrapped, CannotUnwrap> {
    let (fingerprint, rest) = wrapped
        .split_first_chunk::<FINGERPRINT_BYTES>()
        .ok_or(CannotUnwrap::Damaged)?;
    let (nonce, sealed) = rest
        .split_first_chunk::<NONCE_LEN>()
        .filter(|(_, sealed)| sealed.len() == KEY_BYTES + TAG_BYTES)
        .ok_or(CannotUnwrap::Damaged)?;
    let master = {
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref();
        match known.and_then(|known| known.masters.get(fingerprint)) {
            Some(master) => Arc::clone(master),
            None if known.is_some_and(|known| known.reads_without) => {
                return Ok(Unwrapped::Elsewhere);
            }
            None => {
                let text = FingerprintText(Fingerprint(*fingerprint));
                return Err(CannotUnwrap::UnknownMaster(text));
            }
        }
    };
    let mut opened = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let key = master
        .open_in_place(nonce, Aad::from(key_id.as_bytes()), &mut opened)
        .map_err(|_| CannotUnwrap::Damaged)?;
    let key = DataKey::try_from(&*key).map_err(|_| CannotUnwrap::Damaged)?;
    Ok(Unwrapped::Key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> MasterKeys {
        MasterKeys::random_text().parse().unwrap()
    }

    #[test]
    fn a_key_is_unwrapped_under_its_name_by_whoever_knows_the_master() {
        let (masters, key_id, key) = (keys(), Uuid::now_v7(), chance());
        let wrapped = masters.wrap(key_id, &key);
        assert!(matches!(unwrap(key_id, &wrapped), Err(CannotUnwrap::UnknownMaster(_))));
        know(&masters);
        assert!(matches!(unwrap(key_id, &wrapped), Ok(Unwrapped::Key(found)) if found == key));
        assert!(matches!(unwrap(Uuid::now_v7(), &wrapped), Err(CannotUnwrap::Damaged)));
        for place in FINGERPRINT_BYTES..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[place] ^= 1;
            assert!(matches!(unwrap(key_id, &changed), Err(CannotUnwrap::Damaged)), "{place}");
            assert!(unwrap(key_id, &wrapped[..place]).is_err(), "{place}");
        }
    }

    #[test]
    fn the_first_of_several_wraps() {
        let (one, two) = (MasterKeys::random_text(), MasterKeys::random_text());
        let both: MasterKeys = format!("{one},\n{two}").parse().unwrap();
        let (one, two): (MasterKeys, MasterKeys) = (one.parse().unwrap(), two.parse().unwrap());
        assert_eq!(both.fingerprint(), one.fingerprint());
        assert!(both.hold(&two.fingerprint().0) && !one.hold(&two.fingerprint().0));
    }

    #[test]
    fn what_is_no_key_or_can_be_guessed_is_refused() {
        let of = |text: &str| text.parse::<MasterKeys>().map(|_| ());
        let good = MasterKeys::random_text();
        assert_eq!(of(&good), Ok(()));
        for bad in [
            "",
            " , ",
            "secret",
            &good[1..],
            &format!("{good}0"),
            &"g".repeat(64),
        ] {
            assert_eq!(of(bad), Err(BadMasterKey::NotAKey), "{bad}");
        }
        for weak in [
            "0123",
            "0123456789abcdef",
            "deadbeef",
            "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        ] {
            let weak = weak.repeat(64 / weak.len());
            assert_eq!(of(&weak), Err(BadMasterKey::Weak), "{weak}");
        }
        let replaced = format!("{good},{}", "deadbeef".repeat(8));
        assert!(replaced.parse::<MasterKeys>().is_ok(), "it only unwraps");
        assert_eq!(of(&vec![good.as_str(); KEYS_MAX + 1].join(",")), Err(BadMasterKey::TooMany));
        assert_eq!(format!("{:?}", good.parse::<MasterKeys>()), "Ok(MasterKeys)");
    }
}
