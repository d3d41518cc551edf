//! A head: what the log was at one moment, in a hundred bytes, signed.
//!
//! A checkpoint as c2sp.org/tlog-checkpoint has it, in a signed note. The first three lines are
//! the log, how many events it has, and the root of the tree over them; ours follow:
//!
//! ```text
//! daybook/018f...                        which log
//! 10000                                  events 1 to 10,000
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2...=   root of the tree over them, base64
//! at 2026-11-21T08:00:00.000000Z         when
//! previous 3q2+796tvu/erb7v3q2+7...=     SHA-256 of the text of the head before, if any
//! key daybook+1a2b3c4d+AQ...             who may sign the next one
//!
//! — daybook Gis8TQ...                    signatures
//! ```

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};
use signed_note::{Note, Signer, Verifier, VerifierList};
use tlog_tiles::checkpoint::Checkpoint;
use tlog_tiles::tlog::Hash;
use uuid::Uuid;

use crate::keys::{PublicKey, SealKey};

const AT: &str = "at ";
const PREVIOUS: &str = "previous ";
const KEY: &str = "key ";

/// What a head says.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Which log.
    pub origin: String,
    /// It covers the events at positions 1 to here.
    pub size: u64,
    /// Of the tree over them.
    pub root: Hash,
    /// When it was made.
    pub sealed_at: DateTime<Utc>,
    /// The head before.
    pub previous: Option<Hash>,
    /// Who may sign the next one.
    pub keys: Vec<PublicKey>,
}

/// Why a text is no head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// Not a signed note at all.
    #[error("this is no signed note")]
    Note,
    /// Not what a head of Daybook says.
    #[error("this note is no head of a log")]
    Head,
}

/// Whose signature a head carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// One of the keys that were asked about.
    Known,
    /// None of them; others perhaps.
    Unknown,
    /// One of them is said to have signed it, and has not.
    Forged,
}

/// A head with its signatures, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedHead {
    /// What it says.
    pub head: Head,
    note: String,
    text_hash: Hash,
}

/// The name of a log in its heads.
pub fn origin(log_id: Uuid) -> String {
    format!("daybook/{log_id}")
}

impl Head {
    fn text(&self) -> String {
        let at = self.sealed_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut lines = vec![
            self.origin.clone(),
            self.size.to_string(),
            self.root.to_string(),
            format!("{AT}{at}"),
        ];
        lines.extend(
            self.previous
                .map(|previous| format!("{PREVIOUS}{previous}")),
        );
        lines.extend(self.keys.iter().map(|key| format!("{KEY}{key}")));
        lines.join("\n") + "\n"
    }

    /// Signs it with all of the keys.
    pub fn sign(&self, keys: &[SealKey]) -> SignedHead {
        let text = self.text();
        let note = note(&text, keys);
        SignedHead { head: self.clone(), note, text_hash: hash(&text) }
    }
}

fn note(text: &str, keys: &[SealKey]) -> String {
    let signers: Vec<&dyn Signer> = keys.iter().map(|key| &key.signer as _).collect();
    let mut note = Note::new(text.as_bytes(), &[]).expect("our text has no control characters");
    note.add_sigs(&signers)
        .expect("a key that was read can sign");
    String::from_utf8(note.to_bytes()).expect("a note is UTF-8")
}

