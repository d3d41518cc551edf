//! The Daybook under test: a process of its own with servers of its own, so that its memory and
//! processor time are told from ours.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::error::Error;
use crate::http::Connection;
use crate::processes::Processes;
use crate::requests;
use crate::runner::say;

/// The first start makes a cluster; one on a log that was just filled is ready when nine million events
/// have been read.
const START_MAX: Duration = Duration::from_mins(30);
/// An orderly stop writes a checkpoint.
const STOP_MAX: Duration = Duration::from_mins(2);
/// How long nothing may move before waiting is pointless.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks: short beside what is measured by them, long beside a look's cost.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often one is told what is waited for.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Idle is who spends less than this share of one processor while one looks.
const IDLE_SHARE: f64 = 0.15;
const IDLE_LOOK: Duration = Duration::from_secs(2);
/// A relay that has ten million events to carry needs minutes.
const IDLE_MAX: Duration = Duration::from_mins(30);
/// Looks that find the same before it counts as rest: answers of payment providers are in no log
/// until they come.
const SAME_LOOKS: u32 = 20;
/// For looks and checks; Daybook has connections of its own.
const CONNECTIONS_MAX: u32 = 3;
/// As much of its log as one message can take.
const LOG_LINES_QUOTED: usize = 3;
/// Where the program is asked to listen: any port that is free.
const LISTEN: &str = "127.0.0.1:0";

/// A running Daybook.
#[derive(Debug)]
pub(crate) struct Daybook {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) database_url: String,
    pub(crate) database: PgPool,
    pub(crate) data_dir: PathBuf,
    pub(crate) started: Started,
}

/// What a start took, from spawning the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    /// Until Postgres and NATS answered.
    pub(crate) servers: Duration,
    /// Until `/health/ready` did.
    pub(crate) ready: Duration,
}

/// How far everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Standing {
    /// Events in the log.
    pub(crate) head: i64,
    /// Of the slowest read model.
    pub(crate) read: i64,
    /// Of the read model of orders.
    pub(crate) orders: i64,
    /// Of the slowest worker that carries orders on.
    pub(crate) workers: i64,
}

#[derive(Debug, Deserialize)]
struct Listing {
    items: Vec<ReadModel>,
}

/// A read model, as the list of projections has it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReadModel {
    pub(crate) name: String,
    pub(crate) rebuild: Option<Rebuild>,
}

/// Its newest rebuild.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Rebuild {
    pub(crate) state: String,
    pub(crate) position: u64,
    pub(crate) detail: Option<String>,
    #[serde(default)]
    pub(crate) seconds: f64,
}

impl Daybook {
    /// Starts it with these variables, and returns once it is ready.
    pub(crate) async fn start(
        program: &Path,
        data_dir: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Self, Error> {
        fs::create_dir_all(data_dir).map_err(Error::file("create", data_dir))?;
        let spawned = (Instant::now(), SystemTime::now());
        let mut child = spawn(program, data_dir, variables)?;
        let starting = async {
            let address = told_address(&mut child, data_dir).await?;
            until_ready(address).await;
            Ok::<_, Error>(address)
        };
        let address = match tokio::time::timeout(START_MAX, starting).await {
            Ok(address) => address?,
            Err(_) => return Err(broken(data_dir, "is not ready in time")),
        };
        let ready = spawned.0.elapsed();
        let url_file = data_dir.join("database-url");
        // It is written once both servers answer, and before anything else is done.
        let servers = fs::metadata(&url_file)
            .and_then(|meta| meta.modified())
            .map_err(Error::file("read", &url_file))?
            .duration_since(spawned.1)
            .unwrap_or_default();
        let database_url = read_line(&url_file)?;
        let database = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect(&database_url)
            .await?;
        Ok(Self {
            child,
            address,
            token: read_line(&data_dir.join("staff-token"))?,
            database_url,
            database,
            data_dir: data_dir.to_owned(),
            started: Started { servers, ready },
        })
    }

    /// Stops it in order, and its servers with it.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.database.close().await;
        if let Some(pid) = self.child.id() {
            terminate(pid).await;
        }
        match tokio::time::timeout(STOP_MAX, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(broken(&self.data_dir, &format!("ended badly ({status})"))),
            Ok(Err(source)) => Err(Error::Load(source)),
            Err(_) => Err(broken(&self.data_dir, "does not stop")),
        }
    }

    pub(crate) fn processes(&self) -> Processes {
        Processes::of(self.child.id().unwrap_or(0), &self.data_dir)
    }

    /// How far everything is, for the price of one cheap select.
    pub(crate) async fn standing(&self) -> Result<Standing, Error> {
        let select = include_str!("../sql/standing.sql");
        Ok(sqlx::query_as(select).fetch_one(&self.database).await?)
    }

