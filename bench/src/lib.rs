//! `daybook bench`: what this machine does, beside what its Postgres does by itself.
//!
//! ```text
//! bench ── spawns ──▶ daybook dev ── starts ──▶ Postgres, NATS     in a directory of their own
//!   ├── load generator ── HTTP ──▶ daybook
//!   ├── looks and checks ── SQL ──▶ Postgres
//!   └── pgbench ──────────── SQL ──▶ the same Postgres, another database, while Daybook is idle
//! ```
//!
//! A figure alone says how fast this machine is; its ratio to a reference that was measured in the
//! same minutes says how good Daybook is. Values are medians of rounds, waits those of all rounds.
//! A missed target is told, not an error; what must hold (every acknowledged order is there, nothing
//! is oversold) is checked in every round, and is one.

mod daybook;
mod error;
mod figure;
mod filling;
mod growth;
mod home;
mod http;
mod latency;
mod load;
#[cfg(test)]
mod load_tests;
mod machine;
mod meter;
mod names;
mod numbers;
mod pgbench;
mod processes;
mod report;
mod requests;
mod runner;
mod scenarios;
mod shop;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::signal::unix::{SignalKind, signal};

pub use crate::error::Error;

use crate::names::Selection;
use crate::runner::Runner;

/// A round of a quick run, and its warm-up.
const QUICK: (u32, Duration, Duration) = (1, Duration::from_secs(2), Duration::from_millis(500));
/// What is sent first finds cold caches and closed connections.
const WARM_UP: Duration = Duration::from_secs(2);

/// Events in the log where growth ends.
const GROWTH: u64 = 10_000_000;
const GROWTH_QUICK: u64 = 100_000;

/// Flags of `daybook bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only these scenarios, separated by commas; `rebuild-<read model>` for one read model
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Where the result goes as JSON, beside the table on standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Rounds of each scenario; the middle one counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Seconds of a round, after its warm-up
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// One short round of each: whether it works, not how fast
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    pub quick: bool,
    /// Decides what is random: which articles are ordered, which orders are read
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Events in the log where growth ends: 10 million, or 100 thousand in a quick run
    #[arg(
        long, value_name = "EVENTS",
        value_parser = clap::value_parser!(u64).range(100_000..=100_000_000)
    )]
    pub growth_max: Option<u64>,
    /// The Online Retail data set, for the scenario `year`
    #[arg(long, value_name = "FILE")]
    pub year: Option<PathBuf>,
    /// Where the data is while it runs; by default a new directory here, removed in the end
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Keeps personal data in clear: what sealing it costs, shows beside a run without this
    #[arg(long)]
    pub in_clear: bool,
    /// Leaves the data where it is
    #[arg(long)]
    pub keep: bool,
    /// The Daybook to measure; by default this program itself
    #[arg(long, value_name = "PROGRAM")]
    pub program: Option<PathBuf>,
}

/// How to measure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Settings {
    pub(crate) rounds: u32,
    /// Of a round.
    #[serde(rename = "seconds", serialize_with = "in_seconds")]
    pub(crate) lasting: Duration,
    #[serde(rename = "warm_up_seconds", serialize_with = "in_seconds")]
    pub(crate) warm_up: Duration,
    pub(crate) seed: u64,
    pub(crate) quick: bool,
    /// Whether personal data is not sealed.
    pub(crate) in_clear: bool,
    pub(crate) growth_max: u64,
    pub(crate) year: Option<PathBuf>,
}

impl Settings {
    fn of(args: &Args) -> Self {
        let given = (args.rounds, Duration::from_secs(args.seconds.into()), WARM_UP);
        let (rounds, lasting, warm_up) = if args.quick { QUICK } else { given };
        Self {
            rounds,
            lasting,
            warm_up,
            seed: args.seed,
            quick: args.quick,
            in_clear: args.in_clear,
            growth_max: args
                .growth_max
                .unwrap_or(if args.quick { GROWTH_QUICK } else { GROWTH }),
            year: args.year.clone(),
        }
    }
}

fn in_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Measures, and prints the table.
pub async fn run(args: Args) -> Result<(), Error> {
    let selection = Selection::new(&args.only)?;
    let mut runner = Runner::new(&args, selection)?;
    let measured = tokio::select! {
        measured = runner.measure() => measured,
        () = told_to_stop() => Err(Error::Interrupted),
    };
    // Whatever happened: nothing is left running, and nothing lying about.
    let stopped = runner.stop().await;
    let report = measured?;
    stopped?;
    if let Some(path) = &args.json {
        let json = report.json().map_err(|error| Error::Output(error.into()))?;
        std::fs::write(path, json).map_err(Error::file("write", path))?;
    }
    let mut output = std::io::stdout();
    output
        .write_all(report.table().as_bytes())
        .and_then(|()| output.flush())
        .map_err(Error::Output)?;
    let names: Vec<String> = report
        .failures
        .into_iter()
        .map(|failure| failure.name)
        .collect();
    if names.is_empty() {
        Ok(())
    } else {
        Err(Error::Failed { names })
    }
}

/// Ctrl-C or SIGTERM. Where they cannot be heard, they end us as ever.
async fn told_to_stop() {
    let kinds = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = kinds else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &str) -> Result<Args, clap::Error> {
        Ok(Line::try_parse_from(words.split(' '))?.args)
    }

    #[test]
    fn flags_are_read_and_bounded() {
        let args = parsed("bench --only accept-16,read-order --json out.json").unwrap();

        assert_eq!(args.only, ["accept-16", "read-order"]);
        assert_eq!(args.json, Some(PathBuf::from("out.json")));
        for wrong in [
            "--rounds 0",
            "--seconds 0",
            "--quick --rounds 2",
            "--growth-max 5",
        ] {
            assert!(parsed(&format!("bench {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_quick_run_is_short() {
        let settings = Settings::of(&parsed("bench --quick").unwrap());
        assert_eq!((settings.rounds, settings.lasting), (1, Duration::from_secs(2)));
    }
}
