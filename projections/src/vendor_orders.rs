//! Vendors' orders: the lines that are theirs, and which of them have left.
//!
//! One row per vendor and order. A vendor sees an order from when it is paid on, only their own lines
//! of it, nothing of its payment, and where it goes for as long as there is something to send or to
//! answer for: not once it is cancelled or its money has gone back.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::ids::{OrderId, Sku, VendorId};
use domain::order;
use domain::placing::{Address, Placing};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::Error;
use crate::money::MoneyView;
use crate::orders::{AddressView, Status};
use crate::paging::{self, Cursor, Page};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "vendor_orders";

/// How a line left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShippedView {
    /// When.
    pub at: DateTime<Utc>,
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Royal Mail")]
    pub carrier: Option<String>,
    /// What the carrier calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
}

/// A line of an order that is the vendor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VendorLineView {
    /// Its number in the order, counted from 1: what a shipment names.
    #[schema(example = 1)]
    pub line: u16,
    /// The article.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// Its name when it was ordered.
    pub name: String,
    /// Pieces.
    pub quantity: u32,
    /// Price of one piece.
    pub unit_price: MoneyView,
    /// Price of all pieces.
    pub line_total: MoneyView,
    /// Pieces of this line that were given back as such: so many fewer are to be sent.
    #[schema(example = 0)]
    pub refunded_quantity: u64,
    /// How it left; absent until it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipped: Option<ShippedView>,
}

/// To whom the lines go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShipToView {
    /// Whose name is on the parcel.
    pub name: String,
    /// Where.
    pub address: AddressView,
}

/// An order as a vendor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VendorOrderView {
    /// Which.
    #[schema(value_type = Uuid)]
    pub id: OrderId,
    /// How far the whole order has come.
    pub status: Status,
    /// Whether all of the vendor's lines have left.
    pub shipped: bool,
    /// Where they go; absent once the order is cancelled or refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<ShipToView>,
    /// The vendor's lines and no others.
    pub items: Vec<VendorLineView>,
    /// What these cost.
    pub subtotal: MoneyView,
    /// The order's version, for `If-Match`.
    pub version: i64,
    /// When the customer ordered.
    pub placed_at: DateTime<Utc>,
}

/// Which orders to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// How far they have come.
    pub status: Option<Status>,
    /// Whether all of the vendor's lines have left.
    pub shipped: Option<bool>,
    /// Placed then or later.
    pub placed_from: Option<DateTime<Utc>>,
    /// Placed then or earlier.
    pub placed_to: Option<DateTime<Utc>>,
}

/// What is shown of a vendor's orders.
const SELECT: &str = "select theirs.order_id, status, is_shipped, theirs.currency, lines::text, \
     customer_name, (placed->'shipping_address')::text as address, version, theirs.placed_at \
     from vendor_orders as theirs join orders using (order_id) \
     join order_progress using (order_id) where is_paid and vendor_id = ";

/// One of a vendor's orders; none that is not paid, or holds no line of theirs.
pub async fn by_id(
    pool: &PgPool,
    vendor: VendorId,
    id: OrderId,
) -> Result<Option<VendorOrderView>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push_bind(vendor.0);
    sql.push(" and theirs.order_id = ").push_bind(id.0);
    let row: Option<Listed> = sql.build_query_as().fetch_optional(pool).await?;
    row.map(Listed::view).transpose()
}

/// A vendor's orders, newest first.
pub async fn list(
    database: impl PgExecutor<'_>,
    vendor: VendorId,
    filter: &Filter,
    limit: i64,
    after: Option<Cursor>,
) -> Result<Page<VendorOrderView>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push_bind(vendor.0);
    if let Some(status) = filter.status {
        sql.push(" and status = ").push_bind(status.as_str());
    }
    if let Some(shipped) = filter.shipped {
        sql.push(" and is_shipped = ").push_bind(shipped);
    }
    if let Some(from) = filter.placed_from {
        sql.push(" and theirs.placed_at >= ")
            .push_bind(storable::instant(from));
    }
    if let Some(to) = filter.placed_to {
        sql.push(" and theirs.placed_at <= ")
            .push_bind(storable::instant(to));
    }
    if let Some(Cursor { at, id }) = after {
        sql.push(" and (theirs.placed_at, theirs.order_id) < (")
            .push_bind(at);
        sql.push(", ").push_bind(id).push(")");
    }
    sql.push(" order by theirs.placed_at desc, theirs.order_id desc limit ");
    sql.push(paging::rows_for(limit));
    let rows: Vec<Listed> = sql.build_query_as().fetch_all(database).await?;
    let items = rows
        .into_iter()
        .map(Listed::view)
        .collect::<Result<Vec<_>, Error>>()?;
    let cursor = |view: &VendorOrderView| Cursor { at: view.placed_at, id: view.id.0 }.to_string();
    Ok(paging::page(items, limit, cursor))
}

