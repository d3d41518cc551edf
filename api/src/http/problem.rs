//! What is wrong with a request, told as RFC 9457 has it: a stable code for programs, a sentence
//! for people, never a cause. The only place that writes `application/problem+json`.
//!
//! A handler returns a [`Problem`]; [`super::occurrence`] writes it, because only there is it known
//! which request it belongs to. Problems that the journal remembers are written before the commit,
//! by [`Problem::answer`].

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use projections::{DropError, RebuildRefused, UntilError, WaitError};
use serde_json::{Map, Value, json};
use store::command::{Answer, ExecuteError};

use super::command::DAYBOOK_POSITION;
use super::occurrence::Occurrence;

/// When it is worth another try where no payment provider is reached: half of the pause after which
/// one is tried again.
const GATEWAYS_AWAY_FOR: Duration = Duration::from_secs(15);

/// Media type of every body written here.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// One field, parameter or header that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Where: an RFC 6901 pointer into the body, `?name` for a query parameter, or the name of a
    /// header.
    pub(crate) pointer: String,
    /// What, as the rest of a sentence about it.
    pub(crate) detail: String,
}

/// Why a request is not answered as hoped.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    flaws: Vec<Flaw>,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Every status that a problem can have, for the table of refusals and nobody else.
impl Problem {
    /// Whether it may be gone when the same is asked again.
    pub(crate) fn is_accident(&self) -> bool {
        self.status.is_server_error()
    }

    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, code, detail, flaws: vec![], members: vec![], headers: vec![] }
    }

    pub(crate) fn with_flaws(mut self, flaws: Vec<Flaw>) -> Self {
        self.flaws = flaws;
        self
    }

    pub(crate) fn with_member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    pub(crate) fn with_value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Tells when to try again.
    pub(crate) fn after(mut self, pause: Duration) -> Self {
        self.headers
            .push((header::RETRY_AFTER, pause.as_secs().max(1).into()));
        self
    }

    /// Tells how far what was looked at has read the log.
    pub(crate) fn at(mut self, position: i64) -> Self {
        self.headers.push((DAYBOOK_POSITION, position.into()));
        self
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Everything that is wrong, for whoever asks without HTTP.
    pub(crate) fn sentence(&self) -> String {
        let flaws = self.flaws.iter();
        let flaws = flaws.map(|flaw| format!("; {} {}", flaw.pointer, flaw.detail));
        format!("{}{}", self.detail, flaws.collect::<String>())
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn header_text(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(of, _)| of == name);
        header.map_or("", |(_, value)| value.to_str().unwrap())
    }

    /// The body, as told to one request.
    pub(crate) fn body(&self, occurrence: &Occurrence) -> String {
        let mut body = Map::new();
        body.insert("type".into(), format!("urn:daybook:problem:{}", self.code).into());
        body.insert("title".into(), title_of(self.code).into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("detail".into(), self.detail.as_str().into());
        body.insert("instance".into(), occurrence.path.as_ref().into());
        body.insert("code".into(), self.code.into());
        body.insert("request_id".into(), occurrence.request_id.as_ref().into());
        if !self.flaws.is_empty() {
            let errors = self
                .flaws
                .iter()
                .map(|flaw| json!({"pointer": flaw.pointer, "detail": flaw.detail}))
                .collect();
            body.insert("errors".into(), Value::Array(errors));
        }
        for (name, value) in &self.members {
            body.insert((*name).into(), value.clone());
        }
        Value::Object(body).to_string()
    }

    /// The same, for the journal to remember.
    pub(crate) fn answer(&self, occurrence: &Occurrence) -> Answer {
        Answer { status: self.status.as_u16(), body: self.body(occurrence) }
    }

    /// The response to one request.
    pub(crate) fn response(&self, occurrence: &Occurrence) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (self.status, headers, self.body(occurrence)).into_response();
        response.headers_mut().extend(self.headers.iter().cloned());
        response
    }
}

