//! Vendors: who sells beside the house, and whether they may.
//!
//! One row per vendor that ever registered. Other read models look here whether a vendor is active,
//! and copy nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::ids::VendorId;
use domain::placing::Address;
use domain::vendor::{self, Standing};
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgExecutor, Postgres, QueryBuilder};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::Error;
use crate::orders::AddressView;
use crate::paging::{self, Cursor, Page};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "vendors";

const COLUMNS: &str = "vendor_id, standing, business_name, address::text, description, \
                       shows_place, reason, version, registered_at, updated_at";

/// Every standing that a registered vendor can have, with its name in answers and rows.
pub const STANDINGS: [(&str, Standing); 3] = [
    ("applied", Standing::Applied),
    ("active", Standing::Active),
    ("inactive", Standing::Inactive),
];

/// One vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VendorView {
    /// Which: the id of the account that signs in for it.
    #[schema(value_type = Uuid)]
    pub id: VendorId,
    /// `applied`, `active` or `inactive`.
    #[schema(value_type = String, example = "active")]
    pub status: Standing,
    /// What it trades as.
    #[schema(example = "Potts Pottery")]
    pub business_name: String,
    /// Where it is.
    pub address: AddressView,
    /// What it tells customers of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether customers are told its town and country.
    pub shows_place: bool,
    /// Why it may not sell, where staff have said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The vendor's version, for `If-Match`.
    pub version: i64,
    /// Since when.
    pub registered_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Which vendors to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whether they may sell.
    pub status: Option<Standing>,
    /// Part of the name, in upper or lower case.
    pub search: Option<String>,
}

/// One vendor.
pub async fn by_id(
    database: impl PgExecutor<'_>,
    id: VendorId,
) -> Result<Option<VendorView>, Error> {
    let select = format!("select {COLUMNS} from vendors where vendor_id = $1");
    let row: Option<Row> = sqlx::query_as(&select)
        .bind(id.0)
        .fetch_optional(database)
        .await?;
    row.map(Row::view).transpose()
}

/// Vendors, newest first.
pub async fn list(
    database: impl PgExecutor<'_>,
    filter: &Filter,
    limit: i64,
    after: Option<Cursor>,
) -> Result<Page<VendorView>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new("select ");
    sql.push(COLUMNS).push(" from vendors where true");
    if let Some(status) = filter.status {
        sql.push(" and standing = ").push_bind(name_of(status));
    }
    if let Some(search) = &filter.search {
        // Reads every row; a shop has thousands of vendors, not millions.
        sql.push(" and 0 < strpos(search_key, ");
        sql.push_bind(storable::storable(search).to_lowercase())
            .push(")");
    }
    if let Some(Cursor { at, id }) = after {
        sql.push(" and (registered_at, vendor_id) < (")
            .push_bind(at);
        sql.push(", ").push_bind(id).push(")");
    }
    sql.push(" order by registered_at desc, vendor_id desc limit ");
    sql.push(paging::rows_for(limit));
    let rows: Vec<Row> = sql.build_query_as().fetch_all(database).await?;
    let items = rows
        .into_iter()
        .map(Row::view)
        .collect::<Result<Vec<_>, Error>>()?;
    let cursor = |view: &VendorView| Cursor { at: view.registered_at, id: view.id.0 }.to_string();
    Ok(paging::page(items, limit, cursor))
}

fn name_of(standing: Standing) -> &'static str {
    match standing {
        // Never of a row: it is made when the vendor registers.
        Standing::Unknown => "unknown",
        Standing::Applied => "applied",
        Standing::Active => "active",
        Standing::Inactive => "inactive",
    }
}

