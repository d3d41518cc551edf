//! What browsers are told of every answer: that it is what it says it is, that no page may frame it,
//! and what it may load, which is nothing unless it is a page that says otherwise.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// For answers that are no pages.
const NOTHING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// For pages of the documentation, which load their own scripts, ask this server, and show small
/// images from within their style sheet. Style attributes are how the page lays itself out.
const DOCUMENTATION: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
/// A year; for hosts that can be reached by TLS alone from then on.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Addresses may hold the token of an order.
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// For browsers that know no `frame-ancestors`.
const DENY: HeaderValue = HeaderValue::from_static("DENY");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Where pages are that load something.
pub(crate) fn is_documentation(path: &str) -> bool {
    path.starts_with("/docs")
}

/// Adds what the answer does not say itself.
pub(crate) fn tell(headers: &mut HeaderMap, is_documentation: bool, is_secure: bool) {
    let policy = if is_documentation {
        DOCUMENTATION
    } else {
        NOTHING
    };
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    headers.insert(header::X_FRAME_OPTIONS, DENY);
    headers.insert(OPENER_POLICY, SAME_ORIGIN);
    if is_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
}
