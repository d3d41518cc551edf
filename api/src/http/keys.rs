//! `Idempotency-Key`, and the names that follow from it: the command's, and those of what the
//! command makes, so that a repetition makes the same.

use axum::http::{HeaderMap, HeaderName};
use uuid::{Uuid, uuid};

use super::command::DAYBOOK_CART_TOKEN;
use super::identity::Caller;
use super::problem::Problem;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key.
const CHARS_MAX: usize = 255;
/// Of all command ids that come in over HTTP; changing it would make every key a new one.
const NAMESPACE: Uuid = uuid!("6f2b1c5e-6b0a-5d0e-9a54-0d8c1d2f7b61");

/// The id of the command that this caller means by the key it sent.
pub(crate) fn command_id(headers: &HeaderMap, caller: Caller) -> Result<Uuid, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().ok_or_else(Problem::key_missing)?;
    let bad = |detail| Problem::invalid_header("Idempotency-Key", detail);
    if values.next().is_some() {
        return Err(bad("must be given once"));
    }
    let key = value.to_str().ok().and_then(bare);
    let key = key.ok_or_else(|| bad("must have 1 to 255 visible ASCII characters"))?;
    let scope = match headers.get(DAYBOOK_CART_TOKEN) {
        // Guests are all the same to us; those who show a cart are told apart by it.
        Some(token) if caller == Caller::Guest => [b"cart ", token.as_bytes()].concat(),
        _ => caller.scope().into_bytes(),
    };
    Ok(Uuid::new_v5(&NAMESPACE, &[&scope, b"\n".as_slice(), key.as_bytes()].concat()))
}

/// What a command makes beside the log is named by it, so that a repetition makes the same.
pub(crate) fn named(command_id: Uuid, what: &str) -> Uuid {
    Uuid::new_v5(&command_id, what.as_bytes())
}

/// The name of a refund that a command may cause.
pub(crate) fn refund_id(command_id: Uuid) -> Uuid {
    Uuid::new_v5(&command_id, b"refund")
}

/// The key itself: a bare value, or the string of RFC 8941 that the IETF draft prescribes.
fn bare(value: &str) -> Option<String> {
    let value = value.trim();
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let key = match quoted {
        Some(inner) => unescaped(inner)?,
        None => value.to_owned(),
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    ((1..=CHARS_MAX).contains(&key.len()) && visible).then_some(key)
}

/// In a string of RFC 8941, a backslash stands before `"` and `\`, and before nothing else.
fn unescaped(inner: &str) -> Option<String> {
    let mut key = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        key.push(match c {
            '\\' => chars
                .next()
                .filter(|escaped| matches!(escaped, '"' | '\\'))?,
            '"' => return None,
            other => other,
        });
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn id(value: &str, caller: Caller) -> Result<Uuid, Problem> {
        let value = HeaderValue::from_str(value).unwrap();
        command_id(&HeaderMap::from_iter([(IDEMPOTENCY_KEY, value)]), caller)
    }

    #[test]
    fn the_bare_and_the_quoted_form_are_the_same_key() {
        let bare = id("order-17", Caller::Guest).unwrap();
        assert_eq!(id("\"order-17\"", Caller::Guest).unwrap(), bare);
        assert_eq!(
            id(r#""a\\b\"c""#, Caller::Guest).unwrap(),
            id(r#"a\b"c"#, Caller::Guest).unwrap()
        );
        assert_ne!(id("order-18", Caller::Guest).unwrap(), bare);
    }

    #[test]
    fn guests_with_carts_do_not_share_keys() {
        let id = |caller, cart: &str| {
            let headers = HeaderMap::from_iter([
                (IDEMPOTENCY_KEY, HeaderValue::from_static("k")),
                (DAYBOOK_CART_TOKEN, HeaderValue::from_str(cart).unwrap()),
            ]);
            command_id(&headers, caller).unwrap()
        };
        assert_ne!(id(Caller::Guest, "one"), id(Caller::Guest, "other"));
        assert_eq!(id(Caller::Guest, "one"), id(Caller::Guest, "one"));
        assert_eq!(id(Caller::Staff, "one"), id(Caller::Staff, "other"), "whatever they show");
    }

    #[test]
    fn callers_do_not_share_keys() {
        assert_ne!(id("k", Caller::Guest).unwrap(), id("k", Caller::Staff).unwrap());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for value in [
            "",
            "\"\"",
            "two words",
            "\"open",
            "\"a\\x\"",
            &"x".repeat(256),
        ] {
            let refused = id(value, Caller::Guest);
            // An open quotation mark is just a visible character of a bare key.
            assert_eq!(refused.is_err(), value != "\"open", "{value:?}");
        }
        assert!(id(&"x".repeat(255), Caller::Guest).is_ok());
        assert!(command_id(&HeaderMap::new(), Caller::Guest).is_err());
    }
}