#[derive(Debug, Clone, FromRow)]
struct Row {
    vendor_id: Uuid,
    standing: String,
    business_name: String,
    address: String,
    description: Option<String>,
    shows_place: bool,
    reason: Option<String>,
    version: i64,
    registered_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// The projector's side.
pub(crate) struct Vendors;

impl Projection for Vendors {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &["vendors"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("vendors", "vendor_id", By::Vendor)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("vendors/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let events: Vec<(Uuid, &vendor::Event, &RecordedEvent)> = batch
        .iter()
        .filter_map(|recorded| {
            let event = (&recorded.event).try_into().ok()?;
            let id = recorded.aggregate_id.parse().ok()?;
            Some((id, event, recorded.as_ref()))
        })
        .collect();
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = events.iter().map(|(id, ..)| *id).collect();
    let select = format!("select {COLUMNS} from vendors where vendor_id = any($1)");
    let known: Vec<Row> = sqlx::query_as(&select)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    let mut rows: BTreeMap<Uuid, Row> = known.into_iter().map(|row| (row.vendor_id, row)).collect();
    for (id, event, recorded) in events {
        take(&mut rows, id, event, recorded)?;
    }
    upsert(connection, rows.into_values().collect()).await
}

fn take(
    rows: &mut BTreeMap<Uuid, Row>,
    id: Uuid,
    event: &vendor::Event,
    recorded: &RecordedEvent,
) -> Result<(), Error> {
    let at = storable::instant(recorded.recorded_at);
    if let vendor::Event::Registered(profile) = event {
        rows.entry(id).or_insert(Row {
            vendor_id: id,
            standing: name_of(Standing::Applied).to_owned(),
            business_name: storable::storable(&profile.business_name),
            address: serde_json::to_string(&profile.address)?,
            description: profile.description.as_deref().map(storable::storable),
            shows_place: profile.shows_place,
            reason: None,
            version: recorded.sequence,
            registered_at: at,
            updated_at: at,
        });
        return Ok(());
    }
    let Some(row) = rows.get_mut(&id) else {
        return Ok(());
    };
    match event {
        vendor::Event::Registered(_) => {}
        vendor::Event::ProfileChanged(profile) => {
            row.business_name = storable::storable(&profile.business_name);
            row.address = serde_json::to_string(&profile.address)?;
            row.description = profile.description.as_deref().map(storable::storable);
            row.shows_place = profile.shows_place;
        }
        vendor::Event::Activated => {
            name_of(Standing::Active).clone_into(&mut row.standing);
            row.reason = None;
        }
        vendor::Event::Deactivated { reason } => {
            name_of(Standing::Inactive).clone_into(&mut row.standing);
            row.reason = Some(storable::storable(reason));
        }
    }
    (row.version, row.updated_at) = (recorded.sequence, at);
    Ok(())
}

async fn upsert(connection: &mut PgConnection, rows: Vec<Row>) -> Result<(), Error> {
    let texts = |of: fn(&Row) -> &str| rows.iter().map(of).collect::<Vec<_>>();
    let times = |of: fn(&Row) -> DateTime<Utc>| rows.iter().map(of).collect::<Vec<_>>();
    let search_keys = rows.iter().map(|row| row.business_name.to_lowercase());
    sqlx::query(include_str!("vendors/upsert.sql"))
        .bind(rows.iter().map(|row| row.vendor_id).collect::<Vec<_>>())
        .bind(texts(|row| &row.standing))
        .bind(texts(|row| &row.business_name))
        .bind(texts(|row| &row.address))
        .bind(
            rows.iter()
                .map(|row| row.reason.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(search_keys.collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.version).collect::<Vec<_>>())
        .bind(times(|row| row.registered_at))
        .bind(times(|row| row.updated_at))
        .bind(
            rows.iter()
                .map(|row| row.description.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.shows_place).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

impl Row {
    fn view(self) -> Result<VendorView, Error> {
        let address: Address = serde_json::from_str(&self.address)?;
        Ok(VendorView {
            id: VendorId(self.vendor_id),
            status: storable::named(&self.standing)?,
            business_name: self.business_name,
            address: address.into(),
            description: self.description,
            shows_place: self.shows_place,
            reason: self.reason,
            version: self.version,
            registered_at: self.registered_at,
            updated_at: self.updated_at,
        })
    }
}
