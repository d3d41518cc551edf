//! What clients prefer (RFC 7240): `wait=<seconds>`, on commands whose outcome comes later, and
//! `in-stock`, on orders that are not worth placing otherwise.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Says which preference was followed.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Longest wait: shorter than the patience of common proxies (60 s).
pub(crate) const WAIT_SECONDS_MAX: u64 = 30;

/// How long the client would wait. As the RFC has it, the first of several counts, and what cannot
/// be read is not there.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let value = preferences(headers).find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then_some(value)
    })?;
    let seconds: u64 = value.trim().trim_matches('"').parse().ok()?;
    Some(Duration::from_secs(seconds.min(WAIT_SECONDS_MAX)))
}

/// Whether the client would rather be told at once that there is none left than have the order fail.
pub(crate) fn in_stock(headers: &HeaderMap) -> bool {
    preferences(headers).any(|preference| preference.trim().eq_ignore_ascii_case("in-stock"))
}

/// Without their parameters.
fn preferences(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers
        .get_all(PREFER)
        .iter()
        .filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .filter_map(|preference| preference.split(';').next())
}

/// How `Preference-Applied` says it.
pub(crate) fn applied(wait: Duration) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("wait={}", wait.as_secs())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(lines: &[&'static str]) -> Option<u64> {
        let line = |line: &&'static str| (PREFER, HeaderValue::from_static(line));
        wait(&lines.iter().map(line).collect()).map(|wait| wait.as_secs())
    }

    #[test]
    fn who_wants_what_is_in_stock_says_so() {
        let says =
            |line| in_stock(&HeaderMap::from_iter([(PREFER, HeaderValue::from_static(line))]));
        assert!(says("in-stock") && says("wait=10, In-Stock") && says("in-stock; x=y"));
        assert!(!says("in-stock=1") && !says("wait=10") && !says("in stock"));
    }

    #[test]
    fn a_wait_is_found_among_other_preferences() {
        for (lines, expected) in [
            (&["wait=10"][..], Some(10)),
            (&["respond-async, wait=10"], Some(10)),
            (&["return=minimal", "Wait = 5; x=y"], Some(5)),
            (&["wait=\"7\""], Some(7)),
            (&["wait=1, wait=9"], Some(1)),
            (&["wait=0"], Some(0)),
            (&["wait=3600"], Some(WAIT_SECONDS_MAX)),
            (&["wait=99999999999999999999"], None),
            (&["wait=-1"], None),
            (&["wait"], None),
            (&["waiting=1"], None),
            (&[], None),
        ] {
            assert_eq!(seconds(lines), expected, "{lines:?}");
        }
    }
}
