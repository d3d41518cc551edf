//! The live tail: the log as server-sent events, first what there is, then what is added.
//!
//! ```text
//! Postgres ── pages of history ──▶ mark ── feed: contiguous from the mark on ──▶ live
//!                                    │
//!            pump ─▶ bounded buffer ─▶ body ─▶ connection
//! ```
//!
//! 1. Each event once, in log order: the feed goes on exactly behind the last page.
//! 2. Nothing is buffered without end: a reader that makes no room for [`STALLED_MAX`] is cut off.
//! 3. Every end but a broken connection has last words that say why, and from where to resume.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use futures::Stream;
use serde_json::json;
use store::feed::Feed;
use store::log;
use store::recorded::RecordedEvent;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::App;
use super::command::DAYBOOK_POSITION;
use super::events::{EventView, STREAM_PAGE_EVENTS, write_line};
use super::identity::Readers;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::Asking;
use super::slicing::{SliceParameters, Wanted};

const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Those who may follow at once: each holds one of the 800 connections for as long as it likes.
pub const READERS_MAX: usize = 64;
/// A place is free when somebody leaves, which nobody can foretell.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Pieces that wait for a reader. With what the system keeps for a socket it outlasts any hiccup.
const BUFFER_CHUNKS_MAX: usize = 16;
/// Bytes after which a piece is handed over; it exceeds them by one event at most.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// How long a reader may take nothing at all before it is cut off.
const STALLED_MAX: Duration = Duration::from_secs(10);
/// Events that are taken from the feed at a time.
const LIVE_EVENTS_MAX: usize = 500;
/// How often a quiet stream shows that it lives: below the minute after which proxies give up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What clients are told to wait before they come again, in milliseconds.
const COME_AGAIN_MS: u32 = 2_000;

/// Who follows the log. Clones share it.
#[derive(Debug, Clone)]
pub struct Tails {
    room: Arc<Semaphore>,
    closing: Arc<watch::Sender<bool>>,
}

impl Default for Tails {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(READERS_MAX));
        Self { room, closing: Arc::new(watch::Sender::new(false)) }
    }
}

impl Tails {
    /// How many follow at this moment.
    pub fn open(&self) -> usize {
        READERS_MAX.saturating_sub(self.room.available_permits())
    }

    /// Tells all of them that the server is about to stop.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.room).try_acquire_owned();
        place.map_err(|_| {
            let detail = format!("{READERS_MAX} readers follow the log already; try again");
            Problem::overloaded(&detail).after(RETRY_AFTER)
        })
    }
}

/// Follow the log
///
/// Server-sent events: `id` is the position, `event` the stored name, `data` the event as
/// `GET /events` shows it. From a position on, first what the log holds, then what is added, without
/// a gap or a repetition; without a position, what is added from now on. A quiet stream sends
/// comments. The last event of a stream that the server ends is `end`; its data has a `code`
/// (`reached`, `too_slow`, `server_stopping`, `unavailable`), a `detail` and `resume_after`, the
/// position to give as `Last-Event-ID`.
#[utoipa::path(
    get, path = "/events/stream", tag = "audit",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        SliceParameters,
        ("Last-Event-ID" = Option<i64>, Header, description = "Go on after this position"),
    ),
    responses((
        status = 200, description = "Events, for as long as both sides like",
        content((EventView = "text/event-stream"))
    ))
)]
pub(crate) async fn follow(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let last_seen = last_event_id(&headers)?;
    let mut wanted = Wanted::read(&mut parameters);
    parameters.finish()?;
    let head = asking.log_position(&app).await?;
    if let Some(last_seen) = last_seen.filter(|last_seen| head < *last_seen) {
        let detail = format!("{last_seen} is ahead of the log, which ends at {head}");
        return Err(Problem::invalid_header("Last-Event-ID", detail));
    }
    wanted.begin_at(last_seen.map(|last_seen| last_seen.saturating_add(1)));
    let place = app.tails.enter()?;
    let mark = wanted.from().map_or(head, |from| from.max(1) - 1);
    let tail = Tail {
        feed: app.feeds.subscribe_promptly(),
        app,
        asking,
        wanted,
        mark,
        told: mark,
        told_at: Instant::now(),
    };
    let headers = [
        (header::CONTENT_TYPE, EVENT_STREAM),
        // Proxies of the nginx family would hold events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let mut response = (headers, Body::from_stream(pumped(tail, place))).into_response();
    response.headers_mut().insert(DAYBOOK_POSITION, head.into());
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let position = value.to_str().ok().map(str::trim);
    // Whoever has seen nothing yet sends nothing in it.
    if position == Some("") {
        return Ok(None);
    }
    let digits = position.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|text| text.parse().ok()) {
        Some(position) => Ok(Some(position)),
        None => Err(Problem::invalid_header("Last-Event-ID", "must be a position of the log")),
    }
}

