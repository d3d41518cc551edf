//! One Postgres and one NATS for all tests of a run. They stop when the test process ends.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use stack::{Options, Profile, Stack};

/// Test runs that may go on beside each other on one machine.
const RUNS_MAX: u32 = 8;

/// The servers, started by whoever needs them first.
static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
    let stack = start();
    let url = |url: Option<&str>| url.expect("the stack was asked for both").to_owned();
    Servers {
        database_url: url(stack.database_url()),
        nats_url: url(stack.nats_url()),
        _stack: Mutex::new(stack),
    }
});

struct Servers {
    database_url: String,
    nats_url: String,
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
