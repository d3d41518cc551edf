//! A command as it comes in over HTTP: parsed, named by its key, and alone in its turn.
//!
//! 1. What cannot be read is refused before the journal is asked; nothing of it is remembered.
//! 2. Whatever the journal decides is told again, byte for byte, to whoever repeats the request.

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::ids::OrderId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::command::{Answer, Decided, Envelope, ExecuteError, Fingerprint, Receipt, Verdict};
use store::states::Kept;
use uuid::Uuid;

use super::fields::{self, Body};
use super::identity::Caller;
use super::json::{Json, Members};
use super::occurrence::Occurrence;
use super::parameters::Parameters;
use super::problem::{MEDIA_TYPE, Problem};
use super::protection::guesses::Guesser;
use super::turns::Turn;
use super::{App, BASE, json, keys, preferring};

pub(crate) const DAYBOOK_POSITION: HeaderName = HeaderName::from_static("daybook-position");
/// Where the first event of a command is in the log; its others follow up to the position above.
pub(crate) const DAYBOOK_FIRST_POSITION: HeaderName =
    HeaderName::from_static("daybook-first-position");
/// Opens a guest's cart.
pub(crate) const DAYBOOK_CART_TOKEN: HeaderName = HeaderName::from_static("daybook-cart-token");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Headers of a command's answer, with those that are told of every request.
const HEADERS_USUAL: usize = 16;

/// A command with the body `B`.
pub(crate) struct Asked<B> {
    pub(crate) body: B,
    pub(crate) caller: Caller,
    pub(crate) command_id: Uuid,
    pub(crate) occurrence: Occurrence,
    /// How long the client would wait for the outcome.
    pub(crate) wait: Option<std::time::Duration>,
    /// Whether the client would rather be told at once that stock is gone.
    pub(crate) in_stock: bool,
    /// Whose codes are looked at.
    pub(crate) guesser: Guesser,
    fingerprint: Fingerprint,
    expected_version: Option<i64>,
    _turn: Turn,
}

impl<B: Body + Send> FromRequest<App> for Asked<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        let occurrence = Occurrence::from_request_parts(&mut parts, app).await?;
        let command_id = keys::command_id(&parts.headers, caller)?;
        let expected_version = expected_version(&parts.headers)?;
        // No command has any: what one might mean by it must not go unheard.
        Parameters::of(parts.uri.query().unwrap_or_default()).finish()?;
        let bytes = read(body, B::BYTES_MAX).await?;
        let value = parse::<B>(&parts.headers, &bytes)?;
        let body = fields::read(&value, &app.settings.gateways)?;
        let fingerprint = fingerprint(&parts, expected_version, &value);
        drop(value);
        Ok(Self {
            body,
            caller,
            command_id,
            occurrence,
            wait: preferring::wait(&parts.headers),
            in_stock: preferring::in_stock(&parts.headers),
            guesser: Guesser::of(&parts, caller, app),
            fingerprint,
            expected_version,
            _turn: app.turns.take(command_id).await?,
        })
    }
}

/// A command whose body is a file of another kind than JSON, as it came.
pub(crate) async fn asked_with_file(
    request: Request,
    app: &App,
    media_type: &'static str,
    bytes_max: usize,
) -> Result<Asked<Bytes>, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, app).await?;
    let occurrence = Occurrence::from_request_parts(&mut parts, app).await?;
    let command_id = keys::command_id(&parts.headers, caller)?;
    let expected_version = expected_version(&parts.headers)?;
    Parameters::of(parts.uri.query().unwrap_or_default()).finish()?;
    if essence(&parts.headers) != media_type {
        return Err(Problem::not_of_type(media_type));
    }
    let body = read(body, bytes_max).await?;
    let mut digest = Sha256::new();
    for line in [parts.method.as_str(), parts.uri.path(), ""] {
        digest.update(line);
        digest.update("\n");
    }
    digest.update(&body);
    Ok(Asked {
        body,
        caller,
        command_id,
        occurrence,
        wait: None,
        in_stock: false,
        guesser: Guesser::of(&parts, caller, app),
        fingerprint: digest.finalize().into(),
        expected_version,
        _turn: app.turns.take(command_id).await?,
    })
}

impl<B> Asked<B> {
    /// The envelope of one of several commands that this request comes to: named by its step, so
    /// that a repetition meets the receipts of the first.
    pub(crate) fn step(&self, step: &str) -> Envelope {
        Envelope {
            command_id: Uuid::new_v5(&self.command_id, step.as_bytes()),
            expected_version: None,
            ..self.alone()
        }
    }

    /// The envelope of a command about an order or its payment.
    pub(crate) fn about(&self, order_id: OrderId) -> Envelope {
        Envelope { correlation_id: order_id.0, ..self.alone() }
    }

