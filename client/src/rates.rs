//! `daybook rates load FILE`: exchange rates of a file into a running server.
//!
//! The file says which day each rate is of; the server judges rates and currencies. What cannot be
//! read, or is refused, is told by its line, and everything else is loaded. Currencies that are no
//! more (the history of the ECB has a dozen) are left out with a word. Running it again changes
//! nothing.

mod reading;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::reading::Unread;
use self::reading::{Day, Rate};
use crate::progress::Phase;
use crate::server::{Answer, Command, PATIENCE, Server};
use crate::thousands::thousands;
use crate::{Connection, Error, Problem};

/// Days under way at once: the server writes each by itself.
const AT_ONCE: usize = 8;
/// Rows that are told one by one; a file of garbage must not fill the screen.
const TOLD_MAX: usize = 20;

/// What to do with exchange rates.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Rates {
    /// Loads a file of the ECB (eurofxref-daily.xml, eurofxref-hist-90d.xml, eurofxref-hist.csv) or
    /// JSON; running it again changes nothing
    Load(LoadArgs),
}

/// Flags of `daybook rates`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub rates: Rates,
}

/// Flags of `daybook rates load`.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArgs {
    /// The file; XML, CSV or JSON, told apart by its first bytes
    pub file: PathBuf,
    /// Who published the rates; JSON says so itself
    #[arg(long, default_value = "ECB")]
    pub source: String,
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
}

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Days that the file has rates of.
    pub days: usize,
    /// Rates that are new, or not what they were.
    pub changed: u64,
    /// Rates that were known already.
    pub unchanged: u64,
    /// Currencies that are no more.
    pub past: Vec<String>,
    /// What could not be read, or was refused, in the order of its lines.
    pub unread: Vec<Unread>,
}

/// What the server says of a day.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Loaded {
    changed: u64,
    unchanged: u64,
}

/// What became of a day.
#[derive(Debug, Default)]
struct Done {
    loaded: Loaded,
    refused: Vec<Unread>,
}

/// Loads, and prints what became of the rates.
pub async fn run(args: Args) -> Result<(), Error> {
    let Rates::Load(args) = args.rates;
    let report = load(&args).await?;
    report.tell().map_err(Error::Output)?;
    match report.unread.len() {
        0 => Ok(()),
        rows => Err(Error::RatesLeft { path: args.file, rows }),
    }
}

