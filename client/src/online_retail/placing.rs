//! One order of the past: placed, waited for, completed.
//!
//! ```text
//! place ─▶ pending ──▶ confirmed ── complete ─▶ completed
//!    └▶ refused   └──▶ cancelled, failed
//! ```

use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::history::{History, Order};
use super::rejects::Refusal;
use super::{keys, requests};
use crate::Error;
use crate::server::{Answer, Command, Server};

/// An order whose money is on its way is decided in moments.
const ASK_EVERY_MIN: Duration = Duration::from_millis(50);
/// One that takes longer is asked after without haste: it should not be us who slow it down.
const ASK_EVERY_MAX: Duration = Duration::from_secs(2);

/// What became of an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All the way.
    Completed { placed: Novelty },
    /// It, or its completion, was refused, or it ended without being confirmed.
    Lost { refusal: Refusal },
    /// Still not decided; a later run will find out.
    Unfinished { placed: Novelty },
}

/// Whether this run did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Novelty {
    Now,
    Before,
}

#[derive(Debug, Deserialize)]
struct Placed {
    id: String,
    status: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Undecided,
    Confirmed,
    Completed,
    Over,
}

/// Takes one order as far as it goes. Fails only when the server is no use any more.
pub(super) async fn place(
    server: &Server,
    history: &History,
    order: &Order,
    patience: Duration,
) -> Result<Fate, Error> {
    let command = Command {
        method: Method::POST,
        path: &["orders"],
        key: &keys::order(&order.invoice),
        body: &requests::order(history, order),
    };
    let (Placed { id, status }, placed) = match server.command_and_wait(command).await? {
        Answer::Done(order) => (order, Novelty::Now),
        Answer::AlreadyDone(order) => (order, Novelty::Before),
        Answer::Refused(problem) => {
            let refusal = Refusal { reason: problem.code, detail: problem.detail };
            return Ok(Fate::Lost { refusal });
        }
    };
    let status = decided(server, &id, status, patience).await?;
    match standing(&status) {
        Standing::Confirmed => complete(server, order, &id, placed).await,
        Standing::Completed => Ok(Fate::Completed { placed }),
        Standing::Undecided => Ok(Fate::Unfinished { placed }),
        Standing::Over => {
            let detail = format!("the order {id} was placed, but ended as {status}");
            let refusal = Refusal { reason: format!("order_{status}"), detail };
            Ok(Fate::Lost { refusal })
        }
    }
}

/// Asks until the order is decided, or patience ends. A replayed answer tells how things stood
/// when the order was new, which may be long ago.
async fn decided(
    server: &Server,
    id: &str,
    mut status: String,
    patience: Duration,
) -> Result<String, Error> {
    let (since, mut pause) = (Instant::now(), ASK_EVERY_MIN);
    while standing(&status) == Standing::Undecided && since.elapsed() < patience {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(ASK_EVERY_MAX);
        // The read model may not have heard of a new order yet: not found means not yet.
        if let Ok(order) = server.look_up::<Placed>(&["orders", id]).await? {
            status = order.status;
        }
    }
    Ok(status)
}

async fn complete(
    server: &Server,
    order: &Order,
    id: &str,
    placed: Novelty,
) -> Result<Fate, Error> {
    let command = Command {
        method: Method::POST,
        path: &["orders", id, "complete"],
        key: &keys::complete(&order.invoice),
        body: &requests::Nothing {},
    };
    match server.command::<_, IgnoredAny>(command).await? {
        Answer::Done(_) | Answer::AlreadyDone(_) => Ok(Fate::Completed { placed }),
        Answer::Refused(problem) => {
            let detail =
                format!("the order {id} was placed, but not completed: {}", problem.detail);
            let refusal = Refusal { reason: problem.code, detail };
            Ok(Fate::Lost { refusal })
        }
    }
}

fn standing(status: &str) -> Standing {
    match status {
        "confirmed" => Standing::Confirmed,
        // Refunds come after completion, at the hands of a person.
        "completed" | "refunded" => Standing::Completed,
        "cancelled" | "failed" => Standing::Over,
        // `pending` and `processing`; a word that we do not know yet is no end either.
        _ => Standing::Undecided,
    }
}
