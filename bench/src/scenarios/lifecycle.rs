//! `lifecycle`: orders from placed to confirmed, and visible as such in the read model.
//!
//! A round places as many orders as take about its time, as fast as 64 connections get them
//! accepted, and ends when the last one is seen to be confirmed. How long one order takes is
//! measured afterwards, by 64 customers who each wait for their order before they place the next.

use std::time::{Duration, Instant};

use super::{Stage, accept};
use crate::daybook::Daybook;
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::load;
use crate::meter::Meter;
use crate::numbers::{float, whole};
use crate::pgbench::Script;
use crate::shop::{Answered, Basket, Orders, Placing};

/// As many as the references have clients.
const CONNECTIONS: usize = 64;
/// Enough to see how fast it goes; the rounds are sized by it.
const FIRST_ORDERS: u64 = 2_000;
/// A round has at least this many.
const ORDERS_MIN: u64 = 500;

/// Measures orders confirmed per second.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("lifecycle", "orders/s");
    figure.target = Some(Target::RatioMin(0.25));
    rounds(stage, &mut figure).await?;
    stage.lifecycle_rate = figure.value();
    let waited = waiting(stage, &mut figure).await?;
    figure.detail("orders/s of 64 customers who wait for each", waited);
    Ok(figure)
}

/// Adds the rounds, after one that tells how many orders a round has.
pub(crate) async fn rounds(stage: &mut Stage, figure: &mut Figure) -> Result<(), Error> {
    let mut rate = batch(stage, first_orders(stage), &mut Figure::default()).await?;
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        stage.refer(figure, Script::SingleRow, CONNECTIONS).await?;
        let orders = whole(rate * stage.settings.lasting.as_secs_f64()).max(ORDERS_MIN);
        rate = batch(stage, orders, figure).await?;
        figure.values.push(rate);
        stage.tell(figure);
    }
    Ok(())
}

/// What can be carried through, measured now unless it has been.
pub(crate) async fn rate(stage: &mut Stage) -> Result<f64, Error> {
    if let Some(rate) = stage.lifecycle_rate {
        return Ok(rate);
    }
    let mut unreported = Figure::default();
    let rate = batch(stage, first_orders(stage), &mut unreported).await?;
    let orders = whole(rate * stage.settings.lasting.as_secs_f64()).max(ORDERS_MIN);
    let rate = batch(stage, orders, &mut unreported).await?;
    stage.lifecycle_rate = Some(rate);
    Ok(rate)
}

fn first_orders(stage: &Stage) -> u64 {
    if stage.settings.quick {
        ORDERS_MIN
    } else {
        FIRST_ORDERS
    }
}

/// Places orders and waits until all are confirmed; how many that is per second.
async fn batch(stage: &mut Stage, orders: u64, figure: &mut Figure) -> Result<f64, Error> {
    let before = stage.daybook.standing().await?.head;
    let placing = stage
        .placing(Some(orders), Basket::TwoOfMany, Answered::Accepted)
        .await?;
    let meter = Meter::start(&stage.daybook);
    let took = confirmed(&stage.daybook, placing, CONNECTIONS).await?;
    meter.stop(figure, orders);
    accept::all_are_there(&stage.daybook, before, orders).await?;
    Ok(float(orders) / took.as_secs_f64())
}

/// Places orders as fast as they are accepted, and waits until the last is seen to be confirmed:
/// from the first request on.
pub(crate) async fn confirmed(
    daybook: &Daybook,
    placing: Placing,
    connections: usize,
) -> Result<Duration, Error> {
    let orders = placing.orders.unwrap_or(0);
    let since = chrono::Utc::now();
    let began = Instant::now();
    let plan = load::Plan::all(connections);
    let (loaded, _) = load::run(daybook.address, plan, Orders::new(placing)).await?;
    loaded.must_be_clean("orders cannot be placed")?;
    decided(daybook, since, orders).await?;
    let took = began.elapsed();
    let confirmed = count(daybook, since, "confirmed").await?;
    if confirmed == orders {
        return Ok(took);
    }
    Err(Error::Check(format!(
        "of {orders} orders that can all be met, {confirmed} are confirmed"
    )))
}

/// Waits until so many orders placed since then are neither pending nor processing.
pub(crate) async fn decided(
    daybook: &Daybook,
    since: chrono::DateTime<chrono::Utc>,
    orders: u64,
) -> Result<(), Error> {
    let select = "select count(*) from read.order_progress \
                  where $1 <= order_id and status not in ('pending', 'processing')";
    let first_id = first_id_at(since);
    let mut looked_at = None;
    daybook
        .until("the orders to be decided", async |standing| {
            // While anybody runs behind, or nothing is new, there is nothing to count: counting all
            // the time would take a good part of what is measured.
            let runs_behind = standing.orders.min(standing.workers) != standing.head;
            if runs_behind || looked_at == Some(standing.head) {
                return Ok(None);
            }
            looked_at = Some(standing.head);
            let decided: i64 = sqlx::query_scalar(select)
                .bind(first_id)
                .fetch_one(&daybook.database)
                .await?;
            Ok((orders <= decided.unsigned_abs()).then_some(()))
        })
        .await
}

/// Orders placed since then that have this status.
pub(crate) async fn count(
    daybook: &Daybook,
    since: chrono::DateTime<chrono::Utc>,
    status: &str,
) -> Result<u64, Error> {
    let select = "select count(*) from read.order_progress where $1 <= order_id and status = $2";
    let count: i64 = sqlx::query_scalar(select)
        .bind(first_id_at(since))
        .bind(status)
        .fetch_one(&daybook.database)
        .await?;
    Ok(count.unsigned_abs())
}

/// The least id that an order placed then can have: ids begin with the milliseconds of their time,
/// so that orders of a round are a range of the primary key.
fn first_id_at(since: chrono::DateTime<chrono::Utc>) -> sqlx::types::Uuid {
    let millis = since.timestamp_millis().unsigned_abs();
    sqlx::types::Uuid::from_u128(u128::from(millis) << 80)
}

/// How long customers wait who wait for their order before they place the next.
async fn waiting(stage: &mut Stage, figure: &mut Figure) -> Result<f64, Error> {
    stage.daybook.settle().await?;
    let placing = stage
        .placing(None, Basket::TwoOfMany, Answered::Confirmed)
        .await?;
    let plan = stage.closed(CONNECTIONS);
    let (loaded, _) = load::run(stage.daybook.address, plan, Orders::new(placing)).await?;
    loaded.must_be_clean("orders are not confirmed in time")?;
    figure.latency.add(&loaded.latency);
    Ok(loaded.rate())
}
