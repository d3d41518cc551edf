//! The rows of one order, and the statements that insert copies of them.
//!
//! In a statement, `$1..$2` are the numbers of the copies since filling began, `$3` is the head of the
//! log before them, `$4` is how many orders there were when filling began, `$5` and `$6` are the
//! newest sequences of the articles' stock.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgPool;

use super::SHELVES;
use super::splice::{Varying, quoted, spliced};
use crate::daybook::Daybook;
use crate::error::Error;
use crate::http::Connection;
use crate::{requests, shop};

/// How far back the past reaches: orders are spread over it evenly.
const PAST_MS: u64 = 365 * 24 * 60 * 60 * 1_000;
/// How an instant is written in a payload; the server's time zone is UTC.
const TIMESTAMP: &str = "YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"";
/// Behind it, so that no copy is younger than the pattern.
const GAP_MS: u64 = 24 * 60 * 60 * 1_000;

/// The rows of a table that belong to the order.
#[derive(Debug, Clone, Default)]
struct Rows {
    table: &'static str,
    /// Name and type.
    columns: Vec<(String, String)>,
    all: Vec<Vec<Option<String>>>,
}

/// One order, as the store has written it.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    tables: Vec<Rows>,
    varying: Vec<Varying>,
    /// Events of the order.
    width: i64,
    /// The position before its first event.
    base: i64,
    /// By article: the sequence before the order's first event there, and how many it has there.
    stock: BTreeMap<String, (i64, i64)>,
    /// Unix milliseconds.
    placed_at_ms: u64,
    apart_ms: u64,
}

impl Pattern {
    /// Has an order placed, paid and completed, and reads what that has left. Nothing else may be
    /// going on. `events_max` says over how many events the past is to be spread.
    pub(crate) async fn take(daybook: &Daybook, events_max: u64) -> Result<Self, Error> {
        daybook.settle().await?;
        let base = daybook.standing().await?.head;
        let skus = [shop::sku(0), shop::sku(SHELVES)];
        let order_id = completed_order(daybook, &skus, base).await?;
        daybook.settle().await?;
        let width = daybook.standing().await?.head - base;
        let behind = format!("where {base} < position order by position");
        let events = Rows::read(&daybook.database, "events", &behind).await?;
        let behind = format!("where {base} < first_position order by first_position");
        let receipts = Rows::read(&daybook.database, "receipts", &behind).await?;
        let of_order = format!("where order_id = {}", quoted(&order_id));
        let checkouts = Rows::read(&daybook.database, "checkouts", &of_order).await?;

        let orders = events_max / width.unsigned_abs().max(1);
        let mut pattern = Self {
            varying: Vec::new(),
            width,
            base,
            stock: events.stock(),
            placed_at_ms: millis_of(&order_id)?,
            apart_ms: PAST_MS / orders.max(1),
            tables: vec![events, receipts, checkouts],
        };
        pattern.varying = pattern.what_varies(&order_id, &skus)?;
        Ok(pattern)
    }

    /// Events of one order.
    pub(crate) fn width(&self) -> i64 {
        self.width
    }

    /// A statement per table.
    pub(crate) fn inserts(&self) -> Vec<String> {
        self.tables.iter().map(|rows| self.insert(rows)).collect()
    }

