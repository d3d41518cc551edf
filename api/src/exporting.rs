//! `daybook export`: the log, a slice of it, or a read model, as a file.
//!
//! ```text
//! source: server or database ─▶ lines of JSON ─▶ bounded channel ─▶ sink: NDJSON, CSV, Parquet
//!                                                                     in OUT.partial/ ─▶ OUT
//! ```
//!
//! 1. Two forms, kept apart: what readers are shown of an event (CSV, Parquet, `--lines shown`), and
//!    what is stored and sealed (NDJSON), which `daybook verify --export` proves.
//! 2. Nothing has the final name before it is complete. What is broken off goes on with `--resume`,
//!    up to the position that was fixed at the first start, and ends byte for byte the same.

mod plan;
mod sink;
mod source;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use client::progress::Phase;
use exports::columnar;
use exports::table::Column;
use exports::work::{self, Work};
use projections::rows::{TABLES, Table};
use serde::{Deserialize, Serialize};
use store::masters::BadMasterKey;
use tokio::sync::mpsc;

use self::plan::Plan;
use self::sink::Sink;
use self::source::Source;
use crate::auditing::SEALS_ENDING;
use crate::database;
use crate::http::problem::Problem;
use crate::http::rows;
use crate::settings::Personal;

/// Pieces between whoever reads and whoever writes: a few megabytes at most.
const PIECES_MAX: usize = 4;

/// Flags of `daybook export`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How it is written
    #[arg(long, env = "DAYBOOK_FORMAT", value_enum)]
    pub format: Format,
    /// The file; it must not exist yet, and appears when it is complete
    #[arg(long, env = "DAYBOOK_OUT", value_name = "FILE")]
    pub out: PathBuf,
    /// Go on with an export to this file that was broken off; begin, if there is none
    #[arg(long, env = "DAYBOOK_RESUME")]
    pub resume: bool,
    /// Export a read model instead of the log, all of it as of one moment
    #[arg(
        long, env = "DAYBOOK_READ_MODEL", value_name = "NAME",
        value_parser = clap::builder::PossibleValuesParser::new(TABLES.iter().map(|table| table.name))
    )]
    pub read_model: Option<String>,
    /// NDJSON of the log: as stored, which can be proved, or as `GET /events` shows it
    #[arg(long, env = "DAYBOOK_LINES", value_enum, default_value_t = Lines::Stored)]
    pub lines: Lines,
    /// Which events.
    #[command(flatten)]
    pub filters: Filters,
    /// Rows of a row group in a Parquet file, at most
    #[arg(
        long, env = "DAYBOOK_GROUP_ROWS", value_name = "ROWS",
        default_value_t = columnar::GROUP_ROWS_DEFAULT,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub group_rows: u32,
    /// Address of a running server; <http://127.0.0.1:8080> if neither it nor a database is given
    #[arg(long, env = "DAYBOOK_URL")]
    pub url: Option<String>,
    /// Token for the server; without it, `DAYBOOK_STAFF_TOKEN`, then the file `staff-token` in the
    /// data directory
    #[arg(long, env = "DAYBOOK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where `daybook dev` keeps its staff token
    #[arg(long, env = "DAYBOOK_DATA_DIR", default_value = ".daybook")]
    pub data_dir: PathBuf,
    /// Postgres, to be read directly, with no server; --url comes first
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// What personal data is sealed with, where the database is read directly.
    #[command(flatten)]
    pub personal: Personal,
}

/// Which events, as `GET /events` has it. What is not given does not restrict.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Filters {
    /// First position
    #[arg(long, env = "DAYBOOK_FROM", value_name = "POSITION")]
    pub from: Option<String>,
    /// Last position
    #[arg(long, env = "DAYBOOK_TO", value_name = "POSITION")]
    pub to: Option<String>,
    /// Recorded then or later; time or day
    #[arg(long, env = "DAYBOOK_SINCE", value_name = "TIME")]
    pub since: Option<String>,
    /// Recorded before then
    #[arg(long, env = "DAYBOOK_UNTIL", value_name = "TIME")]
    pub until: Option<String>,
    /// Of one sort: order, payment, inventory, product, person, listing, categories, vendor, promotion,
    /// delivery
    #[arg(long, env = "DAYBOOK_AGGREGATE", value_name = "KIND")]
    pub aggregate: Option<String>,
    /// Of this one: a UUID, or the SKU
    #[arg(long, env = "DAYBOOK_AGGREGATE_ID", value_name = "ID")]
    pub aggregate_id: Option<String>,
    /// Stored name, such as order.placed
    #[arg(long = "type", env = "DAYBOOK_TYPE", value_name = "NAME")]
    pub event_type: Option<String>,
    /// Of this order, its payment, its stock
    #[arg(long, env = "DAYBOOK_ORDER_ID", value_name = "ID")]
    pub order_id: Option<String>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON object a line
    Ndjson,
    /// Flat, with a line of names; for spreadsheets
    Csv,
    /// Typed columns, for `DuckDB`, pandas and Polars
    Parquet,
}

