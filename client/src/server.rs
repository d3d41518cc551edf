//! One running server over HTTP: asks and commands, with patience.
//!
//! 1. A command is sent again only under its own idempotency key, so that again is never twice.
//! 2. "Later" (429, 502, 503, 504, or no connection) is waited out for [`PATIENCE`] per request.
//! 3. 401 and 403 end everything: no other request would fare better.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::patience::Patience;
use crate::{Connection, Error, Problem};

/// Outlasts a restart of the server and of its database; a longer absence needs a person.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// Above the 30 seconds that an order may be waited for, so that a timeout means a lost answer.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// The longest stream: a year of a large shop's payments.
const STREAM_WITHIN: Duration = Duration::from_hours(12);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A 500 that comes back this often under the same key is no accident.
const INTERNAL_TRIES_MAX: u32 = 3;

/// A server, and who we are to it.
#[derive(Debug)]
pub(crate) struct Server {
    http: reqwest::Client,
    base: Url,
    patience: Duration,
    waiting: AtomicU64,
    repeats: AtomicU64,
}

/// Something to change.
#[derive(Debug)]
pub(crate) struct Command<'a, B> {
    pub(crate) method: Method,
    /// Below `/api/v1`, not yet encoded.
    pub(crate) path: &'a [&'a str],
    pub(crate) key: &'a str,
    pub(crate) body: &'a B,
}

/// What became of a command.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// It is done.
    Done(T),
    /// It had been done before under this key; this is the first answer again.
    AlreadyDone(T),
    /// It will not be done.
    Refused(Problem),
}

struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Server {
    /// Prepares connections, without making one.
    pub(crate) fn new(connection: &Connection, patience: Duration) -> Result<Self, Error> {
        let base = base_of(&connection.url)?;
        let token = connection.staff_token()?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Error::UnsendableToken)?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, bearer)]);

        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Someone else may install one at this very moment; either will do.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let mut http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("daybook/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .tcp_nodelay(true);
        if base.host_str().is_some_and(is_this_machine) {
            // A company's proxy cannot reach the desk it is configured on.
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| Error::NoClient(reason_of(&error)))?;
        Ok(Self { http, base, patience, waiting: AtomicU64::new(0), repeats: AtomicU64::new(0) })
    }

    /// Requests that wait for the server to be well again.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Requests that had to be sent again so far.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// Asks, and fails at once when nobody is there: to be used first.
    pub(crate) async fn greet<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Error> {
        let request = self.request(Method::GET, path);
        match self.http.execute(request).await {
            Err(error) if error.is_connect() => {
                Err(Error::Unreachable { url: self.base.to_string(), reason: reason_of(&error) })
            }
            Err(_) | Ok(_) => self.ask(path).await,
        }
    }

    /// Asks for something that has to be there.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Error> {
        match self.look_up(path).await? {
            Ok(body) => Ok(body),
            Err(problem) => {
                Err(Error::Refused { what: format!("show {}", path.join("/")), problem })
            }
        }
    }

    /// Asks for something that may not be there.
    pub(crate) async fn look_up<T: DeserializeOwned>(
        &self,
        path: &[&str],
    ) -> Result<Result<T, Problem>, Error> {
        let received = self.send(self.request(Method::GET, path)).await?;
        if received.status.is_success() {
            return self.parse(&received.body).map(Ok);
        }
        Ok(Err(Problem::read(received.status.as_u16(), &received.body)))
    }

    /// Changes something.
    pub(crate) async fn command<B: Serialize, T: DeserializeOwned>(
        &self,
        command: Command<'_, B>,
    ) -> Result<Answer<T>, Error> {
        self.execute(command, HeaderMap::new()).await
    }

    /// Changes something, and waits for what comes of it as long as the contract allows.
    pub(crate) async fn command_and_wait<B: Serialize, T: DeserializeOwned>(
        &self,
        command: Command<'_, B>,
    ) -> Result<Answer<T>, Error> {
        let prefer = HeaderValue::from_static("wait=30");
        let extra =
            HeaderMap::from_iter([(reqwest::header::HeaderName::from_static("prefer"), prefer)]);
        self.execute(command, extra).await
    }

    /// Sends what is answered in a long stream, once: whoever asks again knows better what is left.
    pub(crate) async fn stream(
        &self,
        what: &str,
        path: &[&str],
        query: &[(&str, &str)],
        content_type: &'static str,
        body: Option<Vec<u8>>,
    ) -> Result<reqwest::Response, Error> {
        let mut request = self.request(Method::POST, path);
        request.url_mut().query_pairs_mut().extend_pairs(query);
        // The stream has a timeout for each of its lines instead.
        *request.timeout_mut() = Some(STREAM_WITHIN);
        if let Some(body) = body {
            let headers = request.headers_mut();
            headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            *request.body_mut() = Some(body.into());
        }
        let response = self
            .http
            .execute(request)
            .await
            .map_err(|error| Error::Unreachable {
                url: self.base.to_string(),
                reason: reason_of(&error),
            })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        let problem = Problem::read(status.as_u16(), &body);
        Err(match status {
            StatusCode::UNAUTHORIZED => Error::UnknownToken { detail: problem.to_string() },
            StatusCode::FORBIDDEN => Error::NotStaff { detail: problem.to_string() },
            _ => Error::Refused { what: what.to_owned(), problem },
        })
    }

    async fn execute<B: Serialize, T: DeserializeOwned>(
        &self,
        command: Command<'_, B>,
        extra: HeaderMap,
    ) -> Result<Answer<T>, Error> {
        let mut request = self.request(command.method, command.path);
        let headers = request.headers_mut();
        headers.extend(extra);
        headers.insert(
            "idempotency-key",
            HeaderValue::from_str(command.key).expect("keys are made of visible ASCII only"),
        );
        headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = serde_json::to_vec(command.body).expect("our bodies have string keys only");
        *request.body_mut() = Some(body.into());

        let received = self.send(request).await?;
        if !received.status.is_success() {
            return Ok(Answer::Refused(Problem::read(received.status.as_u16(), &received.body)));
        }
        let body = self.parse(&received.body)?;
        let replayed = received.headers.get("idempotent-replayed");
        if replayed.is_some_and(|value| value.as_bytes() == b"true") {
            Ok(Answer::AlreadyDone(body))
        } else {
            Ok(Answer::Done(body))
        }
    }

    /// Sends until there is an answer that another try would not change.
    async fn send(&self, request: Request) -> Result<Received, Error> {
        let mut patience = Patience::new(self.patience);
        let mut internal_tries = 1;
        loop {
            let again = request.try_clone().expect("bodies are bytes in memory");
            let (reason, asked) = match self.attempt(again).await {
                Ok(received) => match received.status {
                    StatusCode::UNAUTHORIZED => {
                        return Err(Error::UnknownToken { detail: received.detail() });
                    }
                    StatusCode::FORBIDDEN => {
                        return Err(Error::NotStaff { detail: received.detail() });
                    }
                    StatusCode::INTERNAL_SERVER_ERROR if internal_tries < INTERNAL_TRIES_MAX => {
                        internal_tries += 1;
                        (received.detail(), None)
                    }
                    _ if received.is_for_later() => (received.detail(), received.retry_after()),
                    _ => return Ok(received),
                },
                Err(error) => (reason_of(&error), None),
            };
            let Some(pause) = patience.after_failure(Instant::now(), asked) else {
                return Err(self.gave_up(reason));
            };
            self.repeats.fetch_add(1, Ordering::Relaxed);
            self.waiting.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Asks for an answer that is read while it arrives, with patience until it begins. Fails at
    /// once when nobody is there at the `first` request.
    pub(crate) async fn open(&self, request: Request, first: bool) -> Result<Response, Error> {
        let mut patience = Patience::new(self.patience);
        loop {
            let again = request.try_clone().expect("bodies are bytes in memory");
            let (reason, asked) = match self.http.execute(again).await {
                Ok(response) if !is_for_later(response.status(), response.headers()) => {
                    return Ok(response);
                }
                Ok(response) => {
                    let asked = retry_after(response.headers());
                    (response.status().to_string(), asked)
                }
                Err(error) if first && error.is_connect() => {
                    let (url, reason) = (self.base.to_string(), reason_of(&error));
                    return Err(Error::Unreachable { url, reason });
                }
                Err(error) => (reason_of(&error), None),
            };
            let Some(pause) = patience.after_failure(Instant::now(), asked) else {
                return Err(self.gave_up(reason));
            };
            tokio::time::sleep(pause).await;
        }
    }

    pub(crate) fn gave_up(&self, reason: String) -> Error {
        let seconds = self.patience.as_secs();
        Error::GaveUp { url: self.base.to_string(), seconds, reason }
    }

    async fn attempt(&self, request: Request) -> Result<Received, reqwest::Error> {
        let response = self.http.execute(request).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.bytes().await?.into();
        Ok(Received { status, headers, body })
    }

    pub(crate) fn request(&self, method: Method, path: &[&str]) -> Request {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        Request::new(method, url)
    }

    fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Error> {
        // An answer without a body is as good as one that says nothing.
        let body = if body.is_empty() { b"null" } else { body };
        serde_json::from_slice(body).map_err(|error| Error::NotDaybook {
            url: self.base.to_string(),
            reason: error.to_string(),
        })
    }
}

impl Received {
    fn is_for_later(&self) -> bool {
        is_for_later(self.status, &self.headers)
    }

    fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    fn detail(&self) -> String {
        Problem::read(self.status.as_u16(), &self.body).to_string()
    }
}

/// A conflict counts only when the server says that trying again helps.
fn is_for_later(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => true,
        StatusCode::CONFLICT => headers.contains_key(RETRY_AFTER),
        _ => false,
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

fn base_of(text: &str) -> Result<Url, Error> {
    let bad = |reason: &str| Error::BadUrl { url: text.to_owned(), reason: reason.to_owned() };
    let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it does not begin with http:// or https://"));
    }
    if !url.has_host() {
        return Err(bad("it names no host"));
    }
    Ok(url)
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The innermost cause: "connection refused" rather than "error sending request".
pub(crate) fn reason_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, Error> {
        let connection =
            Connection { url: url.into(), token: Some("t".into()), data_dir: ".".into() };
        Server::new(&connection, PATIENCE)
    }

    #[test]
    fn odd_stock_codes_stay_one_path_segment() {
        let server = server("http://127.0.0.1:1/").unwrap();

        let request = server.request(Method::PUT, &["products", "BANK CHARGES/a?b#c%£"]);

        let path = "/api/v1/products/BANK%20CHARGES%2Fa%3Fb%23c%25%C2%A3";
        assert_eq!(request.url().path(), path);
    }

    #[test]
    fn a_server_may_live_below_a_path() {
        let server = server("http://127.0.0.1:1/daybook/").unwrap();

        assert_eq!(server.request(Method::GET, &["orders"]).url().path(), "/daybook/api/v1/orders");
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for text in [
            "",
            "127.0.0.1:8080",
            "localhost:8080",
            "ftp://host",
            "unix:/tmp/x",
        ] {
            assert!(matches!(server(text), Err(Error::BadUrl { .. })), "{text}");
        }
    }
}