    fn insert(&self, rows: &Rows) -> String {
        let names: Vec<&str> = rows.columns.iter().map(|(name, _)| name.as_str()).collect();
        let values: Vec<String> = rows
            .all
            .iter()
            .map(|row| format!("({})", self.copied(rows, row).join(", ")))
            .collect();
        let (apart, first) = (self.apart_ms, self.placed_at_ms - PAST_MS - GAP_MS);
        // Chance that is the same each time, and ids that begin with their time, as the store's do.
        // `offset 0` keeps the planner from computing what is in a subquery again at each use.
        format!(
            "insert into {table} ({names}) \
             select copy.* \
             from generate_series($1::bigint, $2::bigint) as numbers (m) \
             cross join lateral ( \
                 select \
                     $3::bigint + (m - $1) * {width} as base, \
                     $4::bigint + m as n, \
                     (m / {SHELVES})::bigint as before, \
                     ($5::bigint[])[1 + m % {SHELVES}] as first_shelf, \
                     ($6::bigint[])[1 + m % {SHELVES}] as second_shelf, \
                     {first} + ($4::bigint + m) * {apart} % {PAST_MS} as ms, \
                     md5(($4::bigint + m)::text) as chance \
                 offset 0 \
             ) as one \
             cross join lateral ( \
                 select \
                     'BENCH-' || lpad((m % {SHELVES})::text, 4, '0') as first_sku, \
                     'BENCH-' || lpad((m % {SHELVES} + {SHELVES})::text, 4, '0') as second_sku, \
                     lpad((n % {customers})::text, 4, '0') as customer, \
                     upper(left(chance, 26)) as reference, \
                     to_char(to_timestamp(ms / 1000.0), {timestamp}) as placed_at, \
                     overlay(lpad(to_hex(ms), 12, '0') placing '-' from 9 for 0) as id_begins, \
                     '-8' || left(chance, 3) || '-' || substr(chance, 4, 12) as id_ends \
                 offset 0 \
             ) as texts \
             cross join lateral (values {values}) as copy",
            customers = shop::CUSTOMERS,
            timestamp = quoted(TIMESTAMP),
            table = rows.table,
            names = names.join(", "),
            width = self.width,
            values = values.join(", "),
        )
    }

    /// A row's columns as expressions.
    fn copied(&self, rows: &Rows, row: &[Option<String>]) -> Vec<String> {
        let stock = rows.stock_of(row).map(|sku| &self.stock[sku]);
        let columns = rows.columns.iter().zip(row);
        columns
            .map(|((name, kind), value)| {
                let Some(value) = value else {
                    return format!("null::{kind}");
                };
                let number = value.parse::<i64>().ok();
                match (name.as_str(), number, stock) {
                    ("position" | "first_position" | "last_position", Some(position), _) => {
                        format!("(base + {})::{kind}", position - self.base)
                    }
                    ("sequence" | "version", Some(sequence), Some((before, many))) => {
                        let newest = newest_on(rows.stock_of(row).unwrap_or_default());
                        format!("({newest} + before * {many} + {})::{kind}", sequence - before)
                    }
                    _ => format!("({})::{kind}", spliced(value, &self.varying)),
                }
            })
            .collect()
    }

    /// What is different in every order.
    fn what_varies(&self, order_id: &str, skus: &[String; 2]) -> Result<Vec<Varying>, Error> {
        let [events, receipts, _] = &self.tables[..] else {
            return Err(incomplete("its tables"));
        };
        let mut varying = vec![
            Varying::new(&skus[0], "first_sku"),
            Varying::new(&skus[1], "second_sku"),
        ];
        varying.extend(shop::CUSTOMERS_BEHIND.iter().map(|before| {
            Varying::new(format!("{before}0000"), format!("{} || customer", quoted(before)))
        }));
        let placed: Value = events.json("order.placed", "payload")?;
        let attempt: Value = events.json("payment.attempt_started", "payload")?;
        let text = |of: &Value, name: &str| {
            let found = of.get(name).and_then(Value::as_str).map(str::to_owned);
            found.ok_or_else(|| incomplete(name))
        };
        varying.push(Varying::new(text(&placed, "placed_at")?, "placed_at"));
        varying.push(Varying::new(text(&attempt, "reference")?, "reference"));
        let payment_id = text(&placed, "payment_id")?;
        let ids = [order_id.to_owned(), payment_id]
            .into_iter()
            .chain(events.texts("event_id"))
            .chain(receipts.texts("command_id"));
        for (index, id) in ids.enumerate() {
            let instead = self.another_id(&id, index);
            varying.push(Varying::new(id, instead));
        }
        Ok(varying)
    }

    /// An id of the same kind: of its time, or of chance.
    fn another_id(&self, id: &str, index: usize) -> String {
        // Some time passes between the first and the last id of an order; the first six of twelve
        // digits stay the same for hours.
        let time = format!("{:012x}", self.placed_at_ms);
        let is_of_time = id.starts_with(&time[..6]);
        if is_of_time {
            let kind = id.as_bytes().get(14).copied().unwrap_or(b'7') as char;
            format!("id_begins || '-{kind}{index:03x}' || id_ends")
        } else {
            format!("md5('{index} ' || n)::uuid::text")
        }
    }
}

