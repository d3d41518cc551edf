//! Personal data inside a payload: sealed before the event is stored, opened for whoever reads it.
//!
//! ```text
//! {"type":"order.placed","customer":{"name":"Ada"},"shipping_address":{"line1":"1 Rd","country":"GB"}}
//!                                        │ seal            ▲ open
//!                                        ▼                 │
//! {"personal":{"key":"<uuid>","sealed":"<base64>"},
//!  "type":"order.placed","customer":null,"shipping_address":{"line1":null,"country":"GB"}}
//! ```
//!
//! Null stands wherever something is sealed, so that a payload says by itself what was there. The
//! sealed text is JSON, `{"customer":{...},"shipping_address.line1":"1 Rd"}`, under AES-256-GCM. It
//! is bound to its event: sealed text moved to another event does not open.
//!
//! Each key seals one text, once. It is made here for that text, so the nonce need not tell two
//! texts apart, and is zero.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use domain::personal::{self, Field, Hidden};
use ring::aead::{Aad, NONCE_LEN, Nonce};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::masters::{self, CannotUnwrap, DataKey};

/// The member that holds what is sealed.
const PERSONAL: &str = "personal";

/// Which event a payload belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) aggregate_type: &'a str,
    pub(crate) aggregate_id: &'a str,
    pub(crate) sequence: i64,
    pub(crate) event_type: &'a str,
}

impl Place<'_> {
    fn bound_to(&self) -> String {
        let Self { aggregate_type, aggregate_id, sequence, event_type } = self;
        // An id is free text for SKUs only, which have no personal data; it stands last all the same.
        format!("{aggregate_type}\n{event_type}\n{sequence}\n{aggregate_id}")
    }
}

/// What is to be stored in place of a payload, and the key that opens it.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) payload: String,
    pub(crate) key_id: Uuid,
    pub(crate) key: DataKey,
}

/// What became of the key of a sealed payload.
pub(crate) enum KeyState {
    Live(DataKey),
    Hidden(Hidden),
}

/// Why sealed personal data cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// It is not what a seal leaves behind.
    #[error("what is sealed in it is no JSON of ours: {0}")]
    Form(#[from] serde_json::Error),
    /// It was tampered with, or moved here from elsewhere.
    #[error("its personal data was changed, or belongs to another event")]
    Tampered,
    /// There is no such key.
    #[error("the key {0} of its personal data is not among personal_keys")]
    NoKey(Uuid),
    /// The key cannot be had.
    #[error("its personal data cannot be opened: {0}")]
    Key(#[from] CannotUnwrap),
}

/// Seals what is personal in a payload; `None` where nothing is.
pub(crate) fn seal(place: Place<'_>, payload: &str) -> Result<Option<Sealed>, serde_json::Error> {
    let fields = personal::fields_of(place.event_type);
    if fields.is_empty() {
        return Ok(None);
    }
    let mut sealing = Sealing { fields, text: String::from("{") };
    let mut rest = String::with_capacity(payload.len());
    sealing.object(payload, "", &mut rest)?;
    if sealing.text.len() == 1 {
        return Ok(None);
    }
    sealing.text.push('}');
    let (key_id, key) = (Uuid::now_v7(), masters::chance());
    let mut sealed = sealing.text.into_bytes();
    masters::aes(&key)
        .seal_in_place_append_tag(nonce(), Aad::from(place.bound_to()), &mut sealed)
        .expect("AES-GCM seals what fits into memory");
    let mut payload = format!("{{\"{PERSONAL}\":{{\"key\":\"{key_id}\",\"sealed\":\"");
    payload.reserve(sealed.len() * 4 / 3 + rest.len() + 8);
    BASE64.encode_string(sealed, &mut payload);
    payload.push_str("\"}");
    // An event names its type, so there is always a member after it.
    payload.push(',');
    payload.push_str(&rest[1..]);
    Ok(Some(Sealed { payload, key_id, key }))
}

/// Each key has one text only.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

struct Sealing {
    fields: &'static [Field],
    /// The JSON that is sealed, without its end.
    text: String,
}

impl Sealing {
    /// Copies an object, and null in place of what is personal.
    fn object(&mut self, json: &str, prefix: &str, rest: &mut String) -> serde_json::Result<()> {
        let Members(members) = serde_json::from_str(json)?;
        let mut writing = Writing::begin(rest);
        for (name, value) in members {
            let path = if prefix.is_empty() {
                Cow::Borrowed(name)
            } else {
                Cow::Owned(format!("{prefix}.{name}"))
            };
            let value = value.get();
            if self.is_personal(&path) && value != "null" {
                if self.text.len() != 1 {
                    self.text.push(',');
                }
                // Paths are made of names of ours, which need no escapes.
                for part in ["\"", &path, "\":", value] {
                    self.text.push_str(part);
                }
                writing.member(name, "null");
            } else if value.starts_with('{') && self.holds_personal(&path) {
                writing.name(name);
                self.object(value, &path, writing.text)?;
            } else {
                writing.member(name, value);
            }
        }
        writing.end();
        Ok(())
    }

    fn is_personal(&self, path: &str) -> bool {
        self.fields.iter().any(|field| field.path == path)
    }

    fn holds_personal(&self, path: &str) -> bool {
        holds_personal(self.fields, path)
    }
}

fn holds_personal(fields: &[Field], path: &str) -> bool {
    let below = |field: &Field| {
        let rest = field.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    fields.iter().any(below)
}

/// The key of a payload in which something is sealed. Garbage has none, and is left to whoever reads
/// the event.
pub(crate) fn key_of(event_type: &str, payload: &str) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Of {
        personal: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        key: Uuid,
    }

    // Nearly every event is passed over by its name.
    if personal::fields_of(event_type).is_empty() || !payload.contains("\"personal\"") {
        return None;
    }
    let of: Of = serde_json::from_str(payload).ok()?;
    Some(of.personal.key)
}

/// The payload as it was before it was sealed, or with what stands in place of what is hidden.
pub(crate) fn open(place: Place<'_>, payload: &str, key: &KeyState) -> Result<String, CannotOpen> {
    let mut text;
    let found = match key {
        KeyState::Live(key) => {
            text = sealed_in(payload)?;
            let nonce = nonce();
            let opened = masters::aes(key)
                .open_in_place(nonce, Aad::from(place.bound_to()), &mut text)
                .map_err(|_| CannotOpen::Tampered)?;
            Opening::Found(serde_json::from_slice(opened)?)
        }
        KeyState::Hidden(hidden) => Opening::Hidden(*hidden),
    };
    let fields = personal::fields_of(place.event_type);
    let mut opened = String::with_capacity(payload.len());
    found.object(fields, payload, "", &mut opened)?;
    Ok(opened)
}

fn sealed_in(payload: &str) -> Result<Vec<u8>, CannotOpen> {
    #[derive(Deserialize)]
    struct Of<'a> {
        #[serde(borrow)]
        personal: Holding<'a>,
    }
    #[derive(Deserialize)]
    struct Holding<'a> {
        #[serde(borrow)]
        sealed: Cow<'a, str>,
    }
    let of: Of<'_> = serde_json::from_str(payload)?;
    BASE64
        .decode(of.personal.sealed.as_bytes())
        .map_err(|_| CannotOpen::Tampered)
}