impl SignedHead {
    /// Reads a note; looks at no signature yet.
    pub fn read(note: &str) -> Result<Self, BadHead> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| BadHead::Note)?;
        let text = String::from_utf8(parsed.text().to_vec()).map_err(|_| BadHead::Note)?;
        let checkpoint = Checkpoint::from_bytes(text.as_bytes()).map_err(|_| BadHead::Head)?;
        let (mut at, mut previous, mut keys) = (None, None, Vec::new());
        for line in checkpoint.extension().lines() {
            if let Some(time) = line.strip_prefix(AT) {
                at = time.parse().ok();
            } else if let Some(hash) = line.strip_prefix(PREVIOUS) {
                let bytes = BASE64_STANDARD.decode(hash).ok();
                let hash = bytes.and_then(|bytes| bytes.try_into().ok());
                previous = Some(Hash(hash.ok_or(BadHead::Head)?));
            } else if let Some(key) = line.strip_prefix(KEY) {
                keys.push(key.parse().map_err(|_| BadHead::Head)?);
            }
        }
        let head = Head {
            origin: checkpoint.origin().to_owned(),
            size: checkpoint.size(),
            root: *checkpoint.hash(),
            sealed_at: at.ok_or(BadHead::Head)?,
            previous,
            keys,
        };
        // What is signed is the text, so nothing may hide in it that we do not tell.
        if head.text() != text {
            return Err(BadHead::Head);
        }
        Ok(Self { head, note: note.to_owned(), text_hash: hash(&text) })
    }

    /// Byte for byte.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What the next head calls the one before it.
    pub fn text_hash(&self) -> Hash {
        self.text_hash
    }

    /// Whether one of these keys has signed it.
    pub fn signed_by(&self, keys: &[PublicKey]) -> Signed {
        let Ok(note) = Note::from_bytes(self.note.as_bytes()) else {
            return Signed::Unknown;
        };
        let mut known: Vec<Box<dyn Verifier>> = Vec::new();
        let mut named = Vec::new();
        for key in keys {
            if !named.contains(&key.named()) {
                named.push(key.named());
                known.push(Box::new(key.verifier.clone()));
            }
        }
        match note.verify(&VerifierList::new(known)) {
            Ok(_) => Signed::Known,
            Err(signed_note::NoteError::InvalidSignature { .. }) => Signed::Forged,
            Err(_) => Signed::Unknown,
        }
    }
}

fn hash(text: &str) -> Hash {
    Hash(Sha256::digest(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(keys: &[&SealKey]) -> Head {
        Head {
            origin: origin(Uuid::from_u128(1)),
            size: 10_000,
            root: Hash([7; 32]),
            sealed_at: "2026-11-21T08:00:00.5Z".parse().unwrap(),
            previous: Some(Hash([9; 32])),
            keys: keys.iter().map(|key| key.public().clone()).collect(),
        }
    }

    #[test]
    fn a_head_is_read_back_as_it_was_signed() {
        let (old, new) = (SealKey::random("a").unwrap(), SealKey::random("b").unwrap());
        let stranger = SealKey::random("a").unwrap();
        let signed = head(&[&old, &new]).sign(&[old.clone(), new.clone()]);

        let read = SignedHead::read(signed.note()).unwrap();

        assert_eq!(read, signed);
        for key in [&old, &new] {
            assert_eq!(read.signed_by(std::slice::from_ref(key.public())), Signed::Known);
        }
        assert_eq!(read.signed_by(&[stranger.public().clone()]), Signed::Unknown);
    }

    #[test]
    fn a_head_that_was_changed_is_no_longer_signed() {
        let key = SealKey::random("a").unwrap();
        let signed = head(&[&key]).sign(std::slice::from_ref(&key));
        for (from, to) in [
            ("\n10000\n", "\n10001\n"),
            ("at 2026", "at 2025"),
            ("daybook/0", "daybook/1"),
        ] {
            let changed = signed.note().replacen(from, to, 1);
            let read = SignedHead::read(&changed).unwrap();
            assert_eq!(read.signed_by(&[key.public().clone()]), Signed::Forged, "{from}");
        }
    }

    #[test]
    fn what_is_no_head_is_told_so() {
        let key = SealKey::random("a").unwrap();
        let signed = head(&[&key]).sign(std::slice::from_ref(&key));
        let hiding = signed.note().replacen("\nat ", "\nbe \nat ", 1);
        for (note, bad) in [
            ("", BadHead::Note),
            ("hello\n", BadHead::Note),
            (&hiding, BadHead::Head),
            (&signed.note().replacen("at 2026", "at noon", 1), BadHead::Head),
        ] {
            assert_eq!(SignedHead::read(note), Err(bad), "{note}");
        }
    }
}
