//! `overload`: twice as many orders as can be carried through, at a fixed rate, whether or not
//! earlier ones have been answered.
//!
//! What counts is what still gets confirmed: a shop that is overrun should sell as much as one that
//! is merely full. The reference is the peak that `lifecycle` found. Orders may be told to come back
//! later (503); those that were accepted are all carried through, afterwards at the latest.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Stage, accept, lifecycle};
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::load::{self, Pace, Plan};
use crate::meter::Meter;
use crate::numbers::float;
use crate::shop::{Answered, Basket, Orders};

/// Most requests under way: those of a flood wait in its own connections.
const CONNECTIONS: usize = 500;
/// How much too much it is.
const TIMES: f64 = 2.0;

/// Measures orders confirmed per second under twice the load that can be carried.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("overload", "orders/s");
    figure.target = Some(Target::RatioMin(0.9));
    "the peak of lifecycle".clone_into(&mut figure.against);
    let peak = lifecycle::rate(stage).await?;
    let (mut sent, mut refused, mut accepted) = (0, 0, 0);
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        figure.references.push(peak);
        let before = stage.daybook.standing().await?.head;
        let placing = stage
            .placing(None, Basket::TwoOfMany, Answered::Accepted)
            .await?;
        let plan = Plan {
            connections: CONNECTIONS,
            pace: Pace::Open(TIMES * peak),
            ..stage.closed(CONNECTIONS)
        };
        let meter = Meter::start(&stage.daybook);
        let since = Utc::now();
        let flood = load::run(stage.daybook.address, plan, Orders::new(placing));
        let watched = confirmed_within(stage, since);
        let (flood, confirmed_per_second) = tokio::join!(flood, watched);
        let (loaded, _) = flood?;
        figure.values.push(confirmed_per_second?);
        loaded.must_be_clean("orders are neither placed nor told to come back")?;
        stage.daybook.settle().await?;
        meter.stop(&mut figure, loaded.acknowledged);
        accept::all_are_there(&stage.daybook, before, loaded.acknowledged).await?;
        figure.latency.add(&loaded.latency);
        sent += loaded.answers();
        refused += loaded.told_to_come_back();
        accepted += loaded.counted;
        stage.tell(&figure);
    }
    let seconds = stage.settings.lasting.as_secs_f64() * f64::from(stage.settings.rounds);
    figure.detail("orders/s asked for", TIMES * peak);
    figure.detail("orders/s accepted", float(accepted) / seconds);
    figure.detail("share told to come back (503)", float(refused) / float(sent.max(1)));
    Ok(figure)
}

/// Orders confirmed per second of the measured time, as the read model shows them.
async fn confirmed_within(stage: &Stage, since: DateTime<Utc>) -> Result<f64, Error> {
    tokio::time::sleep(stage.settings.warm_up).await;
    let (from, before) = (std::time::Instant::now(), confirmed(stage, since).await?);
    tokio::time::sleep(stage.settings.lasting).await;
    let (to, after) = (std::time::Instant::now(), confirmed(stage, since).await?);
    let within: Duration = to - from;
    Ok(float(after - before) / within.as_secs_f64())
}

async fn confirmed(stage: &Stage, since: DateTime<Utc>) -> Result<u64, Error> {
    lifecycle::count(&stage.daybook, since, "confirmed").await
}
