//! All read models in temporary tables of one connection: what a history folds to, for whoever wants
//! to hold it against what is stored. No one else sees them, and they end with the connection.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, Postgres, Transaction};
use store::recorded::RecordedEvent;

use crate::error::Error;
use crate::marks::{self, LIVE};
use crate::projection::ALL;
use crate::projector::fresh;

/// Where temporary tables are.
pub(crate) const SCRATCH: &str = "pg_temp";

/// Folds find rows by their key; of temporary tables nobody takes statistics that would say so.
const BY_KEY: [(&str, &str); 3] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// How far each read model has been brought, in the order of [`ALL`].
pub(crate) type Positions = [i64; ALL.len()];

/// The tables, each read model at a position of its own.
pub(crate) struct Scratch {
    pub(crate) connection: PgConnection,
    pub(crate) positions: Positions,
}

impl Scratch {
    /// Makes empty tables.
    pub(crate) async fn open(pool: &PgPool) -> Result<Self, Error> {
        let options = PgConnectOptions::clone(&pool.connect_options())
            .options([("search_path", SCRATCH), ("synchronous_commit", "off")])
            .options(BY_KEY);
        let mut connection = PgConnection::connect_with(&options).await?;
        for projection in ALL {
            connection.execute(projection.ddl()).await?;
        }
        Ok(Self { connection, positions: [0; ALL.len()] })
    }
}

/// Brings the read model with this index in [`ALL`] further: by those of the events that follow, up
/// to a position. The connection may be inside of somebody's transaction.
pub(crate) async fn take(
    connection: &mut PgConnection,
    positions: &mut Positions,
    index: usize,
    events: &[Arc<RecordedEvent>],
    until: i64,
) -> Result<(), Error> {
    let within = events.partition_point(|event| event.position <= until);
    let next = fresh(positions[index], &events[..within])?;
    if let Some(last) = next.last() {
        let mut transaction = connection.begin().await?;
        ALL[index].apply(&mut transaction, next).await?;
        transaction.commit().await?;
        positions[index] = last.position;
    }
    Ok(())
}

/// Begins a transaction that sees one moment of the live tables and of their marks, and no rebuild's
/// copy in their place: a table that was swapped in meanwhile would show rows, but not those of that
/// moment. So the tables are held first, as by any query, and the moment is the one after that.
pub(crate) async fn one_moment(
    connection: &mut PgConnection,
) -> Result<Transaction<'_, Postgres>, Error> {
    let tables: Vec<String> = ALL
        .iter()
        .flat_map(|projection| marks::qualified(LIVE, *projection))
        .collect();
    // Those of another version of the program may be others.
    let there = "select name from unnest($1::text[]) name where to_regclass(name) is not null";
    let there: Vec<String> = sqlx::query_scalar(there)
        .bind(tables)
        .fetch_all(&mut *connection)
        .await?;
    let mut transaction = connection.begin().await?;
    let isolated = "set transaction isolation level repeatable read";
    transaction.execute(isolated).await?;
    if !there.is_empty() {
        let hold = format!("lock table {} in access share mode", there.join(", "));
        transaction.execute(hold.as_str()).await?;
    }
    Ok(transaction)
}

/// Lets the planner plan: for queries over whole tables.
pub(crate) async fn plan_freely(connection: &mut PgConnection) -> Result<(), Error> {
    for (setting, _) in BY_KEY {
        let on = format!("set {setting} = on");
        connection.execute(on.as_str()).await?;
    }
    Ok(())
}

/// The columns of a table's primary key, in order.
pub(crate) async fn key_of(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> Result<Vec<String>, Error> {
    let select = "select attname::text from pg_index \
                  join pg_attribute on attrelid = indrelid and attnum = any(indkey) \
                  where indrelid = to_regclass($1) and indisprimary \
                  order by array_position(indkey::int2[], attnum)";
    Ok(sqlx::query_scalar(select)
        .bind(format!("{schema}.{table}"))
        .fetch_all(connection)
        .await?)
}

/// A query of every row of a table, as JSON, with its key, as JSON.
pub(crate) fn rows_of(schema: &str, table: &str, key: &[String]) -> String {
    let columns: Vec<String> = key
        .iter()
        .map(|column| format!("'{column}', t.{column}"))
        .collect();
    format!(
        "select json_build_object({})::text as key, row_to_json(t)::text as row \
         from {schema}.{table} t",
        columns.join(", ")
    )
}
