//! Reads a body as JSON, strictly: what two readers could understand differently is refused.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::Number;

/// What a body says. Texts without escapes are those of the body itself, because most of a body is
/// texts, and every command has one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'b> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'b, str>),
    List(Vec<Json<'b>>),
    Object(Members<'b>),
}

/// The members of an object, ordered by name; no name twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Members<'b>(Vec<(Cow<'b, str>, Json<'b>)>);

impl<'b> Members<'b> {
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'b>> {
        let known = self.0.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }
}

impl<'b> Json<'b> {
    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A number without a fraction or an exponent.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Json<'b>]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Members<'b>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }
}

/// Parses JSON in which no object has the same key twice. Nesting is bounded by `serde_json` (128).
pub(crate) fn parse(bytes: &[u8]) -> Result<Json<'_>, serde_json::Error> {
    // Once for the whole body, instead of once for each text.
    let text = std::str::from_utf8(bytes).map_err(serde_json::Error::custom)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The same bytes for the same value, whatever the order of its keys and its blanks.
pub(crate) fn canonical(value: &Json<'_>) -> Vec<u8> {
    serde_json::to_vec(value).expect("what was JSON can be written as JSON")
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Object(Members(members)) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    object.serialize_entry(name, value)?;
                }
                object.end()
            }
        }
    }
}

struct Strict;

impl<'b> DeserializeSeed<'b> for Strict {
    type Value = Json<'b>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Json<'b>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Strict {
    type Value = Json<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'b>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'b>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'b>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'b>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'b>, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, value: &'b str) -> Result<Json<'b>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'b>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut items: A) -> Result<Json<'b>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'b>>(self, mut members: A) -> Result<Json<'b>, A::Error> {
        let mut object = Vec::with_capacity(8);
        while let Some(name) = members.next_key_seed(Name)? {
            object.push((name, members.next_value_seed(Self)?));
        }
        object.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        match object.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(twice) => {
                let name = &twice[0].0;
                Err(A::Error::custom(format!("the field {name:?} is given twice")))
            }
            None => Ok(Json::Object(Members(object))),
        }
    }
}

/// The name of a member.
struct Name;

impl<'b> DeserializeSeed<'b> for Name {
    type Value = Cow<'b, str>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Cow<'b, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'b> Visitor<'b> for Name {
    type Value = Cow<'b, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, value: &'b str) -> Result<Cow<'b, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cow<'b, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_and_the_blanks_make_no_difference() {
        let one = parse(br#"{"b": [1, {"y": "2", "x": null}], "a": true}"#).unwrap();
        let other = parse(br#"{"a":true,"b":[1,{"x":null,"y":"2"}]}"#).unwrap();

        assert_eq!(canonical(&one), canonical(&other));
        assert_ne!(canonical(&one), canonical(&parse(br#"{"a":true}"#).unwrap()));
    }

    #[test]
    fn what_a_repetition_is_known_by_stays_what_it_was() {
        let body = br#"{"b": [1, -2, 2.50, 1e3], "a": {"\u00e9\n": "x\"y", "z": null, "B": true}}"#;
        let plain: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(canonical(&parse(body).unwrap()), plain.to_string().into_bytes());
    }

    #[test]
    fn what_could_be_misunderstood_is_refused() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for bad in [
            "",
            "{",
            "{} {}",
            r#"{"a": 1, "a": 2}"#,
            r#"{"a": {"b": 1, "b": 1}}"#,
            r#"{"a": 1e999}"#,
            r#"{"a": "\ud800"}"#,
            "{\"a\": \"\u{0}\"}",
            "NaN",
            &deep,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
    }
}
