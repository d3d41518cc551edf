//! A reader of server-sent events, as a browser is one.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::world::PATIENCE;

/// A stream that is being read.
pub struct Reader {
    response: Response,
    /// What has arrived and is no text yet.
    bytes: Vec<u8>,
    /// What has arrived and is not yet told.
    rest: String,
    /// The id that a browser would send when it comes back.
    pub last_id: Option<i64>,
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// `id`.
    pub id: i64,
    /// `event`.
    pub event: String,
    /// `data`.
    pub data: Value,
}

impl Reader {
    /// Opens a stream, which must be one.
    pub async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        assert_eq!(status, 200, "{}", response.text().await.unwrap_or_default());
        let kind = response.headers()["content-type"].to_str().expect("text");
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self { response, bytes: Vec::new(), rest: String::new(), last_id: None }
    }

    /// The next event; nothing when the stream has ended.
    ///
    /// # Panics
    /// If nothing happens for a minute, or what arrives is no stream of events.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(block) = self.block().await?.told {
                return Some(block);
            }
        }
    }

    /// Reads until the stream has moved its reader on to a position; the events on the way.
    pub async fn moved_to(&mut self, position: i64) -> Vec<Told> {
        let mut all = Vec::new();
        while self.last_id.is_none_or(|last_id| last_id < position)
            && let Some(block) = self.block().await
        {
            all.extend(block.told);
        }
        all
    }

    /// The next block of lines; nothing when the stream has ended.
    async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some(end) = self.rest.find("\n\n") {
                let block: String = self.rest.drain(..end + 2).collect();
                return Some(Block { told: told(&block, &mut self.last_id) });
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            // A connection that breaks ends it as well.
            let chunk = chunk.expect("something happens").ok().flatten()?;
            self.bytes.extend_from_slice(&chunk);
            // A letter may be torn between two chunks.
            let whole = match std::str::from_utf8(&self.bytes) {
                Ok(text) => text.len(),
                Err(error) => error.valid_up_to(),
            };
            let text = self.bytes.drain(..whole).collect();
            self.rest += &String::from_utf8(text).expect("checked");
        }
    }

    /// All events up to a position, or up to the end.
    pub async fn up_to(&mut self, position: i64) -> Vec<Told> {
        let mut all = Vec::new();
        while all.last().is_none_or(|told: &Told| told.id < position)
            && let Some(told) = self.next().await
        {
            all.push(told);
        }
        all
    }
}

/// One block of lines, which may hold an event.
struct Block {
    told: Option<Told>,
}

/// Reads one block of lines; one without data only moves the id.
pub fn told(block: &str, last_id: &mut Option<i64>) -> Option<Told> {
    let (mut event, mut data) = ("message", None);
    for line in block
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(':'))
    {
        let (name, value) = line.split_once(": ").expect("a field");
        match name {
            "id" => *last_id = Some(value.parse().expect("a position")),
            "event" => event = value,
            "data" => data = Some(serde_json::from_str(value).expect("JSON")),
            "retry" => {}
            other => panic!("{other} is no field"),
        }
    }
    let event = event.to_owned();
    data.map(|data| Told { id: last_id.expect("every event has an id"), event, data })
}
