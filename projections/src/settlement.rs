//! Settlement: what each provider took and gave back, day by day, to be held against its payouts.
//!
//! Everything is booked on the day (UTC) on which the log recorded it, under the attempt's gateway
//! and the currency that moved. `net` is what came in less what went back or was charged back, and
//! adds up to what the read model `payments` shows as captured less both. Money in another currency than was asked
//! for is counted in none of it, there as here: it stands in a column of its own. Money that nobody
//! asked for is booked when it is taken down, which is when it is given back, and its refunds with
//! all others; the read model `payments` does not know it.

mod fold;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use domain::money::Currency;
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool, Row as _};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use self::fold::{Added, Batch, Key, Payment};
use crate::error::Error;
use crate::money::Decimal;
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "settlement";

/// The table of the sums.
pub(crate) const DAYS: &str = "settlement_days";

/// What moved at a provider on one day, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SettlementRow {
    /// The day, UTC.
    pub day: NaiveDate,
    /// The provider.
    #[schema(example = "stripe")]
    pub gateway: String,
    /// ISO 4217 code; all amounts of the row are in it.
    #[schema(value_type = String, example = "GBP")]
    pub currency: &'static str,
    /// Exact captures.
    pub captures: i64,
    /// What they brought.
    #[schema(value_type = String, example = "1530.00")]
    pub captured: Decimal,
    /// Captures of what had been captured before, by another attempt.
    pub repeated: i64,
    /// What they brought.
    #[schema(value_type = String, example = "15.30")]
    pub repeated_amount: Decimal,
    /// Captures of another amount than was asked for.
    pub mismatched: i64,
    /// What they brought.
    #[schema(value_type = String, example = "15.29")]
    pub mismatched_amount: Decimal,
    /// Captures in this currency where another was asked for.
    pub other_currency: i64,
    /// What they brought; not in `net`.
    #[schema(value_type = String, example = "0.00")]
    pub other_currency_amount: Decimal,
    /// Payments that nobody here asked for, and that are being given back.
    pub unmatched: i64,
    /// What they brought.
    #[schema(value_type = String, example = "0.00")]
    pub unmatched_amount: Decimal,
    /// Refunds paid out.
    pub refunds: i64,
    /// What they took.
    #[schema(value_type = String, example = "5.10")]
    pub refunded: Decimal,
    /// Disputes by which the provider has taken money back, less those that gave it back.
    pub chargebacks: i64,
    /// What they took; what was given back is taken off on the day on which it was.
    #[schema(value_type = String, example = "0.00")]
    pub charged_back: Decimal,
    /// Refunds that were asked for and undecided when the day ended.
    pub pending_refunds: i64,
    /// What they will take.
    #[schema(value_type = String, example = "0.00")]
    pub pending_refunds_amount: Decimal,
    /// Captured, repeated, mismatched and unmatched, less refunded and charged back.
    #[schema(value_type = String, example = "1540.19")]
    pub net: Decimal,
}

/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// First day.
    pub from: Option<NaiveDate>,
    /// Last day, included.
    pub to: Option<NaiveDate>,
    /// Of this provider only.
    pub gateway: Option<String>,
}

impl Filter {
    /// The first and the last day that are asked for, both included.
    pub fn days(&self) -> (NaiveDate, NaiveDate) {
        storable::days(self.from, self.to)
    }
}

/// Days on which anything moved, ordered by day, gateway and currency.
pub async fn report(pool: &PgPool, filter: &Filter) -> Result<Vec<SettlementRow>, Error> {
    let (from, to) = filter.days();
    let rows: Vec<Row> = sqlx::query_as(include_str!("settlement/report.sql"))
        .bind(from)
        .bind(to)
        .bind(filter.gateway.as_deref())
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(Row::view).collect()
}

#[derive(FromRow)]
struct Row {
    day: NaiveDate,
    gateway: String,
    currency: String,
    #[sqlx(flatten)]
    added: Added,
}

