//! Read models taken away whole: all rows of one moment, as they flow.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use exports::table::{self, Column};
use futures::Stream;
use futures::future::BoxFuture;
use projections::rows::{self, Snapshot, Table};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::App;
use super::forms::Form;
use super::identity::Readers;
use super::parameters::{OfReadModel, Parameters};
use super::problem::Problem;
use super::queries::Asking;

/// Tables that are taken away at once: each holds a connection, and a transaction that keeps the
/// database from tidying up behind it.
const AT_ONCE_MAX: usize = 2;
static ROOM: Semaphore = Semaphore::const_new(AT_ONCE_MAX);
/// One, so that slow vendors take little of what all queries share.
static ROOM_OF_VENDORS: Semaphore = Semaphore::const_new(1);
/// Pieces of up to 200 rows that wait for a client.
const PIECES_MAX: usize = 2;
/// How long a client may take nothing before the transaction is ended.
const STALLED_MAX: Duration = Duration::from_mins(1);

/// Take a read model away
///
/// All rows of a table as of one moment; `Daybook-Position` is the position of the log that they are
/// the fold of. As `application/x-ndjson`, one row a line, or as `text/csv`. Tables: `orders`,
/// `payments`, `stock`, `products`, `listings`, `listing_variants`, `categories`, `sales` (by day,
/// country and currency), `sales_by_sku` (by day and SKU), `timeline` (which events are an order's),
/// `milestones`, `settlement` (by day, gateway and currency), `vendors`, `vendor_orders`, `promotions`,
/// `guests`, `guest_orders`, `customer_orders` (whose, by a digest). Amounts are in minor units.
#[utoipa::path(
    get, path = "/projections/{name}/rows", tag = "reports",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(("name" = String, Path, description = "Which table")),
    responses((
        status = 200, description = "Rows",
        content((Object = "application/x-ndjson"), (String = "text/csv"))
    ))
)]
pub(crate) async fn take_away(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    OfReadModel(name): OfReadModel,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let table = Table::named(&name).ok_or_else(|| Problem::not_found("table"))?;
    let _reached = asking.position(&app, &[table.model]).await?;
    let place = place(Room::House)?;
    let snapshot = Snapshot::of(&app.pool, table).await?;
    let position = snapshot.position();
    let form = Form::wanted(&headers).unwrap_or(Form::Lines);
    let columns = columns(table);
    let read = {
        let columns = columns.clone();
        move |line: &[u8]| table::row(&columns, line)
    };
    Ok(form.streamed(pieces(snapshot, place), position, &columns, read))
}

/// The columns of a table, as formats want them.
pub(crate) fn columns(table: &Table) -> Vec<Column> {
    let kind = |kind| match kind {
        rows::Kind::Int => table::Kind::Int,
        rows::Kind::Text => table::Kind::Word,
        rows::Kind::Bool => table::Kind::Bool,
        rows::Kind::Time => table::Kind::Time,
        rows::Kind::Date => table::Kind::Date,
        rows::Kind::Json => table::Kind::Json,
        rows::Kind::Lines => table::Kind::Lines,
    };
    let columns = table.columns.iter();
    columns
        .map(|(name, of)| Column { name, kind: kind(*of) })
        .collect()
}

/// Rows that are read some at a time.
pub(crate) trait Rows: Send + 'static {
    /// Some more, each an object in a line of JSON with its line feed; nothing after the last.
    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Vec<u8>>>>;
}

impl Rows for Snapshot {
    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Vec<u8>>>> {
        Box::pin(async { Self::next(self).await.map_err(io::Error::other) })
    }
}

/// Whose the places are: a vendor who reads slowly holds up vendors, and not the house.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Room {
    /// Of staff, analysts and auditors.
    House,
    /// Of all vendors.
    Vendors,
}

/// One of the places for whoever takes a table away.
pub(crate) fn place(room: Room) -> Result<SemaphorePermit<'static>, Problem> {
    let room = match room {
        Room::House => &ROOM,
        Room::Vendors => &ROOM_OF_VENDORS,
    };
    room.try_acquire().map_err(|_| {
        Problem::overloaded("too many tables are being taken away; try again")
            .after(Duration::from_secs(10))
    })
}

/// Read by a task of its own, so that a client that takes nothing cannot hold the transaction open:
/// nobody asks a body for more while its connection is blocked. What breaks off ends with an error,
/// or half a table would look like a whole one.
pub(crate) fn pieces(
    mut rows: impl Rows,
    place: SemaphorePermit<'static>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (out, pieces) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        loop {
            let piece = rows.next().await;
            if let Err(error) = &piece {
                tracing::error!(%error, "cannot read a read model to its end");
            }
            let goes_on = matches!(piece, Ok(Some(_)));
            let sent = out.send_timeout(piece, STALLED_MAX).await;
            if !goes_on || sent.is_err() {
                break;
            }
        }
        drop(place);
    });
    futures::stream::unfold(Some(pieces), |pieces: Option<mpsc::Receiver<_>>| async move {
        let mut pieces = pieces?;
        match pieces.recv().await {
            Some(Ok(Some(lines))) => Some((Ok(Bytes::from(lines)), Some(pieces))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
}
