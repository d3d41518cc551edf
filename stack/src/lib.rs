//! A private Postgres and a private nats-server, for a person at a desk and for tests.
//!
//! ```text
//! Stack ── lock ───▶ data directory: secrets, ports, logs, nats/, postgres/
//!   ├── Keeper ── pipe ──▶ sh ──▶ postgres
//!   └── Keeper ── pipe ──▶ sh ──▶ nats-server
//! ```
//!
//! Invariants:
//! 1. No server outlives us, however we end: it stops when our end of the pipe closes.
//! 2. A server that dies while we live comes back on its port with its data.
//! 3. One data directory has one owner at a time.
//! 4. A start that was killed half-way, or servers that a killed Daybook left, hinder nobody.
//!
//! Production brings its own servers; this crate is for everywhere else.

mod account;
mod cluster;
mod directory;
mod error;
mod keeper;
mod kept;
mod nats;
mod place;
mod postgres;
mod programs;
mod supervise;
mod survivors;
mod until;

use std::fs::File;
use std::path::PathBuf;
use std::thread;

use tokio::sync::oneshot;

pub use crate::error::Error;

use crate::directory::DataDir;
use crate::keeper::Keeper;
use crate::nats::{Nats, Passwords};
use crate::postgres::Postgres;

/// Tries at a port that was free when chosen and taken when used. Twice in a row is bad luck; more
/// often, something else is wrong.
const PORT_TRIES_MAX: u32 = 3;

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Holds everything that should survive: data, secrets, ports and logs. Created if missing.
    pub data_dir: PathBuf,
    /// Which servers to start.
    pub servers: Servers,
    /// The directory of `postgres` and `initdb`; looked for if not given.
    pub postgres_bin_dir: Option<PathBuf>,
    /// The program `nats-server`; looked for if not given.
    pub nats_server: Option<PathBuf>,
    /// How much memory Postgres may take.
    pub profile: Profile,
}

/// Which servers a stack starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// The user gave no URL.
    Both,
    /// The user gave the URL of a NATS.
    OnlyPostgres,
    /// The user gave the URL of a database.
    OnlyNats,
}

/// How much memory Postgres may take. Both profiles are equally durable: tests that run without
/// fsync prove nothing about a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// One server for a person at a desk.
    Desk,
    /// Several small ones beside each other.
    Test,
}

impl Options {
    /// Both servers, found by themselves, sized for a desk.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            servers: Servers::Both,
            postgres_bin_dir: None,
            nats_server: None,
            profile: Profile::Desk,
        }
    }
}

/// Running servers. Dropping it stops them too, but does not wait until they have.
#[derive(Debug)]
pub struct Stack {
    // The order of fields is the order of dropping: the servers go before the lock does.
    nats: Option<Keeper>,
    postgres: Option<Keeper>,
    database_url: Option<String>,
    nats_url: Option<String>,
    nats_reader_url: Option<String>,
    _lock: File,
}

impl Stack {
    /// Starts the servers and returns once they answer. The first start of a data directory takes
    /// a few seconds, later ones less than one.
    ///
    /// # Errors
    /// When a program is missing or too old, the directory is in use or unusable, or a server does
    /// not come up in time; each message says what to do.
    pub async fn start(options: Options) -> Result<Self, Error> {
        on_a_thread(move || Self::start_blocking(&options)).await
    }

    /// [`Stack::start`] for callers outside a runtime, such as a `LazyLock` that tests share. The
    /// stack needs no runtime, so it outlives the one of the test that came first.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn start_blocking(options: &Options) -> Result<Self, Error> {
        let dir = DataDir::open(&options.data_dir)?;
        let mut stack = Self {
            nats: None,
            postgres: None,
            database_url: None,
            nats_url: None,
            nats_reader_url: None,
            _lock: dir.lock()?,
        };
        if options.servers != Servers::OnlyPostgres {
            let nats = start_nats(options, &dir)?;
            stack.nats = Some(nats.keeper);
            stack.nats_url = Some(nats.url);
            stack.nats_reader_url = Some(nats.reader_url);
        }
        if options.servers != Servers::OnlyNats {
            let (keeper, url) = start_postgres(options, &dir)?;
            stack.postgres = Some(keeper);
            stack.database_url = Some(url);
        }
        Ok(stack)
    }

    /// Where Postgres answers, with user and password: a superuser, because tests create
    /// databases. `None` if it was not asked for.
    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// Where NATS answers, with user and password. `None` if it was not asked for.
    pub fn nats_url(&self) -> Option<&str> {
        self.nats_url.as_deref()
    }

    /// The same for the user who may only read the stream.
    pub fn nats_reader_url(&self) -> Option<&str> {
        self.nats_reader_url.as_deref()
    }

    /// Stops both in order and waits until nothing is left running. Bounded: a server that does
    /// not go in time is killed, and recovers at its next start.
    pub async fn stop(self) {
        on_a_thread(move || self.stop_blocking()).await;
    }

    /// [`Stack::stop`] for callers outside a runtime.
    pub fn stop_blocking(mut self) {
        // Both are told before either is waited for: together they take as long as the slower one.
        let keepers = [self.nats.take(), self.postgres.take()];
        keepers.iter().flatten().for_each(Keeper::close);
        keepers.into_iter().flatten().for_each(Keeper::join);
    }
}

/// A running nats-server, and where its users find it.
struct StartedNats {
    keeper: Keeper,
    url: String,
    reader_url: String,
}

fn start_nats(options: &Options, dir: &DataDir) -> Result<StartedNats, Error> {
    let program = programs::nats_server(options.nats_server.as_deref())?;
    let passwords = Passwords {
        daybook: kept::secret(&dir.file("nats.password"))?,
        reader: kept::secret(&dir.file("nats-reader.password"))?,
    };
    let url =
        |user: &str, password: &str, port| format!("nats://{user}:{password}@127.0.0.1:{port}");
    on_a_free_port(dir, "nats.port", |port| {
        let nats = Nats::prepare(dir, program.clone(), passwords.clone(), port)?;
        Ok(StartedNats {
            keeper: Keeper::start(nats)?,
            url: url("daybook", &passwords.daybook, port),
            reader_url: url("reader", &passwords.reader, port),
        })
    })
}

fn start_postgres(options: &Options, dir: &DataDir) -> Result<(Keeper, String), Error> {
    let password = kept::secret(&dir.file("postgres.password"))?;
    let cluster = cluster::open_or_make(dir, options.postgres_bin_dir.as_deref(), &password)?;
    on_a_free_port(dir, "postgres.port", |port| {
        let postgres = Postgres::new(dir, cluster.clone(), options.profile, port);
        let url = format!("postgres://daybook:{password}@127.0.0.1:{port}/daybook");
        Ok((Keeper::start(postgres)?, url))
    })
}

/// Somebody may take a port between our look and the server's; then we look again.
fn on_a_free_port<T>(
    dir: &DataDir,
    name: &str,
    start: impl Fn(u16) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut tries = 1;
    loop {
        match start(kept::port(&dir.file(name))?) {
            Err(Error::PortTaken { .. }) if tries < PORT_TRIES_MAX => tries += 1,
            other => return other,
        }
    }
}

/// Runs blocking work for an async caller. Not on the runtime's pool: a runtime that shuts down
/// waits for its pool, and Ctrl-C during a slow start should not.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = oneshot::channel();
    thread::spawn(move || {
        // Nobody waits any more if this fails; what was started stops as it is dropped.
        let _ = done.send(work());
    });
    result
        .await
        .expect("the thread sends its result unless it panicked")
}
