//! Looking for a text wherever Daybook keeps anything: in every column of every table, and in every
//! message of the stream.

use futures::StreamExt as _;
use sqlx::PgPool;

use crate::World;
use crate::servers::nats_url;
use crate::world::until;

/// Where in the database one of these texts is, as `schema.table.column`; each place once.
pub async fn in_database(pool: &PgPool, texts: &[&str]) -> Vec<String> {
    let columns: Vec<(String, String, String, String)> = sqlx::query_as(
        "select c.table_schema::text, c.table_name::text, c.column_name::text, c.udt_name::text \
         from information_schema.columns c \
         join information_schema.tables t using (table_schema, table_name) \
         where t.table_type = 'BASE TABLE' \
           and c.table_schema not in ('pg_catalog', 'information_schema') \
         order by 1, 2, c.ordinal_position",
    )
    .fetch_all(pool)
    .await
    .expect("columns");
    assert!(60 < columns.len(), "these are all tables: {}", columns.len());
    let mut found = Vec::new();
    for (schema, table, column, kind) in columns {
        // Bytes as text, with whatever is no letter escaped.
        let as_text = if kind == "bytea" {
            format!("encode(\"{column}\", 'escape')")
        } else {
            format!("\"{column}\"::text")
        };
        for text in texts {
            let sql = format!(
                "select exists (select from \"{schema}\".\"{table}\" \
                 where position(lower($1) in lower({as_text})) > 0)"
            );
            let is_there: bool = sqlx::query_scalar(&sql)
                .bind(text)
                .fetch_one(pool)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            if is_there {
                found.push(format!("{schema}.{table}.{column}"));
                break;
            }
        }
    }
    found
}

/// Every message on the stream, once it has come to the end of the log.
pub async fn on_stream(world: &World) -> Vec<String> {
    let client = store::stream::connect(nats_url()).await.expect("NATS");
    let jetstream = async_nats::jetstream::new(client);
    let last = until("the stream holds the whole log", async || {
        let head = store::log::head(&world.pool).await.ok()?;
        let mut stream = jetstream.get_stream(&world.settings.stream).await.ok()?;
        let last = stream.info().await.ok()?.state.last_sequence;
        (last == head.unsigned_abs()).then_some(last)
    })
    .await;
    let stream = jetstream
        .get_stream(&world.settings.stream)
        .await
        .expect("the stream");
    let sequences = futures::stream::iter(1..=last);
    sequences
        .filter_map(async |sequence| {
            let message = stream.get_raw_message(sequence).await.ok()?;
            Some(String::from_utf8_lossy(&message.payload).into_owned())
        })
        .collect()
        .await
}
