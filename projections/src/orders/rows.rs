//! Reading and writing the rows of a batch's orders: a few statements each, however many there are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ids::OrderId;
use domain::personal::Hidden;
use domain::placing::Placing;
use sqlx::{PgConnection, Row as _};
use store::recorded::RecordedEvent;
use uuid::Uuid;

use super::fold::Progress;
use super::view;
use crate::error::Error;
use crate::storable;

/// Most orders of one insert: each brings all of its lines along.
const INSERT_ORDERS_MAX: usize = 500;

/// Most rows of `order_skus` of one insert: an order may have 2,000, a batch 2,000 such orders.
const INSERT_SKUS_MAX: usize = 50_000;

/// The orders that the events move and that were placed before this batch.
pub(super) async fn load(
    connection: &mut PgConnection,
    about: &[(OrderId, &RecordedEvent)],
) -> Result<BTreeMap<OrderId, Progress>, Error> {
    let mut ids: Vec<Uuid> = about.iter().map(|(id, _)| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let select = "select order_id, progress::text from order_progress where order_id = any($1)";
    let rows = sqlx::query(select).bind(ids).fetch_all(connection).await?;
    let progress = |row: sqlx::postgres::PgRow| {
        let progress = serde_json::from_str(row.try_get("progress")?)?;
        Ok((OrderId(row.try_get("order_id")?), progress))
    };
    rows.into_iter().map(progress).collect()
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    new: &BTreeMap<OrderId, (Placing, Progress)>,
) -> Result<(), Error> {
    let orders: Vec<(&OrderId, &Placing, &Progress)> = new
        .iter()
        .map(|(id, (placing, progress))| (id, placing, progress))
        .collect();
    for orders in orders.chunks(INSERT_ORDERS_MAX) {
        let mut columns = Columns::default();
        for (id, placing, progress) in orders {
            columns.push(**id, placing, progress)?;
        }
        columns.insert(connection).await?;
    }
    let mut skus = Vec::new();
    for (id, placing, _) in &orders {
        let held = placing.pieces_by_sku();
        skus.extend(
            held.into_iter()
                .map(|(sku, _)| (String::from(sku), placing.placed_at, id.0)),
        );
    }
    for skus in skus.chunks(INSERT_SKUS_MAX) {
        let insert = "insert into order_skus (sku, placed_at, order_id) \
                      select unnest($1::text[]), unnest($2::timestamptz[]), unnest($3::uuid[])";
        sqlx::query(insert)
            .bind(
                skus.iter()
                    .map(|(sku, ..)| sku.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(
                skus.iter()
                    .map(|(_, placed_at, _)| *placed_at)
                    .collect::<Vec<_>>(),
            )
            .bind(skus.iter().map(|(.., id)| *id).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn update(
    connection: &mut PgConnection,
    moved: &BTreeMap<OrderId, Progress>,
) -> Result<(), Error> {
    if moved.is_empty() {
        return Ok(());
    }
    let progress = moved
        .values()
        .map(serde_json::to_string)
        .collect::<Result<Vec<_>, _>>()?;
    let status = |order: &Progress| order.status.as_str();
    let payment_status = |order: &Progress| order.paying.status().as_str();
    sqlx::query(include_str!("update.sql"))
        .bind(moved.keys().map(|id| id.0).collect::<Vec<_>>())
        .bind(moved.values().map(status).collect::<Vec<_>>())
        .bind(moved.values().map(payment_status).collect::<Vec<_>>())
        .bind(
            moved
                .values()
                .map(|order| order.paying.refunded_minor)
                .collect::<Vec<_>>(),
        )
        .bind(
            moved
                .values()
                .map(|order| order.version)
                .collect::<Vec<_>>(),
        )
        .bind(
            moved
                .values()
                .map(|order| order.updated_at)
                .collect::<Vec<_>>(),
        )
        .bind(progress)
        .bind(
            moved
                .values()
                .map(|order| view::review_name(order.review))
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes rows what they would be, had the personal data been gone when the orders were placed: so
/// that a rebuild, which finds no key, comes to the same.
pub(super) async fn forget(
    connection: &mut PgConnection,
    forgotten: &[OrderId],
) -> Result<(), Error> {
    for orders in forgotten.chunks(INSERT_ORDERS_MAX) {
        let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
        let select = "select order_id, placed::text from orders where order_id = any($1)";
        let rows: Vec<(Uuid, String)> = sqlx::query_as(select)
            .bind(ids)
            .fetch_all(&mut *connection)
            .await?;
        let (mut ids, mut placings) = (Vec::new(), Vec::new());
        for (order_id, placed) in rows {
            let mut placing: Placing = serde_json::from_str(&placed)?;
            placing.forget();
            ids.push(order_id);
            placings.push(serde_json::to_string(&placing)?);
        }
        let customer = Hidden::Forgotten.customer();
        let update = "update orders set customer_name = $3, customer_email = $4, email_key = $5, \
                      placed = forgotten.placed::json \
                      from (select unnest($1::uuid[]) as order_id, unnest($2::text[]) as placed) \
                          as forgotten \
                      where orders.order_id = forgotten.order_id";
        sqlx::query(update)
            .bind(ids)
            .bind(placings)
            .bind(storable::storable(&customer.name))
            .bind(storable::storable(&customer.email))
            .bind(storable::email_key(&customer.email))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// New rows, column by column, as `unnest` takes them.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    names: Vec<String>,
    emails: Vec<String>,
    email_keys: Vec<String>,
    countries: Vec<String>,
    currencies: Vec<&'static str>,
    totals_minor: Vec<i64>,
    placed_at: Vec<DateTime<Utc>>,
    placings: Vec<String>,
    statuses: Vec<&'static str>,
    payment_statuses: Vec<&'static str>,
    refunded_minor: Vec<i64>,
    versions: Vec<i64>,
    updated_at: Vec<DateTime<Utc>>,
    progresses: Vec<String>,
    customers: Vec<Option<Uuid>>,
    reviews: Vec<&'static str>,
    shipping_minor: Vec<i64>,
    shipping_methods: Vec<Option<String>>,
}

impl Columns {
    fn push(&mut self, id: OrderId, placing: &Placing, progress: &Progress) -> Result<(), Error> {
        self.ids.push(id.0);
        self.names.push(storable::storable(&placing.customer.name));
        self.emails
            .push(storable::storable(&placing.customer.email));
        self.email_keys
            .push(storable::email_key(&placing.customer.email));
        self.countries
            .push(storable::key(&placing.shipping_address.country));
        self.currencies.push(placing.currency.code());
        self.totals_minor.push(placing.total_minor());
        self.placed_at.push(placing.placed_at);
        self.placings.push(serde_json::to_string(placing)?);
        self.statuses.push(progress.status.as_str());
        self.payment_statuses
            .push(progress.paying.status().as_str());
        self.refunded_minor.push(progress.paying.refunded_minor);
        self.versions.push(progress.version);
        self.updated_at.push(progress.updated_at);
        self.progresses.push(serde_json::to_string(progress)?);
        self.customers
            .push(placing.customer_id.map(|customer| customer.0));
        self.reviews.push(view::review_name(progress.review));
        self.shipping_minor.push(placing.shipping_minor);
        let shipping = placing.shipping.as_ref();
        self.shipping_methods
            .push(shipping.map(|shipping| shipping.method.to_string()));
        Ok(())
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), Error> {
        sqlx::query(include_str!("insert.sql"))
            .bind(self.ids)
            .bind(self.names)
            .bind(self.emails)
            .bind(self.email_keys)
            .bind(self.countries)
            .bind(self.currencies)
            .bind(self.totals_minor)
            .bind(self.placed_at)
            .bind(self.placings)
            .bind(self.statuses)
            .bind(self.payment_statuses)
            .bind(self.refunded_minor)
            .bind(self.versions)
            .bind(self.updated_at)
            .bind(self.progresses)
            .bind(self.customers)
            .bind(self.reviews)
            .bind(self.shipping_minor)
            .bind(self.shipping_methods)
            .execute(connection)
            .await?;
        Ok(())
    }
}