/// What goes where null stands.
enum Opening<'a> {
    Found(BTreeMap<Cow<'a, str>, &'a RawValue>),
    Hidden(Hidden),
}

impl Opening<'_> {
    fn object(
        &self,
        fields: &[Field],
        json: &str,
        prefix: &str,
        into: &mut String,
    ) -> serde_json::Result<()> {
        let Members(members) = serde_json::from_str(json)?;
        let mut writing = Writing::begin(into);
        for (name, value) in members {
            let path = if prefix.is_empty() {
                Cow::Borrowed(name)
            } else {
                Cow::Owned(format!("{prefix}.{name}"))
            };
            let value = value.get();
            if path == PERSONAL {
                continue;
            }
            if value == "null"
                && let Some(in_place) = self.in_place(fields, &path)
            {
                // A member that has nothing in its place is left out.
                if !in_place.is_empty() {
                    writing.member(name, &in_place);
                }
            } else if value.starts_with('{') && holds_personal(fields, &path) {
                writing.name(name);
                self.object(fields, value, &path, writing.text)?;
            } else {
                writing.member(name, value);
            }
        }
        writing.end();
        Ok(())
    }

    /// What is read at a place; nothing where null is what was stored.
    fn in_place(&self, fields: &[Field], path: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Found(found) => Some(Cow::Borrowed(found.get(path)?.get())),
            Self::Hidden(hidden) => {
                let field = fields.iter().find(|field| field.path == path)?;
                Some(Cow::Owned(field.in_place(*hidden).unwrap_or_default()))
            }
        }
    }
}

/// An object that is being written.
struct Writing<'a> {
    text: &'a mut String,
    is_empty: bool,
}

impl<'a> Writing<'a> {
    fn begin(text: &'a mut String) -> Self {
        text.push('{');
        Self { text, is_empty: true }
    }

    fn name(&mut self, name: &str) {
        if !self.is_empty {
            self.text.push(',');
        }
        self.is_empty = false;
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    fn member(&mut self, name: &str, value: &str) {
        self.name(name);
        self.text.push_str(value);
    }

    fn end(self) {
        self.text.push('}');
    }
}

/// The members of an object, in order, unread. Names with escapes are none of ours.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Vec<(&'de str, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Reading).map(Members)
    }
}

#[cfg(test)]
#[path = "sealed_tests.rs"]
mod tests;
