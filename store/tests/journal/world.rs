//! One database and one stream per test, on servers shared by all.

use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use chrono::{DateTime, Utc};
use domain::ids::OrderId;
use domain::inventory::{self, Inventory};
use futures::TryStreamExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use stack::{Options, Profile, Stack};
use store::command::{Answer, Decided, Envelope, ExecuteError, Receipt};
use store::journal::{Bounds, Committed, Journal};
use store::stream::Stream;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use uuid::Uuid;

/// Far beyond what anything here takes on a busy machine; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// What a test's stream reserves: all of them together stay below the server's 8 GB.
const STREAM_BYTES: i64 = 64 * 1024 * 1024;
/// Working copies that may run these tests at the same time.
const STACKS_MAX: u32 = 8;

/// Databases that wait before they are used again.
const DATABASES_AT_REST: usize = 4;

struct Servers {
    database_url: String,
    nats_url: String,
    data_dir: String,
    /// Stops with the process.
    _stack: Mutex<Stack>,
}

static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
    let in_a_thread = std::thread::spawn(|| {
        let servers = start_servers();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(clear(&servers));
        servers
    });
    in_a_thread.join().expect("the servers start")
});

/// Whoever kills a server is alone; everybody else shares.
static TURNS: RwLock<()> = RwLock::const_new(());

enum Turn {
    Shared { _turn: RwLockReadGuard<'static, ()> },
    Alone { _turn: RwLockWriteGuard<'static, ()> },
}

fn start_servers() -> Servers {
    for number in 0..STACKS_MAX {
        let data_dir = format!("{}/stack-{number}", env!("CARGO_TARGET_TMPDIR"));
        let options = Options { profile: Profile::Test, ..Options::new(&data_dir) };
        match Stack::start_blocking(&options) {
            Ok(stack) => {
                return Servers {
                    database_url: stack.database_url().unwrap().to_owned(),
                    nats_url: stack.nats_url().unwrap().to_owned(),
                    data_dir,
                    _stack: Mutex::new(stack),
                };
            }
            Err(stack::Error::InUse { .. }) => {}
            Err(error) => panic!("the stack does not start: {error}"),
        }
    }
    panic!("{STACKS_MAX} stacks are in use");
}

/// Removes the streams that earlier runs have left; their databases are used again.
async fn clear(servers: &Servers) {
    let client = store::stream::connect(&servers.nats_url).await.unwrap();
    let context = jetstream::new(client);
    let names: Vec<String> = context.stream_names().try_collect().await.unwrap();
    for name in names {
        context.delete_stream(name).await.unwrap();
    }
}

/// A database for one test. Making and dropping one cost a checkpoint of the whole server, and each
/// makes its recovery longer; so they are emptied and used again.
struct Database(u32);

/// Those that are free, the one that has been free for the longest first.
static FREE: Mutex<VecDeque<u32>> = Mutex::new(VecDeque::new());

impl Database {
    async fn take() -> Self {
        let database = Self::free_or_new();
        if let Ok(mut connection) = PgConnection::connect_with(&database.options()).await {
            let empty = "select pg_terminate_backend(pid) from pg_stat_activity \
                         where datname = current_database() and pid <> pg_backend_pid(); \
                         drop schema public cascade; create schema public";
            connection.execute(empty).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut admin = PgConnection::connect(&SERVERS.database_url).await.unwrap();
            let create = format!("create database test_{}", database.0);
            admin.execute(create.as_str()).await.unwrap();
        }
        database
    }

    fn free_or_new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut free = FREE.lock().unwrap();
        // Some are left to rest: the last test's tasks may take a moment to end.
        if DATABASES_AT_REST < free.len() {
            Self(free.pop_front().unwrap())
        } else {
            Self(NUMBER.fetch_add(1, Ordering::Relaxed))
        }
    }

    fn options(&self) -> PgConnectOptions {
        let options: PgConnectOptions = SERVERS.database_url.parse().unwrap();
        options.database(&format!("test_{}", self.0))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        FREE.lock().unwrap().push_back(self.0);
    }
}

pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) nats: async_nats::Client,
    /// Of the stream.
    pub(crate) name: String,
    database: Database,
    _turn: Turn,
}

impl World {
    pub(crate) async fn new() -> Self {
        let turn = Turn::Shared { _turn: TURNS.read().await };
        Self::in_turn(turn).await
    }

    /// Nobody else uses the servers, so they may be killed.
    pub(crate) async fn alone() -> Self {
        let turn = Turn::Alone { _turn: TURNS.write().await };
        Self::in_turn(turn).await
    }

    async fn in_turn(turn: Turn) -> Self {
        let database = Database::take().await;
        let pool = PgPoolOptions::new()
            // Each costs a login, which takes a tenth of a second in a debug build.
            .max_connections(4)
            // As in production; while the server is away, it is looked for in ever longer pauses.
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(database.options());
        store::migrate(&pool).await.unwrap();
        let nats = store::stream::connect(&SERVERS.nats_url).await.unwrap();
        let name = format!("test_{}", Uuid::new_v4().simple());
        Self { pool, nats, name, database, _turn: turn }
    }

    /// What a process of its own would have: its own writer, and its own states in memory.
    pub(crate) fn journal(&self) -> Journal {
        self.journal_and_its_batches().0
    }