    /// The envelope of a command that belongs to nothing else.
    pub(crate) fn alone(&self) -> Envelope {
        Envelope {
            command_id: self.command_id,
            fingerprint: self.fingerprint,
            correlation_id: self.command_id,
            causation_id: None,
            actor: self.caller.to_string(),
            request_id: Some(self.occurrence.request_id.to_string()),
            traceparent: Some(self.occurrence.traceparent.to_string()),
            reason: None,
            expected_version: self.expected_version,
        }
    }

    /// Words the answer to a decision: `view` says what an accepted command has come to.
    pub(crate) fn wording<'a, A: Kept, V: Serialize>(
        &'a self,
        status: StatusCode,
        view: impl Fn(Accepted<'_, A>) -> V + Send + Sync + 'a,
    ) -> impl Fn(Decided<'_, A>) -> Option<Answer> + Send + Sync + 'a
    where
        B: Sync,
        Problem: for<'r> From<&'r A::Error>,
    {
        move |decided| {
            Some(match decided {
                Decided::Accepted { state, version, events } => {
                    answer(status, &view(Accepted { state, version, events }))
                }
                Decided::Refused(refusal) => Problem::from(refusal).answer(&self.occurrence),
                Decided::VersionMismatch { expected, actual } => {
                    Problem::version_mismatch(expected, actual).answer(&self.occurrence)
                }
            })
        }
    }

    /// What the first request with this key was answered, if this is a repetition. To be asked
    /// where the world is looked at before the journal is.
    pub(crate) async fn told_before(&self, app: &App) -> Result<Option<Response>, Problem> {
        let receipt = app
            .journal
            .receipt::<Value>(self.command_id, &self.fingerprint)
            .await?;
        Ok(receipt.map(respond))
    }

    /// Says no for a reason that no aggregate knows of, now and whenever the request is repeated.
    pub(crate) async fn turn_away(
        &self,
        app: &App,
        envelope: Envelope,
        problem: &Problem,
    ) -> Result<Response, Problem> {
        self.remember(app, envelope, problem.answer(&self.occurrence))
            .await
    }

    /// Keeps that something was made, and its name alone: what is personal about it must be deletable,
    /// and a receipt is not. To be told with [`telling`].
    pub(crate) async fn remember_name(&self, app: &App, id: Uuid) -> Result<Response, Problem> {
        let name = answer(StatusCode::CREATED, &serde_json::json!({"id": id}));
        self.remember(app, self.alone(), name).await
    }

    /// Keeps an answer that no aggregate gave, and gives it.
    pub(crate) async fn remember(
        &self,
        app: &App,
        envelope: Envelope,
        answer: Answer,
    ) -> Result<Response, Problem> {
        Ok(respond(app.journal.turn_away(envelope, answer).await?))
    }
}

/// What an accepted command has come to, before it is committed.
pub(crate) struct Accepted<'a, A: Kept> {
    pub(crate) state: &'a A,
    pub(crate) version: i64,
    pub(crate) events: &'a [A::Event],
}

/// The answer that is kept with the receipt.
pub(crate) fn answer(status: StatusCode, view: &impl Serialize) -> Answer {
    let body = serde_json::to_string(view).expect("our views have string keys only");
    Answer { status: status.as_u16(), body }
}

/// Tells of what was made under a name that a receipt keeps, as it is by now.
pub(crate) fn telling(kept: Response, view: &impl Serialize) -> Response {
    let (parts, _name) = kept.into_parts();
    let body = serde_json::to_vec(view).expect("our views have string keys only");
    Response::from_parts(parts, HttpBody::from(body))
}

/// Tells the journal's word on a command, the first time or again.
pub(crate) fn respond<R>(receipt: Receipt<R>) -> Response {
    let corrupt = || {
        let why = "the receipt of an HTTP command holds no answer".to_owned();
        Problem::from(ExecuteError::Corrupt(why)).into_response()
    };
    let Some(answer) = receipt.answer else {
        return corrupt();
    };
    let Ok(status) = StatusCode::from_u16(answer.status) else {
        return corrupt();
    };

    let media_type = if status.is_success() {
        "application/json"
    } else {
        MEDIA_TYPE
    };
    // Written where it stays: headers that are told from a tuple are first collected elsewhere.
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(HEADERS_USUAL);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(DAYBOOK_POSITION, receipt.last_position.into());
    if matches!(receipt.verdict, Verdict::Accepted) && 0 < receipt.first_position {
        headers.insert(DAYBOOK_FIRST_POSITION, receipt.first_position.into());
    }
    if receipt.replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    if status.is_success() {
        headers.extend(
            version_of(&answer.body)
                .and_then(etag)
                .map(|tag| (header::ETAG, tag)),
        );
    }
    // What no aggregate gave has no place that is known here.
    if status == StatusCode::CREATED && receipt.aggregate_type != "none" {
        let place = format!("{BASE}/{}s/{}", receipt.aggregate_type, receipt.aggregate_id);
        headers.extend(
            HeaderValue::from_str(&place)
                .ok()
                .map(|place| (header::LOCATION, place)),
        );
    }
    *response.body_mut() = answer.body.into();
    response
}

