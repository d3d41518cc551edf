//! Delivery: by which methods goods come to customers, and where they are picked up.
//!
//! One row per method and per pick-up point that was ever described.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::delivery::{self, Band, Destination, Method, Point, Table};
use domain::event::Event;
use domain::ids::Handle;
use domain::money::Currency;
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool, Postgres, QueryBuilder};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;

use crate::error::Error;
use crate::money::MoneyView;
use crate::orders::{AddressView, DaysView};
use crate::paging::{self, BadCursor, Page};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "delivery";

/// A way for goods to come to customers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShippingMethodView {
    /// Its name in orders.
    #[schema(value_type = String, example = "post")]
    pub id: Handle,
    /// What customers are told.
    pub name: String,
    /// What else they are told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// `address` if it goes to the order's address, `pickup_point` if customers come for the goods.
    #[schema(example = "address")]
    pub kind: &'static str,
    /// Where they come for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub pickup_points: Vec<Handle>,
    /// Whether it can be chosen.
    pub active: bool,
    /// The countries that it goes to, ISO 3166-1 alpha-2; empty for all of them.
    pub countries: Vec<String>,
    /// What it costs, in each currency.
    pub rates: Vec<ShippingRatesView>,
    /// How many days it takes.
    pub days: Option<DaysView>,
}

/// The same since its last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShippingMethodDetails {
    /// How it is offered.
    #[serde(flatten)]
    pub method: ShippingMethodView,
    /// Of all methods and pick-up points as of its last change, for `If-Match`.
    pub version: i64,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a method costs in a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShippingRatesView {
    /// Of every amount in it.
    #[schema(value_type = String, example = "GBP")]
    pub currency: Currency,
    /// What the goods must come to for their shipping to cost nothing.
    pub free_from: Option<MoneyView>,
    /// The prices.
    pub bands: Vec<ShippingBandView>,
}

/// What shipping costs within bounds. What is null does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShippingBandView {
    /// Heavier than so many grams.
    pub weight_over: Option<u64>,
    /// At most so many grams.
    pub weight_up_to: Option<u64>,
    /// Goods for this or more.
    pub total_from: Option<MoneyView>,
    /// Goods for less than this.
    pub total_below: Option<MoneyView>,
    /// What it costs.
    pub price: MoneyView,
}

/// A place where goods are picked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PickupPointOffer {
    /// Its name in orders.
    #[schema(value_type = String, example = "station")]
    pub id: Handle,
    /// What customers are told.
    pub name: String,
    /// Where it is.
    pub address: AddressView,
    /// When it is open.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub opening_hours: String,
    /// Whether it can be chosen.
    pub active: bool,
}

/// The same since its last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PickupPointDetails {
    /// How it is.
    #[serde(flatten)]
    pub point: PickupPointOffer,
    /// Of all methods and pick-up points as of its last change, for `If-Match`.
    pub version: i64,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl ShippingMethodView {
    /// What a method says to everybody.
    pub fn of(id: Handle, method: Method) -> Self {
        let (kind, pickup_points) = match method.to {
            Destination::Address => ("address", vec![]),
            Destination::PickupPoint { points } => ("pickup_point", points),
        };
        Self {
            id,
            name: method.name,
            description: method.description,
            kind,
            pickup_points,
            active: method.active,
            countries: method.countries,
            rates: method
                .rates
                .into_iter()
                .map(ShippingRatesView::of)
                .collect(),
            days: method.days.map(Into::into),
        }
    }
}

impl ShippingRatesView {
    fn of(table: Table) -> Self {
        let money = |minor| MoneyView::of(minor, table.currency);
        let band = |band: Band| ShippingBandView {
            weight_over: band.over_grams,
            weight_up_to: band.up_to_grams,
            total_from: band.from_minor.map(money),
            total_below: band.below_minor.map(money),
            price: money(band.price_minor),
        };
        Self {
            currency: table.currency,
            free_from: table.free_from_minor.map(money),
            bands: table.bands.into_iter().map(band).collect(),
        }
    }
}

impl PickupPointOffer {
    /// What a point says to everybody.
    pub fn of(id: Handle, point: Point) -> Self {
        let Point { name, address, opening_hours, active } = point;
        Self { id, name, address: address.into(), opening_hours, active }
    }
}

/// Where a page of a list by name ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleCursor(Handle);

impl fmt::Display for HandleCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for HandleCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        text.parse().map(Self).map_err(|_| BadCursor)
    }
}

/// Which are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Those that can be chosen.
    Active,
    /// All of them.
    All,
}

impl Listed {
    fn condition(self) -> &'static str {
        match self {
            Self::Active => " where active",
            Self::All => " where true",
        }
    }
}

/// Methods, ordered by their names in orders.
pub async fn methods(
    pool: &PgPool,
    listed: Listed,
    limit: i64,
    after: Option<HandleCursor>,
) -> Result<Page<ShippingMethodDetails>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(METHODS);
    sql.push(listed.condition());
    if let Some(HandleCursor(id)) = after {
        sql.push(" and method_id > ").push_bind(String::from(id));
    }
    sql.push(" order by method_id limit ")
        .push(paging::rows_for(limit));
    let rows: Vec<Row> = sql.build_query_as().fetch_all(pool).await?;
    let items = rows
        .into_iter()
        .map(Row::method)
        .collect::<Result<_, _>>()?;
    Ok(paging::page(items, limit, |of: &ShippingMethodDetails| {
        of.method.id.to_string()
    }))
}

