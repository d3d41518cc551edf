//! One request, from its first byte to its answer: it gets an id, is counted and logged, and has
//! its problem written. The outermost layer, so that nothing leaves without it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

use super::BASE;
use super::metrics;
use super::problem::Problem;

/// Taken or made, echoed, logged, and kept in the events that the request causes.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C trace context; likewise.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Longer ids are somebody's mistake; they would be stored with every event.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// Which request this is.
#[derive(Debug, Clone)]
pub(crate) struct Occurrence {
    pub(crate) request_id: Arc<str>,
    pub(crate) traceparent: Arc<str>,
    pub(crate) path: Arc<str>,
}

/// Wraps every request.
pub(crate) async fn occur<F: Future<Output = Response>>(
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let started_at = Instant::now();
    let occurrence = Occurrence {
        request_id: request_id(request.headers()).into(),
        traceparent: traceparent(request.headers()).into(),
        path: told(request.uri().path()).into(),
    };
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (id, trace) = (&occurrence.request_id, &occurrence.traceparent);
    let span = tracing::info_span!("request", %id, %trace);
    request.extensions_mut().insert(occurrence.clone());

    let mut response = next(request).instrument(span.clone()).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        // Such as Allow, and what is left of the caller's rate.
        let mut told = std::mem::take(response.headers_mut());
        told.remove(axum::http::header::CONTENT_LENGTH);
        response = problem.response(&occurrence);
        response.headers_mut().extend(told);
    }
    for (name, value) in [
        (X_REQUEST_ID, &occurrence.request_id),
        (TRACEPARENT, &occurrence.traceparent),
    ] {
        response
            .headers_mut()
            .extend(HeaderValue::from_str(value).ok().map(|echo| (name, echo)));
    }

    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status().as_u16();
    metrics::count(&method, route, status, started_at.elapsed());
    span.in_scope(|| log(&method, &occurrence.path, status, started_at));
    response
}

/// The path as logs and problems tell it: without whom it names, who may be about to be forgotten.
fn told(path: &str) -> Cow<'_, str> {
    let named = path
        .strip_prefix(BASE)
        .and_then(|rest| rest.strip_prefix("/customers/"));
    match named.map(|named| named.split_once('/')) {
        None => Cow::Borrowed(path),
        Some(Some((_, rest))) => Cow::Owned(format!("{BASE}/customers/-/{rest}")),
        Some(None) => Cow::Owned(format!("{BASE}/customers/-")),
    }
}

/// A target of its own, so that a filter can turn it down: `DAYBOOK_LOG=info,access=warn`.
fn log(method: &Method, path: &str, status: u16, started_at: Instant) {
    let ms = started_at.elapsed().as_millis();
    if status == 429 {
        // Whoever floods us would flood the log; they are counted.
        tracing::debug!(target: "access", status, ms, "{method} {path}");
    } else if 500 <= status {
        tracing::warn!(target: "access", status, ms, "{method} {path}");
    } else {
        tracing::info!(target: "access", status, ms, "{method} {path}");
    }
}

/// The client's own id where it is usable, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let usable = |id: &&str| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
    };
    given
        .filter(usable)
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The trace that the request is part of, or a new one.
fn traceparent(headers: &HeaderMap) -> String {
    let given = headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok());
    given.filter(|text| is_traceparent(text)).map_or_else(
        || format!("00-{:032x}-{:016x}-01", rand::random::<u128>(), rand::random::<u64>()),
        str::to_owned,
    )
}

/// Version 00 of the W3C's form, in which zeros name nothing.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, chars| {
        part.len() == chars && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let names = |part: &str, chars| hex(part, chars) && part.bytes().any(|byte| byte != b'0');
    let parts: Vec<&str> = text.split('-').collect();
    matches!(
        parts.as_slice(),
        ["00", trace, parent, flags] if names(trace, 32) && names(parent, 16) && hex(flags, 2)
    )
}

impl<S: Sync> FromRequestParts<S> for Occurrence {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(Problem::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.clone(), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_usable_request_id_is_kept_and_another_replaced() {
        assert_eq!(request_id(&headers(&X_REQUEST_ID, "shop-17")), "shop-17");
        for unusable in ["", "two words", &"x".repeat(129)] {
            let made = request_id(&headers(&X_REQUEST_ID, unusable));
            assert_eq!(made.parse::<Uuid>().unwrap().get_version_num(), 7, "{unusable:?}");
        }
    }

    #[test]
    fn a_well_formed_traceparent_is_kept_and_another_replaced() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        assert_eq!(traceparent(&headers(&TRACEPARENT, good)), good);
        for bad in [
            "",
            "00-1-2-3",
            zero,
            &good.to_uppercase(),
            &format!("{good}-x"),
        ] {
            let made = traceparent(&headers(&TRACEPARENT, bad));
            assert!(made != bad && is_traceparent(&made), "{bad} became {made}");
        }
    }
}
