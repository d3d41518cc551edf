//! `daybook projections`: the read models, and how far behind the log they are.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::progress::Phase;
use crate::server::{PATIENCE, Server};
use crate::thousands::thousands;
use crate::{Connection, Error};

/// Short beside the wait it measures, long beside the cost of asking.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Flags of `daybook projections`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
}

/// The answer of `GET /projections`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Listing {
    pub(crate) items: Vec<Projection>,
}

/// One read model.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Projection {
    pub(crate) name: String,
    pub(crate) position: u64,
    /// Events that it has yet to read.
    pub(crate) lag: u64,
    pub(crate) state: String,
    pub(crate) rebuild: Option<Rebuild>,
    pub(crate) replay: Option<Replay>,
    /// Why it does not follow, where the server may tell.
    pub(crate) detail: Option<String>,
    /// What it is made of, if it is no part of the program.
    pub(crate) file: Option<String>,
}

impl Projection {
    /// Whether it is a SQL file of the operator's.
    pub(crate) fn is_sql(&self) -> bool {
        self.file.is_some()
    }
}

/// What a read model was at some position, in tables of its own.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Replay {
    pub(crate) schema: String,
    pub(crate) position: u64,
    pub(crate) bytes: u64,
}

/// A rebuild of one read model, while it runs and afterwards.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Rebuild {
    pub(crate) state: RebuildState,
    pub(crate) position: u64,
    pub(crate) target: u64,
    #[serde(default)]
    pub(crate) events_per_second: u64,
    pub(crate) schema: Option<String>,
    pub(crate) detail: Option<String>,
    #[serde(default)]
    pub(crate) seconds: f64,
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RebuildState {
    Running,
    Paused,
    Swapping,
    Failed,
    Cancelled,
    Done,
}

/// What it took the read models to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaughtUp {
    /// Events that the slowest read model was behind at first.
    pub lag_events: u64,
    /// Until none was.
    pub took: Duration,
}

impl Listing {
    pub(crate) async fn of(server: &Server) -> Result<Self, Error> {
        server.ask(&["projections"]).await
    }

    fn lag(&self) -> u64 {
        self.items
            .iter()
            .map(|projection| projection.lag)
            .max()
            .unwrap_or(0)
    }
}

/// Prints a table of the read models.
pub async fn run(args: Args) -> Result<(), Error> {
    let server = Server::new(&args.connection, PATIENCE)?;
    let listing: Listing = server.greet(&["projections"]).await?;
    std::io::stdout()
        .write_all(table(&listing).as_bytes())
        .map_err(Error::Output)
}

/// Waits until every read model has read all there is.
pub(crate) async fn catch_up(server: &Server) -> Result<CaughtUp, Error> {
    let started_at = Instant::now();
    let mut listing = Listing::of(server).await?;
    let lag_events = listing.lag();
    let phase = Phase::start("read models", lag_events, "events");
    let (mut least, mut moved_at) = (lag_events, Instant::now());
    while listing.lag() != 0 {
        tokio::time::sleep(ASK_EVERY).await;
        listing = Listing::of(server).await?;
        let lag = listing.lag();
        if lag < least {
            (least, moved_at) = (lag, Instant::now());
        }
        if PATIENCE < moved_at.elapsed() {
            return Err(Error::Behind { lag, seconds: PATIENCE.as_secs() });
        }
        phase.reach(lag_events.saturating_sub(lag), lag_events);
    }
    let took = started_at.elapsed();
    phase.finish();
    Ok(CaughtUp { lag_events, took })
}

fn table(listing: &Listing) -> String {
    let heading = ["NAME", "POSITION", "LAG", "STATE", "REBUILD"].map(str::to_owned);
    let rows = listing.items.iter().map(|projection| {
        [
            projection.name.clone(),
            thousands(projection.position),
            thousands(projection.lag),
            projection.state.clone(),
            in_words(projection),
        ]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, position, lag, state) = (width(0), width(1), width(2), width(3));
    let mut table = String::new();
    for [a, b, c, d, e] in &rows {
        let row = format!("{a:<name$}  {b:>position$}  {c:>lag$}  {d:<state$}  {e}");
        table.push_str(row.trim_end());
        table.push('\n');
    }
    table
}

fn in_words(projection: &Projection) -> String {
    match (&projection.rebuild, &projection.detail) {
        (Some(rebuild), _) => rebuild_in_words(rebuild),
        (None, Some(detail)) => detail.clone(),
        (None, None) => String::new(),
    }
}

fn rebuild_in_words(rebuild: &Rebuild) -> String {
    let (position, target) = (thousands(rebuild.position), thousands(rebuild.target));
    let rate = thousands(rebuild.events_per_second);
    match rebuild.state {
        RebuildState::Running => format!("running, {position} of {target}, {rate}/s"),
        RebuildState::Paused => format!("paused, {position} of {target}"),
        RebuildState::Cancelled => "cancelled".to_owned(),
        RebuildState::Swapping => "swapping in".to_owned(),
        RebuildState::Failed => {
            format!("failed: {}", rebuild.detail.as_deref().unwrap_or("no reason given"))
        }
        RebuildState::Done => format!("done, {position} in {:.1} s", rebuild.seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_and_tells_of_rebuilds() {
        let listing: Listing = serde_json::from_str(
            r#"{"items": [
                {"name": "orders", "position": 123456, "lag": 0, "state": "live"},
                {"name": "sales", "position": 7, "lag": 1200, "state": "rebuilding",
                 "rebuild": {"state": "running", "position": 7, "target": 2000, "seconds": 0.5,
                    "events_per_second": 14}}
            ]}"#,
        )
        .unwrap();

        assert_eq!(listing.lag(), 1_200);
        assert_eq!(
            table(&listing),
            "NAME    POSITION    LAG  STATE       REBUILD\n\
             orders   123,456      0  live\n\
             sales          7  1,200  rebuilding  running, 7 of 2,000, 14/s\n"
        );
    }
}
