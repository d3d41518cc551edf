//! What the same Postgres does without Daybook: pgbench with scripts that ship with it.
//!
//! | script | does | per |
//! | --- | --- | --- |
//! | `single-row.sql` | commits one event row of the log's own shape and size | transaction |
//! | `hot-row.sql` | takes a piece from one row that all clients want, and writes an event | transaction |
//! | `primary-key.sql` | selects one order of a hundred thousand by its primary key | query |
//!
//! Statements are prepared, as Daybook's are, and pgbench has two threads. With the simple protocol
//! the server parses a kilobyte of SQL for every row, and primary-key selects fall by a third.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::process::Command;

use crate::daybook::Daybook;
use crate::error::Error;

/// Beside Daybook's own database.
const DATABASE: &str = "bench_reference";
/// More only wait for one another, and Postgres has room for 200 in all.
pub(crate) const CLIENTS_MAX: u32 = 64;
/// One for each processor of a small machine; the clients' own work is small.
const THREADS: &str = "2";

/// pgbench counts from when it begins to connect, and passwords are hashed for each client; what it
/// tells leaves this time out again.
const CONNECTING: Duration = Duration::from_secs(3);

/// A script that ships with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    SingleRow,
    HotRow,
    PrimaryKey,
}

impl Script {
    fn text(self) -> &'static str {
        match self {
            Self::SingleRow => include_str!("../sql/single-row.sql"),
            Self::HotRow => include_str!("../sql/hot-row.sql"),
            Self::PrimaryKey => include_str!("../sql/primary-key.sql"),
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::SingleRow => "single-row commits",
            Self::HotRow => "hot-row transactions",
            Self::PrimaryKey => "primary-key selects",
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::SingleRow => "single-row.sql",
            Self::HotRow => "hot-row.sql",
            Self::PrimaryKey => "primary-key.sql",
        }
    }
}

/// pgbench and a database of its own, on the Postgres that Daybook uses.
#[derive(Debug)]
pub(crate) struct Reference {
    program: PathBuf,
    scripts: PathBuf,
    server: Server,
}

/// Where Postgres is, as a URL has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    user: String,
    password: String,
    host: String,
    port: String,
}

impl Reference {
    /// Prepares it; none where there is no pgbench.
    pub(crate) async fn prepare(daybook: &Daybook) -> Result<Option<Self>, Error> {
        let Some(program) = program(daybook) else {
            return Ok(None);
        };
        let server = Server::of(&daybook.database_url)
            .ok_or_else(|| Error::Pgbench("the database's URL has another form".to_owned()))?;
        let reference = Self { program, scripts: daybook.data_dir.join("pgbench"), server };
        reference.make_database(daybook).await?;
        Ok(Some(reference))
    }

    async fn make_database(&self, daybook: &Daybook) -> Result<(), Error> {
        let there: Option<i32> = sqlx::query_scalar("select 1 from pg_database where datname = $1")
            .bind(DATABASE)
            .fetch_optional(&daybook.database)
            .await?;
        fs::create_dir_all(&self.scripts).map_err(Error::file("create", &self.scripts))?;
        for script in [Script::SingleRow, Script::HotRow, Script::PrimaryKey] {
            let path = self.scripts.join(script.file_name());
            fs::write(&path, script.text()).map_err(Error::file("write", &path))?;
        }
        if there.is_some() {
            return Ok(());
        }
        let create = format!("create database {DATABASE}");
        daybook.database.execute(create.as_str()).await?;
        let Server { user, password, host, port } = &self.server;
        let url = format!("postgres://{user}:{password}@{host}:{port}/{DATABASE}");
        let mut connection = PgConnection::connect(&url).await?;
        connection
            .execute(include_str!("../sql/reference.sql"))
            .await?;
        connection.close().await?;
        Ok(())
    }

    /// Transactions per second.
    pub(crate) async fn rate(
        &self,
        script: Script,
        clients: u32,
        lasting: Duration,
    ) -> Result<f64, Error> {
        let Server { user, password, host, port } = &self.server;
        let output = Command::new(&self.program)
            .args(["-h", host, "-p", port, "-U", user])
            .args(["-n", "-M", "prepared", "-j", THREADS])
            .args(["-c", &clients.to_string()])
            .args(["-T", &(lasting + CONNECTING).as_secs().to_string()])
            .arg("-f")
            .arg(self.scripts.join(script.file_name()))
            .arg(DATABASE)
            .env("PGPASSWORD", password)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Error::file("start", &self.program))?;
        let told = String::from_utf8_lossy(&output.stdout);
        match rate_in(&told) {
            Some(rate) if output.status.success() => Ok(rate),
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                Err(Error::Pgbench(
                    errors
                        .lines()
                        .last()
                        .unwrap_or("it says nothing")
                        .to_owned(),
                ))
            }
        }
    }
}

impl Server {
    fn of(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("postgres://")?;
        let (account, rest) = rest.split_once('@')?;
        let (user, password) = account.split_once(':')?;
        let (host, port) = rest.split_once('/')?.0.split_once(':')?;
        let [user, password, host, port] = [user, password, host, port].map(str::to_owned);
        Some(Self { user, password, host, port })
    }
}

/// Beside the program that runs, so that both are of one version.
fn program(daybook: &Daybook) -> Option<PathBuf> {
    let postgres = daybook.processes().postgres?;
    let running = fs::read_link(Path::new("/proc").join(postgres.to_string()).join("exe")).ok()?;
    let beside = running.with_file_name("pgbench");
    beside.is_file().then_some(beside)
}

/// `tps = 8123.4 (without initial connection time)`.
fn rate_in(told: &str) -> Option<f64> {
    let line = told.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_what_pgbench_tells() {
        let told = "pgbench (15.18 (Debian 15.18-0+deb12u1))\n\
                    transaction type: single-row.sql\nscaling factor: 1\nquery mode: prepared\n\
                    number of clients: 64\nnumber of threads: 2\n\
                    latency average = 7.880 ms\ninitial connection time = 512.123 ms\n\
                    tps = 8121.563421 (without initial connection time)\n";
        assert!(rate_in(told).is_some_and(|rate| (rate - 8_121.563_421).abs() < 1e-6));
        assert_eq!(rate_in("pgbench: error: connection failed"), None);
    }

    #[test]
    fn the_server_is_read_from_its_url() {
        let server = Server::of("postgres://daybook:s3cret@127.0.0.1:5433/daybook").unwrap();
        assert_eq!((server.host.as_str(), server.port.as_str()), ("127.0.0.1", "5433"));
        assert_eq!((server.user.as_str(), server.password.as_str()), ("daybook", "s3cret"));
        assert_eq!(Server::of("postgres:///daybook"), None);
    }
}