/// `order_not_paid` in words.
fn title_of(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut chars = words.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Carries the problem to [`super::occurrence`], which writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Problems that have nothing to do with the business.
impl Problem {
    pub(crate) fn malformed_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
    }

    pub(crate) fn invalid_parameters(flaws: Vec<Flaw>) -> Self {
        let detail = "some parameters of the address cannot be read";
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameters", detail).with_flaws(flaws)
    }

    pub(crate) fn invalid_header(name: &str, detail: impl Into<String>) -> Self {
        let flaw = Flaw { pointer: name.to_owned(), detail: detail.into() };
        let detail = format!("the header {name} cannot be read");
        Self::new(StatusCode::BAD_REQUEST, "invalid_header", detail).with_flaws(vec![flaw])
    }

    pub(crate) fn key_missing() -> Self {
        let detail = "send an Idempotency-Key header: the same key for the same request, and a \
            new one for a new request";
        Self::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail)
    }

    pub(crate) fn unauthenticated(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            .with_header(header::WWW_AUTHENTICATE, "Bearer")
    }

    pub(crate) fn not_let_in(code: &'static str, why: &accounts::Error) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, why.to_string())
            .with_header(header::WWW_AUTHENTICATE, "Bearer")
    }

    pub(crate) fn forbidden(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(crate) fn staff_only_fields(pointers: Vec<String>) -> Self {
        let flaw = |pointer| Flaw { pointer, detail: "only staff may give this".into() };
        let detail = "this is given by staff only";
        Self::new(StatusCode::FORBIDDEN, "staff_only_fields", detail)
            .with_flaws(pointers.into_iter().map(flaw).collect())
    }

    /// The member is the one of the problem type `quota-exceeded` of
    /// draft-ietf-httpapi-ratelimit-headers-11.
    pub(crate) fn too_many_requests(policy: &str, detail: String) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
            .with_member("violated-policies", vec![policy])
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "this address does not know this method; see the Allow header";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let detail = format!("the body may have {bytes_max} bytes at most");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    pub(crate) fn not_json() -> Self {
        let detail = "send the body as JSON, with Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    pub(crate) fn not_of_type(media_type: &str) -> Self {
        let detail = format!("send the body with Content-Type: {media_type}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    pub(crate) fn invalid_fields(flaws: Vec<Flaw>) -> Self {
        let detail = "some fields are missing or wrong";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", detail).with_flaws(flaws)
    }

    pub(crate) fn version_mismatch(expected: i64, actual: i64) -> Self {
        let detail = format!("version {expected} was expected, but it is at version {actual}");
        Self::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", detail)
            .with_member("expected", expected)
            .with_member("actual", actual)
    }

    pub(crate) fn read_model_behind(reached: i64) -> Self {
        let detail = "the read model has not reached the position that Daybook-Min-Position names";
        Self::for_later("read_model_behind", detail)
            .with_member("position", reached)
            .at(reached)
    }

    /// Whoever asks again within a minute is told.
    pub(crate) fn not_sealed_yet(sealed: i64) -> Self {
        let detail = "no signed head covers this event yet";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_sealed_yet", detail)
            .with_header(header::RETRY_AFTER, "10")
            .with_member("sealed", sealed)
    }

    pub(crate) fn timeout() -> Self {
        Self::for_later("timeout", "this took too long; repeat it under the same key")
    }

    pub(crate) fn still_running() -> Self {
        let detail = "the first request with this key is still running; repeat it under this key";
        Self::for_later("still_running", detail)
    }

    pub(crate) fn overloaded(detail: &str) -> Self {
        Self::for_later("overloaded", detail)
    }

    pub(crate) fn too_many_commands() -> Self {
        Self::overloaded("too many commands are under way; try again")
    }

    /// More orders are placed than carried through.
    pub(crate) fn orders_wait() -> Self {
        Self::overloaded("too many orders wait to be carried through; place this one again later")
    }

    /// No payment provider that could be asked is reached.
    pub(crate) fn gateways_away() -> Self {
        let detail = "no payment provider that takes this is reached at the moment; try again, or \
            choose another payment_method";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "gateways_away", detail).after(GATEWAYS_AWAY_FOR)
    }

    pub(crate) fn unavailable() -> Self {
        Self::for_later("unavailable", "try again; repeat a command under the same key")
    }

    pub(crate) fn internal() -> Self {
        let detail = "this is our fault and has been logged; mention the request id to us";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    fn for_later(code: &'static str, detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .with_header(header::RETRY_AFTER, "1")
    }

    /// An accident on our side: logged here, once; the client learns that trying again may help.
    pub(crate) fn accident(doing: &'static str, cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = cause, "cannot {doing}");
        Self::unavailable()
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::KeyReused => {
                let detail = "this Idempotency-Key was used for another request; use a new one";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail)
            }
            ExecuteError::Conflict { expected, actual, .. } => {
                let detail = "it keeps changing; read it again, then decide";
                Self::new(StatusCode::CONFLICT, "conflict", detail)
                    .with_member("expected", expected)
                    .with_member("actual", actual)
                    .with_header(header::RETRY_AFTER, "1")
            }
            ExecuteError::Overloaded => Self::too_many_commands(),
            ExecuteError::Unavailable(_) => Self::accident("ask the journal", &error),
            ExecuteError::Corrupt(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the journal is damaged");
                Self::internal()
            }
        }
    }
}