/// What a line of NDJSON holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lines {
    /// The event as it is stored and sealed
    Stored,
    /// The event as readers are shown it
    Shown,
}

/// Why it was not exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be had.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// What personal data is sealed with cannot be read.
    #[error(transparent)]
    MasterKey(#[from] BadMasterKey),
    /// The server could not be had, or refuses.
    #[error(transparent)]
    Server(#[from] client::Error),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}; run the same command with --resume to go on")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A read model cannot be read.
    #[error("the read model cannot be read: {0}")]
    ReadModel(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A filter that `GET /events` would refuse.
    #[error("{0}")]
    Filters(String),
    /// A read model has no events to choose from.
    #[error("a read model is exported whole: leave out {0}")]
    Whole(&'static str),
    /// The file, or what is beside it.
    #[error(transparent)]
    Work(#[from] work::Error),
    /// What came is no row.
    #[error("what was read cannot be understood: {0}")]
    Row(#[from] exports::table::BadRow),
    /// Parquet.
    #[error("cannot write {}: {source}", path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: columnar::Error,
    },
    /// The terminal, or whatever stands in for it.
    #[error("cannot write to the standard output: {0}")]
    Output(#[source] io::Error),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Filters(problem.sentence())
    }
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Rows in the file, those of an earlier start included where it is known.
    pub rows: u64,
    /// The position that it goes to, or stands at.
    pub position: i64,
    /// Where it is.
    pub path: PathBuf,
    /// The file of seals beside it.
    pub seals: Option<PathBuf>,
}

/// `daybook export`.
pub async fn run(args: Args) -> Result<(), Error> {
    let started_at = std::time::Instant::now();
    let exported = export(&args).await?;
    tell(&exported, args.read_model.as_deref(), started_at.elapsed()).map_err(Error::Output)
}

/// The same without telling.
pub async fn export(args: &Args) -> Result<Exported, Error> {
    match &args.read_model {
        Some(name) => {
            if let Some((flag, _)) = args.filters.given().next() {
                return Err(Error::Whole(flag));
            }
            let unknown = || Error::Filters(format!("there is no read model {name}"));
            let table = Table::named(name).ok_or_else(unknown)?;
            read_model(args, table).await
        }
        None => log(args).await,
    }
}

async fn log(args: &Args) -> Result<Exported, Error> {
    let wanted = args.filters.wanted()?;
    let source = Source::open(args).await?;
    let head = source.head(&args.filters).await?;
    let plan = Plan::of(args, wanted.to().unwrap_or(head).min(head));
    let (work, plan, resumed) = Work::open(&args.out, args.resume, plan, Plan::is_same)?;
    let (sink, last) = Sink::of_events(&work, &plan, resumed)?;
    let from = wanted.from().unwrap_or(1).max(1);
    let next = last.map_or(from, |last| last + 1);
    let phase = Phase::start("export", unsigned(plan.to - from + 1), "positions");
    phase.reach(unsigned(next - from), unsigned(plan.to - from + 1));
    let (out, pieces) = mpsc::channel(PIECES_MAX);
    let writing = tokio::task::spawn_blocking(move || {
        let written = write(pieces, sink, |last| {
            phase.reach(unsigned(last - from + 1), unsigned(plan.to - from + 1));
        });
        let _took = phase.finish();
        written
    });
    let plan_to = plan.to;
    let fed = source
        .feed(&args.filters, plan.form(), next, plan_to, out)
        .await;
    let sink = joined(writing).await?;
    fed?;
    let is_proof = plan.form() == Lines::Stored && wanted.is_whole();
    let seals = if is_proof {
        Some(write_seals(&source, &work, plan_to).await?)
    } else {
        None
    };
    source.close().await;
    let about = plan.about();
    let (rows, path) = blocking(move || {
        let done = sink.finish(&work, &about)?;
        // The seals first: beside a file that is not there, they harm nobody.
        if is_proof {
            work.hand_over(SEALS_ENDING, Some(SEALS_ENDING))?;
        }
        let path = work.hand_over(done.name, None)?;
        work.finish()?;
        Ok::<_, Error>((done.rows, path))
    })
    .await?;
    let seals = seals.map(|()| path.with_added_extension(SEALS_ENDING));
    Ok(Exported { rows, position: plan_to, path, seals })
}

/// The seals, written while the log may go on: heads beyond the last position are left out.
async fn write_seals(source: &Source, work: &Work, to: i64) -> Result<(), Error> {
    let path = work.path(SEALS_ENDING);
    let (out, mut pieces) = mpsc::channel::<Vec<u8>>(PIECES_MAX);
    let writing = tokio::task::spawn_blocking(move || {
        let mut write = || {
            let mut file = io::BufWriter::new(std::fs::File::create(&path)?);
            while let Some(piece) = pieces.blocking_recv() {
                file.write_all(&piece)?;
            }
            file.flush()
        };
        write().map_err(work::Error::file("write", &path))
    });
    let fed = source.feed_seals(to, out).await;
    joined(writing).await?;
    fed
}

async fn read_model(args: &Args, table: &'static Table) -> Result<Exported, Error> {
    let columns: Vec<Column> = rows::columns(table);
    let source = Source::open(args).await?;
    // Whoever is not there, or does not know us, says so before anything is begun.
    let _head = source.head(&args.filters).await?;
    // A moment that is gone cannot be gone on with: whatever was broken off begins anew.
    let plan = Plan::of_read_model(args, table.name);
    let (work, plan, _) = Work::open(&args.out, args.resume, plan, Plan::is_same)?;
    let sink = Sink::of_rows(&work, &plan, columns)?;
    let (out, pieces) = mpsc::channel(PIECES_MAX);
    // How many there are is known at the end.
    let phase = Phase::counting("export", "rows");
    let writing = tokio::task::spawn_blocking(move || {
        let written = write_rows(pieces, sink, |rows| phase.advance(rows));
        let _took = phase.finish();
        written
    });
    let fed = source.feed_rows(table, out).await;
    let sink = joined(writing).await?;
    let position = fed?;
    source.close().await;
    let mut about = plan.about();
    about.push(("daybook.position", position.to_string()));
    let (rows, path) = blocking(move || {
        let done = sink.finish(&work, &about)?;
        let path = work.hand_over(done.name, None)?;
        work.finish()?;
        Ok::<_, Error>((done.rows, path))
    })
    .await?;
    Ok(Exported { rows, position, path, seals: None })
}

/// Writes what comes until nothing more does; whether that was all is for others to say.
fn write(
    mut pieces: mpsc::Receiver<Vec<u8>>,
    mut sink: Sink,
    told: impl Fn(i64),
) -> Result<Sink, Error> {
    while let Some(piece) = pieces.blocking_recv() {
        if let Some(last) = sink.take(&piece)? {
            told(last);
        }
    }
    sink.flush()?;
    Ok(sink)
}

/// The same for rows of a read model, which have no position.
fn write_rows(
    mut pieces: mpsc::Receiver<Vec<u8>>,
    mut sink: Sink,
    told: impl Fn(u64),
) -> Result<Sink, Error> {
    while let Some(piece) = pieces.blocking_recv() {
        let _no_position = sink.take(&piece)?;
        told(piece.iter().map(|byte| u64::from(*byte == b'\n')).sum());
    }
    sink.flush()?;
    Ok(sink)
}

async fn joined<T, E>(task: tokio::task::JoinHandle<Result<T, E>>) -> Result<T, E> {
    task.await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    joined(tokio::task::spawn_blocking(work)).await
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn tell(exported: &Exported, read_model: Option<&str>, took: Duration) -> io::Result<()> {
    let Exported { rows, position, path, seals } = exported;
    let mut out = io::stdout();
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let (what, at) = match read_model {
        Some(name) => (format!("rows of {name}"), "as of position"),
        None => ("events".to_owned(), "up to position"),
    };
    let (size, seconds) = (bytes(path), took.as_secs_f64());
    writeln!(
        out,
        "{}: {rows} {what} {at} {position}, {size} bytes, in {seconds:.1} s",
        path.display()
    )?;
    if let Some(seals) = seals {
        writeln!(out, "{}: {} bytes", seals.display(), bytes(seals))?;
    }
    Ok(())
}