/// One method.
pub async fn method(pool: &PgPool, id: &Handle) -> Result<Option<ShippingMethodDetails>, Error> {
    let select = format!("{METHODS} where method_id = $1");
    let row: Option<Row> = sqlx::query_as(&select)
        .bind(id.as_str())
        .fetch_optional(pool)
        .await?;
    row.map(Row::method).transpose()
}

/// Pick-up points, of a country if one is named, ordered by their names in orders.
pub async fn points(
    pool: &PgPool,
    listed: Listed,
    country: Option<&str>,
    limit: i64,
    after: Option<HandleCursor>,
) -> Result<Page<PickupPointDetails>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(POINTS);
    sql.push(listed.condition());
    if let Some(country) = country {
        sql.push(" and country = ")
            .push_bind(storable::key(country));
    }
    if let Some(HandleCursor(id)) = after {
        sql.push(" and point_id > ").push_bind(String::from(id));
    }
    sql.push(" order by point_id limit ")
        .push(paging::rows_for(limit));
    let rows: Vec<Row> = sql.build_query_as().fetch_all(pool).await?;
    let items = rows.into_iter().map(Row::point).collect::<Result<_, _>>()?;
    Ok(paging::page(items, limit, |of: &PickupPointDetails| of.point.id.to_string()))
}

/// One pick-up point.
pub async fn point(pool: &PgPool, id: &Handle) -> Result<Option<PickupPointDetails>, Error> {
    let select = format!("{POINTS} where point_id = $1");
    let row: Option<Row> = sqlx::query_as(&select)
        .bind(id.as_str())
        .fetch_optional(pool)
        .await?;
    row.map(Row::point).transpose()
}

/// Something of delivery as the log has it, with its name and the version that it is of.
pub type Known<T> = (Handle, i64, T);

/// All methods and points, for whoever keeps them in memory.
pub async fn all(pool: &PgPool) -> Result<(Vec<Known<Method>>, Vec<Known<Point>>), Error> {
    let methods: Vec<Row> = sqlx::query_as(METHODS).fetch_all(pool).await?;
    let points: Vec<Row> = sqlx::query_as(POINTS).fetch_all(pool).await?;
    Ok((
        methods
            .into_iter()
            .map(Row::known)
            .collect::<Result<_, _>>()?,
        points
            .into_iter()
            .map(Row::known)
            .collect::<Result<_, _>>()?,
    ))
}

const METHODS: &str =
    "select method_id as id, method::text as told, version, updated_at from shipping_methods";
const POINTS: &str =
    "select point_id as id, point::text as told, version, updated_at from pickup_points";

#[derive(FromRow)]
struct Row {
    id: String,
    told: String,
    version: i64,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn known<T: serde::de::DeserializeOwned>(self) -> Result<Known<T>, Error> {
        Ok((storable::named(&self.id)?, self.version, serde_json::from_str(&self.told)?))
    }

    fn method(self) -> Result<ShippingMethodDetails, Error> {
        let at = self.updated_at;
        let (id, version, method) = self.known()?;
        let method = ShippingMethodView::of(id, method);
        Ok(ShippingMethodDetails { method, version, updated_at: at })
    }

    fn point(self) -> Result<PickupPointDetails, Error> {
        let at = self.updated_at;
        let (id, version, point) = self.known()?;
        let point = PickupPointOffer::of(id, point);
        Ok(PickupPointDetails { point, version, updated_at: at })
    }
}

/// The projector's side.
pub(crate) struct Deliveries;

impl Projection for Deliveries {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["shipping_methods", "pickup_points"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![
            Audited::new("shipping_methods", "method_id", By::Shop),
            Audited::new("pickup_points", "point_id", By::Shop),
        ]
    }

    fn ddl(&self) -> &'static str {
        include_str!("delivery/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

/// One after the other: there are few.
async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    use delivery::Event as E;

    for recorded in batch {
        let Event::Delivery(event) = &recorded.event else {
            continue;
        };
        let (version, at) = (recorded.sequence, storable::instant(recorded.recorded_at));
        let query = match event {
            E::MethodDescribed { method_id, method } => {
                let upsert = "insert into shipping_methods \
                                  (method_id, method, active, version, updated_at) \
                              values ($1, $2::json, $3, $4, $5) \
                              on conflict (method_id) do update \
                              set method = excluded.method, active = excluded.active, \
                                  version = excluded.version, updated_at = excluded.updated_at";
                sqlx::query(upsert)
                    .bind(method_id.as_str())
                    .bind(serde_json::to_string(method)?)
                    .bind(method.active)
                    .bind(version)
                    .bind(at)
            }
            E::PointDescribed { point_id, point } => {
                let upsert = "insert into pickup_points \
                                  (point_id, point, active, version, updated_at, country) \
                              values ($1, $2::json, $3, $4, $5, $6) \
                              on conflict (point_id) do update \
                              set point = excluded.point, active = excluded.active, \
                                  version = excluded.version, updated_at = excluded.updated_at, \
                                  country = excluded.country";
                sqlx::query(upsert)
                    .bind(point_id.as_str())
                    .bind(serde_json::to_string(point)?)
                    .bind(point.active)
                    .bind(version)
                    .bind(at)
                    .bind(storable::key(&point.address.country))
            }
        };
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
