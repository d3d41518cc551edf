//! One Postgres and one NATS for all tests of a run. They stop when the test process ends.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use futures::TryStreamExt as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use stack::{Options, Profile, Stack};

/// Test runs that may go on beside each other on one machine.
const RUNS_MAX: u32 = 8;

/// The servers, started by whoever needs them first.
static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
    let stack = start();
    let url = |url: Option<&str>| url.expect("the stack was asked for both").to_owned();
    let (database_url, nats_url) = (url(stack.database_url()), url(stack.nats_url()));
    let nats_reader_url = url(stack.nats_reader_url());
    // On a thread, because whoever comes first is in the middle of a runtime of its own.
    let urls = (database_url.clone(), nats_url.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(clear(&urls.0, &urls.1));
    })
    .join()
    .expect("what earlier runs left can be cleared away");
    Servers { database_url, nats_url, nats_reader_url, _stack: Mutex::new(stack) }
});

/// Clears away the databases and streams of earlier runs.
async fn clear(database_url: &str, nats_url: &str) {
    let mut admin = PgConnection::connect(database_url).await.expect("Postgres");
    let databases: Vec<String> =
        sqlx::query_scalar("select datname from pg_database where datname like 'test\\_%'")
            .fetch_all(&mut admin)
            .await
            .expect("a list of databases");
    for database in databases {
        let drop = format!("drop database {database}");
        admin.execute(drop.as_str()).await.expect("nobody uses it");
    }
    let nats = store::stream::connect(nats_url).await.expect("NATS");
    let jetstream = async_nats::jetstream::new(nats);
    let streams: Vec<String> = jetstream
        .stream_names()
        .try_collect()
        .await
        .expect("a list");
    for stream in streams {
        jetstream.delete_stream(stream).await.expect("it goes");
    }
}

struct Servers {
    database_url: String,
    nats_url: String,
    nats_reader_url: String,
    /// Held for as long as the process lives.
    _stack: Mutex<Stack>,
}

fn start() -> Stack {
    let mut refusals = Vec::new();
    for run in 0..RUNS_MAX {
        let options = Options { profile: Profile::Test, ..Options::new(data_dir(run)) };
        match Stack::start_blocking(&options) {
            Ok(stack) => return stack,
            // Another run has this one.
            Err(refusal @ stack::Error::InUse { .. }) => refusals.push(refusal.to_string()),
            Err(error) => panic!("the servers of the tests cannot be started: {error}"),
        }
    }
    panic!("no data directory is free: {refusals:?}")
}

/// Kept between runs, so that only the first one makes a cluster.
fn data_dir(run: u32) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join(format!("tmp/servers-{run}"))
}

/// Where Postgres answers.
pub fn database_url() -> &'static str {
    &SERVERS.database_url
}

/// Where NATS answers.
pub fn nats_url() -> &'static str {
    &SERVERS.nats_url
}

/// The same for the user who may only read the stream named `daybook`.
pub fn nats_reader_url() -> &'static str {
    &SERVERS.nats_reader_url
}
