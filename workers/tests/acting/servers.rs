//! One Postgres and one NATS for all tests here. They stop when the test process ends.

use std::sync::{LazyLock, Mutex};

use sqlx::{Connection as _, Executor as _, PgConnection};
use stack::{Options, Profile, Stack};

/// Working copies that may run these tests at the same time.
const STACKS_MAX: u32 = 8;

struct Servers {
    database_url: String,
    nats_url: String,
    /// Stops with the process.
    _stack: Mutex<Stack>,
}

static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
    // On a thread, because whoever comes first is in the middle of a runtime of its own.
    let started = std::thread::spawn(|| {
        let servers = start_servers();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(clear(&servers.database_url));
        servers
    });
    started.join().expect("the servers start")
});

fn start_servers() -> Servers {
    for number in 0..STACKS_MAX {
        let data_dir = format!("{}/workers-{number}", env!("CARGO_TARGET_TMPDIR"));
        let options = Options { profile: Profile::Test, ..Options::new(data_dir) };
        match Stack::start_blocking(&options) {
            Ok(stack) => {
                return Servers {
                    database_url: stack.database_url().unwrap().to_owned(),
                    nats_url: stack.nats_url().unwrap().to_owned(),
                    _stack: Mutex::new(stack),
                };
            }
            Err(stack::Error::InUse { .. }) => {}
            Err(error) => panic!("the stack does not start: {error}"),
        }
    }
    panic!("{STACKS_MAX} stacks are in use");
}

/// Removes the databases of earlier runs.
async fn clear(database_url: &str) {
    let mut admin = PgConnection::connect(database_url).await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("select datname from pg_database where datname like 'test\\_%'")
            .fetch_all(&mut admin)
            .await
            .unwrap();
    for name in left {
        let drop = format!("drop database {name}");
        admin.execute(drop.as_str()).await.unwrap();
    }
}

/// Where Postgres answers.
pub(crate) fn database_url() -> &'static str {
    &SERVERS.database_url
}

/// Where NATS answers.
pub(crate) fn nats_url() -> &'static str {
    &SERVERS.nats_url
}
