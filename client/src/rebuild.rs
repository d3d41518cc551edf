//! `daybook rebuild NAME`: one read model made anew from the log, while queries stay up.

use std::io::Write as _;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::progress::{Phase, per_second};
use crate::projections::{Listing, Rebuild, RebuildState};
use crate::server::{Answer, Command, PATIENCE, Server};
use crate::thousands::thousands;
use crate::{Connection, Error};

const ASK_EVERY: Duration = Duration::from_millis(250);

/// Flags of `daybook rebuild`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The projection, as `daybook projections` lists it
    pub name: String,
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
}

/// Starts a rebuild, shows how far it is, and prints what it took.
pub async fn run(args: Args) -> Result<(), Error> {
    let server = Server::new(&args.connection, PATIENCE)?;
    let before: Listing = server.greet(&["projections"]).await?;
    let name = args.name.as_str();
    start(&server, name, &before).await?;
    let rebuild = finished(&server, name).await?;

    // The server's own seconds, as ours would count the pauses between our questions.
    let took = Duration::try_from_secs_f64(rebuild.seconds).unwrap_or(Duration::ZERO);
    let (events, rate) = (rebuild.position, per_second(rebuild.position, took));
    writeln!(
        std::io::stdout(),
        "{name}: {} events in {:.1} s, {} events/s",
        thousands(events),
        rebuild.seconds,
        thousands(rate)
    )
    .map_err(Error::Output)
}

async fn start(server: &Server, name: &str, before: &Listing) -> Result<(), Error> {
    let command = Command {
        method: Method::POST,
        path: &["projections", name, "rebuild"],
        // Each run of the command is a wish of its own.
        key: &Uuid::now_v7().to_string(),
        body: &json!({}),
    };
    match server.command::<_, Value>(command).await? {
        Answer::Done(_) | Answer::AlreadyDone(_) => Ok(()),
        Answer::Refused(problem) if problem.status == 404 => Err(Error::UnknownProjection {
            name: name.to_owned(),
            known: before
                .items
                .iter()
                .map(|projection| projection.name.clone())
                .collect(),
        }),
        Answer::Refused(problem) => {
            Err(Error::Refused { what: format!("rebuild {name}"), problem })
        }
    }
}

/// Watches until the rebuild is over; gives up only when it does not move.
async fn finished(server: &Server, name: &str) -> Result<Rebuild, Error> {
    let phase = Phase::start("rebuild", 0, "events");
    let (mut furthest, mut moved_at) = (None, Instant::now());
    loop {
        let listing = Listing::of(server).await?;
        let item = listing
            .items
            .into_iter()
            .find(|projection| projection.name == name);
        let rebuild = item.and_then(|projection| projection.rebuild);
        if let Some(rebuild) = rebuild {
            phase.reach(rebuild.position, rebuild.target);
            let here = Some((rebuild.position, rebuild.state));
            match rebuild.state {
                RebuildState::Done => {
                    phase.finish();
                    return Ok(rebuild);
                }
                RebuildState::Failed => {
                    let detail = rebuild
                        .detail
                        .unwrap_or_else(|| "no reason given".to_owned());
                    return Err(Error::RebuildFailed { name: name.to_owned(), detail });
                }
                RebuildState::Running | RebuildState::Swapping if here != furthest => {
                    (furthest, moved_at) = (here, Instant::now());
                }
                RebuildState::Running | RebuildState::Swapping => {}
            }
        }
        if PATIENCE < moved_at.elapsed() {
            return Err(Error::RebuildStuck { name: name.to_owned(), seconds: PATIENCE.as_secs() });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
