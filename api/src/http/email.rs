//! Email addresses, judged by form only: whether a letter arrives shows when one is sent.

/// Longest address that SMTP can carry (RFC 5321, with its erratum 1690).
const BYTES_MAX: usize = 254;
/// Longest part before the `@`.
const LOCAL_BYTES_MAX: usize = 64;
/// Longest part of a host name between two dots.
const LABEL_BYTES_MAX: usize = 63;

/// Reads an address as written; letters beyond ASCII are fine (RFC 6531), quoted parts and bare
/// addresses of machines are not.
pub(crate) fn parse(text: &str) -> Result<String, &'static str> {
    let well_formed = text
        .rsplit_once('@')
        .is_some_and(|(local, host)| text.len() <= BYTES_MAX && is_local(local) && is_host(host));
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err("must be an email address such as ada@example.org")
    }
}

fn is_local(local: &str) -> bool {
    let fits =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local.len() <= LOCAL_BYTES_MAX
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(fits))
        && is_printable(local)
}

fn is_host(host: &str) -> bool {
    let fits = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-';
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(fits)
    };
    let top = host.rsplit('.').next().unwrap_or_default();
    host.contains('.')
        && host.split('.').all(is_label)
        && !top.bytes().all(|byte| byte.is_ascii_digit())
        && is_printable(host)
}

fn is_printable(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_address_is_one() {
        for text in [
            "ada@example.org",
            "17850@customers.invalid",
            "o'neil+shop@mail.example.co.uk",
            "jürgen@bücher.example",
            "a.b.c@x-y.example",
        ] {
            assert_eq!(parse(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_does_not_is_refused() {
        let long_local = format!("{}@example.org", "x".repeat(65));
        let long_host = format!("a@{}.org", "x".repeat(64));
        let long = format!("a@{}org", "abcdefghi.".repeat(26));
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.org",
            "ada@localhost",
            "ada@@example.org",
            "a b@example.org",
            ".ada@example.org",
            "ada.@example.org",
            "a..b@example.org",
            "ada@-x.org",
            "ada@x-.org",
            "ada@x..org",
            "ada@127.0.0.1",
            "ada@example.org\n",
            "a\u{a0}b@example.org",
            "\"a b\"@example.org",
            &long_local,
            &long_host,
            &long,
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
