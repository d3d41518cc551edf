//! The server's answer, line by line.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Longest line in bytes; the server's longest has a few kilobytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(super) enum Line {
    Progress(Summary),
    Rejected(Rejected),
    Difference(Difference),
    Done(Summary),
    Failed { detail: String },
}

/// How far it has come, or what it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) listed: u64,
    pub(super) agree: u64,
    pub(super) in_log: u64,
    pub(super) differences: u64,
    pub(super) repaired: u64,
    pub(super) parked: u64,
    pub(super) left: u64,
    pub(super) rejected: u64,
}

/// A row of the statement that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Rejected {
    pub(super) at_line: u64,
    pub(super) reason: String,
    pub(super) row: String,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Difference {
    pub(super) kind: String,
    pub(super) what: String,
    pub(super) reference: Option<String>,
    pub(super) provider_reference: Option<String>,
    pub(super) payment_id: Option<String>,
    pub(super) there: String,
    pub(super) here: String,
    pub(super) outcome: String,
}

/// The lines of an answer.
pub(super) struct Lines {
    answer: reqwest::Response,
    /// What has come and was not a whole line.
    rest: Vec<u8>,
}

impl Lines {
    pub(super) fn of(answer: reqwest::Response) -> Self {
        Self { answer, rest: Vec::new() }
    }

    /// The next one; `None` if the answer has ended or broken off.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Error> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| self.strange(&error.to_string()));
            }
            if LINE_BYTES_MAX < self.rest.len() {
                return Err(self.strange("a line does not end"));
            }
            match self.answer.chunk().await {
                Ok(Some(chunk)) => self.rest.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    fn strange(&self, reason: &str) -> Error {
        let (url, reason) = (self.answer.url().to_string(), reason.to_owned());
        Error::NotDaybook { url, reason }
    }
}