/// Starts the pump; what it brings, and its last words.
fn pumped(
    tail: Tail,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
    let (out, chunks) = mpsc::channel(BUFFER_CHUNKS_MAX);
    let last_words = Arc::new(OnceLock::new());
    tokio::spawn(pump(tail, out, Arc::clone(&last_words), place));
    futures::stream::unfold((chunks, Some(last_words)), |(mut chunks, last_words)| async move {
        if let Some(chunk) = chunks.recv().await {
            return Some((Ok(chunk), (chunks, last_words)));
        }
        // The pump is gone, so whatever it had to say is said.
        let words: Bytes = last_words?.get()?.clone();
        Some((Ok(words), (chunks, None)))
    })
}

async fn pump(
    mut tail: Tail,
    out: mpsc::Sender<Bytes>,
    last_words: Arc<OnceLock<Bytes>>,
    place: OwnedSemaphorePermit,
) {
    let mut closing = tail.app.tails.closing.subscribe();
    let end = tokio::select! {
        Err(end) = tail.carry(&out) => end,
        _ = closing.wait_for(|closing| *closing) => End::Stopping,
        () = out.closed() => End::Gone,
    };
    tracing::debug!(?end, position = tail.told, "a reader of the log ends");
    if end == End::TooSlow {
        metrics::counter!("event_stream_readers_cut_off_total").increment(1);
    }
    if let Some((code, detail)) = end.words() {
        let mark = tail.told;
        let data = json!({"code": code, "detail": detail, "resume_after": mark});
        let words = format!("id: {mark}\nevent: end\ndata: {data}\n\n");
        // Set once, here.
        let _set = last_words.set(words.into());
    }
    drop(place);
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Everything that was asked for is sent.
    Reached,
    /// The reader makes no room.
    TooSlow,
    /// The server stops.
    Stopping,
    /// The log cannot be read.
    Unavailable,
    /// Nobody reads any more.
    Gone,
}

impl End {
    fn words(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Reached => Some(("reached", "this is the last position that was asked for")),
            Self::TooSlow => Some((
                "too_slow",
                "nothing was taken for 10 seconds; resume from here, and read faster",
            )),
            Self::Stopping => Some(("server_stopping", "the server stops; resume from here")),
            Self::Unavailable => {
                Some(("unavailable", "the log cannot be read at the moment; resume from here"))
            }
            Self::Gone => None,
        }
    }
}

/// One reader's way through the log.
struct Tail {
    app: App,
    feed: Feed,
    asking: Asking,
    wanted: Wanted,
    /// Up to here the log was looked through.
    mark: i64,
    /// Up to here the reader was told.
    told: i64,
    told_at: Instant,
}

impl Tail {
    /// Never ends well, but always for a reason.
    async fn carry(&mut self, out: &mpsc::Sender<Bytes>) -> Result<(), End> {
        let hello = format!(": the log after {}\nretry: {COME_AGAIN_MS}\n\n", self.mark);
        send(out, hello.into()).await?;
        self.tell_history(out).await?;
        loop {
            if self.wanted.to().is_some_and(|to| to <= self.mark) {
                return Err(End::Reached);
            }
            let due = self.told_at + KEEP_ALIVE;
            match tokio::time::timeout_at(due, self.feed.next(self.mark, LIVE_EVENTS_MAX)).await {
                Ok(Ok(events)) => {
                    let wanted = &self.wanted;
                    let held = events.iter().filter(|event| wanted.holds(event));
                    let pieces = pieces(held.map(AsRef::as_ref));
                    self.mark = events.last().map_or(self.mark, |last| last.position);
                    self.tell(out, pieces).await?;
                }
                Ok(Err(error)) => return Err(unavailable(&error)),
                Err(_due) => {}
            }
            if due <= Instant::now() {
                // Events that were not asked for are behind us too: whoever resumes skips them.
                let alive = format!(": keep-alive\nid: {}\n\n", self.mark);
                send(out, alive.into()).await?;
                (self.told, self.told_at) = (self.mark, Instant::now());
            }
        }
    }

