//! `hot-sku`: everybody orders the same article, of which there is plenty.
//!
//! What counts is the reservation: one stream of the log, on which every order appends. The round
//! lasts from the first request to the last reservation; the other steps of these orders are taken
//! meanwhile. The reference takes a piece from one row, as a table of stock does.

use std::time::Instant;

use super::{Stage, lifecycle};
use crate::daybook::Daybook;
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::load::{self, Plan};
use crate::meter::Meter;
use crate::numbers::{float, whole};
use crate::pgbench::Script;
use crate::shop::{self, Answered, Basket, DEEP_STOCK, Orders};

const CONNECTIONS: usize = 64;
/// Sizes the first round, until it is known how fast it goes.
const FIRST_ORDERS: u64 = 2_000;

/// Measures reservations of one article per second.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("hot-sku", "reservations/s");
    figure.target = Some(Target::RatioMin(10.0));
    let mut rate = None;
    // The first is the warm-up, and tells how many orders a round has.
    for round in 0..=stage.settings.rounds {
        let sku = format!("BENCH-HOT-{round}-{}", stage.daybook.standing().await?.head);
        shop::offer(&stage.daybook, &[(sku.clone(), DEEP_STOCK)]).await?;
        stage.daybook.settle().await?;
        let seconds = stage.settings.lasting.as_secs_f64();
        let orders = rate.map_or(FIRST_ORDERS, |rate: f64| whole(rate * seconds));
        if 0 < round {
            stage
                .refer(&mut figure, Script::HotRow, CONNECTIONS)
                .await?;
        }
        let mut unmeasured = Figure::default();
        let into = if 0 < round {
            &mut figure
        } else {
            &mut unmeasured
        };
        let reached = one_round(stage, &sku, orders, into).await?;
        rate = Some(reached);
        if 0 < round {
            figure.values.push(reached);
            stage.tell(&figure);
        }
    }
    Ok(figure)
}

async fn one_round(
    stage: &mut Stage,
    sku: &str,
    orders: u64,
    figure: &mut Figure,
) -> Result<f64, Error> {
    let basket = Basket::OneOf(sku.to_owned());
    let placing = stage
        .placing(Some(orders), basket, Answered::Accepted)
        .await?;
    let meter = Meter::start(&stage.daybook);
    let since = chrono::Utc::now();
    let began = Instant::now();
    let plan = Plan::all(CONNECTIONS);
    let (loaded, _) = load::run(stage.daybook.address, plan, Orders::new(placing)).await?;
    loaded.must_be_clean("orders of one article cannot be placed")?;
    figure.latency.add(&loaded.latency);
    reserved(&stage.daybook, sku, orders).await?;
    let took = began.elapsed();
    lifecycle::decided(&stage.daybook, since, orders).await?;
    stage.daybook.settle().await?;
    meter.stop(figure, orders);
    stock_is(&stage.daybook, sku, DEEP_STOCK.into(), orders).await?;
    Ok(float(orders) / took.as_secs_f64())
}

/// Waits for the last reservation. The stream begins with the delivery, so its newest sequence
/// tells how many there are, for the price of one step in an index.
async fn reserved(daybook: &Daybook, sku: &str, orders: u64) -> Result<(), Error> {
    let select = "select sequence from events \
                  where aggregate_type = 'inventory' and aggregate_id = $1 \
                  order by sequence desc limit 1";
    daybook
        .until("the reservations", async |_| {
            let newest: i64 = sqlx::query_scalar(select)
                .bind(sku)
                .fetch_one(&daybook.database)
                .await?;
            Ok((orders < newest.unsigned_abs()).then_some(()))
        })
        .await
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
