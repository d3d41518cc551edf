//! The one HTTP client of all providers.
//!
//! It tells apart what certainly did nothing from what may have acted, and lets neither an address
//! nor a secret into an error or a log: some providers have their passwords in addresses, and what
//! a provider says about a request may repeat what was in it. So secrets are taken out of an answer
//! before anybody reads it: whatever becomes of it, as a reason, an error or a row, has none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use crate::gateway::CallError;
use crate::secret::Secret;
use crate::settings::under;

/// A provider that cannot be reached within this time is not reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer in bytes: a page of a list is some hundred kilobytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Secrets kept out of answers, in all their forms: those of the settings, and the last few tokens.
const SECRETS_MAX: usize = 64;
/// What is shorter is taken for a word that answers consist of, and is taken out of errors only.
const SECRET_BYTES_MIN: usize = 6;
/// Characters of a provider's own words that go into an error.
const WORDS_CHARS_MAX: usize = 300;

/// Speaks HTTP with one provider.
#[derive(Clone)]
pub(crate) struct Http {
    gateway: &'static str,
    client: Client,
    /// What nothing may repeat.
    secrets: Secrets,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    gateway: &'static str,
    pub(crate) status: StatusCode,
    /// Without secrets.
    body: Vec<u8>,
    /// As it came in, where it is another.
    whole: Option<Vec<u8>>,
    secrets: Secrets,
}

/// What nothing may repeat, the newest last.
#[derive(Clone, Default)]
struct Secrets(Arc<Mutex<Vec<Secret>>>);

impl Secrets {
    fn add(&self, secret: &Secret) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if SECRETS_MAX <= secrets.len() {
            // Those of the settings came first and stay.
            let oldest = SECRETS_MAX / 2;
            secrets.drain(oldest..oldest + FORMS);
        }
        secrets.extend(forms(secret.reveal()).map(Secret::new));
    }

    /// Those of at least so many bytes.
    fn taken_out_of(&self, text: &str, bytes_min: usize) -> String {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |text: &String, secret: &Secret| {
            bytes_min <= secret.reveal().len() && text.contains(secret.reveal())
        };
        secrets.iter().fold(text.to_owned(), |text, secret| {
            if told(&text, secret) {
                text.replace(secret.reveal(), "[secret]")
            } else {
                text
            }
        })
    }
}

const FORMS: usize = 4;

/// A secret as it is, as it stands in an address, and in JSON of either way to write a slash.
fn forms(secret: &str) -> [String; FORMS] {
    let quoted = serde_json::Value::from(secret).to_string();
    let quoted = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(secret)
        .to_owned();
    let slashed = quoted.replace('/', "\\/");
    let encoded = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [secret.to_owned(), encoded, quoted, slashed]
}

impl Http {
    pub(crate) fn new(gateway: &'static str, timeout: Duration, secrets: &[&Secret]) -> Self {
        let kept = Secrets::default();
        for secret in secrets {
            kept.add(secret);
        }
        // Whoever came first has installed the same one.
        let _there = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            // A redirected command would become a query, or go where nobody meant it to.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("daybook/", env!("CARGO_PKG_VERSION")))
            .build()
            .expect("the client has nothing in it that could be wrong");
        Self { gateway, client, secrets: kept }
    }

