//! What clients and whoever stands between may keep, and for how long: a class for each route, and
//! the one place that writes `Cache-Control`, `Vary` and, where a handler has not, `ETag` and 304.
//!
//! A route that nobody put into [`CLASSES`] is `no-store`. So is every answer that is no success, and
//! every answer that a handler made for staff ([`for_staff`]). In this process, what is kept for
//! clients is made anew as soon as something changes ([`super::answers`]): a client that asks again
//! with its tag gets what is, or 304.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::MatchedPath;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};

use super::problem::Problem;
use super::{BASE, queries};

/// Largest body that is looked at for its tag; larger ones go without.
const TAGGED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Products, listings and who sells them, as customers see them.
    Catalogue,
    /// Menus change seldom.
    Categories,
    /// Shipping methods and their rates.
    Delivery,
    /// Promotions that everybody is told of; they begin and end by the clock, too ([`fresh_until`]).
    Promotions,
    /// Reports: each client for itself.
    Analytics,
    /// What stays the same until the next release; asked again each time.
    Documentation,
}

/// Which routes may be kept. Whoever adds a route that everybody sees alike adds a line.
const CLASSES: &[(&str, Class)] = &[
    ("/api/v1/products", Class::Catalogue),
    ("/api/v1/products/{sku}", Class::Catalogue),
    ("/api/v1/listings", Class::Catalogue),
    ("/api/v1/listings/{handle}", Class::Catalogue),
    ("/api/v1/categories", Class::Categories),
    ("/api/v1/categories/{handle}", Class::Categories),
    ("/api/v1/shipping/methods", Class::Delivery),
    ("/api/v1/shipping/methods/{handle}", Class::Delivery),
    ("/api/v1/shipping/pickup-points", Class::Delivery),
    ("/api/v1/shipping/pickup-points/{handle}", Class::Delivery),
    ("/api/v1/vendors/{id}", Class::Catalogue),
    ("/api/v1/promotions", Class::Promotions),
    ("/api/v1/reports/sales", Class::Analytics),
    ("/api/v1/reports/customers", Class::Analytics),
    ("/api/v1/reports/settlement", Class::Analytics),
    ("/openapi.json", Class::Documentation),
    ("/docs/{*rest}", Class::Documentation),
];

/// What an answer depends on beside its address.
const VARIES_BY: &str = "Authorization, Daybook-Min-Position, Accept";

impl Class {
    pub(crate) fn of(route: &str) -> Option<Self> {
        CLASSES
            .iter()
            .find(|(of, _)| *of == route)
            .map(|(_, class)| *class)
    }

    /// For how long an answer may be shown without asking again.
    fn fresh_for(self) -> Duration {
        match self {
            Self::Catalogue => Duration::from_mins(10),
            Self::Categories => Duration::from_mins(15),
            // A rate that has gone up meanwhile is caught by `expected_total`.
            Self::Delivery | Self::Promotions => Duration::from_mins(5),
            // Ten at most; who looks at figures would rather see today's.
            Self::Analytics => Duration::from_mins(1),
            Self::Documentation => Duration::ZERO,
        }
    }

    /// Whether one client's answer may be another's, where no token was shown.
    fn is_public(self) -> bool {
        match self {
            Self::Catalogue
            | Self::Categories
            | Self::Delivery
            | Self::Promotions
            | Self::Documentation => true,
            Self::Analytics => false,
        }
    }

    /// `left` is how long the answer is known to be true at most.
    fn cache_control(self, has_token: bool, left: Option<Duration>) -> String {
        let whose = if self.is_public() && !has_token {
            "public"
        } else {
            "private"
        };
        let fresh_for = left.map_or(self.fresh_for(), |left| left.min(self.fresh_for()));
        match fresh_for.as_secs() {
            0 => format!("{whose}, no-cache"),
            seconds => format!("{whose}, max-age={seconds}"),
        }
    }
}

/// Marks an answer that holds what customers do not see.
#[derive(Debug, Clone, Copy)]
struct ForStaff;

/// An answer that only staff are given.
pub(crate) fn for_staff(mut response: Response) -> Response {
    response.extensions_mut().insert(ForStaff);
    response
}

/// Marks an answer that may be another from a moment on, whatever is heard until then.
#[derive(Debug, Clone, Copy)]
struct FreshUntil(DateTime<Utc>);

/// An answer that nobody is to show from then on without asking again.
pub(crate) fn fresh_until(mut response: Response, until: DateTime<Utc>) -> Response {
    response.extensions_mut().insert(FreshUntil(until));
    response
}

/// Whether answers on this route have tags whoever asks.
pub(crate) fn is_kept(path: &str) -> bool {
    path.starts_with(BASE) && Class::of(path).is_some()
}

/// What is to be known of a request to say how its answer may be kept.
#[derive(Debug)]
pub(crate) struct Terms {
    class: Option<Class>,
    has_token: bool,
    known_tags: Vec<String>,
}

impl Terms {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let is_query = matches!(*request.method(), Method::GET | Method::HEAD);
        let route = request.extensions().get::<MatchedPath>();
        let class = route
            .filter(|_| is_query)
            .and_then(|route| Class::of(route.as_str()));
        let headers = request.headers();
        let known_tags = class.map_or_else(Vec::new, |_| queries::known_tags(headers));
        Self { class, has_token: headers.contains_key(AUTHORIZATION), known_tags }
    }

    /// Says how an answer may be kept, and leaves its body out if the client has it.
    pub(crate) async fn apply(self, mut response: Response) -> Response {
        let is_told = matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
        let is_for_staff = response.extensions_mut().remove::<ForStaff>().is_some();
        let until = response.extensions_mut().remove::<FreshUntil>();
        // What is over by now has no time left.
        let left = until.map(|FreshUntil(until)| (until - Utc::now()).to_std().unwrap_or_default());
        let class = self.class.filter(|_| is_told && !is_for_staff);
        let Some(class) = class else {
            response
                .headers_mut()
                .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return response;
        };
        if !response.headers().contains_key(ETAG) {
            response = tagged(response).await;
        }
        let is_whole = response.status() == StatusCode::OK;
        let headers = response.headers_mut();
        let cache_control = class.cache_control(self.has_token, left);
        headers.extend(
            HeaderValue::from_str(&cache_control)
                .ok()
                .map(|value| (CACHE_CONTROL, value)),
        );
        headers.insert(VARY, HeaderValue::from_static(VARIES_BY));
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        let is_known = tag.is_some_and(|tag| {
            let plain = tag.trim_start_matches("W/");
            let mut known = self.known_tags.iter();
            known.any(|known| known == plain || known == "*")
        });
        if is_known && is_whole {
            headers.remove(CONTENT_TYPE);
            headers.remove(CONTENT_LENGTH);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
        }
        response
    }
}

/// With a tag of its content, where that is in memory already. What flows is not held up.
async fn tagged(response: Response) -> Response {
    let size = response.body().size_hint().exact();
    if response.status() != StatusCode::OK || size.is_none_or(|size| TAGGED_BYTES_MAX < size) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return Problem::internal().into_response();
    };
    parts
        .headers
        .extend(queries::tag_of(&bytes).map(|tag| (ETAG, tag)));
    Response::from_parts(parts, Body::from(bytes))
}

#[cfg(test)]
#[path = "caching_tests.rs"]
mod tests;