/// Loads what can be loaded of a file.
pub async fn load(args: &LoadArgs) -> Result<Report, Error> {
    let path = &args.file;
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.map_err(|source| Error::Unopenable { path: path.clone(), source })?;
    let (days, mut unread) = reading::read(&String::from_utf8_lossy(&bytes), &args.source);
    if days.is_empty() && unread.is_empty() {
        return Err(Error::NoRates { path: path.clone() });
    }
    let server = Server::new(&args.connection, PATIENCE)?;
    let _known: Value = server.greet(&["exchange-rates"]).await?;
    let phase = Phase::start("exchange rates", days.len() as u64, "days");
    let past = Mutex::new(BTreeSet::new());
    let done: Vec<Done> = stream::iter(&days)
        .map(|day| {
            let (server, past, phase) = (&server, &past, &phase);
            async move {
                let done = load_day(server, day, past).await;
                phase.advance(1);
                done
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    phase.finish();

    let mut report = Report { days: days.len(), ..Report::default() };
    for Done { loaded, refused } in done {
        report.changed += loaded.changed;
        report.unchanged += loaded.unchanged;
        unread.extend(refused);
    }
    unread.sort_by_key(|row| row.line);
    let past = past.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Report { past: past.into_iter().collect(), unread, ..report })
}

impl Report {
    fn tell(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout();
        let (days, changed) = (thousands(self.days as u64), thousands(self.changed));
        let unchanged = thousands(self.unchanged);
        writeln!(out, "{days} days: {changed} rates loaded, {unchanged} known already")?;
        if !self.past.is_empty() {
            let past = self.past.join(", ");
            writeln!(out, "left out, because there is no such currency now: {past}")?;
        }
        let mut err = std::io::stderr();
        for Unread { line, what } in self.unread.iter().take(TOLD_MAX) {
            writeln!(err, "line {line}: {what}")?;
        }
        let others = self.unread.len().saturating_sub(TOLD_MAX);
        if 0 < others {
            writeln!(err, "and {} more", thousands(others as u64))?;
        }
        Ok(())
    }
}

/// Loads a day, without what the server names as wrong, if it names it.
async fn load_day(
    server: &Server,
    day: &Day,
    past: &Mutex<BTreeSet<String>>,
) -> Result<Done, Error> {
    let is_past = |rate: &&Rate| {
        let past = past.lock().unwrap_or_else(PoisonError::into_inner);
        past.contains(&rate.currency)
    };
    let mut rates: Vec<&Rate> = day.rates.iter().filter(|rate| !is_past(rate)).collect();
    let mut done = Done::default();
    // Twice at most: the server names all flaws at once.
    for _ in 0..2 {
        if rates.is_empty() {
            break;
        }
        match put(server, day, &rates).await? {
            Answer::Done(loaded) | Answer::AlreadyDone(loaded) => {
                done.loaded = loaded;
                break;
            }
            Answer::Refused(problem) => {
                let flaws = flaws_of(&problem, rates.len());
                if flaws.is_empty() {
                    let line = rates.first().map_or(0, |rate| rate.line);
                    done.refused
                        .push(Unread { line, what: problem.to_string() });
                    break;
                }
                let mut index = 0;
                rates.retain(|rate| {
                    let flaw = flaws.iter().find(|flaw| flaw.index == index);
                    index += 1;
                    let Some(flaw) = flaw else { return true };
                    if flaw.field == "currency" && is_code(&rate.currency) && !flaw.is_twice() {
                        let mut past = past.lock().unwrap_or_else(PoisonError::into_inner);
                        past.insert(rate.currency.clone());
                    } else {
                        let Rate { line, currency, per_eur } = rate;
                        let what = format!("{currency} {per_eur}: {} {}", flaw.field, flaw.detail);
                        done.refused.push(Unread { line: *line, what });
                    }
                    false
                });
            }
        }
    }
    Ok(done)
}

async fn put(server: &Server, day: &Day, rates: &[&Rate]) -> Result<Answer<Loaded>, Error> {
    let rates: Vec<Value> = rates
        .iter()
        .map(|rate| json!({"currency": rate.currency, "per_eur": rate.per_eur}))
        .collect();
    let command = Command {
        method: Method::PUT,
        path: &["exchange-rates", &day.date.to_string()],
        key: &Uuid::now_v7().to_string(),
        body: &json!({"source": day.source, "rates": rates}),
    };
    server.command(command).await
}

/// One rate that the server names.
struct Flaw<'p> {
    index: usize,
    field: &'p str,
    detail: &'p str,
}

impl Flaw<'_> {
    fn is_twice(&self) -> bool {
        self.detail.contains("twice")
    }
}

/// The rates that a problem names; none if it is about something else as well.
fn flaws_of(problem: &Problem, rates: usize) -> Vec<Flaw<'_>> {
    let flaws: Option<Vec<Flaw<'_>>> = problem
        .fields
        .iter()
        .map(|(pointer, detail)| {
            let (index, field) = pointer.strip_prefix("/rates/")?.split_once('/')?;
            let index = index.parse().ok().filter(|index| *index < rates)?;
            Some(Flaw { index, field, detail })
        })
        .collect();
    flaws.unwrap_or_default()
}

/// Whether it is written as currencies are.
fn is_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(fields: &[(&str, &str)]) -> Problem {
        let fields = fields.iter();
        Problem {
            status: 422,
            code: "invalid_fields".to_owned(),
            detail: String::new(),
            fields: fields
                .map(|(at, why)| ((*at).to_owned(), (*why).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn the_server_says_which_rates_are_wrong_or_that_all_of_it_is() {
        let named = problem(&[
            ("/rates/2/currency", "is not one"),
            ("/rates/0/per_eur", "zero"),
        ]);
        let flaws: Vec<_> = flaws_of(&named, 3)
            .into_iter()
            .map(|flaw| (flaw.index, flaw.field.to_owned(), flaw.detail.to_owned()))
            .collect();
        let expected = [(2, "currency", "is not one"), (0, "per_eur", "zero")];
        assert_eq!(flaws, expected.map(|(at, field, why)| (at, field.into(), why.into())));

        for other in [
            "/source",
            "{date}",
            "/rates",
            "/rates/3/currency",
            "/rates/x/currency",
        ] {
            let named = problem(&[("/rates/0/per_eur", "zero"), (other, "?")]);
            assert!(flaws_of(&named, 3).is_empty(), "{other}");
        }
    }
}
