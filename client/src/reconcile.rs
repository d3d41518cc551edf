//! `daybook reconcile`: what a payment provider lists, held against the log, and repaired.
//!
//! The server does the work, because it holds the providers' credentials; it answers line by line.
//! Differences are shown and written as they come, so that nothing piles up here either.

mod lines;
mod table;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveDate;

use self::lines::{Difference, Line, Lines, Rejected, Summary};
use crate::progress::Phase;
use crate::server::{PATIENCE, Server};
use crate::thousands::thousands;
use crate::{Connection, Error};

/// Largest statement in bytes, as the server takes it.
const STATEMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longer than the server may take between two lines: three tries to read a page of a list.
const LINE_WITHIN: Duration = Duration::from_mins(3);

/// Flags of `daybook reconcile`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The payment provider, as the server calls it: stripe, paystack, flutterwave ...
    #[arg(long)]
    pub gateway: String,
    /// First day (UTC), such as 2026-11-01
    #[arg(long)]
    pub from: NaiveDate,
    /// Last day, included
    #[arg(long)]
    pub to: NaiveDate,
    /// A CSV to compare with instead of the provider's own lists; needed where it has none
    /// (sslcommerz, mtn-momo)
    #[arg(long, value_name = "FILE")]
    pub statement: Option<PathBuf>,
    /// Where rows of the statement go that cannot be read; `statement.rejects.csv` if not given
    #[arg(long, value_name = "FILE", requires = "statement")]
    pub rejects: Option<PathBuf>,
    /// Asks the provider about what differs, as a webhook would, and parks what belongs to nobody
    #[arg(long)]
    pub repair: bool,
    /// Writes differences and totals as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
}

const AFTER_HELP: &str = "\
A statement has the columns reference, amount, currency and status (succeeded, pending, failed,
reversed), and may have what (payment, refund), provider_reference and at.

Exit status 0: everything agrees, or was repaired or parked. 1: something does not, or a row of the
statement could not be read.";

