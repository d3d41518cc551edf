//! Requests, rendered once and sent as they are.

use std::fmt::Write as _;

/// A query.
pub(crate) fn get(path: &str, token: Option<&str>, headers: &[(&str, &str)]) -> Vec<u8> {
    render("GET", path, token, headers, None)
}

/// A command of staff.
pub(crate) fn command(method: &str, path: &str, token: &str, key: &str, body: &str) -> Vec<u8> {
    render(method, path, Some(token), &[("idempotency-key", key)], Some(body))
}

/// An order, placed by a guest.
pub(crate) fn order(headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    bought("/api/v1/orders", headers, body)
}

/// A step of a guest towards an order.
pub(crate) fn bought(path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    render("POST", path, None, headers, Some(body))
}

/// What somebody says about their account.
pub(crate) fn said(path: &str, body: &str) -> Vec<u8> {
    render("POST", path, None, &[], Some(body))
}

/// What a payment provider says, with its signature.
pub(crate) fn webhook(gateway: &str, signature: (&str, &str), body: &str) -> Vec<u8> {
    render("POST", &format!("/api/v1/webhooks/{gateway}"), None, &[signature], Some(body))
}

fn render(
    method: &str,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: daybook\r\n");
    let written = (|| {
        if let Some(token) = token {
            write!(text, "authorization: Bearer {token}\r\n")?;
        }
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n")?;
        }
        if let Some(body) = body {
            let length = body.len();
            write!(text, "content-type: application/json\r\ncontent-length: {length}\r\n")?;
        }
        write!(text, "\r\n{}", body.unwrap_or_default())
    })();
    written.expect("a string takes everything");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_who_asks_and_how_long_it_is() {
        let request = command("PUT", "/x", "secret", "key-1", "{}");
        let expected = "PUT /x HTTP/1.1\r\nhost: daybook\r\nauthorization: Bearer secret\r\n\
                        idempotency-key: key-1\r\ncontent-type: application/json\r\n\
                        content-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(request).unwrap(), expected);
        assert!(get("/x", None, &[]).ends_with(b"daybook\r\n\r\n"));
    }
}
