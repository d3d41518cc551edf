//! `flash-sale`: 5,000 buyers over 500 connections want one of 1,000 pieces.
//!
//! Exactly 1,000 orders are confirmed and 4,000 fail for want of stock, or the scenario does. What
//! counts is how fast all of them are decided.

use std::time::Instant;

use super::hot_sku::stock_is;
use super::{Stage, lifecycle};
use crate::error::Error;
use crate::figure::Figure;
use crate::load::{self, Plan};
use crate::meter::Meter;
use crate::numbers::float;
use crate::shop::{self, Answered, Basket, Orders};

const BUYERS: u64 = 5_000;
const CONNECTIONS: usize = 500;
const PIECES: u32 = 1_000;

/// Measures orders decided per second.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("flash-sale", "orders/s");
    for round in 0..stage.settings.rounds {
        let sku = format!("BENCH-SALE-{round}-{}", stage.daybook.standing().await?.head);
        shop::offer(&stage.daybook, &[(sku.clone(), PIECES)]).await?;
        stage.daybook.settle().await?;
        let basket = Basket::OneOf(sku.clone());
        let placing = stage
            .placing(Some(BUYERS), basket, Answered::Accepted)
            .await?;
        let meter = Meter::start(&stage.daybook);
        let (since, began) = (chrono::Utc::now(), Instant::now());
        let plan = Plan::all(CONNECTIONS);
        let (loaded, _) = load::run(stage.daybook.address, plan, Orders::new(placing)).await?;
        loaded.must_be_clean("buyers are turned away")?;
        lifecycle::decided(&stage.daybook, since, BUYERS).await?;
        figure
            .values
            .push(float(BUYERS) / began.elapsed().as_secs_f64());
        figure.latency.add(&loaded.latency);
        stage.daybook.settle().await?;
        meter.stop(&mut figure, BUYERS);
        let confirmed = lifecycle::count(&stage.daybook, since, "confirmed").await?;
        let failed = lifecycle::count(&stage.daybook, since, "failed").await?;
        if (confirmed, failed) != (PIECES.into(), BUYERS - u64::from(PIECES)) {
            return Err(Error::Check(format!(
                "of {BUYERS} buyers of {PIECES} pieces, {confirmed} are confirmed and {failed} failed"
            )));
        }
        stock_is(&stage.daybook, &sku, PIECES.into(), PIECES.into()).await?;
        stage.tell(&figure);
    }
    figure.detail("confirmed of 5,000 buyers of 1,000 pieces", PIECES.into());
    Ok(figure)
}
