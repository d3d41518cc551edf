//! A fast no before the authoritative one, for whoever asks for it (`Prefer: in-stock`).
//!
//! An order for what is out of stock is an order all the same: it is placed, fails, and is in the log
//! with the reason. A shop that shows what is left may prefer to hear of it at once, and to place no
//! such order. Memory can say no where it has heard that too little is left; it never says yes, and
//! says nothing of articles that it does not hold. Whether stock can be had is decided when it is
//! reserved, and nowhere else.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use domain::ids::Sku;

use super::App;
use super::command::Asked;
use super::order_body::OrderBody;
use super::problem::{Flaw, Problem};

/// Why the order is not worth placing, if the client wants to know and it is certain.
pub(crate) fn among<B>(app: &App, asked: &Asked<B>, order: &OrderBody) -> Option<Problem> {
    let left = |sku: &Sku| app.availability.of(sku).map(|known| known.available);
    asked
        .in_stock
        .then(|| {
            let items = order.items.iter();
            let items: Vec<_> = items.map(|item| (&item.sku, item.quantity)).collect();
            flaws(&items, left)
        })
        .filter(|flaws| !flaws.is_empty())
        .map(|flaws| {
            let detail = "there is not enough left of some items; no order was placed";
            Problem::new(StatusCode::CONFLICT, "out_of_stock", detail).with_flaws(flaws)
        })
}

/// Equal articles are reserved together.
fn flaws(items: &[(&Sku, u32)], left: impl Fn(&Sku) -> Option<i64>) -> Vec<Flaw> {
    let mut wanted: BTreeMap<&Sku, i64> = BTreeMap::new();
    for (sku, quantity) in items {
        *wanted.entry(sku).or_default() += i64::from(*quantity);
    }
    let flaw = |(index, (sku, _)): (usize, &(&Sku, u32))| {
        let left = left(sku)?;
        (left < wanted[sku]).then(|| Flaw {
            pointer: format!("/items/{index}/sku"),
            detail: format!("has {} left", left.max(0)),
        })
    };
    items.iter().enumerate().filter_map(flaw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_too_little_is_a_reason() {
        let left = |sku: &Sku| match sku.as_str() {
            "cup" => Some(3),
            "pot" => Some(0),
            _ => None,
        };
        let told = |items: &[(&str, u32)]| {
            let items: Vec<(Sku, u32)> = items
                .iter()
                .map(|(sku, quantity)| (sku.parse().unwrap(), *quantity))
                .collect();
            let items: Vec<_> = items
                .iter()
                .map(|(sku, quantity)| (sku, *quantity))
                .collect();
            let flaws = flaws(&items, left).into_iter();
            flaws.map(|flaw| flaw.pointer).collect::<Vec<_>>()
        };
        assert_eq!(told(&[("cup", 3), ("unheard-of", 1_000)]), Vec::<String>::new());
        assert_eq!(told(&[("cup", 2), ("pot", 1), ("cup", 2)]).len(), 3);
        assert_eq!(told(&[("cup", 3), ("pot", 1)]), ["/items/1/sku"]);
    }
}
