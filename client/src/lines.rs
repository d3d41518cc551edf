//! Answers that are read line by line while they arrive, however long they are.

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Response};

use crate::patience::Patience;
use crate::server::{PATIENCE, Server, reason_of};
use crate::{Connection, Error};

/// A server that sends nothing for this long, in the middle of an answer, has gone away.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// The answer as a whole may take as long as its reader does.
const ANSWER_WITHIN: Duration = Duration::from_hours(24 * 365);

/// A running server, to be asked for long answers.
#[derive(Debug)]
pub struct Asking {
    server: Server,
}

/// An answer that arrives.
#[derive(Debug)]
pub struct Lines {
    response: Response,
    /// What has arrived behind the last line feed.
    torn: Vec<u8>,
}

/// The answer broke off behind the last whole line: another one goes on from there.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct BrokenOff(String);

impl Asking {
    /// Prepares connections, without making one.
    pub fn new(connection: &Connection) -> Result<Self, Error> {
        Ok(Self { server: Server::new(connection, PATIENCE)? })
    }

    /// Asks for lines; waits with the patience of all commands for a server that is away, but not
    /// for one that was never there (`first`).
    pub async fn lines(
        &self,
        path: &[&str],
        query: &[(String, String)],
        first: bool,
    ) -> Result<Lines, Error> {
        let mut request = self.server.request(Method::GET, path);
        request.url_mut().query_pairs_mut().extend_pairs(query);
        if query.is_empty() {
            request.url_mut().set_query(None);
        }
        *request.timeout_mut() = Some(ANSWER_WITHIN);
        let accept = HeaderValue::from_static("application/x-ndjson");
        request.headers_mut().insert(ACCEPT, accept);
        let response = self.server.open(request, first).await?;
        if !response.status().is_success() {
            let what = format!("show {}", path.join("/"));
            return Err(Error::refused(what, response).await);
        }
        Ok(Lines { response, torn: Vec::new() })
    }

    /// Waits before an answer that broke off is asked for again. `since` is the patience that is
    /// left; whoever has got further begins with a new one.
    pub async fn pause(&self, since: &mut Waiting, broken: BrokenOff) -> Result<(), Error> {
        let patience = since.0.get_or_insert_with(|| Patience::new(PATIENCE));
        match patience.after_failure(Instant::now(), None) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(self.server.gave_up(broken.0)),
        }
    }
}

/// How long an answer has been breaking off at the same place.
#[derive(Debug, Default)]
pub struct Waiting(Option<Patience>);

impl Lines {
    /// The position that the answer stands at, or that it was looked for up to.
    pub fn position(&self) -> Option<i64> {
        let headers: &HeaderMap = self.response.headers();
        headers.get("daybook-position")?.to_str().ok()?.parse().ok()
    }

    /// Some more whole lines; nothing after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, BrokenOff> {
        loop {
            let chunk = tokio::time::timeout(SILENCE_MAX, self.response.chunk()).await;
            let chunk = chunk
                .map_err(|_| BrokenOff(format!("silence for {} s", SILENCE_MAX.as_secs())))?
                .map_err(|error| BrokenOff(reason_of(&error)))?;
            let Some(chunk) = chunk else {
                // Every line ends with a line feed; what has none is no line.
                return if self.torn.is_empty() {
                    Ok(None)
                } else {
                    Err(BrokenOff("the last line is not whole".to_owned()))
                };
            };
            let Some(feed) = chunk.iter().rposition(|byte| *byte == b'\n') else {
                self.torn.extend_from_slice(&chunk);
                continue;
            };
            let mut lines = std::mem::take(&mut self.torn);
            lines.extend_from_slice(&chunk[..=feed]);
            self.torn.extend_from_slice(&chunk[feed + 1..]);
            return Ok(Some(lines));
        }
    }
}
