//! `accept-N`: orders of two lines placed over N connections, with everything running behind them.
//!
//! What counts is the acknowledged order: its event is durable. The checkout of these orders goes
//! on meanwhile, and after the round until all of them are confirmed; the next round waits for that.

use super::Stage;
use crate::daybook::Daybook;
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::load;
use crate::meter::Meter;
use crate::numbers::{float, median};
use crate::pgbench::Script;
use crate::shop::{Answered, Basket, Orders};

/// Measures what one connection, or many, get accepted per second.
pub(crate) async fn run(stage: &mut Stage, connections: usize) -> Result<Figure, Error> {
    let mut figure = Figure::new(format!("accept-{connections}"), "orders/s");
    figure.target = match connections {
        64 => Some(Target::RatioMin(1.5)),
        500 => Some(Target::RatioMin(2.0)),
        _ => None,
    };
    rounds(stage, connections, &mut figure).await?;
    Ok(figure)
}

/// Adds the rounds.
pub(crate) async fn rounds(
    stage: &mut Stage,
    connections: usize,
    figure: &mut Figure,
) -> Result<(), Error> {
    let (mut drained, mut spread) = (Vec::new(), Vec::new());
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        stage.refer(figure, Script::SingleRow, connections).await?;
        let before = stage.daybook.standing().await?.head;
        let placing = stage
            .placing(None, Basket::TwoOfMany, Answered::Accepted)
            .await?;
        let meter = Meter::start(&stage.daybook);
        let plan = stage.closed(connections);
        let (loaded, _) = load::run(stage.daybook.address, plan, Orders::new(placing)).await?;
        loaded.must_be_clean("orders cannot be placed")?;
        let drain = stage.daybook.settle().await?;
        meter.stop(figure, loaded.acknowledged);
        figure.values.push(loaded.rate());
        figure.latency.add(&loaded.latency);
        drained.push(drain.as_secs_f64());
        let events = stage.daybook.standing().await?.head - before;
        spread.push(float(events.unsigned_abs()) / float(loaded.acknowledged.max(1)));
        all_are_there(&stage.daybook, before, loaded.acknowledged).await?;
        stage.tell(figure);
    }
    let middle = |figures: &[f64]| median(figures).unwrap_or_default();
    figure.detail("seconds until all were confirmed", middle(&drained));
    figure.detail("events per order", middle(&spread));
    Ok(())
}

/// Every acknowledged order is in the log, and no other is.
pub(crate) async fn all_are_there(
    daybook: &Daybook,
    before: i64,
    acknowledged: u64,
) -> Result<(), Error> {
    let count = "select count(*) from events where $1 < position and event_type = 'order.placed'";
    let placed: i64 = sqlx::query_scalar(count)
        .bind(before)
        .fetch_one(&daybook.database)
        .await?;
    if placed.unsigned_abs() == acknowledged {
        return Ok(());
    }
    Err(Error::Check(format!(
        "{acknowledged} orders were acknowledged, the log has {placed}"
    )))
}