    /// One that writes a snapshot of every stream after so many events.
    pub(crate) fn journal_with_snapshots(&self, events_min: i64) -> Journal {
        self.journal_within(&Bounds { snapshot_events_min: events_min, ..Bounds::default() })
    }

    pub(crate) fn journal_within(&self, bounds: &Bounds) -> Journal {
        Journal::start_within(&self.pool, bounds).0
    }

    pub(crate) fn journal_and_its_batches(&self) -> (Journal, Committed) {
        Journal::start(&self.pool)
    }

    pub(crate) fn stream(&self) -> Stream {
        Stream::new(self.nats.clone(), self.name.clone(), STREAM_BYTES)
    }

    pub(crate) fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.nats.clone())
    }

    /// A connection that no pool and no killer of the journal's connections knows.
    pub(crate) async fn bystander(&self) -> PgConnection {
        let options = self.database.options().application_name("bystander");
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// Runs SQL that is no query, such as the making of a trigger.
    pub(crate) async fn run(&self, sql: &str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }

    pub(crate) async fn head(&self) -> i64 {
        store::log::head(&self.pool).await.unwrap()
    }

    pub(crate) async fn kill_postgres() {
        kill(&Path::new(&SERVERS.data_dir).join("postgres/postmaster.pid")).await;
    }

    pub(crate) async fn kill_nats() {
        kill(&Path::new(&SERVERS.data_dir).join("nats.pid")).await;
    }
}

/// Kills the process that a file names. Right after it was killed once, the file may be gone, or name
/// the one that is gone: then the next one is meant.
async fn kill(pid_file: &Path) {
    eventually("somebody to kill", || async {
        let text = std::fs::read_to_string(pid_file).unwrap_or_default();
        let Some(pid) = text
            .lines()
            .next()
            .map(str::trim)
            .filter(|pid| !pid.is_empty())
        else {
            return false;
        };
        let status = Command::new("kill").args(["-KILL", pid]).status();
        status.is_ok_and(|status| status.success())
    })
    .await;
}

/// Waits for a condition rather than for a time.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Chance that can be repeated: `SEED=7 cargo test -p store`.
pub(crate) fn chance() -> StdRng {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    StdRng::seed_from_u64(seed)
}

pub(crate) type StockReceipt = Receipt<inventory::Refusal>;

/// A person's command.
pub(crate) fn envelope() -> Envelope {
    envelope_of(Uuid::new_v4())
}

pub(crate) fn envelope_of(command_id: Uuid) -> Envelope {
    Envelope {
        command_id,
        fingerprint: [7; 32],
        correlation_id: Uuid::from_u128(command_id.as_u128() ^ 1),
        causation_id: None,
        actor: "staff".to_owned(),
        request_id: None,
        traceparent: None,
        reason: None,
        expected_version: None,
    }
}

pub(crate) fn receive(quantity: u64) -> inventory::Command {
    inventory::Command::Receive { quantity, reference: "note 7".to_owned() }
}

pub(crate) fn reserve(quantity: u64) -> inventory::Command {
    let order_id = OrderId(Uuid::new_v4());
    let expires_at: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    inventory::Command::Reserve { order_id, quantity, expires_at }
}

/// Words an answer of which every part depends on the decision.
#[expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "this is how the journal asks for words"
)]
pub(crate) fn worded(decided: Decided<'_, Inventory>) -> Option<Answer> {
    let (status, body) = match decided {
        Decided::Accepted { state, version, .. } => {
            (200, format!("v{version}: {} of {}", state.reserved(), state.on_hand()))
        }
        Decided::Refused(refusal) => (409, refusal.to_string()),
        Decided::VersionMismatch { expected, actual } => (412, format!("{expected} is {actual}")),
    };
    Some(Answer { status, body })
}

/// Asks once.
pub(crate) async fn ask(
    journal: &Journal,
    sku: &str,
    command: inventory::Command,
    envelope: Envelope,
) -> Result<StockReceipt, ExecuteError> {
    journal
        .execute::<Inventory>(sku, command, envelope, worded)
        .await
}

/// Asks as a client does: again with the same id until there is an answer.
pub(crate) async fn insist(
    journal: &Journal,
    sku: &str,
    command: inventory::Command,
    envelope: Envelope,
) -> StockReceipt {
    insist_on(|| ask(journal, sku, command.clone(), envelope.clone())).await
}

/// Asks again until there is an answer.
pub(crate) async fn insist_on<R, Asking>(ask: impl Fn() -> Asking) -> Receipt<R>
where
    Asking: Future<Output = Result<Receipt<R>, ExecuteError>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(receipt) => return receipt,
            Err(error @ (ExecuteError::KeyReused | ExecuteError::Corrupt(_))) => {
                panic!("no answer to insist on: {error}")
            }
            Err(error) => assert!(Instant::now() < deadline, "no answer: {error}"),
        }
    }
}

/// Asks for something that has to be accepted.
pub(crate) async fn stock(
    journal: &Journal,
    sku: &str,
    command: inventory::Command,
) -> StockReceipt {
    let receipt = insist(journal, sku, command, envelope()).await;
    assert_eq!(receipt.verdict, store::command::Verdict::Accepted);
    receipt
}
