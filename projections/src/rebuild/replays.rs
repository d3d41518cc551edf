//! Replays: a read model as it was after some event, in tables of their own for whoever wants to
//! look back. Nothing in Daybook reads them; they stay until somebody drops or replaces them.
//!
//! A replay is filled in the schema `filling_<name>`, which is renamed to `replay_<name>` when it
//! is full: what can be seen is never half of it. Its table `marks` says which position it is of.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use utoipa::ToSchema;

use crate::error::Error;
use crate::projection::NAMES;

/// Beginning of the name of the schema that holds one.
const PREFIX: &str = "replay_";

/// A read model as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Replay {
    /// Where its tables are.
    #[schema(example = "replay_orders")]
    pub schema: String,
    /// The last event that is in it.
    pub position: i64,
    /// What its tables and indexes take on disk.
    pub bytes: i64,
}

/// Where a read model's replay is.
pub(crate) fn schema_of(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Where it is filled.
pub(super) fn filling_of(name: &str) -> String {
    format!("filling_{name}")
}

/// Makes an empty place to fill.
pub(super) async fn make_place(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    let filling = filling_of(name);
    let mut transaction = connection.begin().await?;
    let make = format!(
        "drop schema if exists {filling} cascade; create schema {filling}; \
         create table {filling}.marks \
         (name text primary key, version integer not null, position bigint not null)"
    );
    transaction.execute(make.as_str()).await?;
    Ok(transaction.commit().await?)
}

/// Shows what was filled, in place of what was shown before.
pub(super) async fn show(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    let (filling, schema) = (filling_of(name), schema_of(name));
    let mut transaction = connection.begin().await?;
    // What nobody can make again from a mark must outlast a crash.
    transaction
        .execute("set local synchronous_commit = on")
        .await?;
    let show = format!(
        "drop schema if exists {schema} cascade; alter schema {filling} rename to {schema}"
    );
    transaction.execute(show.as_str()).await?;
    Ok(transaction.commit().await?)
}

/// Clears away what will not be shown.
pub(super) async fn clear(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    let drop = format!("drop schema if exists {} cascade", filling_of(name));
    connection.execute(drop.as_str()).await?;
    Ok(())
}

/// Every replay there is, by the name of its read model.
pub(crate) async fn all(pool: &PgPool) -> Result<BTreeMap<String, Replay>, Error> {
    let select = "select nspname::text, coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint \
                  from pg_namespace left join pg_class on relnamespace = pg_namespace.oid and relkind = 'r' \
                  where nspname like 'replay\\_%' group by 1";
    let schemas: Vec<(String, i64)> = sqlx::query_as(select).fetch_all(pool).await?;
    let mut replays = BTreeMap::new();
    for (schema, bytes) in schemas {
        // Somebody else may have schemas of such names, too.
        let name = schema
            .strip_prefix(PREFIX)
            .filter(|name| NAMES.contains(name));
        let Some(name) = name.map(str::to_owned) else {
            continue;
        };
        let position = format!("select position from {schema}.marks where name = $1");
        let position: Result<Option<i64>, sqlx::Error> = sqlx::query_scalar(&position)
            .bind(&name)
            .fetch_optional(pool)
            .await;
        // Somebody may just be dropping it.
        if let Ok(Some(position)) = position {
            replays.insert(name, Replay { schema, position, bytes });
        }
    }
    Ok(replays)
}

/// Drops the replay of a read model; whether there was one.
pub(crate) async fn drop(pool: &PgPool, name: &str) -> Result<bool, Error> {
    let schema = schema_of(name);
    let there: bool = sqlx::query_scalar("select to_regnamespace($1) is not null")
        .bind(&schema)
        .fetch_one(pool)
        .await?;
    let drop = format!("drop schema if exists {schema} cascade");
    pool.execute(drop.as_str()).await?;
    Ok(there)
}

/// Drops the replay of a read model and the one that is being filled, which then fails: both may hold
/// somebody who was forgotten in clear.
pub(crate) async fn drop_all_of(pool: &PgPool, name: &str) -> Result<(), Error> {
    let mut transaction = pool.begin().await?;
    // Somebody may be reading one for a long time; whoever asked to be forgotten asks again.
    transaction.execute("set local lock_timeout = '5s'").await?;
    for schema in [schema_of(name), filling_of(name)] {
        let drop = format!("drop schema if exists {schema} cascade");
        transaction.execute(drop.as_str()).await?;
    }
    Ok(transaction.commit().await?)
}
