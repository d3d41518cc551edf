//! A query as it comes in over HTTP, and its answer: at which position, in which version, and
//! whether the client has it already.

use std::hash::{DefaultHasher, Hasher as _};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::ids::Sku;
use projections::availability::AvailabilityView;
use projections::orders::LookupError;
use projections::{Overloaded, Seat};
use serde::Serialize;
use tokio::time::Instant;

use super::App;
use super::answers::Computed;
use super::command::DAYBOOK_POSITION;
use super::problem::Problem;

const DAYBOOK_MIN_POSITION: HeaderName = HeaderName::from_static("daybook-min-position");
/// Longest wait for a read model: as long as people wait for a page.
pub(crate) const CATCH_UP_MAX: Duration = Duration::from_secs(5);
/// Pause between two looks at the head of the log.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Headers of an answer, with those that the layers around it add.
const HEADERS_COUNT: usize = 8;

/// What a query asks besides its parameters.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    min_position: Option<i64>,
    known_tags: Vec<String>,
}

impl<S: Sync> FromRequestParts<S> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self {
            min_position: min_position(&parts.headers)?,
            known_tags: known_tags(&parts.headers),
        })
    }
}

impl Asking {
    /// The same query, which waits for this position as well.
    pub(crate) fn at_least(mut self, position: i64) -> Self {
        self.min_position = self.min_position.max(Some(position));
        self
    }

    /// The position asked for; 0 if any will do.
    pub(crate) fn min_position(&self) -> i64 {
        self.min_position.unwrap_or(0)
    }

    /// The position that these read models have reached, once it is the one asked for. To be
    /// taken before they are read: they may only be further by then.
    pub(crate) async fn position(&self, app: &App, names: &[&'static str]) -> Result<i64, Problem> {
        let min_position = self.min_position.unwrap_or(0);
        app.read_models
            .wait_for(names, min_position, CATCH_UP_MAX)
            .await
            .map_err(Problem::from)
    }

    /// The same with a seat, to be kept while they are read. Whoever waits for a position keeps
    /// nobody else from a seat.
    pub(crate) async fn seat(
        &self,
        app: &App,
        names: &[&'static str],
    ) -> Result<(i64, Seat), Problem> {
        let position = self.position(app, names).await?;
        Ok((position, app.read_models.seat().await?))
    }

    /// An article from memory, once that has heard of the position asked for; `None` if memory
    /// does not hold it.
    pub(crate) async fn remembered(
        &self,
        app: &App,
        sku: &Sku,
    ) -> Result<Option<AvailabilityView>, Problem> {
        let min_position = self.min_position.unwrap_or(0);
        let known = app.availability.of(sku);
        if known
            .as_ref()
            .is_none_or(|known| min_position <= known.as_of_position)
        {
            return Ok(known);
        }
        app.availability
            .wait_for(min_position, CATCH_UP_MAX)
            .await?;
        Ok(app.availability.of(sku))
    }

    /// The position of the log itself, once it is the one asked for: the log has no lag, but what
    /// the client waits for may just be under way.
    pub(crate) async fn log_position(&self, app: &App) -> Result<i64, Problem> {
        let min_position = self.min_position.unwrap_or(0);
        let until = Instant::now() + CATCH_UP_MAX;
        loop {
            let head = store::log::head(&app.pool).await?;
            if min_position <= head {
                return Ok(head);
            }
            if until <= Instant::now() {
                return Err(Problem::read_model_behind(head));
            }
            tokio::time::sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
        }
    }

    /// Shows one thing whose version covers all there is to see of it.
    pub(crate) fn show_versioned(
        &self,
        position: i64,
        version: i64,
        view: &impl Serialize,
    ) -> Response {
        self.show_tagged(position, &format!("\"{version}\""), body(view))
    }

    /// Shows one thing that also moves with others, as an order does with its payment: the
    /// version alone would call it unchanged, so the tag tells of the content as well.
    pub(crate) fn show_mixed(
        &self,
        position: i64,
        version: i64,
        view: &impl Serialize,
    ) -> Response {
        self.show_text(position, version, body(view))
    }

    /// The same for what is JSON already.
    pub(crate) fn show_text(&self, position: i64, version: i64, json: Vec<u8>) -> Response {
        let tag = format!("\"{version}-{:016x}\"", content_of(&json));
        self.show_tagged(position, &tag, json)
    }

    /// Shows what was computed for this query alone.
    pub(crate) fn show_computed(&self, computed: &Computed) -> Response {
        let response = computed.told();
        let tag = response.headers().get(header::ETAG);
        let is_known = tag.is_some_and(|tag| {
            let mut known = self.known_tags.iter();
            known.any(|known| *tag == *known || known == "*")
        });
        if is_known {
            let tag = tag.cloned();
            return shown(computed.position(), StatusCode::NOT_MODIFIED, tag, Body::empty());
        }
        response
    }

    fn show_tagged(&self, position: i64, tag: &str, body: Vec<u8>) -> Response {
        let known = self
            .known_tags
            .iter()
            .any(|known| *known == tag || known == "*");
        let tag = HeaderValue::from_str(tag).ok();
        let status = if known {
            StatusCode::NOT_MODIFIED
        } else {
            StatusCode::OK
        };
        shown(position, status, tag, body)
    }
}

/// Tells contents apart, and keeps nothing secret. Should another release hash differently, what
/// clients have is sent once more.
fn content_of(json: &[u8]) -> u64 {
    let mut content = DefaultHasher::new();
    content.write(json);
    content.finish()
}

/// The tag of an answer that has no version.
pub(crate) fn tag_of(json: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{:016x}\"", content_of(json))).ok()
}