#[derive(FromRow)]
struct Listed {
    order_id: Uuid,
    status: String,
    is_shipped: bool,
    currency: String,
    lines: String,
    customer_name: String,
    address: String,
    version: i64,
    placed_at: DateTime<Utc>,
}

impl Listed {
    fn view(self) -> Result<VendorOrderView, Error> {
        let lines: Vec<Line> = serde_json::from_str(&self.lines)?;
        let status: Status = storable::named(&self.status)?;
        let currency = storable::named(&self.currency)?;
        let total_minor = |line: &Line| {
            let quantity = i64::from(line.quantity);
            line.unit_price_minor.saturating_mul(quantity)
        };
        let subtotal_minor = lines.iter().map(total_minor).fold(0, i64::saturating_add);
        let item = |line: Line| VendorLineView {
            unit_price: MoneyView::of(line.unit_price_minor, currency),
            line_total: MoneyView::of(total_minor(&line), currency),
            line: line.number,
            sku: line.sku,
            name: line.name,
            quantity: line.quantity,
            refunded_quantity: line.refunded_quantity,
            shipped: line.shipped,
        };
        let ship_to = match status {
            Status::Cancelled | Status::Refunded => None,
            Status::Pending
            | Status::Processing
            | Status::Confirmed
            | Status::Completed
            | Status::Failed => {
                let address: Address = serde_json::from_str(&self.address)?;
                Some(ShipToView { name: self.customer_name, address: address.into() })
            }
        };
        Ok(VendorOrderView {
            id: OrderId(self.order_id),
            status,
            shipped: self.is_shipped,
            ship_to,
            items: lines.into_iter().map(item).collect(),
            subtotal: MoneyView::of(subtotal_minor, currency),
            version: self.version,
            placed_at: self.placed_at,
        })
    }
}

/// The projector's side.
pub(crate) struct VendorOrders;

impl Projection for VendorOrders {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["vendor_orders"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("vendor_orders", "order_id", By::Order)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("vendor_orders/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

/// A line as its row holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    /// Counted from 1.
    #[serde(rename = "line")]
    number: u16,
    sku: Sku,
    name: String,
    quantity: u32,
    unit_price_minor: i64,
    #[serde(default)]
    refunded_quantity: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shipped: Option<ShippedView>,
}

/// What of an order is one vendor's.
#[derive(Debug, Clone)]
struct Share {
    placed_at: DateTime<Utc>,
    is_paid: bool,
    currency: String,
    lines: Vec<Line>,
}

impl Share {
    /// Takes pieces of an article off the lines: first off those that can still be kept back.
    fn give_back(&mut self, sku: &Sku, pieces: u64) {
        let mut left = pieces;
        for is_gone in [false, true] {
            let lines = self.lines.iter_mut();
            let lines = lines.filter(|line| line.sku == *sku && line.shipped.is_some() == is_gone);
            for line in lines {
                let room = u64::from(line.quantity).saturating_sub(line.refunded_quantity);
                let taken = room.min(left);
                line.refunded_quantity = line.refunded_quantity.saturating_add(taken);
                left = left.saturating_sub(taken);
            }
        }
    }
}

/// The shares of a batch's orders, by order and vendor.
type Shares = BTreeMap<(Uuid, Uuid), Share>;

async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let events: Vec<(Uuid, &order::Event, &RecordedEvent)> = batch
        .iter()
        .filter_map(|recorded| {
            let event = (&recorded.event).try_into().ok()?;
            let id = recorded.aggregate_id.parse().ok()?;
            Some((id, event, recorded.as_ref()))
        })
        .collect();
    let mut shares = load(connection, &events).await?;
    for (id, event, recorded) in events {
        take(&mut shares, id, event, storable::instant(recorded.recorded_at));
    }
    upsert(connection, &shares).await
}

/// Those that the events move and that are of earlier batches. Of most orders there are none.
async fn load(
    connection: &mut PgConnection,
    events: &[(Uuid, &order::Event, &RecordedEvent)],
) -> Result<Shares, Error> {
    #[derive(FromRow)]
    struct Kept {
        vendor_id: Uuid,
        order_id: Uuid,
        placed_at: DateTime<Utc>,
        is_paid: bool,
        currency: String,
        lines: String,
    }
    let moves = |event: &order::Event| {
        matches!(
            event,
            order::Event::Confirmed { .. }
                | order::Event::LinesShipped(_)
                | order::Event::Refunded(_)
        )
    };
    let mut ids: Vec<Uuid> = events
        .iter()
        .filter(|(_, event, _)| moves(event))
        .map(|(id, ..)| *id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Shares::new());
    }
    let select = "select vendor_id, order_id, placed_at, is_paid, currency, lines::text \
                  from vendor_orders where order_id = any($1)";
    let rows: Vec<Kept> = sqlx::query_as(select)
        .bind(ids)
        .fetch_all(connection)
        .await?;
    let share = |kept: Kept| {
        let Kept { placed_at, is_paid, currency, .. } = kept;
        let lines = serde_json::from_str(&kept.lines)?;
        let share = Share { placed_at, is_paid, currency, lines };
        Ok(((kept.order_id, kept.vendor_id), share))
    };
    rows.into_iter().map(share).collect()
}

