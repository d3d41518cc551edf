//! `hot-sku`: everybody wants the same article, of which there is plenty.
//!
//! What counts is the reservation: one stream of the log, on which everybody appends. As many callers
//! as pgbench has clients send the command that the checkout process sends, to a journal in this
//! process and on Daybook's own Postgres, while Daybook follows the log as it always does. The
//! reference takes a piece from one row, as a table of stock does. What a reservation costs with all
//! that belongs to an order is told beside it: whole orders of one article, over HTTP.

use std::time::{Duration, Instant};

use chrono::Utc;
use domain::ids::OrderId;
use domain::inventory::{Command, Inventory};
use sqlx::types::Uuid;
use store::command::{Envelope, Verdict};
use store::journal::Journal;

use super::{Stage, lifecycle};
use crate::daybook::Daybook;
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::latency::Latency;
use crate::meter::Meter;
use crate::numbers::{float, whole};
use crate::pgbench::Script;
use crate::shop::{self, Answered, Basket, DEEP_STOCK};

const CALLERS: usize = 64;
/// How long a piece is held.
const HELD: Duration = Duration::from_hours(1);
/// Orders of the one article, in seconds' worth of what can be carried through.
const ORDERS_SECONDS: f64 = 3.0;

/// Measures reservations of one article per second.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("hot-sku", "reservations/s");
    figure.target = Some(Target::RatioMin(10.0));
    for round in 1..=stage.settings.rounds {
        stage.refer(&mut figure, Script::HotRow, CALLERS).await?;
        let sku = offer(stage, round).await?;
        let meter = Meter::start(&stage.daybook);
        let reserved = reserve(stage, &sku, &mut figure).await?;
        stage.daybook.settle().await?;
        meter.stop(&mut figure, reserved);
        stock_is(&stage.daybook, &sku, DEEP_STOCK.into(), reserved).await?;
        stage.tell(&figure);
    }
    let rate = whole_orders(stage).await?;
    figure.detail("orders/s of one article, from placed to confirmed", rate);
    Ok(figure)
}

/// Puts an article on the shelf that nobody has asked for before.
async fn offer(stage: &Stage, round: u32) -> Result<String, Error> {
    let sku = format!("BENCH-HOT-{round}-{}", stage.daybook.standing().await?.head);
    shop::offer(&stage.daybook, &[(sku.clone(), DEEP_STOCK)]).await?;
    stage.daybook.settle().await?;
    Ok(sku)
}

/// Reserves single pieces for a round; how many in all, the warm-up's among them.
async fn reserve(stage: &Stage, sku: &str, figure: &mut Figure) -> Result<u64, Error> {
    let (journal, _committed) = Journal::start(&stage.daybook.database);
    let counts_from = Instant::now() + stage.settings.warm_up;
    let ends = counts_from + stage.settings.lasting;
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let caller =
                Caller { journal: journal.clone(), sku: sku.to_owned(), counts_from, ends };
            tokio::spawn(caller.reserve())
        })
        .collect();
    let (mut counted, mut all) = (0, 0);
    for caller in callers {
        let reserved = caller.await.map_err(std::io::Error::other);
        let reserved = reserved.map_err(Error::Load)??;
        counted += reserved.counted;
        all += reserved.all;
        figure.latency.add(&reserved.latency);
    }
    figure
        .values
        .push(float(counted) / stage.settings.lasting.as_secs_f64());
    Ok(all)
}

/// One of many who reserve.
struct Caller {
    journal: Journal,
    sku: String,
    counts_from: Instant,
    ends: Instant,
}

#[derive(Default)]
struct Reserved {
    /// Within the measured time.
    counted: u64,
    all: u64,
    latency: Latency,
}

impl Caller {
    /// A piece for one order after the other, until the time is over.
    async fn reserve(self) -> Result<Reserved, Error> {
        let mut reserved = Reserved::default();
        loop {
            let since = Instant::now();
            if self.ends <= since {
                return Ok(reserved);
            }
            self.reserve_one().await?;
            let now = Instant::now();
            reserved.all += 1;
            if self.counts_from <= now && now < self.ends {
                reserved.counted += 1;
                reserved.latency.record(now - since);
            }
        }
    }

    async fn reserve_one(&self) -> Result<(), Error> {
        let order_id = Uuid::now_v7();
        let envelope = Envelope {
            command_id: Uuid::now_v7(),
            fingerprint: [0; 32],
            correlation_id: order_id,
            causation_id: Some(order_id),
            actor: "bench".to_owned(),
            request_id: None,
            traceparent: None,
            reason: None,
            expected_version: None,
        };
        let expires_at = Utc::now() + HELD;
        let command = Command::Reserve { order_id: OrderId(order_id), quantity: 1, expires_at };
        let receipt = self
            .journal
            .execute_derived::<Inventory>(&self.sku, command, envelope)
            .await
            .map_err(|error| Error::Check(error.to_string()))?;
        match receipt.verdict {
            Verdict::Accepted => Ok(()),
            verdict => Err(Error::Check(format!("a reservation was not accepted: {verdict:?}"))),
        }
    }
}

/// Orders of one article from placed to confirmed, per second.
async fn whole_orders(stage: &mut Stage) -> Result<f64, Error> {
    let seconds = ORDERS_SECONDS.min(stage.settings.lasting.as_secs_f64());
    let orders = whole(lifecycle::rate(stage).await? * seconds);
    let sku = offer(stage, 0).await?;
    let placing = stage
        .placing(Some(orders), Basket::OneOf(sku.clone()), Answered::Accepted)
        .await?;
    let took = lifecycle::confirmed(&stage.daybook, placing, CALLERS).await?;
    stage.daybook.settle().await?;
    stock_is(&stage.daybook, &sku, DEEP_STOCK.into(), orders).await?;
    Ok(float(orders) / took.as_secs_f64())
}

/// What the read model says of an article must be this, or something was sold twice or lost.
pub(crate) async fn stock_is(
    daybook: &Daybook,
    sku: &str,
    on_hand: u64,
    reserved: u64,
) -> Result<(), Error> {
    let (found_on_hand, found_reserved): (i64, i64) =
        sqlx::query_as("select on_hand, reserved from read.stock where sku = $1")
            .bind(sku)
            .fetch_one(&daybook.database)
            .await?;
    if (found_on_hand.unsigned_abs(), found_reserved.unsigned_abs()) == (on_hand, reserved) {
        return Ok(());
    }
    Err(Error::Check(format!(
        "{sku}: {found_reserved} reserved of {found_on_hand} on hand, where {reserved} of {on_hand} \
         must be"
    )))
}
