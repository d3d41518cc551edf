//! Categories: the shelves of the shop, as a tree. One row each.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::categories::{self, LEVELS_MAX};
use domain::event::Event;
use domain::ids::Handle;
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;

use crate::error::Error;
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "categories";

/// One category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CategoryView {
    /// Its name in addresses.
    #[schema(value_type = String, example = "tea-cups")]
    pub handle: Handle,
    /// What it is called.
    pub name: String,
    /// The one above it; null at the top.
    #[schema(value_type = Option<String>)]
    pub parent: Option<Handle>,
    /// 1 at the top, 2 below.
    pub level: usize,
    /// Those directly below it, by name.
    #[schema(value_type = Vec<String>)]
    pub children: Vec<Handle>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Of all categories as of its last change, for `If-Match`.
    pub version: i64,
}

/// A category as it is named elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct CategoryName {
    /// Its name in addresses.
    #[schema(example = "tea-cups")]
    pub handle: String,
    /// What it is called.
    pub name: String,
}

/// All of them, each followed by those below it, brothers and sisters by name.
pub async fn all(pool: &PgPool) -> Result<Vec<CategoryView>, Error> {
    let select = "select handle, name, parent, version, updated_at from categories";
    let rows: Vec<Row> = sqlx::query_as(select).fetch_all(pool).await?;
    let mut below: BTreeMap<Option<Handle>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let parent = row.parent.as_deref().map(storable::named).transpose()?;
        below.entry(parent).or_default().push(row);
    }
    for children in below.values_mut() {
        children.sort_by_cached_key(|row| (row.name.to_lowercase(), row.handle.clone()));
    }
    let mut told = Vec::new();
    tell(&below, None, 1, &mut told)?;
    Ok(told)
}

/// One category and where it is; `None` if there is none of this name.
pub async fn by_handle(pool: &PgPool, handle: &Handle) -> Result<Option<CategoryView>, Error> {
    let all = all(pool).await?;
    Ok(all.into_iter().find(|category| category.handle == *handle))
}

/// The way to a category, from the top down; empty if there is no such category.
pub(crate) async fn way_to(pool: &PgPool, handle: &str) -> Result<Vec<CategoryName>, Error> {
    let select = "with recursive way as ( \
            select handle, name, parent, 1 as step from categories where handle = $1 \
            union all \
            select above.handle, above.name, above.parent, step + 1 \
            from way join categories above on above.handle = way.parent where step < $2 \
        ) select handle, name from way order by step desc";
    Ok(sqlx::query_as(select)
        .bind(handle)
        .bind(i32::try_from(LEVELS_MAX).unwrap_or(i32::MAX))
        .fetch_all(pool)
        .await?)
}

#[derive(FromRow)]
struct Row {
    handle: String,
    name: String,
    parent: Option<String>,
    version: i64,
    updated_at: DateTime<Utc>,
}

/// As deep as the tree may be, so that no row can lead in circles.
fn tell(
    below: &BTreeMap<Option<Handle>, Vec<Row>>,
    parent: Option<&Handle>,
    level: usize,
    told: &mut Vec<CategoryView>,
) -> Result<(), Error> {
    let of = |parent: Option<&Handle>| below.get(&parent.cloned()).map_or(&[][..], Vec::as_slice);
    for row in of(parent) {
        let handle: Handle = storable::named(&row.handle)?;
        let children = of(Some(&handle)).iter();
        told.push(CategoryView {
            children: children
                .map(|child| storable::named(&child.handle))
                .collect::<Result<_, _>>()?,
            handle: handle.clone(),
            name: row.name.clone(),
            parent: parent.cloned(),
            level,
            updated_at: row.updated_at,
            version: row.version,
        });
        if level < LEVELS_MAX {
            tell(below, Some(&handle), level + 1, told)?;
        }
    }
    Ok(())
}

/// The projector's side.
pub(crate) struct Categories;

impl Projection for Categories {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["categories"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("categories", "handle", By::Shop)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("categories/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

/// One after the other: there are few, and each builds on the one before.
async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    use categories::Event as E;

    for recorded in batch {
        let Event::Categories(event) = &recorded.event else {
            continue;
        };
        let (version, at) = (recorded.sequence, storable::instant(recorded.recorded_at));
        let query = match event {
            E::Added { handle, category } => {
                let insert = "insert into categories (handle, version, updated_at, name, parent) \
                              values ($1, $2, $3, $4, $5)";
                sqlx::query(insert)
                    .bind(handle.as_str())
                    .bind(version)
                    .bind(at)
                    .bind(storable::storable(&category.name))
                    .bind(category.parent.as_ref().map(Handle::as_str))
            }
            E::Renamed { handle, name } => {
                let update = "update categories set version = $2, updated_at = $3, name = $4 \
                              where handle = $1";
                sqlx::query(update)
                    .bind(handle.as_str())
                    .bind(version)
                    .bind(at)
                    .bind(storable::storable(name))
            }
            E::Moved { handle, parent } => {
                let update = "update categories set version = $2, updated_at = $3, parent = $4 \
                              where handle = $1";
                sqlx::query(update)
                    .bind(handle.as_str())
                    .bind(version)
                    .bind(at)
                    .bind(parent.as_ref().map(Handle::as_str))
            }
            E::Removed { handle } => {
                sqlx::query("delete from categories where handle = $1").bind(handle.as_str())
            }
        };
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
