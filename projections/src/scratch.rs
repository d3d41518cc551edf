//! All read models in temporary tables of one connection: what a history folds to, for whoever wants
//! to hold it against what is stored. No one else sees them, and they end with the connection.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use store::recorded::RecordedEvent;

use crate::error::Error;
use crate::projection::{ALL, Projection};
use crate::projector::fresh;

/// Where temporary tables are.
pub(crate) const SCRATCH: &str = "pg_temp";

/// Folds find rows by their key; of temporary tables nobody takes statistics that would say so.
const BY_KEY: [(&str, &str); 3] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// The tables, each read model at a position of its own.
pub(crate) struct Scratch {
    pub(crate) connection: PgConnection,
    positions: [i64; ALL.len()],
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

    /// Where the read model with this index in [`ALL`] is.
    pub(crate) fn position(&self, index: usize) -> i64 {
        self.positions[index]
    }

    /// Brings a read model further: by those of the events that follow, up to a position.
    pub(crate) async fn take(
        &mut self,
        index: usize,
        events: &[Arc<RecordedEvent>],
        until: i64,
    ) -> Result<(), Error> {
        let within = events.partition_point(|event| event.position <= until);
        let next = fresh(self.positions[index], &events[..within])?;
        if let Some(last) = next.last() {
            self.apply(ALL[index], next).await?;
            self.positions[index] = last.position;
        }
        Ok(())
    }

    /// Applies any events, whether or not they follow.
    pub(crate) async fn apply(
        &mut self,
        projection: &dyn Projection,
        events: &[Arc<RecordedEvent>],
    ) -> Result<(), Error> {
        // Inside of somebody's transaction, a savepoint.
        let mut transaction = self.connection.begin().await?;
        projection.apply(&mut transaction, events).await?;
        Ok(transaction.commit().await?)
    }

    /// Lets the planner plan: for queries over whole tables.
    pub(crate) async fn plan_freely(&mut self) -> Result<(), Error> {
        for (setting, _) in BY_KEY {
            let on = format!("set {setting} = on");
            self.connection.execute(on.as_str()).await?;
        }
        Ok(())
    }
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
