//! How listings are kept: one event after the other, because a SKU that one listing lets go may be
//! named by the next.

use std::sync::Arc;

use domain::event::Event;
use domain::listing::{self, Description};
use futures::future::BoxFuture;
use sqlx::PgConnection;
use store::recorded::RecordedEvent;

use super::NAME;
use crate::error::Error;
use crate::projection::{Audited, By, Projection};
use crate::storable::{self, storable};

/// The projector's side.
pub(crate) struct Listings;

impl Projection for Listings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &["listings", "listing_variants", "listing_claims"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![
            Audited::new("listings", "handle", By::Listing),
            Audited::new("listing_variants", "sku", By::Variant),
            Audited::new("listing_claims", "handle", By::Listing),
        ]
    }

    fn ddl(&self) -> &'static str {
        include_str!("tables.sql")
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
    for recorded in batch {
        let Event::Listing(event) = &recorded.event else {
            continue;
        };
        let handle = recorded.aggregate_id.as_str();
        match event {
            listing::Event::Described(description) => {
                describe(connection, recorded, description).await?;
                let_go(connection, handle).await?;
                claim(connection, handle, description).await?;
                offer(connection, handle, description).await?;
            }
            listing::Event::Withdrawn => {
                sqlx::query("delete from listings where handle = $1")
                    .bind(handle)
                    .execute(&mut *connection)
                    .await?;
                let_go(connection, handle).await?;
            }
        }
    }
    Ok(())
}

async fn describe(
    connection: &mut PgConnection,
    recorded: &RecordedEvent,
    listing: &Description,
) -> Result<(), Error> {
    let handle = recorded.aggregate_id.as_str();
    let skus = listing.variants.iter().map(|variant| variant.sku.as_str());
    let searched: Vec<&str> = [handle, &listing.title, &listing.description]
        .into_iter()
        .chain(listing.tags.iter().map(String::as_str))
        .chain(skus)
        .collect();
    sqlx::query(include_str!("upsert.sql"))
        .bind(handle)
        .bind(storable(&listing.title))
        .bind(storable(&listing.description))
        .bind(serde_json::to_string(&listing.images)?)
        .bind(listing.category.as_ref().map(domain::ids::Handle::as_str))
        .bind(
            listing
                .tags
                .iter()
                .map(|tag| storable(tag))
                .collect::<Vec<_>>(),
        )
        .bind(listing.vendor)
        .bind(listing.active)
        .bind(storable(&searched.join("\n")).to_lowercase())
        .bind(storable::key(&listing.title).to_lowercase())
        .bind(storable::instant(recorded.recorded_at))
        .bind(recorded.sequence)
        .execute(connection)
        .await?;
    Ok(())
}

async fn let_go(connection: &mut PgConnection, handle: &str) -> Result<(), Error> {
    sqlx::query("delete from listing_variants where handle = $1")
        .bind(handle)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whoever named a SKU once may have kept it from others, so it is never forgotten.
async fn claim(
    connection: &mut PgConnection,
    handle: &str,
    listing: &Description,
) -> Result<(), Error> {
    let variants = &listing.variants;
    let insert = "insert into listing_claims (sku, handle) select unnest($2::text[]), $1 \
                  on conflict do nothing";
    sqlx::query(insert)
        .bind(handle)
        .bind(
            variants
                .iter()
                .map(|variant| variant.sku.as_str())
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// What another page has already stays there.
async fn offer(
    connection: &mut PgConnection,
    handle: &str,
    listing: &Description,
) -> Result<(), Error> {
    let variants = &listing.variants;
    let options = variants
        .iter()
        .map(|variant| serde_json::to_string(&variant.options))
        .collect::<Result<Vec<_>, _>>()?;
    let insert = "insert into listing_variants (sku, handle, place, options) \
                  select sku, $1, place, options::json \
                  from unnest($2::text[], $3::text[]) with ordinality as new (sku, options, place) \
                  on conflict (sku) do nothing";
    sqlx::query(insert)
        .bind(handle)
        .bind(
            variants
                .iter()
                .map(|variant| variant.sku.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(options)
        .execute(connection)
        .await?;
    Ok(())
}
