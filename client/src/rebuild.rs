//! `daybook rebuild NAME...`: read models made anew from the log, while queries stay up; or, with
//! `--until`, as they were, in tables of their own.
//!
//! The work is the server's: whoever stops watching it does not stop it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::progress::Phase;
use crate::projections::{Listing, Rebuild, RebuildState};
use crate::server::{Answer, Command, PATIENCE, Server};
use crate::thousands::thousands;
use crate::{Connection, Error};

const ASK_EVERY: Duration = Duration::from_millis(250);

/// Flags of `daybook rebuild`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The projections, as `daybook projections` lists them, one after another
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
    /// Every projection, one after another
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// Position or time (RFC 3339): fill tables of their own with what was then, in the schema
    /// `replay_NAME`, and leave the live ones alone
    #[arg(long, value_name = "POSITION|TIME")]
    pub until: Option<String>,
    /// What else to do with a rebuild that is running.
    #[command(flatten)]
    pub steering: Steering,
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
}

/// What else to do with a rebuild that is running.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[group(multiple = false, conflicts_with = "until")]
pub struct Steering {
    /// Pause the rebuild that is running; it keeps what it has
    #[arg(long)]
    pub pause: bool,
    /// Let a paused rebuild go on, and watch it
    #[arg(long)]
    pub resume: bool,
    /// Cancel the rebuild that is running; queries use what was there before
    #[arg(long)]
    pub cancel: bool,
}

/// Starts rebuilds one after another, shows how far each is, and prints what it took; or steers
/// those that run.
pub async fn run(args: Args) -> Result<(), Error> {
    let server = Server::new(&args.connection, PATIENCE)?;
    let before: Listing = server.greet(&["projections"]).await?;
    let known = || {
        before
            .items
            .iter()
            .map(|projection| projection.name.clone())
    };
    let names: Vec<String> = if args.all {
        // Those that are SQL files are made anew by changing the file.
        let models = before.items.iter().filter(|item| !item.is_sql());
        models.map(|projection| projection.name.clone()).collect()
    } else {
        args.names.clone()
    };
    // All of them before the first is begun: a slip of the pen should not be noticed an hour later.
    for name in &names {
        if !known().any(|known| known == *name) {
            return Err(Error::UnknownProjection { name: name.clone(), known: known().collect() });
        }
    }
    for (index, name) in names.iter().enumerate() {
        let Steering { pause, resume, cancel } = args.steering;
        if pause || cancel {
            let (step, told) = if pause {
                ("pause", "pauses")
            } else {
                ("cancel", "ends")
            };
            command(&server, name, Some(step), &json!({})).await?;
            say(&format!("the rebuild of {name} {told}"))?;
            continue;
        }
        let step = resume.then_some("resume");
        let body = match &args.until {
            Some(until) => json!({"until": until}),
            None => json!({}),
        };
        command(&server, name, step, &body).await?;
        let rebuild = tokio::select! {
            finished = finished(&server, name) => finished?,
            _ = tokio::signal::ctrl_c() => {
                let others = names[index + 1..].to_vec();
                return Err(Error::StoppedWatching { name: name.clone(), others });
            }
        };
        say(&what_it_took(name, &rebuild))?;
    }
    Ok(())
}

/// The server's own seconds, as ours would count the pauses between our questions.
fn what_it_took(name: &str, rebuild: &Rebuild) -> String {
    let (events, rate) = (thousands(rebuild.position), thousands(rebuild.events_per_second));
    let took = format!("{name}: {events} events in {:.1} s, {rate} events/s", rebuild.seconds);
    match &rebuild.schema {
        Some(schema) => format!(
            "{took}; its tables are in the schema {schema} until `daybook replays --drop {name}`"
        ),
        None => took,
    }
}

fn say(sentence: &str) -> Result<(), Error> {
    writeln!(std::io::stdout(), "{sentence}").map_err(Error::Output)
}

async fn command(
    server: &Server,
    name: &str,
    step: Option<&str>,
    body: &Value,
) -> Result<(), Error> {
    let mut path = vec!["projections", name, "rebuild"];
    path.extend(step);
    let command = Command {
        method: Method::POST,
        path: &path,
        // Each run of the command is a wish of its own.
        key: &Uuid::now_v7().to_string(),
        body,
    };
    match server.command::<_, Value>(command).await? {
        Answer::Done(_) | Answer::AlreadyDone(_) => Ok(()),
        Answer::Refused(problem) => {
            let what = format!("{} the rebuild of {name}", step.unwrap_or("start"));
            Err(Error::Refused { what, problem })
        }
    }
}

/// Watches until the rebuild is over; gives up only when it does not move although nobody paused it.
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
                RebuildState::Cancelled => {
                    return Err(Error::RebuildCancelled { name: name.to_owned() });
                }
                RebuildState::Paused => {
                    phase.note(" (paused; --resume lets it go on)");
                    (furthest, moved_at) = (here, Instant::now());
                }
                RebuildState::Running | RebuildState::Swapping if here != furthest => {
                    phase.note("");
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