/// The tag of one thing that also moves with others, as [`Asking::show_mixed`] has it.
pub(crate) fn tag_at(version: i64, json: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{version}-{:016x}\"", content_of(json))).ok()
}

/// Shows what is ready.
pub(crate) fn shown_bytes(position: i64, tag: Option<HeaderValue>, body: Bytes) -> Response {
    shown(position, StatusCode::OK, tag, body)
}

/// Shows a list or a report.
pub(crate) fn show(position: i64, view: &impl Serialize) -> Response {
    shown(position, StatusCode::OK, None, body(view))
}

/// Whether the client names this kind of answer as one that it takes.
pub(crate) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|line| line.to_str().ok());
    accepted.flat_map(|line| line.split(',')).any(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
    })
}

pub(crate) fn body(view: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(view).expect("our views have string keys only")
}

fn shown(
    position: i64,
    status: StatusCode,
    tag: Option<HeaderValue>,
    body: impl Into<Body>,
) -> Response {
    let mut headers = HeaderMap::with_capacity(HEADERS_COUNT);
    headers.insert(DAYBOOK_POSITION, position.into());
    headers.extend(tag.map(|tag| (header::ETAG, tag)));
    let mut response = if status == StatusCode::NOT_MODIFIED {
        Response::default()
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Response::new(body.into())
    };
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl From<LookupError> for Problem {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Overloaded => Overloaded.into(),
            LookupError::Unavailable => Self::unavailable(),
        }
    }
}

impl From<Overloaded> for Problem {
    fn from(_: Overloaded) -> Self {
        Self::overloaded("too many queries are waiting; try again")
    }
}

fn min_position(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(DAYBOOK_MIN_POSITION) else {
        return Ok(None);
    };
    let position = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    match position.filter(|position| 0 <= *position) {
        Some(position) => Ok(Some(position)),
        None => Err(Problem::invalid_header("Daybook-Min-Position", "must be a position")),
    }
}

/// `If-None-Match`; its comparison is the weak one (RFC 9110), so `W/` makes no difference.
pub(crate) fn known_tags(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn knowing(tags: &str) -> Asking {
        let headers =
            HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(tags).unwrap())]);
        Asking { min_position: None, known_tags: known_tags(&headers) }
    }

    #[test]
    fn who_accepts_a_kind_gets_it() {
        for (accept, taken) in [
            ("text/csv", true),
            ("text/html, Text/CSV;q=0.9", true),
            ("application/json", false),
            ("*/*", false),
        ] {
            let value = HeaderValue::from_static(accept);
            let headers = HeaderMap::from_iter([(header::ACCEPT, value)]);
            assert_eq!(accepts(&headers, "text/csv"), taken, "{accept}");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for (tags, status) in [
            ("\"3\"", 304),
            ("\"2\", W/\"3\"", 304),
            ("*", 304),
            ("\"4\"", 200),
            ("3", 200),
        ] {
            let response = knowing(tags).show_versioned(9, 3, &json!({}));
            assert_eq!(response.status(), status, "{tags}");
            assert_eq!(response.headers()[DAYBOOK_POSITION], "9");
            assert_eq!(response.headers()[header::ETAG], "\"3\"");
        }
    }

    #[test]
    fn an_order_that_only_its_payment_moved_is_sent_again() {
        let before = Asking::default().show_mixed(9, 3, &json!({"payment_status": "awaited"}));
        let tag = before.headers()[header::ETAG].to_str().unwrap();

        let asking = knowing(tag);
        let same = asking.show_mixed(9, 3, &json!({"payment_status": "awaited"}));
        let moved = asking.show_mixed(9, 3, &json!({"payment_status": "declined"}));

        assert_eq!((same.status().as_u16(), moved.status().as_u16()), (304, 200));
    }
}
