//! Email addresses, judged by form only: whether a letter arrives shows when one is sent.

use email_address::{EmailAddress, Options};

/// Longest address that SMTP can carry (RFC 5321, with its erratum 1690).
const BYTES_MAX: usize = 254;

/// Reads an address as written; letters beyond ASCII are fine (RFC 6531). Of what RFC 5322 has beside
/// that, quoted names, addresses of machines and invisible characters are refused: mail to them is
/// hardly ever taken, and two that look alike would be two people.
pub(crate) fn parse(text: &str) -> Result<String, &'static str> {
    let form = Options::default()
        .with_required_tld()
        .without_domain_literal()
        .without_display_text();
    let is_taken = |address: &EmailAddress| {
        let host = address.domain();
        let is_machine = host
            .rsplit('.')
            .next()
            .is_some_and(|top| top.bytes().all(|byte| byte.is_ascii_digit()));
        !is_machine && !host.contains('_') && !address.local_part().starts_with('"')
    };
    EmailAddress::parse_with_options(text, form)
        .ok()
        .filter(|address| text.len() <= BYTES_MAX && is_taken(address))
        .filter(|_| !text.contains(is_invisible))
        .map(Into::into)
        .ok_or("must be an email address such as ada@example.org")
}

/// Blanks and controls, and what Unicode calls format characters: zero widths, marks and overrides of
/// direction.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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
            "a\u{202e}b@example.org",
            "ada@exa\u{200b}mple.org",
            "ada@[127.0.0.1]",
            "ada@ex_ample.org",
            "Ada <ada@example.org>",
            "a(b)c@example.org",
            "\"a b\"@example.org",
            &long_local,
            &long_host,
            &long,
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
