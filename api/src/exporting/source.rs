//! Where lines come from: a running server over HTTP, or its database directly. Both tell the same.

use std::error::Error as StdError;

use axum::body::Bytes;
use client::Connection;
use client::lines::{Asking, Waiting};
use futures::{Stream, StreamExt as _};
use projections::rows::{Snapshot, Table};
use store::masters;
use tokio::sync::mpsc;

use super::{Args, Error, Filters, Lines};
use crate::database::{self, Database};
use crate::http::{events, stored};
use crate::settings::given;

/// The server of `daybook dev`, unless told otherwise.
const URL_DEFAULT: &str = "http://127.0.0.1:8080";

pub(super) enum Source {
    Database(Box<Database>),
    Server(Box<Asking>),
}

/// Where pieces of whole lines go.
pub(super) type Out = mpsc::Sender<Vec<u8>>;

impl Source {
    pub(super) async fn open(args: &Args) -> Result<Self, Error> {
        let (url, database_url) = (given(args.url.as_ref()), given(args.database_url.as_ref()));
        if let (None, Some(_)) = (&url, &database_url) {
            let data_dir = args.data_dir.clone();
            // Without them, stored lines can be exported, and whatever holds no personal data.
            if let Some(masters) = args.personal.read_or_kept_in(&data_dir)?.masters() {
                masters::know(&masters);
            }
            let database = Database::open(&database::Args { database_url, data_dir }).await?;
            return Ok(Self::Database(Box::new(database)));
        }
        let connection = Connection {
            url: url.unwrap_or_else(|| URL_DEFAULT.to_owned()),
            token: args.token.clone(),
            data_dir: args.data_dir.clone(),
        };
        Ok(Self::Server(Box::new(Asking::new(&connection)?)))
    }

    pub(super) async fn close(self) {
        if let Self::Database(database) = self {
            database.close().await;
        }
    }

    /// The position up to which there is something to look for.
    pub(super) async fn head(&self, filters: &Filters) -> Result<i64, Error> {
        match self {
            Self::Database(database) => {
                let settled = filters.wanted()?.settled_in(&database.pool).await;
                Ok(settled.map_err(|error| Error::Log(error.into()))?.0)
            }
            Self::Server(asking) => {
                // Of the read model that finds an order's events, or of the log itself.
                let mut query = filters.query();
                query.retain(|(name, _)| name == "order_id");
                query.push(("limit".to_owned(), "1".to_owned()));
                let lines = asking.lines(&["events"], &query, true).await?;
                lines
                    .position()
                    .ok_or_else(|| Error::Log("the server does not say where its log ends".into()))
            }
        }
    }

    /// Sends the events of a slice that are at or after a position.
    pub(super) async fn feed(
        &self,
        filters: &Filters,
        form: Lines,
        from: i64,
        to: i64,
        out: Out,
    ) -> Result<(), Error> {
        if to < from {
            return Ok(());
        }
        match self {
            Self::Database(database) => {
                let settled = filters.wanted()?.settled_in(&database.pool).await;
                let (_, mut slice) = settled.map_err(|error| Error::Log(error.into()))?;
                (slice.from, slice.to) = (Some(from), Some(to));
                let pool = database.pool.clone();
                match form {
                    Lines::Shown => pass_on(events::lines(pool, slice, i64::MAX), &out).await,
                    Lines::Stored => pass_on(stored::lines(pool, slice), &out).await,
                }
            }
            Self::Server(asking) => {
                let path: &[&str] = match form {
                    Lines::Shown => &["events"],
                    Lines::Stored => &["events", "stored"],
                };
                feed_from_server(asking, path, filters, from..=to, &out).await
            }
        }
    }

    /// Sends the seals of the log up to a position.
    pub(super) async fn feed_seals(&self, to: i64, out: Out) -> Result<(), Error> {
        match self {
            Self::Database(database) => {
                pass_on(stored::seals(database.pool.clone(), to), &out).await
            }
            Self::Server(asking) => {
                let query = [("to".to_owned(), to.to_string())];
                let mut lines = asking.lines(&["events", "seals"], &query, false).await?;
                // Not long, and read from its beginning at the next try.
                while let Some(piece) = lines.next().await.map_err(|it| Error::Log(it.into()))? {
                    if out.send(piece).await.is_err() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// Sends all rows of a read model; the position that they stand at.
    pub(super) async fn feed_rows(&self, table: &'static Table, out: Out) -> Result<i64, Error> {
        let failed = |error: Box<dyn StdError + Send + Sync>| Error::ReadModel(error);
        match self {
            Self::Database(database) => {
                let snapshot = Snapshot::of(&database.pool, table).await;
                let mut snapshot = snapshot.map_err(|error| failed(error.into()))?;
                let next = async |snapshot: &mut Snapshot| {
                    let lines = snapshot.next().await;
                    lines.map_err(|error| failed(error.into()))
                };
                while let Some(piece) = next(&mut snapshot).await? {
                    if out.send(piece).await.is_err() {
                        break;
                    }
                }
                Ok(snapshot.position())
            }
            Self::Server(asking) => {
                let path = ["projections", table.name, "rows"];
                let mut lines = asking.lines(&path, &[], true).await?;
                let position = lines.position();
                while let Some(piece) = lines.next().await.map_err(|it| failed(it.into()))? {
                    if out.send(piece).await.is_err() {
                        break;
                    }
                }
                position.ok_or_else(|| failed("the server does not say where it stands".into()))
            }
        }
    }
}

/// Passes pieces on, until nobody takes them any more; whoever took them says why.
async fn pass_on<E: StdError + Send + Sync + 'static>(
    pieces: impl Stream<Item = Result<Bytes, E>>,
    out: &Out,
) -> Result<(), Error> {
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Error::Log(error.into()))?;
        if out.send(piece.into()).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Asks again, behind the last line that came, when an answer breaks off.
async fn feed_from_server(
    asking: &Asking,
    path: &[&str],
    filters: &Filters,
    range: std::ops::RangeInclusive<i64>,
    out: &Out,
) -> Result<(), Error> {
    let (mut from, to) = range.into_inner();
    let mut waiting = Waiting::default();
    loop {
        let mut query = filters.query();
        query.retain(|(name, _)| name != "from" && name != "to");
        query.push(("from".to_owned(), from.to_string()));
        query.push(("to".to_owned(), to.to_string()));
        let mut lines = asking.lines(path, &query, false).await?;
        loop {
            match lines.next().await {
                Ok(Some(piece)) => {
                    from = last_position(&piece)? + 1;
                    waiting = Waiting::default();
                    if out.send(piece).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(broken) => {
                    asking.pause(&mut waiting, broken).await?;
                    break;
                }
            }
        }
    }
}

/// The position in the last of some whole lines.
fn last_position(piece: &[u8]) -> Result<i64, Error> {
    let lines = piece.strip_suffix(b"\n").unwrap_or(piece);
    let last = lines
        .rsplit(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    Ok(exports::events::position(last)?)
}
