//! `daybook diff`: what this build makes of a history, beside what is stored (docs/OPERATIONS.md).

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use projections::diffing::{self, BadExpectation, DiffError, Folding, Report};
use sqlx::PgPool;
use store::command::ExecuteError;
use store::comparing;
use store::masters::{self, BadMasterKey};
use store::recorded;
use store::stored::StoredEvent;

use crate::database::{self, Database, Progress};
use crate::settings::Personal;

/// What stands for the log of the database itself.
const LIVE: &str = "live";
/// Events of an export that are folded at a time.
const EVENTS_MAX: usize = 4_000;
/// Snapshots that are told of at most.
const SNAPSHOTS_MAX: usize = 10_000;

/// Flags of `daybook diff`.
#[derive(Debug, Clone, clap::Args)]
pub struct DiffArgs {
    /// `live` for the log of the database, or an export (NDJSON, from position 1 on)
    #[arg(long, env = "DAYBOOK_HISTORY", value_name = "EXPORT|live")]
    pub history: String,
    /// Compare the export with this file, which an earlier build wrote; without it, with the read
    /// models of the database
    #[arg(long, value_name = "FILE", conflicts_with = "write")]
    pub expect: Option<PathBuf>,
    /// Write what this build makes of the export to this file, and compare nothing
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Rows of each table that are shown in full
    #[arg(long, env = "DAYBOOK_EXAMPLES", default_value_t = 10)]
    pub examples: usize,
    /// Write the ids of all orders that would change to this file, one a line
    #[arg(
        long,
        env = "DAYBOOK_ORDERS",
        value_name = "FILE",
        conflicts_with = "write"
    )]
    pub orders: Option<PathBuf>,
    /// Which database: its read models, and room for temporary tables.
    #[command(flatten)]
    pub database: database::Args,
    /// What personal data is sealed with, if you have it.
    #[command(flatten)]
    pub personal: Personal,
}

/// Why nothing was compared, or what differs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be had.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The history could not be folded or compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// Events of the export cannot be read.
    #[error("the export cannot be read: {0}")]
    Export(#[from] store::log::Error),
    /// What personal data is sealed with cannot be read.
    #[error(transparent)]
    MasterKey(#[from] BadMasterKey),
    /// Streams cannot be read.
    #[error("the snapshots cannot be compared: {0}")]
    Journal(#[from] ExecuteError),
    /// Files are of an export.
    #[error("--expect and --write go with an export: give --history a file")]
    LiveWithFile,
    /// A line of the export.
    #[error("line {line} of the export: {why}")]
    Line {
        /// Which.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A file that was given.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What we tried, as a verb.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The terminal, or whatever stands in for it.
    #[error("cannot write to the standard output: {0}")]
    Output(#[from] io::Error),
    /// It differs; what, has been told.
    #[error("this build makes something else of the history; look at every line above")]
    Differs,
}

impl From<BadExpectation> for Error {
    fn from(error: BadExpectation) -> Self {
        Self::Diff(error.into())
    }
}

/// `daybook diff`.
pub async fn run(args: DiffArgs) -> Result<(), Error> {
    if args.history == LIVE && (args.expect.is_some() || args.write.is_some()) {
        return Err(Error::LiveWithFile);
    }
    let database = Database::open(&args.database).await?;
    // Without them, whatever is sealed differs from the read models.
    if let Some(masters) = args
        .personal
        .read_or_kept_in(&args.database.data_dir)?
        .masters()
    {
        masters::know(&masters);
    }
    masters::read_without();
    let told = tell(&database.pool, &args).await;
    database.close().await;
    told
}

async fn tell(pool: &PgPool, args: &DiffArgs) -> Result<(), Error> {
    let progress = Progress::new();
    let mut out = io::stdout();
    let report = if args.history == LIVE {
        let told = |position, goal| progress.at(position, goal);
        let mut report = diffing::live(pool, args.examples, told).await?;
        snapshots(pool, &mut report).await?;
        report
    } else {
        let folding = fold(pool, Path::new(&args.history)).await?;
        let events = folding.position();
        match (&args.write, &args.expect) {
            (Some(path), _) => {
                let file = File::create(path).map_err(|source| failed("write", path, source))?;
                let lines = folding.write(BufWriter::new(file)).await?;
                writeln!(out, "{events} events make {lines} rows and states: {}", path.display())?;
                return Ok(());
            }
            (None, Some(path)) => folding.against(open(path)?, args.examples).await?,
            (None, None) => {
                let mut report = folding.against_live(args.examples).await?;
                snapshots(pool, &mut report).await?;
                report
            }
        }
    };
    progress.finish();
    write!(out, "{report}")?;
    if let Some(path) = &args.orders {
        let write = || {
            let mut file = BufWriter::new(File::create(path)?);
            for order in report.orders() {
                writeln!(file, "{order}")?;
            }
            file.flush()
        };
        write().map_err(|source| failed("write", path, source))?;
    }
    if report.is_clean() {
        Ok(())
    } else {
        Err(Error::Differs)
    }
}

/// Folds an export.
pub async fn fold(pool: &PgPool, path: &Path) -> Result<Folding, Error> {
    let mut folding = Folding::begin(pool).await?;
    let mut page = Vec::with_capacity(EVENTS_MAX);
    for (index, line) in open(path)?.lines().enumerate() {
        let line = line.map_err(|source| failed("read", path, source))?;
        let wrong = |why: String| Error::Line { line: index + 1, why };
        page.push(StoredEvent::read(&line).map_err(|error| wrong(error.to_string()))?);
        if EVENTS_MAX <= page.len() {
            take(&mut folding, pool, std::mem::take(&mut page)).await?;
        }
    }
    take(&mut folding, pool, page).await?;
    Ok(folding)
}

async fn take(folding: &mut Folding, pool: &PgPool, page: Vec<StoredEvent>) -> Result<(), Error> {
    let events = recorded::read_stored(pool, page).await?;
    let events: Vec<_> = events.into_iter().map(Arc::new).collect();
    Ok(folding.take(&events).await?)
}

/// The states that commands would be decided on.
async fn snapshots(pool: &PgPool, report: &mut Report) -> Result<(), Error> {
    let compared = comparing::compare(pool, SNAPSHOTS_MAX).await?;
    for wrong in compared.differences {
        let kind = match wrong.aggregate_type.as_str() {
            "inventory" | "product" => "sku".to_owned(),
            other => format!("{other}_id"),
        };
        let key = serde_json::json!({kind: wrong.aggregate_id}).to_string();
        let name = format!("snapshot.{}", wrong.aggregate_type);
        report.take(&name, &key, Some(&wrong.stored), wrong.folded.as_deref());
    }
    if 0 < compared.of_other_schemas {
        report.tell(format!(
            "{} snapshots are of another schema: this build passes them over and folds their \
             streams from the start",
            compared.of_other_schemas
        ));
    }
    Ok(())
}

fn open(path: &Path) -> Result<BufReader<File>, Error> {
    let file = File::open(path).map_err(|source| failed("read", path, source))?;
    Ok(BufReader::new(file))
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { doing, path: path.to_owned(), source }
}
