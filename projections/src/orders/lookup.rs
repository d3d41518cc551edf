//! Single orders, asked for by many at once: gathered, so that Postgres answers many in one select.
//!
//! ```text
//! asked ─▶ queue ─▶ lane: whoever waits, one select ─▶ each its own row
//! ```
//!
//! 1. A select begins after everybody it answers has asked: what was true then is seen.
//! 2. Queue, selects under way and orders of one select are bounded; beyond, the answer is no, at
//!    once.
//! 3. An error is told to all whom it concerns, and logged once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::OrderId;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use super::stored::Stored;
use crate::error::Error;

/// Selects under way at once: while one is with Postgres, the next is being made of what gathers.
/// With more of them fewer gather, and each row costs more.
pub(crate) const LANES: usize = 2;
/// Most orders of one select: with the longest orders there are, some 15 MB.
const ORDERS_MAX: usize = 64;
/// Most who wait: eight selects. Were Postgres as slow as ten selects a second, whoever comes last
/// would still be answered within a second.
pub(crate) const WAITING_MAX: usize = 8 * ORDERS_MAX;
/// Longest time for a select and the connection it may need first.
const SELECT_MAX: Duration = Duration::from_secs(5);

/// Why an order could not be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Too many are waiting.
    #[error("too many orders are being asked for")]
    Overloaded,
    /// The database did not do as asked; why is in the log.
    #[error("orders cannot be looked up")]
    Unavailable,
}

/// Where single orders are asked for; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    queue: mpsc::Sender<Asked>,
}

/// Somebody who waits for an order, or has gone away meanwhile.
#[derive(Debug)]
struct Asked {
    id: OrderId,
    answer: oneshot::Sender<Result<Option<Stored>, LookupError>>,
}

impl Lookup {
    /// Connects when first asked; stops when nobody is left to ask.
    pub(crate) fn start(tables: &PgConnectOptions) -> Self {
        let (queue, asked) = mpsc::channel(WAITING_MAX);
        let asked = Arc::new(Mutex::new(asked));
        // A plan for any number of orders, by the primary key: planning takes longer than the
        // select, and a plan of a day when the table was small would read all of it.
        let options = tables.clone().options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
        ]);
        for _ in 0..LANES {
            let (asked, options) = (Arc::clone(&asked), options.clone());
            tokio::spawn(Lane { asked, options, connection: None }.run());
        }
        Self { queue }
    }

    pub(crate) async fn by_id(&self, id: OrderId) -> Result<Option<Stored>, LookupError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(Asked { id, answer })
            .map_err(|refused| match refused {
                TrySendError::Full(_) => LookupError::Overloaded,
                TrySendError::Closed(_) => LookupError::Unavailable,
            })?;
        answered.await.unwrap_or(Err(LookupError::Unavailable))
    }
}

/// One select after the other, on a connection of its own.
struct Lane {
    asked: Arc<Mutex<mpsc::Receiver<Asked>>>,
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

type Rows = BTreeMap<Uuid, Arc<PgRow>>;

impl Lane {
    async fn run(mut self) {
        let mut waiting = Vec::with_capacity(ORDERS_MAX);
        while self.gather(&mut waiting).await {
            waiting.retain(|asked: &Asked| !asked.answer.is_closed());
            if waiting.is_empty() {
                continue;
            }
            let ids: Vec<Uuid> = waiting.iter().map(|asked| asked.id.0).collect();
            let found = match tokio::time::timeout(SELECT_MAX, self.find(&ids)).await {
                Ok(Ok(rows)) => Ok(rows),
                Ok(Err(error)) => Err(error.to_string()),
                Err(late) => Err(late.to_string()),
            };
            if let Err(error) = &found {
                tracing::error!(error, orders = ids.len(), "cannot look orders up");
            }
            for Asked { id, answer } in waiting.drain(..) {
                let stored = |rows: &Rows| {
                    let row = rows.get(&id.0)?;
                    Some(Stored { id, row: Arc::clone(row) })
                };
                let told = found
                    .as_ref()
                    .map(stored)
                    .map_err(|_| LookupError::Unavailable);
                // Whoever has gone away needs no answer.
                let _gone = answer.send(told);
            }
        }
    }

    /// Whoever waits, up to a select's worth; false once nobody can come any more.
    async fn gather(&self, waiting: &mut Vec<Asked>) -> bool {
        let mut asked = self.asked.lock().await;
        if asked.recv_many(waiting, ORDERS_MAX).await == 0 {
            return false;
        }
        // Whoever is about to ask may come along: everything else that is ready runs once before
        // this goes on, which is a moment under load and nothing otherwise.
        tokio::task::yield_now().await;
        while waiting.len() < ORDERS_MAX
            && let Ok(next) = asked.try_recv()
        {
            waiting.push(next);
        }
        true
    }

    async fn find(&mut self, ids: &[Uuid]) -> Result<Rows, Error> {
        // Taken out, so that a select that was given up or failed takes its connection with it;
        // one that was lost while nobody asked is worth a second try.
        if let Some(mut held) = self.connection.take()
            && let Ok(rows) = select(&mut held, ids).await
        {
            self.connection = Some(held);
            return Ok(rows);
        }
        let mut fresh = self.options.connect().await?;
        let rows = select(&mut fresh, ids).await?;
        self.connection = Some(fresh);
        Ok(rows)
    }
}

async fn select(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Rows, Error> {
    let select = "select order_id, placed, progress \
                  from orders join order_progress using (order_id) \
                  where order_id = any($1)";
    let rows = sqlx::query(select).bind(ids).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| Ok((row.try_get("order_id")?, Arc::new(row))))
        .collect()
}
