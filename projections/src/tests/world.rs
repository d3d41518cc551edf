//! A PostgreSQL for all tests, a database for each, and a look at every row.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use sqlx::{Executor as _, PgPool};
use stack::{Options, Profile, Servers, Stack};
use store::recorded::RecordedEvent;
use uuid::Uuid;

use crate::projection::ALL;
use crate::{NAMES, ReadModels};

/// Far beyond what anything here takes; only a failing test waits so long.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

static STACK: LazyLock<Mutex<Stack>> = LazyLock::new(|| {
    let options =
        Options { servers: Servers::Both, profile: Profile::Test, ..Options::new(data_dir()) };
    Stack::start_blocking(&options).unwrap().into()
});

/// The first directory beside the test's program that no other run of these tests uses. A static
/// is never dropped, so a run cannot tidy up after itself: the next one does.
fn data_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let home = program.parent().unwrap().join("projections-tests");
    std::fs::create_dir_all(&home).unwrap();
    for number in 1.. {
        let lock = File::create(home.join(format!("{number}.lock"))).unwrap();
        if lock.try_lock().is_ok() {
            // Held until this program ends.
            std::mem::forget(lock);
            let dir = home.join(number.to_string());
            if dir.exists() {
                std::fs::remove_dir_all(&dir).unwrap();
            }
            return dir;
        }
    }
    unreachable!("one of all numbers is free")
}

pub(super) fn nats_url() -> String {
    STACK.lock().unwrap().nats_url().unwrap().to_owned()
}

/// A database of its own, with an empty log and empty read models.
pub(super) struct World {
    pub(super) pool: PgPool,
    pub(super) models: ReadModels,
}

impl World {
    pub(super) async fn new() -> Self {
        let url = STACK.lock().unwrap().database_url().unwrap().to_owned();
        let server = PgPool::connect(&url).await.unwrap();
        let name = format!("test_{}", Uuid::now_v7().simple());
        server
            .execute(format!("create database {name}").as_str())
            .await
            .unwrap();
        server.close().await;
        let (address, _) = url.rsplit_once('/').unwrap();
        let pool = PgPool::connect(&format!("{address}/{name}")).await.unwrap();
        store::migrate(&pool).await.unwrap();
        let models = ReadModels::open(pool.clone()).await.unwrap();
        Self { pool, models }
    }

    /// A world whose log holds these events, and whose read models hold nothing yet.
    pub(super) async fn with(log: &[Arc<RecordedEvent>]) -> Self {
        let world = Self::new().await;
        world.write(log).await;
        world
    }

    /// A world whose read models hold these events, applied in batches of this size.
    pub(super) async fn projected(log: &[Arc<RecordedEvent>], batch_events: usize) -> Self {
        let world = Self::with(log).await;
        for name in NAMES {
            world.project(name, log, batch_events).await;
        }
        world
    }

    /// Appends events to the log, as only `store` may outside of tests.
    pub(super) async fn write(&self, events: &[Arc<RecordedEvent>]) {
        fn all<T>(events: &[Arc<RecordedEvent>], of: impl Fn(&RecordedEvent) -> T) -> Vec<T> {
            events.iter().map(|event| of(event)).collect()
        }
        let Some(last) = events.last() else { return };
        let mut transaction = self.pool.begin().await.unwrap();
        sqlx::query(include_str!("write.sql"))
            .bind(all(events, |event| event.position))
            .bind(all(events, |event| event.event_id))
            .bind(all(events, |event| event.aggregate_type.clone()))
            .bind(all(events, |event| event.aggregate_id.clone()))
            .bind(all(events, |event| event.sequence))
            .bind(all(events, |event| event.event_type.clone()))
            .bind(all(events, |event| event.event_version.clone()))
            .bind(all(events, |event| event.payload.to_string()))
            .bind(all(events, |event| serde_json::to_string(&event.metadata).unwrap()))
            .bind(all(events, |event| event.recorded_at))
            .execute(&mut *transaction)
            .await
            .unwrap();
        sqlx::query("update log_head set position = $1")
            .bind(last.position)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    pub(super) async fn project(
        &self,
        name: &str,
        events: &[Arc<RecordedEvent>],
        batch_events: usize,
    ) {
        let projector = self.models.projector_of(name);
        for batch in events.chunks(batch_events) {
            projector.apply(batch).await.unwrap();
        }
    }

    /// Every row of every live table, and every mark.
    pub(super) async fn dump(&self) -> Vec<String> {
        let tables = ALL
            .iter()
            .flat_map(|projection| projection.tables().iter().copied());
        self.rows_of("read", tables.chain(["marks"])).await
    }

    /// Every row of these tables of a schema.
    pub(super) async fn rows_of<'a>(
        &self,
        schema: &str,
        tables: impl IntoIterator<Item = &'a str>,
    ) -> Vec<String> {
        let mut rows = Vec::new();
        for table in tables {
            // Rows of a json column cannot be compared, texts can.
            let select =
                format!("select '{table}' || row::text from {schema}.{table} row order by 1");
            let of_table: Vec<String> = sqlx::query_scalar(&select)
                .fetch_all(&self.pool)
                .await
                .unwrap();
            rows.extend(of_table);
        }
        rows
    }

    /// Asserts that the rows are these; shows only those that are not.
    #[track_caller]
    pub(super) fn holds<'a>(&'a self, expected: &'a [String]) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let found = self.dump().await;
            let only = |these: &[String], those: &[String]| {
                let rows = these.iter().filter(|row| !those.contains(row)).cloned();
                rows.collect::<Vec<String>>()
            };
            let (missing, surplus) = (only(expected, &found), only(&found, expected));
            assert!(found == expected, "{caller}\nmissing: {missing:#?}\nsurplus: {surplus:#?}");
        }
    }

    pub(super) async fn execute(&self, sql: &str) {
        self.pool.execute(sql).await.unwrap();
    }
}
