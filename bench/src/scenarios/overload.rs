//! `overload`: twice as many orders as can be carried through, at a fixed rate, whether or not
//! earlier ones have been answered.
//!
//! What counts is what still gets confirmed: a shop that is overrun should sell as much as one that
//! is merely full. The reference is the peak that `lifecycle` found. First so many orders are placed
//! that further ones are told to come back later (503): until then it is a rush and no overload.
//! Those that were accepted are all carried through, afterwards at the latest.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{Stage, accept, lifecycle};
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::http::Answer;
use crate::load::{self, Next, Outcome, Pace, Plan, Work};
use crate::meter::Meter;
use crate::numbers::float;
use crate::shop::{Answered, Basket, Orders};

/// Most requests under way: those of a flood wait in its own connections.
const CONNECTIONS: usize = 500;
/// A shop that takes orders for longer than this has no bound worth the name.
const RUSH_MAX: Duration = Duration::from_mins(3);
/// How much too much it is.
const TIMES: f64 = 2.0;

/// Measures orders confirmed per second under twice the load that can be carried.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("overload", "orders/s");
    figure.target = Some(Target::RatioMin(0.9));
    "the peak of lifecycle".clone_into(&mut figure.against);
    let peak = lifecycle::rate(stage).await?;
    let (mut sent, mut refused, mut accepted) = (0, 0, 0);
    stage.daybook.settle().await?;
    let before = stage.daybook.standing().await?.head;
    // Of all that were placed since then: whoever comes in a round stands behind those of the rush.
    let since = Utc::now();
    let mut acknowledged = fill_up(stage, &mut figure).await?;
    // The first round is not counted: the read model has to catch up with the rush before it shows
    // what is confirmed.
    for round in 0..=stage.settings.rounds {
        let placing = stage
            .placing(None, Basket::TwoOfMany, Answered::Accepted)
            .await?;
        let plan = Plan {
            connections: CONNECTIONS,
            pace: Pace::Open(TIMES * peak),
            ..stage.closed(CONNECTIONS)
        };
        let meter = Meter::start(&stage.daybook);
        let flood = load::run(stage.daybook.address, plan, Orders::new(placing));
        let watched = confirmed_within(stage, since);
        let (flood, confirmed_per_second) = tokio::join!(flood, watched);
        let (loaded, _) = flood?;
        let confirmed_per_second = confirmed_per_second?;
        loaded.must_be_clean("orders are neither placed nor told to come back")?;
        acknowledged += loaded.acknowledged;
        if round == 0 {
            continue;
        }
        figure.references.push(peak);
        figure.values.push(confirmed_per_second);
        meter.stop(&mut figure, loaded.acknowledged);
        figure.latency.add(&loaded.latency);
        sent += loaded.answers();
        refused += loaded.told_to_come_back();
        accepted += loaded.counted;
        stage.tell(&figure);
    }
    stage.daybook.settle().await?;
    accept::all_are_there(&stage.daybook, before, acknowledged).await?;
    let seconds = stage.settings.lasting.as_secs_f64() * f64::from(stage.settings.rounds);
    figure.detail("orders/s asked for", TIMES * peak);
    figure.detail("orders/s accepted", float(accepted) / seconds);
    figure.detail("share told to come back (503)", float(refused) / float(sent.max(1)));
    Ok(figure)
}

/// Places orders until one is told to come back; how many were taken.
async fn fill_up(stage: &mut Stage, figure: &mut Figure) -> Result<u64, Error> {
    let placing = stage
        .placing(None, Basket::TwoOfMany, Answered::Accepted)
        .await?;
    let began = Instant::now();
    let work = UntilFull { orders: Orders::new(placing), since: began, is_full: false };
    let plan = Plan::all(CONNECTIONS);
    let (loaded, work) = load::run(stage.daybook.address, plan, work).await?;
    loaded.must_be_clean("orders are neither placed nor told to come back")?;
    if !work.is_full {
        figure
            .notes
            .push("no order was told to come back before the rounds began".to_owned());
    }
    figure.detail("orders placed before one was told to come back", float(loaded.acknowledged));
    figure.detail("seconds of that", began.elapsed().as_secs_f64());
    Ok(loaded.acknowledged)
}

/// Orders until there is no room for one.
struct UntilFull {
    orders: Orders,
    since: Instant,
    is_full: bool,
}

impl Work for UntilFull {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> Next {
        if self.is_full || RUSH_MAX <= self.since.elapsed() {
            return Next::Finished;
        }
        self.orders.next(connection, request)
    }

    fn take(&mut self, connection: usize, answer: &Answer<'_>) -> Outcome {
        self.is_full |= answer.status == 503;
        self.orders.take(connection, answer)
    }
}

/// Orders confirmed per second of the measured time, as the read model shows them.
async fn confirmed_within(stage: &Stage, since: DateTime<Utc>) -> Result<f64, Error> {
    tokio::time::sleep(stage.settings.warm_up).await;
    let (from, before) = (Instant::now(), confirmed(stage, since).await?);
    tokio::time::sleep(stage.settings.lasting).await;
    let (to, after) = (Instant::now(), confirmed(stage, since).await?);
    let within: Duration = to - from;
    Ok(float(after - before) / within.as_secs_f64())
}

async fn confirmed(stage: &Stage, since: DateTime<Utc>) -> Result<u64, Error> {
    lifecycle::count(&stage.daybook, since, "confirmed").await
}
