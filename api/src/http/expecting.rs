//! What a customer was shown before they ordered, compared with what they would be asked for.
//!
//! What has become cheaper since is sold at the new price: nobody minds. What has become dearer is
//! not sold until they have seen it.

use axum::http::StatusCode;
use domain::money::{Currency, Money};
use domain::placing::Placing;
use projections::MoneyView;
use serde_json::{Value, json};

use super::order_body::OrderBody;
use super::problem::{Flaw, Problem};

/// Why the order is not placed: it costs more than was expected, all of it or one of the lines for
/// which that was said.
pub(crate) fn risen(order: &OrderBody, placing: &Placing) -> Option<Problem> {
    // What cannot be added up is refused by the order itself.
    let total = placing.total_if_any()?;
    let lines = dearer_lines(order, placing);
    let expected = order.expected_total.filter(|of| of.minor < total.minor);
    if expected.is_none() && lines.is_empty() {
        return None;
    }
    let detail = match expected {
        Some(expected) => format!("the total was expected to be {expected}, and is {total} by now"),
        None => "some prices are higher than was expected".to_owned(),
    };
    let detail = format!(
        "{detail}; show the customer what it costs, and order again under a new key if they agree"
    );
    let flaws = lines.iter().map(Dearer::flaw).collect();
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| line.told(placing.currency))
        .collect();
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "price_changed", detail)
        .with_member("old", order.expected_total.map_or(Value::Null, told))
        .with_member("new", told(total))
        .with_member("lines", lines)
        .with_flaws(flaws);
    Some(problem)
}

/// A line that costs more than was expected.
struct Dearer<'a> {
    index: usize,
    sku: &'a str,
    expected: Money,
    price_minor: i64,
}

fn dearer_lines<'a>(order: &OrderBody, placing: &'a Placing) -> Vec<Dearer<'a>> {
    let lines = order.items.iter().zip(&placing.lines).enumerate();
    lines
        .filter_map(|(index, (item, line))| {
            let expected = item.expected_unit_price?;
            let (sku, price_minor) = (line.sku.as_str(), line.unit_price_minor);
            (expected.minor < price_minor).then_some(Dearer { index, sku, expected, price_minor })
        })
        .collect()
}

impl Dearer<'_> {
    fn flaw(&self) -> Flaw {
        let price = Money { minor: self.price_minor, ..self.expected };
        Flaw {
            pointer: format!("/items/{}/expected_unit_price", self.index),
            detail: format!("is {price} by now"),
        }
    }

    fn told(&self, currency: Currency) -> Value {
        let new = Money { minor: self.price_minor, currency };
        json!({"sku": self.sku, "old": told(self.expected), "new": told(new)})
    }
}

fn told(money: Money) -> Value {
    json!(MoneyView::from(money))
}