impl Row {
    fn view(self) -> Result<SettlementRow, Error> {
        let currency: Currency = storable::named(&self.currency)?;
        let Added {
            captures,
            captured_minor,
            repeated,
            repeated_minor,
            mismatched,
            mismatched_minor,
            other_currency,
            other_currency_minor,
            unmatched,
            unmatched_minor,
            refunds,
            refunded_minor,
            chargebacks,
            charged_back_minor,
            pending,
            pending_minor,
        } = self.added;
        let came_in = captured_minor
            .saturating_add(repeated_minor)
            .saturating_add(mismatched_minor)
            .saturating_add(unmatched_minor);
        let amount = |minor| Decimal::of(minor, currency);
        Ok(SettlementRow {
            day: self.day,
            gateway: self.gateway,
            currency: currency.code(),
            captures,
            captured: amount(captured_minor),
            repeated,
            repeated_amount: amount(repeated_minor),
            mismatched,
            mismatched_amount: amount(mismatched_minor),
            other_currency,
            other_currency_amount: amount(other_currency_minor),
            unmatched,
            unmatched_amount: amount(unmatched_minor),
            refunds,
            refunded: amount(refunded_minor),
            chargebacks,
            charged_back: amount(charged_back_minor),
            pending_refunds: pending,
            pending_refunds_amount: amount(pending_minor),
            net: amount(
                came_in
                    .saturating_sub(refunded_minor)
                    .saturating_sub(charged_back_minor),
            ),
        })
    }
}

/// The projector's side.
pub(crate) struct Settlement;

impl Projection for Settlement {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        4
    }

    fn tables(&self) -> &'static [&'static str] {
        &[DAYS, "settlement_payments"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![
            Audited::sums(DAYS),
            Audited::new("settlement_payments", "payment_id", By::Payment),
        ]
    }

    fn ddl(&self) -> &'static str {
        include_str!("settlement/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

/// The days once more, added up from the streams of all payments, one stream after another: sums do not
/// depend on the order of payments.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The payment whose stream is being read.
    payment: Option<(Uuid, Payment)>,
    days: BTreeMap<Key, Added>,
}

impl Ledger {
    /// Takes the next events, stream by stream, each from its first event on.
    pub(crate) fn take<'a>(&mut self, events: impl Iterator<Item = &'a RecordedEvent>) {
        let mut batch = Batch::of(self.payment.take().into_iter().collect());
        let mut last = None;
        for event in events {
            batch.take(event);
            last = event.aggregate_id.parse().ok();
        }
        for (key, added) in &batch.days {
            self.days.entry(key.clone()).or_default().add(*added);
        }
        self.payment = last.and_then(|last| batch.remembered(last));
    }

    /// Books them into the tables that the search path begins with.
    pub(crate) async fn book(&self, connection: &mut PgConnection) -> Result<(), Error> {
        book(connection, &self.days).await
    }
}

async fn apply(connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let needed = fold::needed(events.iter().map(AsRef::as_ref));
    if needed.is_empty() {
        return Ok(());
    }
    let payments = load(connection, needed.into_iter().collect()).await?;
    let mut batch = Batch::of(payments);
    for event in events {
        batch.take(event);
    }
    keep(connection, &batch).await?;
    book(connection, &batch.days).await
}

async fn load(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
) -> Result<BTreeMap<Uuid, Payment>, Error> {
    let select = "select payment_id, payment::text from settlement_payments \
                  where payment_id = any($1)";
    let rows = sqlx::query(select).bind(ids).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let payment = serde_json::from_str(row.try_get("payment")?)?;
            Ok((row.try_get("payment_id")?, payment))
        })
        .collect()
}

async fn keep(connection: &mut PgConnection, batch: &Batch) -> Result<(), Error> {
    let (mut ids, mut documents) = (Vec::new(), Vec::new());
    for (id, payment) in batch.changed() {
        ids.push(id);
        documents.push(serde_json::to_string(payment)?);
    }
    sqlx::query(include_str!("settlement/keep.sql"))
        .bind(ids)
        .bind(documents)
        .execute(connection)
        .await?;
    Ok(())
}

async fn book(connection: &mut PgConnection, days: &BTreeMap<Key, Added>) -> Result<(), Error> {
    if days.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Added) -> i64| days.values().map(of).collect::<Vec<i64>>();
    let mut query = sqlx::query(include_str!("settlement/book.sql"))
        .bind(days.keys().map(|key| key.day).collect::<Vec<_>>())
        .bind(
            days.keys()
                .map(|key| key.gateway.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(days.keys().map(|key| key.currency).collect::<Vec<_>>());
    let columns: [fn(&Added) -> i64; 16] = [
        |added| added.captures,
        |added| added.captured_minor,
        |added| added.repeated,
        |added| added.repeated_minor,
        |added| added.mismatched,
        |added| added.mismatched_minor,
        |added| added.other_currency,
        |added| added.other_currency_minor,
        |added| added.unmatched,
        |added| added.unmatched_minor,
        |added| added.refunds,
        |added| added.refunded_minor,
        |added| added.chargebacks,
        |added| added.charged_back_minor,
        |added| added.pending,
        |added| added.pending_minor,
    ];
    for of in columns {
        query = query.bind(column(of));
    }
    query.execute(connection).await?;
    Ok(())
}
