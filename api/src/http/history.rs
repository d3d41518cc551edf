//! An order as it was: the fold of the log up to then.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use domain::order;
use projections::orders::OrderView;
use sqlx::PgPool;
use store::log;

use super::parameters::instant_or_day;

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsOf {
    /// When the log ended here.
    Position(i64),
    /// At this time.
    Time(DateTime<Utc>),
}

impl FromStr for AsOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text
                .parse()
                .map(Self::Position)
                .map_err(|_| "is no position".to_owned());
        }
        instant_or_day(text).map(Self::Time)
    }
}

/// The order as of then, from the events of the order and its payment; `None` if there was none.
pub(crate) async fn order_at(
    pool: &PgPool,
    order_id: OrderId,
    as_of: AsOf,
) -> Result<Option<OrderView>, log::Error> {
    let mut events = log::of_aggregate(pool, "order", &order_id.to_string()).await?;
    let payment_id = events.first().and_then(|first| match &first.event {
        Event::Order(order::Event::Placed(placing)) => Some(placing.payment_id),
        _ => None,
    });
    if let Some(payment_id) = payment_id {
        events.extend(log::of_aggregate(pool, "payment", &payment_id.to_string()).await?);
    }
    events.retain(|event| match as_of {
        AsOf::Position(position) => event.position <= position,
        AsOf::Time(time) => event.recorded_at <= time,
    });
    events.sort_unstable_by_key(|event| event.position);
    Ok(OrderView::at(&events))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_position_a_time_or_a_day() {
        let time = "2026-11-21T00:00:00Z".parse().unwrap();
        assert_eq!("17".parse(), Ok(AsOf::Position(17)));
        assert_eq!("2026-11-21T00:00:00Z".parse(), Ok(AsOf::Time(time)));
        assert_eq!("2026-11-21".parse(), Ok(AsOf::Time(time)));
        for text in ["", "-1", "99999999999999999999", "noon"] {
            assert!(text.parse::<AsOf>().is_err(), "{text}");
        }
    }
}