impl Rows {
    async fn read(pool: &PgPool, table: &'static str, which: &str) -> Result<Self, Error> {
        let select = "select attname::text, format_type(atttypid, atttypmod) \
                      from pg_attribute \
                      where attrelid = $1::regclass and 0 < attnum \
                        and not attisdropped and attgenerated = '' \
                      order by attnum";
        let columns: Vec<(String, String)> =
            sqlx::query_as(select).bind(table).fetch_all(pool).await?;
        let texts: Vec<String> = columns
            .iter()
            .map(|(name, _)| format!("{name}::text"))
            .collect();
        let select = format!("select array[{}] from {table} {which}", texts.join(", "));
        let all: Vec<Vec<Option<String>>> = sqlx::query_scalar(&select).fetch_all(pool).await?;
        if all.is_empty() {
            return Err(incomplete(table));
        }
        Ok(Self { table, columns, all })
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| column == name)
    }

    fn text<'a>(&self, row: &'a [Option<String>], name: &str) -> Option<&'a str> {
        row.get(self.column(name)?)?.as_deref()
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let texts = self.all.iter().filter_map(|row| self.text(row, name));
        texts.map(str::to_owned).collect()
    }

    /// The article, if the row is about stock.
    fn stock_of<'a>(&self, row: &'a [Option<String>]) -> Option<&'a str> {
        (self.text(row, "aggregate_type")? == "inventory")
            .then(|| self.text(row, "aggregate_id"))
            .flatten()
    }

    /// See [`Pattern::stock`].
    fn stock(&self) -> BTreeMap<String, (i64, i64)> {
        let mut stock: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for row in &self.all {
            let sequence = self
                .text(row, "sequence")
                .and_then(|it| it.parse::<i64>().ok());
            if let (Some(sku), Some(sequence)) = (self.stock_of(row), sequence) {
                let entry = stock.entry(sku.to_owned()).or_insert((sequence - 1, 0));
                entry.1 += 1;
            }
        }
        stock
    }

    /// A column of the first event of this type.
    fn json(&self, event_type: &str, column: &str) -> Result<Value, Error> {
        let row = self
            .all
            .iter()
            .find(|row| self.text(row, "event_type") == Some(event_type));
        let text = row.and_then(|row| self.text(row, column));
        text.and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| incomplete(event_type))
    }
}

/// The SQL column that holds the newest sequence of this article.
fn newest_on(sku: &str) -> &'static str {
    if sku == shop::sku(0) {
        "first_shelf"
    } else {
        "second_shelf"
    }
}

fn incomplete(what: &str) -> Error {
    Error::Check(format!("the order to copy has left no {what}"))
}

/// The time that an id begins with.
fn millis_of(id: &str) -> Result<u64, Error> {
    let digits: String = id
        .chars()
        .filter(|letter| *letter != '-')
        .take(12)
        .collect();
    u64::from_str_radix(&digits, 16).map_err(|_| incomplete("id with a time"))
}

/// Places an order for two pieces of one article and one of another, and completes it.
async fn completed_order(
    daybook: &Daybook,
    skus: &[String; 2],
    base: i64,
) -> Result<String, Error> {
    let mut connection = Connection::open(daybook.address)
        .await
        .map_err(Error::Load)?;
    let key = format!("pattern-{base}");
    let body = shop::body(&[(&skus[0], 2), (&skus[1], 1)]);
    let place = requests::order(&[("idempotency-key", &key)], &body);
    let answer = connection.exchange(&place).await.map_err(Error::Load)?;
    let refused = |what: &str, answer: String| Error::Refused { what: what.to_owned(), answer };
    let Some(order_id) = shop::id_in(&answer) else {
        return Err(refused("place the order to copy", answer.text()));
    };
    daybook.settle().await?;
    let path = format!("/api/v1/orders/{order_id}/complete");
    let key = format!("pattern-{base}-completed");
    let complete = requests::command("POST", &path, &daybook.token, &key, "{}");
    let answer = connection.exchange(&complete).await.map_err(Error::Load)?;
    if answer.is_success() {
        Ok(order_id)
    } else {
        Err(refused("complete the order to copy", answer.text()))
    }
}
