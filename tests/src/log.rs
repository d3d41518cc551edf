//! A log without a Daybook, for tests of what reads it: events by the thousand, and heads on them.

use std::time::Duration;

use sealing::head::SignedHead;
use sealing::keys::SealKey;
use sealing::sealer::{self, Remembered, Settings};
use sealing::tables;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use store::log::Slice;
use store::pace::Pace;
use store::stored;

use crate::world::{new_database, until};

/// A database with our schema, and nothing in it.
pub async fn an_empty_log() -> PgPool {
    let (_, url) = new_database("").await;
    let pool = a_pool(&url);
    store::migrate(&pool).await.expect("our schema");
    pool
}

/// A few connections to a database.
pub fn a_pool(url: &str) -> PgPool {
    let options = PgPoolOptions::new().max_connections(4);
    options.connect_lazy(url).expect("a database URL")
}

/// Goods come in, so many times.
pub async fn receive(pool: &PgPool, times: i64) {
    let sql = "with head as (update log_head set position = position + $1 returning position - $1 as base) \
               insert into events select base + n, gen_random_uuid(), 'inventory', 'cup', base + n, \
               'inventory.received', '1', \
               ('{\"type\":\"inventory.received\",\"quantity\":1,\"reference\":\"' || n || '\"}')::json, \
               ('{\"command_id\":\"' || gen_random_uuid() || '\",\"correlation_id\":\"' \
                || gen_random_uuid() || '\",\"actor\":\"staff\"}')::json, \
               clock_timestamp() from head, generate_series(1, $1) as n";
    let received = sqlx::query(sql).bind(times).execute(pool).await;
    assert_eq!(received.expect("they are appended").rows_affected(), times.unsigned_abs());
}

/// Signs with these keys as soon as there is anything to sign.
pub fn sealing_with(keys: &[&SealKey]) -> Settings {
    Settings {
        keys: keys.iter().map(|key| (*key).clone()).collect(),
        every: Duration::from_millis(10),
        heads_file: None,
    }
}

/// Seals until a head covers the whole log.
pub async fn seal_all(pool: &PgPool, settings: &Settings) -> SignedHead {
    let (pace, mut remembered) = (Pace::default(), Remembered::default());
    let sealing = sealer::seal_until_it_fails(pool, settings, &pace, &mut remembered);
    tokio::select! {
        Err(error) = sealing => panic!("{error}"),
        head = all_sealed(pool) => head,
    }
}

/// Waits until a head covers the whole log.
pub async fn all_sealed(pool: &PgPool) -> SignedHead {
    until("all is sealed", async || {
        let head = store::log::head(pool).await.ok()?;
        let newest = tables::newest(pool).await.expect("a head")?;
        (newest.head.size == head.unsigned_abs()).then_some(newest)
    })
    .await
}

/// Every line that stands for an event, in order.
pub async fn lines(pool: &PgPool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut from = 1;
    loop {
        let slice = Slice { from: Some(from), ..Slice::default() };
        let page = stored::page(pool, &slice, stored::ROWS_MAX)
            .await
            .expect("a page");
        let Some(last) = page.last() else {
            return lines;
        };
        from = last.position + 1;
        lines.extend(page.iter().map(stored::StoredEvent::line));
    }
}
