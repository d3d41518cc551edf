//! Fills a log with a past, fast: whole orders as the store itself has written one.
//!
//! One order is placed, paid and completed over HTTP. Its rows are the pattern; copies of them differ
//! in ids, times, customers, articles and positions, as rows of different orders do, so that
//! nothing here has to know what an event looks like. Copies are inserted where the log ends,
//! with Daybook stopped:
//!
//! 1. Positions go on without a hole; orders stand one behind the other.
//! 2. Sequences of each article's stock go on without a hole; there is enough of all.
//! 3. Receipts and checkouts are those of the copied orders; workers find their work done.
//!
//! Read models are not filled: they read what is in the log, as ever.

mod offline;
mod pattern;
mod splice;

use std::time::Instant;

use sqlx::{Connection as _, Executor as _, PgConnection};

pub(crate) use self::pattern::Pattern;

use crate::error::Error;
use crate::numbers::{float, whole};
use crate::runner::say;
use crate::shop;

/// Articles that the first line of an order is for; the second line is for one of as many others.
pub(crate) const SHELVES: u32 = shop::ARTICLES / 2;
/// Orders of one transaction: seconds of work, so that there is something to tell.
const ORDERS_AT_ONCE: i64 = 5_000;
/// A fill that breaks off is begun anew, so nothing waits for the disk, and the write-ahead log is not
/// packed: both would only take time.
const SESSION: &str = "set synchronous_commit = off; set wal_compression = off";
/// How often one is told.
const TELL_EVERY_SECONDS: u64 = 10;

/// A log that is being filled.
pub(crate) struct Filler {
    connection: PgConnection,
    sql: Vec<String>,
    width: i64,
}

impl Filler {
    /// Daybook must have been stopped, and nobody else may write.
    pub(crate) async fn new(database_url: &str, pattern: &Pattern) -> Result<Self, Error> {
        let mut connection = PgConnection::connect(database_url).await?;
        connection.execute(SESSION).await?;
        Ok(Self { connection, sql: pattern.inserts(), width: pattern.width() })
    }

    /// Fills until there are so many events, or just about.
    pub(crate) async fn fill_to(&mut self, events: u64) -> Result<(), Error> {
        let began = Instant::now();
        let head = self.head().await?;
        let missing = i64::try_from(events).unwrap_or(i64::MAX) - head;
        let orders = missing.max(0) / self.width;
        let shelves = [self.shelves(0).await?, self.shelves(SHELVES).await?];
        // Orders that are there have other numbers, whoever placed them.
        let number: i64 = sqlx::query_scalar("select count(*) from checkouts")
            .fetch_one(&mut self.connection)
            .await?;
        let (mut done, mut told) = (0, 0);
        while done < orders {
            let many = (orders - done).min(ORDERS_AT_ONCE);
            self.insert(done, many, number, &shelves).await?;
            done += many;
            let seconds = began.elapsed().as_secs();
            if told + TELL_EVERY_SECONDS <= seconds {
                told = seconds;
                let written = (done * self.width).unsigned_abs();
                let rate = whole(float(written) / began.elapsed().as_secs_f64());
                say(&format!(
                    "  {} of {events} events in the log, {rate}/s",
                    head + done * self.width
                ));
            }
        }
        self.connection
            .execute("update worker_marks set position = (select position from log_head)")
            .await?;
        Ok(())
    }

    /// Copies of the pattern: those after the first `done`.
    async fn insert(
        &mut self,
        done: i64,
        many: i64,
        number: i64,
        shelves: &[Vec<i64>; 2],
    ) -> Result<(), Error> {
        let mut transaction = self.connection.begin().await?;
        let base: i64 = sqlx::query_scalar(
            "update log_head set position = position + $1 returning position - $1",
        )
        .bind(many * self.width)
        .fetch_one(&mut *transaction)
        .await?;
        for insert in &self.sql {
            sqlx::query(insert)
                .bind(done)
                .bind(done + many - 1)
                .bind(base)
                .bind(number)
                .bind(&shelves[0])
                .bind(&shelves[1])
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Makes up for what happens to a log of this size over time: statistics, and pages known to be
    /// visible to all. Otherwise Postgres would see to it while something is measured.
    pub(crate) async fn tidy(mut self) -> Result<(), Error> {
        self.connection.execute("vacuum (analyze)").await?;
        self.connection.execute("checkpoint").await?;
        self.connection.close().await?;
        Ok(())
    }

    async fn head(&mut self) -> Result<i64, Error> {
        Ok(sqlx::query_scalar("select position from log_head")
            .fetch_one(&mut self.connection)
            .await?)
    }

    /// The newest sequence of each article's stock, for as many articles from this one on.
    async fn shelves(&mut self, from: u32) -> Result<Vec<i64>, Error> {
        let skus: Vec<String> = (from..from + SHELVES).map(shop::sku).collect();
        let select = include_str!("../sql/shelves.sql");
        Ok(sqlx::query_scalar(select)
            .bind(skus)
            .fetch_all(&mut self.connection)
            .await?)
    }
}
