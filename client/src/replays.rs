//! `daybook replays`: what read models were at some position, in tables of their own, and dropping
//! them again.

use std::io::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::projections::Listing;
use crate::server::{Answer, Command, PATIENCE, Server};
use crate::thousands::thousands;
use crate::{Connection, Error};

/// Flags of `daybook replays`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Drop the tables of this projection's replay
    #[arg(long, value_name = "NAME")]
    pub drop: Option<String>,
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
}

/// Prints a line for each replay, or drops one.
pub async fn run(args: Args) -> Result<(), Error> {
    let server = Server::new(&args.connection, PATIENCE)?;
    let listing: Listing = server.greet(&["projections"]).await?;
    let told = match &args.drop {
        Some(name) => drop_one(&server, name).await?,
        None => table(&listing),
    };
    std::io::stdout()
        .write_all(told.as_bytes())
        .map_err(Error::Output)
}

async fn drop_one(server: &Server, name: &str) -> Result<String, Error> {
    let command = Command {
        method: Method::DELETE,
        path: &["projections", name, "replay"],
        key: &Uuid::now_v7().to_string(),
        body: &json!({}),
    };
    match server.command::<_, Value>(command).await? {
        Answer::Done(_) | Answer::AlreadyDone(_) => Ok(format!("the replay of {name} is gone\n")),
        Answer::Refused(problem) => {
            Err(Error::Refused { what: format!("drop the replay of {name}"), problem })
        }
    }
}

fn table(listing: &Listing) -> String {
    let mut lines = String::new();
    for projection in &listing.items {
        if let Some(replay) = &projection.replay {
            let (position, kib) = (thousands(replay.position), thousands(replay.bytes / 1_024));
            let line = format!(
                "{}  as of position {position}, {kib} KiB, in the schema {}\n",
                projection.name, replay.schema
            );
            lines.push_str(&line);
        }
    }
    if lines.is_empty() {
        lines.push_str("there is no replay; `daybook rebuild NAME --until ...` makes one\n");
    }
    lines
}
