//! Access tokens that end: fetched once, renewed ahead of their end, shared by concurrent calls.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::gateway::CallError;
use crate::http::Http;
use crate::secret::Secret;

/// The token of one set of credentials. Whoever needs a new one holds the lock while asking for it,
/// so that those who come meanwhile wait for the same one.
pub(crate) struct Token {
    kept: Mutex<Option<(Secret, Instant)>>,
    /// Renewed so long before its end, or it would end in the middle of a call.
    renewed_before: Duration,
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: u64,
}

impl Token {
    pub(crate) fn renewed_before(renewed_before: Duration) -> Self {
        Self { kept: Mutex::default(), renewed_before }
    }

    /// The token, kept or fetched by this request. Nothing is paid by asking for a token, so that
    /// whatever goes wrong with it has certainly done nothing.
    pub(crate) async fn of(
        &self,
        http: &Http,
        request: impl FnOnce() -> RequestBuilder,
    ) -> Result<Secret, CallError> {
        let mut kept = self.kept.lock().await;
        if let Some((token, until)) = kept.as_ref()
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let asked_at = Instant::now();
        let reply = http.send("token", request()).await.map_err(not_sent)?;
        if !reply.status.is_success() {
            return Err(not_sent(reply.unexpected()));
        }
        let granted = reply.secret_json::<Granted>().map_err(not_sent)?;
        let Granted { access_token, expires_in } = granted;
        let lives = Duration::from_secs(expires_in).saturating_sub(self.renewed_before);
        let token = Secret::new(access_token);
        http.keep_secret(&token);
        *kept = Some((token.clone(), asked_at + lives));
        Ok(token)
    }

    /// The provider does not take it any more, whatever it said about its end.
    pub(crate) async fn is_spent(&self, token: &Secret) {
        let mut kept = self.kept.lock().await;
        kept.take_if(|(kept, _)| kept == token);
    }
}

/// Whatever kept us from a token kept us from asking for anything.
fn not_sent(error: CallError) -> CallError {
    match error {
        CallError::OutcomeUnknown { gateway, cause } => CallError::NotSent { gateway, cause },
        other @ (CallError::NotSent { .. } | CallError::Unauthorised { .. }) => other,
    }
}
