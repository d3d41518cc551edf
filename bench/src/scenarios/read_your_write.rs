//! `read-your-write`: from the moment a command is acknowledged until a query shows its effect.
//!
//! Orders come at half the rate that can be carried through. Each customer, once told that the order
//! is accepted, asks for it at once and names the position of the answer; how long that query takes
//! is how long the read model was behind, and the query itself.

use super::{Stage, lifecycle};
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::http::Answer;
use crate::load::{self, Next, Outcome, Pace, Plan, Work};
use crate::meter::Meter;
use crate::numbers::float;
use crate::requests;
use crate::shop::{self, Answered, Basket, Orders};

/// Enough that none has to wait for a connection.
const CONNECTIONS: usize = 256;
/// Of what can be carried through.
const SHARE: f64 = 0.5;

/// Measures milliseconds from acknowledged to visible.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("read-your-write", "ms (p99)");
    figure.target = Some(Target::ValueMax(25.0));
    let rate = SHARE * lifecycle::rate(stage).await?;
    let mut reached = 0.0;
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        let placing = stage
            .placing(None, Basket::TwoOfMany, Answered::Accepted)
            .await?;
        let work = Customers {
            orders: Orders::new(placing),
            token: stage.daybook.token.clone(),
            asking: vec![None; CONNECTIONS],
        };
        let plan = Plan { pace: Pace::Open(rate), ..stage.closed(CONNECTIONS) };
        let meter = Meter::start(&stage.daybook);
        let (loaded, _) = load::run(stage.daybook.address, plan, work).await?;
        loaded.must_be_clean("what was acknowledged cannot be seen")?;
        stage.daybook.settle().await?;
        meter.stop(&mut figure, loaded.acknowledged);
        reached += loaded.rate() / f64::from(stage.settings.rounds);
        figure
            .values
            .extend(loaded.latency.percentiles().map(|it| it.p99));
        figure.latency.add(&loaded.latency);
        stage.tell(&figure);
    }
    figure.detail("orders/s asked for", rate);
    figure.detail("orders/s placed and seen", reached);
    figure.detail("orders", float(figure.operations));
    Ok(figure)
}

/// Place an order, look at it, place the next.
struct Customers {
    orders: Orders,
    token: String,
    /// By connection: the order that was just acknowledged, and where.
    asking: Vec<Option<(String, u64)>>,
}

impl Work for Customers {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> Next {
        let Some((id, position)) = &self.asking[connection] else {
            return self.orders.next(connection, request);
        };
        let path = format!("/api/v1/orders/{id}");
        let position = position.to_string();
        let headers = [("daybook-min-position", position.as_str())];
        request.extend_from_slice(&requests::get(&path, Some(&self.token), &headers));
        Next::AtOnce
    }

    fn take(&mut self, connection: usize, answer: &Answer<'_>) -> Outcome {
        if self.asking[connection].take().is_some() {
            return shop::counted_if(answer.status == 200);
        }
        match (self.orders.take(connection, answer), shop::id_in(answer), answer.position) {
            (Outcome::Counted, Some(id), Some(position)) => {
                self.asking[connection] = Some((id, position));
                Outcome::Passed
            }
            (Outcome::Counted, ..) => Outcome::Failed,
            (otherwise, ..) => otherwise,
        }
    }
}
