//! Lists as tables: every row that the filters leave, as CSV, flowing while they are read.
//!
//! 1. All rows are of one moment, and `Daybook-Position` says which. What is no read model, such as
//!    accounts and tickets, is read page by page; what comes or goes meanwhile may or may not be in it.
//! 2. A page is in memory at a time, however long the list is. Reports are in memory anyway.
//! 3. What people wrote is no formula to a spreadsheet (`exports::delimited`).
//!
//! Columns are only ever added, at the end: spreadsheets and scripts count them.

mod goods;
mod orders;
mod people;
mod reports;

use std::io;
use std::io::Write as _;
use std::str::FromStr;

use axum::http::HeaderMap;
use axum::response::Response;
use exports::delimited;
use exports::table::{self, Column, Kind};
use futures::future::BoxFuture;
use projections::{BadCursor, Error, Moment, Page, Seat};
use serde_json::Value;
use sqlx::PgConnection;

pub(crate) use self::goods::{of_products, of_promotions, of_stock};
pub(crate) use self::orders::{of_orders, of_payments, of_vendors_orders};
pub(crate) use self::people::{of_customers, of_reviews, of_tickets, of_vendors};
pub(crate) use self::reports::{of_cohorts, of_months, of_sales, of_settlement};
use super::App;
use super::formats;
use super::forms::Form;
use super::parked::Cursor;
use super::problem::Problem;
use super::queries::{self, Asking};
use super::rows::{self, Room, Rows};

/// Rows that are read at a time.
const PAGE: i64 = 100;

/// Whether the client wants a table instead of pages.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    queries::accepts(headers, "text/csv")
}

const fn of(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

/// What a table is made of, and for whom.
struct Source<'n> {
    /// The read models.
    names: &'n [&'static str],
    columns: &'static [Column],
    room: Room,
}

/// A list as a table of one moment; an item of it may be several rows.
async fn answer<T, I, C, R>(
    app: &App,
    asking: &Asking,
    source: Source<'_>,
    rows_of: fn(T) -> I,
    read: R,
) -> Result<Response, Problem>
where
    T: Send + 'static,
    I: IntoIterator<Item = Value> + 'static,
    C: FromStr<Err = BadCursor> + Send + 'static,
    R: for<'c> Fn(&'c mut PgConnection, Option<C>) -> BoxFuture<'c, Result<Page<T>, Error>>
        + Send
        + 'static,
{
    let Source { names, columns, room } = source;
    let _reached = asking.position(app, names).await?;
    let place = rows::place(room)?;
    let seat = app.read_models.seat().await?;
    let moment = Moment::of(app.read_models.reads(), names).await?;
    let position = moment.position();
    let listing = Listing { moment, read, rows_of, after: None, is_over: false, _seat: seat };
    let cells = |line: &[u8]| table::row(columns, line);
    Ok(Form::Csv.streamed(rows::pieces(listing, place), position, columns, cells))
}

/// A list that is read to its end.
struct Listing<T, I, C, R> {
    moment: Moment,
    read: R,
    rows_of: fn(T) -> I,
    after: Option<C>,
    is_over: bool,
    _seat: Seat,
}

impl<T, I, C, R> Listing<T, I, C, R>
where
    I: IntoIterator<Item = Value>,
    C: FromStr<Err = BadCursor>,
    R: for<'c> Fn(&'c mut PgConnection, Option<C>) -> BoxFuture<'c, Result<Page<T>, Error>>,
{
    async fn some(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        let page = (self.read)(self.moment.connection(), self.after.take()).await;
        let Page { items, next_cursor } = page.map_err(io::Error::other)?;
        self.after = next_cursor
            .map(|cursor| cursor.parse())
            .transpose()
            .map_err(io::Error::other)?;
        self.is_over = self.after.is_none();
        lines(items.into_iter().flat_map(self.rows_of))
    }
}

impl<T, I, C, R> Rows for Listing<T, I, C, R>
where
    T: Send + 'static,
    I: IntoIterator<Item = Value> + 'static,
    C: FromStr<Err = BadCursor> + Send + 'static,
    R: for<'c> Fn(&'c mut PgConnection, Option<C>) -> BoxFuture<'c, Result<Page<T>, Error>>
        + Send
        + 'static,
{
    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Vec<u8>>>> {
        Box::pin(self.some())
    }
}

/// What is kept in ordinary rows as a table, newest first.
fn walked<T, R>(
    position: i64,
    columns: &'static [Column],
    row: fn(T) -> Value,
    cursor: fn(&T) -> Cursor,
    read: R,
) -> Result<Response, Problem>
where
    T: Send + 'static,
    R: Fn(Option<Cursor>) -> BoxFuture<'static, Result<Vec<T>, Problem>> + Send + 'static,
{
    let walk = Walk { read, row, cursor, after: None, is_over: false };
    let place = rows::place(Room::House)?;
    let cells = |line: &[u8]| table::row(columns, line);
    Ok(Form::Csv.streamed(rows::pieces(walk, place), position, columns, cells))
}

/// The same as it is read to its end: [`PAGE`] rows at a time, fewer at the end.
struct Walk<T, R> {
    read: R,
    row: fn(T) -> Value,
    cursor: fn(&T) -> Cursor,
    after: Option<Cursor>,
    is_over: bool,
}

impl<T, R> Walk<T, R>
where
    R: Fn(Option<Cursor>) -> BoxFuture<'static, Result<Vec<T>, Problem>>,
{
    async fn some(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        let found = (self.read)(self.after).await;
        let found = found.map_err(|problem| io::Error::other(format!("{problem:?}")))?;
        self.is_over = found.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        self.after = found.last().map(self.cursor);
        lines(found.into_iter().map(self.row))
    }
}

impl<T, R> Rows for Walk<T, R>
where
    T: Send + 'static,
    R: Fn(Option<Cursor>) -> BoxFuture<'static, Result<Vec<T>, Problem>> + Send + 'static,
{
    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Vec<u8>>>> {
        Box::pin(self.some())
    }
}

/// A report as a table: its rows are in memory.
fn whole(
    position: i64,
    columns: &[Column],
    rows: impl IntoIterator<Item = Value>,
) -> Result<Response, Problem> {
    let rows = rows.into_iter().map(|row| table::cells(columns, &row));
    let mut csv = Vec::new();
    delimited::write_head(columns, &mut csv)
        .and_then(|()| delimited::write_rows(columns, rows, &mut csv))
        .map_err(|error| Problem::accident("write a table", &error))?;
    Ok(formats::show_rows(position, csv))
}

/// Each a line; JSON has no line feeds of its own.
fn lines(rows: impl Iterator<Item = Value>) -> io::Result<Option<Vec<u8>>> {
    let mut lines = Vec::new();
    for row in rows {
        writeln!(lines, "{row}")?;
    }
    Ok(Some(lines))
}
