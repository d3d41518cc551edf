//! What the ordered articles are called and cost, at this moment.

use std::collections::HashMap;

use axum::http::StatusCode;
use domain::money::Currency;
use domain::placing::Line;
use domain::product::Description;

use super::App;
use super::order_body::{Item, OrderBody};
use super::problem::{Flaw, Problem};

/// The lines of an order, priced, or why they cannot be.
pub(crate) async fn price(
    app: &App,
    order: &OrderBody,
) -> Result<Result<Vec<Line>, Problem>, Problem> {
    let unknown = order.items.iter().filter(|item| !item.is_priced());
    let mut skus: Vec<&str> = unknown.map(|item| item.sku.as_str()).collect();
    skus.sort_unstable();
    skus.dedup();
    let offers = app.offers.of(&app.journal, &skus).await?;
    Ok(lines(&order.items, order.currency, &offers))
}

impl Item {
    /// Whether nothing has to be looked up.
    pub(crate) fn is_priced(&self) -> bool {
        self.unit_price.is_some() && self.name.is_some()
    }
}

/// Why an article cannot be sold like this; the first kind found is told for all lines it befalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unsellable {
    Unknown,
    Inactive,
    OtherCurrency,
}

fn lines(
    items: &[Item],
    currency: Currency,
    offers: &HashMap<String, Description>,
) -> Result<Vec<Line>, Problem> {
    let priced: Vec<Result<Line, Unsellable>> = items
        .iter()
        .map(|item| line(item, currency, offers))
        .collect();
    let worst = priced
        .iter()
        .filter_map(|line| line.as_ref().err())
        .min()
        .copied();
    match worst {
        None => Ok(priced.into_iter().flatten().collect()),
        Some(worst) => {
            let befalls = |(index, line): (usize, &Result<Line, Unsellable>)| {
                (line.as_ref().err() == Some(&worst)).then_some(index)
            };
            let indices = priced.iter().enumerate().filter_map(befalls).collect();
            Err(unsellable(worst, indices))
        }
    }
}

fn line(
    item: &Item,
    currency: Currency,
    offers: &HashMap<String, Description>,
) -> Result<Line, Unsellable> {
    let (name, price) = match (&item.name, item.unit_price) {
        (Some(name), Some(price)) => (name.clone(), price),
        (name, price) => {
            let offer = offer(item, offers)?;
            (name.as_ref().unwrap_or(&offer.name).clone(), price.unwrap_or(offer.price))
        }
    };
    if price.currency != currency {
        return Err(Unsellable::OtherCurrency);
    }
    let (sku, quantity) = (item.sku.clone(), item.quantity);
    Ok(Line { sku, name, quantity, unit_price_minor: price.minor })
}

fn offer<'p>(
    item: &Item,
    offers: &'p HashMap<String, Description>,
) -> Result<&'p Description, Unsellable> {
    let offer = offers.get(item.sku.as_str());
    let offer = offer.ok_or(Unsellable::Unknown)?;
    if offer.active {
        Ok(offer)
    } else {
        Err(Unsellable::Inactive)
    }
}

fn unsellable(why: Unsellable, indices: Vec<usize>) -> Problem {
    let (code, detail) = match why {
        Unsellable::Unknown => ("unknown_product", "there is no such product"),
        Unsellable::Inactive => ("product_inactive", "the product is not for sale"),
        Unsellable::OtherCurrency => {
            ("currency_mismatch", "the product is sold in another currency than the order's")
        }
    };
    let flaw = |index| Flaw { pointer: format!("/items/{index}/sku"), detail: detail.to_owned() };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, "some items cannot be ordered like this")
        .with_flaws(indices.into_iter().map(flaw).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::fields;

    fn offered(price: &str, currency: &str, active: bool) -> Description {
        let currency = currency.parse().unwrap();
        let price = domain::money::Money::parse(price, currency).unwrap();
        Description { name: "Cup".into(), price, active }
    }

    fn priced(items: &Value) -> Result<Vec<Line>, Problem> {
        let order: OrderBody = fields::read_value(
            &json!({
                "customer": {"name": "Ada", "email": "ada@example.org"},
                "shipping_address": {"line1": "1 High Street", "country": "GB"},
                "currency": "GBP",
                "payment_method": "cash",
                "items": items,
            }),
            &["sandbox".to_owned()],
        )
        .unwrap();
        let offers = HashMap::from([
            ("cup".to_owned(), offered("4.50", "GBP", true)),
            ("old".to_owned(), offered("4.50", "GBP", false)),
            ("yen".to_owned(), offered("450", "JPY", true)),
        ]);
        lines(&order.items, order.currency, &offers)
    }

    #[test]
    fn the_catalogue_prices_what_staff_did_not() {
        let price = json!({"amount": "1.00", "currency": "GBP"});
        let lines = priced(&json!([
            {"sku": "cup", "quantity": 1},
            {"sku": "cup", "quantity": 1, "name": "Chipped cup"},
            {"sku": "gone", "quantity": 1, "name": "Gone", "unit_price": price},
        ]))
        .unwrap();

        let lines: Vec<_> = lines
            .iter()
            .map(|line| (line.name.as_str(), line.unit_price_minor))
            .collect();
        assert_eq!(lines, [("Cup", 450), ("Chipped cup", 450), ("Gone", 100)]);
    }

    #[test]
    fn every_line_that_cannot_be_sold_is_named() {
        let item = |sku| json!({"sku": sku, "quantity": 1});
        for (skus, code, pointers) in [
            (["cup", "nope", "noo"], "unknown_product", &["/items/1/sku", "/items/2/sku"][..]),
            (["old", "nope", "cup"], "unknown_product", &["/items/1/sku"]),
            (["old", "yen", "cup"], "product_inactive", &["/items/0/sku"]),
            (["cup", "yen", "cup"], "currency_mismatch", &["/items/1/sku"]),
        ] {
            let problem = format!("{:?}", priced(&skus.map(item).to_vec().into()).unwrap_err());
            assert!(problem.contains(code), "{problem}");
            assert_eq!(problem.matches("/items/").count(), pointers.len(), "{problem}");
            assert!(pointers.iter().all(|pointer| problem.contains(pointer)), "{problem}");
        }
    }
}