fn take(shares: &mut Shares, id: Uuid, event: &order::Event, at: DateTime<Utc>) {
    if let order::Event::Placed(placing) = event {
        place(shares, id, placing);
        return;
    }
    let of_order = shares.range_mut((id, Uuid::nil())..=(id, Uuid::max()));
    for (_, share) in of_order {
        match event {
            order::Event::Confirmed { .. } => share.is_paid = true,
            order::Event::LinesShipped(shipment) => {
                let shipped = ShippedView {
                    at,
                    carrier: shipment.carrier.clone(),
                    tracking_number: shipment.tracking_number.clone(),
                };
                for line in &mut share.lines {
                    if shipment.lines.contains(&line.number) {
                        line.shipped = Some(shipped.clone());
                    }
                }
            }
            order::Event::Refunded(refund) => {
                for part in &refund.goods {
                    share.give_back(&part.sku, part.quantity.into());
                }
            }
            order::Event::Placed(_)
            | order::Event::Screened(_)
            | order::Event::ReviewApproved { .. }
            | order::Event::ReviewRefused { .. }
            | order::Event::Processing
            | order::Event::Completed
            | order::Event::Cancelled { .. }
            | order::Event::Failed(_)
            | order::Event::RefundRequested(_)
            | order::Event::RefundFailed { .. } => {}
        }
    }
}

fn place(shares: &mut Shares, id: Uuid, placing: &Placing) {
    for (number, line) in (1..).zip(&placing.lines) {
        let Some(vendor) = line.vendor else { continue };
        let share = shares.entry((id, vendor.0)).or_insert_with(|| Share {
            placed_at: storable::instant(placing.placed_at),
            is_paid: false,
            currency: placing.currency.code().to_owned(),
            lines: Vec::new(),
        });
        share.lines.push(Line {
            number,
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price_minor: line.unit_price_minor,
            refunded_quantity: 0,
            shipped: None,
        });
    }
}

async fn upsert(connection: &mut PgConnection, shares: &Shares) -> Result<(), Error> {
    if shares.is_empty() {
        return Ok(());
    }
    let lines = shares
        .values()
        .map(|share| serde_json::to_string(&share.lines))
        .collect::<Result<Vec<_>, _>>()?;
    let is_shipped = |share: &Share| share.lines.iter().all(|line| line.shipped.is_some());
    let all = || shares.values();
    sqlx::query(include_str!("vendor_orders/upsert.sql"))
        .bind(shares.keys().map(|(_, vendor)| *vendor).collect::<Vec<_>>())
        .bind(shares.keys().map(|(order, _)| *order).collect::<Vec<_>>())
        .bind(all().map(|share| share.placed_at).collect::<Vec<_>>())
        .bind(all().map(|share| share.is_paid).collect::<Vec<_>>())
        .bind(all().map(is_shipped).collect::<Vec<_>>())
        .bind(
            all()
                .map(|share| share.currency.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(lines)
        .execute(connection)
        .await?;
    Ok(())
}
