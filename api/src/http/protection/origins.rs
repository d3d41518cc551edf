//! Web pages of other origins that may ask (CORS). None unless a setting names them: whoever is not
//! named is not told that they may, and their browser keeps the answer from them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser remembers what it was told; Chromium's own bound is two hours.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Headers that a page may send.
const SENT: [HeaderName; 14] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("daybook-min-position"),
    HeaderName::from_static("daybook-cart-token"),
    HeaderName::from_static("daybook-order-token"),
    HeaderName::from_static("daybook-ticket-token"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    // Pages that follow the live tail with `fetch`, as `EventSource` shows no token.
    HeaderName::from_static("last-event-id"),
];
/// Headers of answers that a page may read, beside those that every page may.
const TOLD: [HeaderName; 13] = [
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    header::CONTENT_DISPOSITION,
    HeaderName::from_static("daybook-position"),
    HeaderName::from_static("daybook-first-position"),
    HeaderName::from_static("idempotent-replayed"),
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
];

/// Origins of web pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

/// Why a text names no origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin: write scheme, host and port as browsers do, such as https://shop.example \
     or http://localhost:3000, without a path; there is no way to name all"
)]
pub struct BadOrigins(String);

impl FromStr for Origins {
    type Err = BadOrigins;

    fn from_str(text: &str) -> Result<Self, BadOrigins> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let origins = parts.map(|part| origin(part).ok_or_else(|| BadOrigins(part.to_owned())));
        origins.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self
            .0
            .iter()
            .filter_map(|origin| origin.to_str().ok())
            .collect();
        f.write_str(&texts.join(","))
    }
}

/// An origin exactly as browsers send it, or it would match none of them.
fn origin(text: &str) -> Option<HeaderValue> {
    let url: url::Url = text.parse().ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let as_sent = url.origin().ascii_serialization();
    (is_web && as_sent == text && !text.contains('*')).then(|| HeaderValue::from_str(text).ok())?
}

impl Origins {
    /// The layer that lets their pages in; none where there are none.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.clone()))
            .allow_methods([
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers(SENT)
            .expose_headers(TOLD)
            .max_age(REMEMBERED);
        Some(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        let good = "https://shop.example,http://localhost:3000";
        assert_eq!(good.parse::<Origins>().unwrap().to_string(), good);
        assert_eq!(" ".parse::<Origins>().unwrap(), Origins::default());
        for bad in [
            "*",
            "null",
            "shop.example",
            "https://shop.example/",
            "https://shop.example/path",
            "https://shop.example:443",
            "https://SHOP.example",
            "https://*.example",
            "file:///home",
        ] {
            let told = bad.parse::<Origins>().map(|origins| origins.to_string());
            assert_eq!(told, Err(BadOrigins(bad.to_owned())));
        }
    }
}