impl From<projections::Error> for Problem {
    fn from(error: projections::Error) -> Self {
        Self::accident("answer a query", &error)
    }
}

impl From<store::log::Error> for Problem {
    fn from(error: store::log::Error) -> Self {
        Self::accident("read the log", &error)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::accident("ask the database", &error)
    }
}

impl From<WaitError> for Problem {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Behind { reached, .. } => Self::read_model_behind(reached),
            WaitError::Database(error) => error.into(),
        }
    }
}

impl From<RebuildRefused> for Problem {
    fn from(refused: RebuildRefused) -> Self {
        let (status, code) = match &refused {
            RebuildRefused::Unknown { .. } => (StatusCode::NOT_FOUND, "not_found"),
            RebuildRefused::AlreadyRunning { .. } => (StatusCode::CONFLICT, "already_rebuilding"),
            RebuildRefused::NotRunning { .. } => (StatusCode::CONFLICT, "not_rebuilding"),
        };
        Self::new(status, code, refused.to_string())
    }
}

impl From<UntilError> for Problem {
    fn from(error: UntilError) -> Self {
        match error {
            UntilError::Ahead { .. } | UntilError::BeforeAll(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not_in_the_log", error.to_string())
            }
            UntilError::Log(error) => error.into(),
        }
    }
}

impl From<DropError> for Problem {
    fn from(error: DropError) -> Self {
        match error {
            DropError::Refused(refused) => refused.into(),
            DropError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurrence(request_id: &str, path: &str) -> Occurrence {
        Occurrence { request_id: request_id.into(), traceparent: "".into(), path: path.into() }
    }

    #[test]
    fn a_problem_tells_code_request_and_every_flaw() {
        let flaw = Flaw { pointer: "/items/0/sku".into(), detail: "is missing".into() };
        let problem = Problem::invalid_fields(vec![flaw]);
        let occurrence = occurrence("r-1", "/api/v1/orders");

        let body: Value = serde_json::from_str(&problem.body(&occurrence)).unwrap();

        assert_eq!(
            body,
            json!({
                "type": "urn:daybook:problem:invalid_fields",
                "title": "Invalid fields",
                "status": 422,
                "detail": "some fields are missing or wrong",
                "instance": "/api/v1/orders",
                "code": "invalid_fields",
                "request_id": "r-1",
                "errors": [{"pointer": "/items/0/sku", "detail": "is missing"}],
            })
        );
    }

    #[test]
    fn the_cause_of_an_accident_stays_with_us() {
        let error = ExecuteError::Unavailable("password of db1 rejected".into());

        let body = Problem::from(error).body(&occurrence("r", "/"));

        assert!(!body.contains("password"), "{body}");
    }
}