/// A version as an entity tag.
pub(crate) fn etag(version: i64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{version}\"")).ok()
}

fn version_of(body: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Versioned {
        version: i64,
    }
    serde_json::from_str::<Versioned>(body)
        .ok()
        .map(|view| view.version)
}

/// `If-Match: "<version>"`; what follows the version in the tag of a view tells of its content,
/// which commands do not act on.
fn expected_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let tag = value.to_str().ok().filter(|_| values.next().is_none());
    let inner = tag.and_then(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"'));
    let version = inner.and_then(|tag| tag.split('-').next());
    let plain = version.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match plain.and_then(|digits| digits.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(Problem::invalid_header("If-Match", "must be one version, such as \"3\"")),
    }
}

/// Of all that makes one request another than the next.
fn fingerprint(parts: &Parts, expected_version: Option<i64>, value: &Json<'_>) -> Fingerprint {
    let version = expected_version.map_or_else(String::new, |version| version.to_string());
    let mut digest = Sha256::new();
    for line in [parts.method.as_str(), parts.uri.path(), &version] {
        digest.update(line);
        digest.update("\n");
    }
    digest.update(json::canonical(value));
    // Guests share their keys, and the same words about another cart are another request.
    if let Some(token) = parts.headers.get(DAYBOOK_CART_TOKEN) {
        digest.update("\n");
        digest.update(token);
    }
    digest.finalize().into()
}

/// A body by itself.
pub(crate) async fn read_body<B: Body>(
    headers: &HeaderMap,
    body: HttpBody,
    gateways: &[String],
) -> Result<B, Problem> {
    let bytes = read(body, B::BYTES_MAX).await?;
    fields::read(&parse::<B>(headers, &bytes)?, gateways)
}

fn parse<'b, B: Body>(headers: &HeaderMap, bytes: &'b [u8]) -> Result<Json<'b>, Problem> {
    if bytes.is_empty() && B::OPTIONAL {
        return Ok(Json::Object(Members::default()));
    }
    if !is_json(headers) {
        return Err(Problem::not_json());
    }
    json::parse(bytes).map_err(|error| Problem::malformed_json(error.to_string()))
}

pub(crate) async fn read(body: HttpBody, bytes_max: usize) -> Result<Bytes, Problem> {
    let bytes = axum::body::to_bytes(body, bytes_max).await;
    bytes.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        if too_large {
            Problem::too_large(bytes_max)
        } else {
            Problem::malformed_json("the body broke off")
        }
    })
}

/// What a body is said to be, without parameters.
fn essence(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// `application/json` or `application/<something>+json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn receipt(status: u16, body: &str) -> Receipt<()> {
        Receipt {
            verdict: store::command::Verdict::Accepted,
            aggregate_type: "order".into(),
            aggregate_id: "0192".into(),
            version: 1,
            first_position: 7,
            last_position: 8,
            answer: Some(Answer { status, body: body.into() }),
            replayed: false,
        }
    }

    #[test]
    fn an_expected_version_is_a_strong_tag() {
        let of = |value| expected_version(&headers(header::IF_MATCH, value));
        assert_eq!(of("\"3\"").unwrap(), Some(3));
        assert_eq!(of("\"3-0a1b2c3d\"").unwrap(), Some(3));
        assert_eq!(expected_version(&HeaderMap::new()).unwrap(), None);
        for bad in [
            "3",
            "W/\"3\"",
            "*",
            "\"3\", \"4\"",
            "\"-1\"",
            "\"\"",
            "\"99999999999999999999\"",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_calls_itself_json_is_read() {
        for (value, is) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            assert_eq!(is_json(&headers(header::CONTENT_TYPE, value)), is, "{value}");
        }
    }

    #[test]
    fn a_creation_says_where_it_is_and_an_etag_which_version() {
        let response = respond(receipt(201, r#"{"id":"0192","version":1}"#));

        let header = |name: &str| response.headers()[name].to_str().unwrap();
        assert_eq!(header("location"), "/api/v1/orders/0192");
        assert_eq!((header("etag"), header("daybook-position")), ("\"1\"", "8"));
        assert_eq!(header("daybook-first-position"), "7");
        assert!(!response.headers().contains_key(IDEMPOTENT_REPLAYED));
    }

    #[test]
    fn a_repetition_says_that_it_is_one() {
        let again = Receipt { replayed: true, ..receipt(409, "{}") };

        let response = respond(again);

        assert_eq!(response.headers()[IDEMPOTENT_REPLAYED], "true");
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
    }

    #[tokio::test]
    async fn a_body_has_a_bound() {
        let refused = read(HttpBody::from(vec![b' '; 11]), 10).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(
            read(HttpBody::from(vec![b' '; 10]), 10)
                .await
                .unwrap()
                .len(),
            10
        );
    }
}
