//! Running a SQL file: its tables made, a batch handed over, its statements run.
//!
//! Postgres runs the statements as the body of a function, for which no statement can end the
//! transaction, and which brings its own search path along.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;
use sqlx::{Executor as _, PgConnection};
use store::recorded::RecordedEvent;

use super::file::{QUOTE, SqlFile};
use crate::error::Error;
use crate::projection::{Audited, Projection};

/// A batch whose statements take longer than this is not waited for.
const STATEMENT_TIMEOUT: &str = "set local statement_timeout = '60s'";

/// Makes what a batch is handed over in, on a fresh connection.
pub(super) async fn prepare(
    connection: &mut PgConnection,
    role: Option<&'static str>,
) -> sqlx::Result<()> {
    connection.execute(include_str!("batch.sql")).await?;
    if let Some(role) = role {
        let grant = format!("grant select on pg_temp.batch to {role}");
        connection.execute(grant.as_str()).await?;
    }
    Ok(())
}

impl Projection for SqlFile {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> i32 {
        self.version
    }

    /// Known to the file alone; its schema is dropped as a whole.
    fn tables(&self) -> &'static [&'static str] {
        &[]
    }

    /// What it makes of history is the owner's of the file; it is not compared.
    fn audited(&self) -> Vec<Audited> {
        Vec::new()
    }

    fn ddl(&self) -> &'static str {
        ""
    }

    fn make<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let schema = self.schema();
            // What it makes is its own; the mark beside it stays ours.
            let as_role = self.role().map_or_else(String::new, |role| {
                format!("grant usage, create on schema {schema} to {role}; set local role {role};")
            });
            let sql = format!(
                "drop schema if exists {schema} cascade; create schema {schema}; {as_role} \
                 set local search_path = {schema}, pg_temp; \
                 do $daybook_make$ begin execute {QUOTE}{}\n{QUOTE}; end $daybook_make$; \
                 create function {schema}.apply_batch() returns void language sql \
                 set search_path = {schema}, pg_temp as {QUOTE}{}\n{QUOTE}; \
                 reset role; set local search_path = own, public;",
                self.tables, self.batch
            );
            connection.execute(sql.as_str()).await?;
            Ok(())
        })
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            hand_over(connection, batch).await?;
            connection.execute(STATEMENT_TIMEOUT).await?;
            let schema = self.schema();
            let run = match self.role() {
                Some(role) => {
                    format!("set local role {role}; select {schema}.apply_batch(); reset role")
                }
                None => format!("select {schema}.apply_batch()"),
            };
            connection.execute(run.as_str()).await?;
            Ok(())
        })
    }
}

async fn hand_over(
    connection: &mut PgConnection,
    batch: &[Arc<RecordedEvent>],
) -> Result<(), Error> {
    let mut payloads = Vec::with_capacity(batch.len());
    let mut metadata = Vec::with_capacity(batch.len());
    for recorded in batch {
        // As this program understands it: whatever was written in an older schema is upcast.
        payloads.push(storable(recorded.event.payload()?));
        metadata.push(storable(serde_json::to_value(&recorded.metadata)?));
    }
    sqlx::query(include_str!("hand_over.sql"))
        .bind(batch.iter().map(|event| event.position).collect::<Vec<_>>())
        .bind(batch.iter().map(|event| event.event_id).collect::<Vec<_>>())
        .bind(
            batch
                .iter()
                .map(|event| event.aggregate_type.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            batch
                .iter()
                .map(|event| event.aggregate_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(batch.iter().map(|event| event.sequence).collect::<Vec<_>>())
        .bind(
            batch
                .iter()
                .map(|event| event.event_type.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            batch
                .iter()
                .map(|event| event.recorded_at)
                .collect::<Vec<_>>(),
        )
        .bind(payloads)
        .bind(metadata)
        .execute(connection)
        .await?;
    Ok(())
}

/// `jsonb` knows no NUL; a text of the log may hold one.
fn storable(mut value: Value) -> Value {
    fn mend(value: &mut Value) {
        match value {
            Value::String(text) if text.contains('\0') => *text = crate::storable::storable(text),
            Value::Array(items) => items.iter_mut().for_each(mend),
            Value::Object(members) => members.values_mut().for_each(mend),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    mend(&mut value);
    value
}