    /// Nor may anything repeat this, which was not known at the start.
    pub(crate) fn keep_secret(&self, secret: &Secret) {
        self.secrets.add(secret);
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A request to an address of the provider's, from whoever has this key.
    pub(crate) fn request(
        &self,
        method: Method,
        base: &Url,
        path: &str,
        key: &Secret,
    ) -> RequestBuilder {
        let request = self.client.request(method, under(base, path));
        request.bearer_auth(key.reveal())
    }

    /// Sends a request. `call` names it in logs and metrics.
    pub(crate) async fn send(
        &self,
        call: &'static str,
        request: RequestBuilder,
    ) -> Result<Reply, CallError> {
        let began = Instant::now();
        let sent = self.exchange(request).await;
        let (gateway, elapsed) = (self.gateway, began.elapsed());
        let result = match &sent {
            Ok(reply) => reply.status.as_str().to_owned(),
            Err(CallError::OutcomeUnknown { .. }) => "unknown".to_owned(),
            Err(CallError::NotSent { .. }) => "not_sent".to_owned(),
            Err(CallError::Unauthorised { .. }) => "unauthorised".to_owned(),
        };
        tracing::debug!(gateway, call, result, ?elapsed, "a provider was called");
        metrics::histogram!("daybook_gateway_call_seconds", "gateway" => gateway, "call" => call)
            .record(elapsed);
        metrics::counter!(
            "daybook_gateway_calls_total",
            "gateway" => gateway, "call" => call, "result" => result
        )
        .increment(1);
        sent
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Reply, CallError> {
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if ANSWER_BYTES_MAX < body.len() + chunk.len() {
                return Err(self.unknown("the answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let reply = Reply::of(self.gateway, status, body, self.secrets.clone());
        let (gateway, cause) = (self.gateway, format!("{status} {}", reply.words()));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(CallError::Unauthorised { gateway, cause })
            }
            StatusCode::TOO_MANY_REQUESTS => Err(CallError::NotSent { gateway, cause }),
            // Whatever went wrong there may have gone wrong after it acted.
            status if status.is_server_error() => Err(self.unknown(cause)),
            _ => Ok(reply),
        }
    }

    fn failed(&self, error: reqwest::Error) -> CallError {
        let is_connect = error.is_connect();
        let cause = causes(&error.without_url());
        if is_connect {
            return CallError::NotSent { gateway: self.gateway, cause };
        }
        self.unknown(cause)
    }

    fn unknown(&self, cause: String) -> CallError {
        CallError::OutcomeUnknown { gateway: self.gateway, cause }
    }
}

impl Reply {
    fn of(gateway: &'static str, status: StatusCode, whole: Vec<u8>, secrets: Secrets) -> Self {
        let text = String::from_utf8_lossy(&whole);
        let clean = secrets.taken_out_of(&text, SECRET_BYTES_MIN);
        if clean == text {
            return Self { gateway, status, body: whole, whole: None, secrets };
        }
        Self { gateway, status, body: clean.into_bytes(), whole: Some(whole), secrets }
    }

    /// The same where the answer is itself a secret, which may be one that is known by now.
    pub(crate) fn secret_json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let whole = self.whole.as_ref().unwrap_or(&self.body);
        serde_json::from_slice(whole).map_err(|_it_would_be_repeated| {
            let cause = format!("{} with a body that cannot be read", self.status);
            CallError::OutcomeUnknown { gateway: self.gateway, cause }
        })
    }

    /// The body as JSON in a form that we know.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let cause = format!("{} with a body that cannot be read: {error}", self.status);
            CallError::OutcomeUnknown { gateway: self.gateway, cause }
        })
    }

    /// Where nothing but a success tells us anything.
    pub(crate) fn successful(self) -> Result<Self, CallError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.unexpected())
        }
    }

    /// An answer that we do not know how to read.
    pub(crate) fn unexpected(&self) -> CallError {
        let cause = format!("an answer that nobody expected: {} {}", self.status, self.words());
        CallError::OutcomeUnknown { gateway: self.gateway, cause }
    }

    /// What the provider said, shortened, for people.
    fn words(&self) -> String {
        let text = self
            .secrets
            .taken_out_of(&String::from_utf8_lossy(&self.body), 1);
        text.chars().take(WORDS_CHARS_MAX).collect()
    }
}

/// An error with everything that caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A form in the order in which it was filled in.
pub(crate) fn form(fields: &[(&str, String)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        form.append_pair(name, value);
    }
    form.finish()
}

/// `Content-Type` of [`form`].
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(secrets: &[&str], body: &str) -> Reply {
        let kept = Secrets::default();
        for secret in secrets {
            kept.add(&Secret::new(*secret));
        }
        Reply::of("paystack", StatusCode::BAD_REQUEST, body.as_bytes().to_vec(), kept)
    }

    #[test]
    fn an_answer_that_repeats_a_secret_is_read_without_it_in_each_form_that_it_may_have() {
        let secret = "sk/live+\"4242\"";
        for body in [
            r#"{"message": "no sk/live+\"4242\" here"}"#,
            r#"{"message": "no sk\/live+\"4242\" here"}"#,
            r#"{"message": "no sk%2Flive%2B%224242%22 here"}"#,
        ] {
            let reply = reply(&[secret], body);
            let read: serde_json::Value = reply.json().unwrap();
            assert_eq!(read["message"], "no [secret] here", "{body}");
            assert!(!reply.words().contains("4242"), "{}", reply.words());
        }
    }

    #[test]
    fn a_value_of_another_kind_is_told_of_without_the_secret_in_it() {
        let reply = reply(&["sk_live_4242"], r#""sk_live_4242""#);
        let error = reply.json::<u32>().unwrap_err().to_string();
        assert!(!error.contains("4242"), "{error}");
    }

    #[test]
    fn a_token_that_is_given_out_again_is_read_whole() {
        let reply = reply(&["token-4242"], r#"{"access_token": "token-4242"}"#);
        let read: serde_json::Value = reply.secret_json().unwrap();
        assert_eq!(read["access_token"], "token-4242");
    }

    #[test]
    fn a_secret_that_is_a_word_leaves_answers_readable() {
        let reply = reply(&["data"], r#"{"data": "x"}"#);
        let read: serde_json::Value = reply.json().unwrap();
        assert_eq!(read["data"], "x");
        assert!(!reply.words().contains("data"), "{}", reply.words());
    }
}