    /// Waits until nothing moves any more; how long that took until the first such look.
    pub(crate) async fn settle(&self) -> Result<Duration, Error> {
        let began = Instant::now();
        let (mut last, mut same, mut moved) = (self.standing().await?, 0, Instant::now());
        let mut told = Instant::now();
        loop {
            let at_rest = last.read == last.head && last.workers == last.head;
            if at_rest && SAME_LOOKS <= same {
                return Ok(moved - began);
            }
            if PATIENCE < moved.elapsed() {
                let what = format!("everything to settle ({last:?})");
                return Err(Error::Stuck { what, seconds: PATIENCE.as_secs() });
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.standing().await?;
            if now == last {
                same += 1;
            } else {
                (last, same, moved) = (now, 0, Instant::now());
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                say(&format!(
                    "  waiting: {} of {} events read",
                    last.read.min(last.workers),
                    last.head
                ));
            }
        }
    }

    /// Waits until next to nothing is done any more, by Daybook or its servers: what nobody waits
    /// for, such as the way to NATS or a vacuum, would be measured with whatever comes next.
    pub(crate) async fn idle(&self) -> Result<(), Error> {
        let began = Instant::now();
        let processes = self.processes();
        let mut before = processes.spent();
        while began.elapsed() < IDLE_MAX {
            tokio::time::sleep(IDLE_LOOK).await;
            let now = processes.spent();
            let spent = now.since(before);
            if spent.daybook + spent.postgres + spent.nats <= IDLE_SHARE * IDLE_LOOK.as_secs_f64() {
                return Ok(());
            }
            before = now;
        }
        Err(Error::Stuck { what: "Daybook to be idle".into(), seconds: IDLE_MAX.as_secs() })
    }

    /// Waits until a look finds what it looks for; how long no progress is accepted is bounded.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut(Standing) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let (mut last, mut moved) = (self.standing().await?, Instant::now());
        loop {
            if let Some(found) = look(last).await? {
                return Ok(found);
            }
            if PATIENCE < moved.elapsed() {
                let what = format!("{what} ({last:?})");
                return Err(Error::Stuck { what, seconds: PATIENCE.as_secs() });
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.standing().await?;
            if now != last {
                (last, moved) = (now, Instant::now());
            }
        }
    }

    /// The read models that there are.
    pub(crate) async fn read_models(&self) -> Result<Vec<ReadModel>, Error> {
        let request = requests::get("/api/v1/projections", Some(&self.token), &[]);
        let mut connection = Connection::open(self.address).await.map_err(Error::Load)?;
        let answer = connection.exchange(&request).await.map_err(Error::Load)?;
        let listing: Result<Listing, _> = serde_json::from_slice(answer.body);
        match listing {
            Ok(listing) if answer.is_success() => Ok(listing.items),
            _ => Err(Error::Refused { what: "list projections".into(), answer: answer.text() }),
        }
    }
}

/// Has a Daybook in this directory store personal data as it is.
pub(crate) fn keep_in_clear(data_dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(data_dir).map_err(Error::file("create", data_dir))?;
    let path = data_dir.join("master-key");
    fs::write(&path, "none\n").map_err(Error::file("write", &path))
}

fn spawn(program: &Path, data_dir: &Path, variables: &[(&str, &str)]) -> Result<Child, Error> {
    let log = log_of(data_dir);
    let errors = File::options()
        .append(true)
        .create(true)
        .open(&log)
        .map_err(Error::file("open", &log))?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name_bytes = name.as_encoded_bytes();
        // Settings of other Daybooks on this machine are not for this one.
        if name_bytes.starts_with(b"DAYBOOK_")
            || [
                &b"DATABASE_URL"[..],
                b"NATS_URL",
                b"SANDBOX_PAYMENTS",
                b"SANDBOX_WEBHOOK_SECRET",
            ]
            .contains(&name_bytes)
        {
            command.env_remove(name);
        }
    }
    command
        .args(["dev", "--listen", LISTEN, "--data-dir"])
        .arg(data_dir)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        // A terminal's Ctrl-C is for us, who then stop it in order.
        .process_group(0)
        // Its servers stop by themselves once it is gone.
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::file("start", program))
}

/// It says where it listens as soon as it does.
async fn told_address(child: &mut Child, data_dir: &Path) -> Result<SocketAddr, Error> {
    let output = child.stdout.take().expect("its output is piped");
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = address_in(&line) {
            // Whatever else it says must not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(address);
        }
    }
    Err(broken(data_dir, "does not start"))
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let url = line.trim().strip_prefix("address")?.trim();
    url.strip_prefix("http://")?.parse().ok()
}

async fn until_ready(address: SocketAddr) {
    let request = requests::get("/health/ready", None, &[]);
    loop {
        if let Ok(mut connection) = Connection::open(address).await
            && let Ok(answer) = connection.exchange(&request).await
            && answer.is_success()
        {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Through the shell, because the standard library knows no signal but the one that kills.
async fn terminate(pid: u32) {
    let kill = Command::new("/bin/sh")
        .args(["-c", &format!("kill -s TERM {pid}")])
        .stderr(Stdio::null())
        .status();
    // It may have ended by itself; whoever waits for it finds out.
    drop(kill.await);
}

fn read_line(path: &Path) -> Result<String, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    Ok(text.trim().to_owned())
}

/// Beside the data, not in it.
fn log_of(data_dir: &Path) -> PathBuf {
    data_dir.with_added_extension("log")
}

fn broken(data_dir: &Path, what: &str) -> Error {
    let log = log_of(data_dir);
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let log_end = lines[lines.len().saturating_sub(LOG_LINES_QUOTED)..].join(" / ");
    Error::Daybook { what: what.to_owned(), log, log_end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_welcome() {
        let line = "  address        http://127.0.0.1:38207";
        assert_eq!(address_in(line), Some(SocketAddr::from(([127, 0, 0, 1], 38207))));
        assert_eq!(address_in("  documentation  http://127.0.0.1:38207/docs"), None);
    }
}