    /// What the log holds already, picked out by the database.
    async fn tell_history(&mut self, out: &mpsc::Sender<Bytes>) -> Result<(), End> {
        let settled = self.wanted.clone().settled(&self.asking, &self.app).await;
        let (position, mut slice) = settled.map_err(|_told_in_the_log| End::Unavailable)?;
        loop {
            slice.from = Some(self.mark.saturating_add(1));
            let page = log::page(&self.app.pool, &slice, STREAM_PAGE_EVENTS).await;
            let page = page.map_err(|error| unavailable(&error))?;
            self.mark = page.events.last().map_or(self.mark, |last| last.position);
            self.tell(out, pieces(page.events.iter().map(AsRef::as_ref)))
                .await?;
            if !page.more {
                break;
            }
        }
        // Whatever else there was up to here is not asked for.
        let looked_through = self.wanted.to().unwrap_or(position).min(position);
        self.mark = self.mark.max(looked_through);
        Ok(())
    }

    async fn tell(&mut self, out: &mpsc::Sender<Bytes>, pieces: Vec<Piece>) -> Result<(), End> {
        for Piece { bytes, last } in pieces {
            send(out, bytes.into()).await?;
            (self.told, self.told_at) = (last, Instant::now());
        }
        Ok(())
    }
}

fn unavailable(error: &log::Error) -> End {
    tracing::error!(error = error as &dyn std::error::Error, "cannot follow the log");
    End::Unavailable
}

async fn send(out: &mpsc::Sender<Bytes>, bytes: Bytes) -> Result<(), End> {
    let sent = out.send_timeout(bytes, STALLED_MAX).await;
    sent.map_err(|error| match error {
        SendTimeoutError::Timeout(_) => End::TooSlow,
        SendTimeoutError::Closed(_) => End::Gone,
    })
}

/// Some events, written.
struct Piece {
    bytes: Vec<u8>,
    /// The position of the last one.
    last: i64,
}

fn pieces<'e>(events: impl Iterator<Item = &'e RecordedEvent>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for event in events {
        if pieces
            .last()
            .is_none_or(|piece| CHUNK_BYTES_MAX <= piece.bytes.len())
        {
            pieces.push(Piece { bytes: Vec::new(), last: 0 });
        }
        if let Some(piece) = pieces.last_mut() {
            let (position, name) = (event.position, &event.event_type);
            let head = format!("id: {position}\nevent: {name}\ndata: ");
            piece.bytes.extend_from_slice(head.as_bytes());
            write_line(event, &mut piece.bytes);
            piece.bytes.extend_from_slice(b"\n\n");
            piece.last = position;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_id_is_a_position_or_nothing() {
        let of = |text: &[u8]| {
            let value = HeaderValue::from_bytes(text).unwrap();
            last_event_id(&HeaderMap::from_iter([(LAST_EVENT_ID, value)]))
                .map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(of(b"17"), Ok(Some(17)));
        assert_eq!(of(b"0"), Ok(Some(0)));
        assert_eq!(of(b""), Ok(None));
        for garbage in [
            &b"-1"[..],
            b"+1",
            b"x",
            b"1.5",
            b"17 18",
            b"99999999999999999999",
            b"\xff",
        ] {
            assert_eq!(of(garbage), Err(400), "{garbage:?}");
        }
        assert_eq!(last_event_id(&HeaderMap::new()).unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_makes_no_room_is_too_slow_and_who_is_gone_is_gone() {
        let (out, mut chunks) = mpsc::channel(1);
        assert_eq!(send(&out, Bytes::from_static(b"1")).await, Ok(()));
        assert_eq!(send(&out, Bytes::from_static(b"2")).await, Err(End::TooSlow));
        assert_eq!(chunks.recv().await.as_deref(), Some(&b"1"[..]));
        drop(chunks);
        assert_eq!(send(&out, Bytes::from_static(b"3")).await, Err(End::Gone));
    }
}