/// Reconciles, shows each difference, and fails if one is left.
pub async fn run(args: Args) -> Result<(), Error> {
    let statement = args.statement.as_deref().map(read).transpose()?;
    let server = Server::new(&args.connection, PATIENCE)?;
    let (from, to) = (args.from.to_string(), args.to.to_string());
    let query = [
        ("gateway", args.gateway.as_str()),
        ("from", &from),
        ("to", &to),
        ("repair", if args.repair { "true" } else { "false" }),
    ];
    let answer = server
        .stream("reconcile", &["reconciliations"], &query, "text/csv", statement)
        .await?;
    let mut shown = Shown::of(&args)?;
    let phase = Phase::start("compare", 0, "entries");
    let mut lines = Lines::of(answer);
    let sum = loop {
        let line = tokio::time::timeout(LINE_WITHIN, lines.next()).await;
        match line.unwrap_or(Ok(None))? {
            Some(Line::Progress(sum)) => {
                let compared = sum.listed + sum.in_log;
                phase.reach(compared, compared);
            }
            Some(Line::Difference(difference)) => shown.difference(&difference)?,
            Some(Line::Rejected(rejected)) => shown.rejected(&rejected)?,
            Some(Line::Done(sum)) => break sum,
            Some(Line::Failed { detail }) => return Err(Error::NotReconciled { detail }),
            None => return Err(Error::BrokenOff),
        }
    };
    phase.finish();
    shown.finish(&args, &sum)?;
    if sum.left == 0 && sum.rejected == 0 {
        return Ok(());
    }
    Err(Error::Disagrees { left: sum.left, rejected: sum.rejected })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unopenable = |source| Error::Unopenable { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(unopenable)?.len();
    if STATEMENT_BYTES_MAX < bytes {
        return Err(Error::StatementTooLarge { path: path.to_owned() });
    }
    let statement = std::fs::read(path).map_err(unopenable)?;
    // Without a body the server would take the provider's own lists.
    if statement.is_empty() {
        return Err(Error::EmptyStatement { path: path.to_owned() });
    }
    Ok(statement)
}

/// Where results go.
struct Shown {
    has_heading: bool,
    json: Option<Json>,
    rejects: Option<(PathBuf, csv::Writer<File>)>,
}

struct Json {
    path: PathBuf,
    file: BufWriter<File>,
    count: u64,
}

impl Shown {
    fn of(args: &Args) -> Result<Self, Error> {
        let json = args.json.as_deref().map(Json::create).transpose()?;
        let rejects = match &args.statement {
            Some(statement) => Some(rejects_of(args, statement)?),
            None => None,
        };
        Ok(Self { has_heading: false, json, rejects })
    }

    fn difference(&mut self, difference: &Difference) -> Result<(), Error> {
        let mut text = String::new();
        if !self.has_heading {
            self.has_heading = true;
            text.push_str(&table::heading());
        }
        text.push_str(&table::row(difference));
        let written = std::io::stdout().write_all(text.as_bytes());
        written.map_err(Error::Output)?;
        match &mut self.json {
            Some(json) => json.write(difference),
            None => Ok(()),
        }
    }

    fn rejected(&mut self, rejected: &Rejected) -> Result<(), Error> {
        let Some((path, writer)) = &mut self.rejects else {
            return Ok(());
        };
        let line = rejected.at_line.to_string();
        let written = writer.write_record([line.as_str(), &rejected.reason, &rejected.row]);
        written.map_err(|error| Error::Rejects {
            path: path.clone(),
            source: std::io::Error::other(error),
        })
    }

    fn finish(self, args: &Args, sum: &Summary) -> Result<(), Error> {
        let mut told = vec![
            format!("{} listed", thousands(sum.listed)),
            format!("{} agree", thousands(sum.agree)),
            format!("{} of the log looked for", thousands(sum.in_log)),
            format!("{} differences", thousands(sum.differences)),
            format!("{} repaired", thousands(sum.repaired)),
            format!("{} parked", thousands(sum.parked)),
            format!("{} left", thousands(sum.left)),
        ];
        if let Some((path, mut writer)) = self.rejects {
            writer
                .flush()
                .map_err(|source| Error::Rejects { path: path.clone(), source })?;
            if 0 < sum.rejected {
                let (rows, path) = (thousands(sum.rejected), path.display());
                told.push(format!("{rows} rows rejected, see {path}"));
            }
        }
        if let Some(json) = self.json {
            json.finish(args, sum)?;
        }
        let Args { gateway, from, to, .. } = args;
        writeln!(std::io::stdout(), "{gateway}, {from} to {to}: {}", told.join(", "))
            .map_err(Error::Output)
    }
}

fn rejects_of(args: &Args, statement: &Path) -> Result<(PathBuf, csv::Writer<File>), Error> {
    let path = args.rejects.clone().unwrap_or_else(|| {
        let name = statement.file_stem().unwrap_or_default().to_string_lossy();
        PathBuf::from(format!("{name}.rejects.csv"))
    });
    let is_same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        (Err(_), _) | (_, Err(_)) => false,
    };
    if is_same(&path, statement) {
        return Err(Error::RejectsOverSource { path });
    }
    let failed = |source| Error::Rejects { path: path.clone(), source };
    let mut writer = csv::Writer::from_writer(File::create(&path).map_err(failed)?);
    writer
        .write_record(["line", "reason", "row"])
        .map_err(|error| failed(std::io::Error::other(error)))?;
    Ok((path, writer))
}

impl Json {
    fn create(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Report { path: path.to_owned(), source };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        file.write_all(b"{\"differences\": [").map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, count: 0 })
    }

    fn write(&mut self, difference: &Difference) -> Result<(), Error> {
        let comma = if self.count == 0 { "\n" } else { ",\n" };
        self.count += 1;
        let text = serde_json::to_string(difference).expect("members are texts");
        let written = write!(self.file, "{comma}{text}");
        written.map_err(|source| Error::Report { path: self.path.clone(), source })
    }

    fn finish(mut self, args: &Args, sum: &Summary) -> Result<(), Error> {
        let Args { gateway, from, to, repair, .. } = args;
        let rest = serde_json::json!({
            "gateway": gateway, "from": from, "to": to, "repair": repair, "summary": sum,
        });
        // The members of an object after those that were written as they came.
        let rest = rest.to_string();
        let end = rest.trim_start_matches('{');
        let written = writeln!(self.file, "],\n{end}").and_then(|()| self.file.flush());
        written.map_err(|source| Error::Report { path: self.path, source })
    }
}
