//! What the ordered articles are called and cost, at this moment.
//!
//! A line's price is, in this order: what staff say; the product's price in the order's currency;
//! the product's own price, converted. What staff say is never converted.

use std::collections::HashMap;

use axum::http::StatusCode;
use domain::money::Currency;
use domain::placing::Line;
use domain::product::Description;

use super::App;
use super::order_body::{Item, OrderBody};
use super::problem::{Flaw, Problem};
use super::quotes::{Market, NotConverted};

/// The lines of an order, priced, or why they cannot be.
pub(crate) async fn price(
    app: &App,
    order: &OrderBody,
) -> Result<Result<Vec<Line>, Problem>, Problem> {
    let priced = quote(app, &order.items, order.currency).await?;
    Ok(all_of(priced))
}

/// What each of these would be as a line of an order, or why it cannot be one.
pub(crate) async fn quote(
    app: &App,
    items: &[Item],
    currency: Currency,
) -> Result<Vec<Result<Line, Unsellable>>, Problem> {
    // What staff have priced is a vendor's all the same, whose line it becomes.
    let all = app.sellers.are_there();
    let unknown = items.iter().filter(|item| all || !item.is_priced());
    let mut skus: Vec<&str> = unknown.map(|item| item.sku.as_str()).collect();
    skus.sort_unstable();
    skus.dedup();
    let mut offers = app.offers.of(&app.journal, &skus).await?;
    for offer in offers.values_mut() {
        // At once, whatever the product says.
        offer.active &= offer
            .vendor
            .is_none_or(|vendor| app.sellers.is_active(vendor));
    }
    let market = app.quotes.now();
    let priced = items
        .iter()
        .map(|item| line(item, currency, &offers, &market));
    Ok(priced.collect())
}

impl Item {
    /// Whether nothing has to be looked up.
    pub(crate) fn is_priced(&self) -> bool {
        self.unit_price.is_some() && self.name.is_some()
    }
}

/// Why an article cannot be sold like this; the first kind found is told for all lines it befalls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsellable {
    Unknown,
    Inactive,
    OtherCurrency(NotConverted),
}

/// The lines, or every one that cannot be sold.
pub(crate) fn all_of(priced: Vec<Result<Line, Unsellable>>) -> Result<Vec<Line>, Problem> {
    match refused(priced.iter().map(|line| line.as_ref().err())) {
        None => Ok(priced.into_iter().flatten().collect()),
        Some(problem) => Err(problem),
    }
}

/// Why some items cannot be sold, where there is a reason beside any.
pub(crate) fn refused<'a>(
    reasons: impl Iterator<Item = Option<&'a Unsellable>> + Clone,
) -> Option<Problem> {
    let codes = reasons.clone().flatten().map(Unsellable::code);
    let (_, code) = codes.min()?;
    let flaw = |(index, why): (usize, Option<&Unsellable>)| {
        let why = why.filter(|why| why.code().1 == code)?;
        Some(Flaw { pointer: format!("/items/{index}/sku"), detail: why.detail() })
    };
    let flaws = reasons.enumerate().filter_map(flaw).collect();
    let detail = "some items cannot be ordered like this";
    Some(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).with_flaws(flaws))
}

fn line(
    item: &Item,
    currency: Currency,
    offers: &HashMap<String, Description>,
    market: &Market,
) -> Result<Line, Unsellable> {
    let (name, price, conversion) = match (&item.name, item.unit_price) {
        (Some(name), Some(price)) => (name.clone(), price, None),
        (name, price) => {
            let offer = offer(item, offers)?;
            let name = name.as_ref().unwrap_or(&offer.name).clone();
            if let Some(price) = price.or_else(|| offer.price_in(currency)) {
                (name, price, None)
            } else {
                let converted = market.convert(offer.price, currency);
                let (price, conversion) = converted.map_err(Unsellable::OtherCurrency)?;
                (name, price, Some(Box::new(conversion)))
            }
        }
    };
    let (sku, quantity) = (item.sku.clone(), item.quantity);
    let unit_price_minor = price.minor;
    let vendor = offers.get(sku.as_str()).and_then(|offer| offer.vendor);
    Ok(Line { sku, name, quantity, unit_price_minor, converted_from: conversion, vendor })
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

impl Unsellable {
    /// How pressing it is, and its stable code.
    pub(crate) fn code(&self) -> (u8, &'static str) {
        match self {
            Self::Unknown => (0, "unknown_product"),
            Self::Inactive => (1, "product_inactive"),
            Self::OtherCurrency(NotConverted::NeverLoaded { .. }) => (2, "currency_mismatch"),
            Self::OtherCurrency(NotConverted::NoRate { .. }) => (3, "no_exchange_rate"),
            Self::OtherCurrency(NotConverted::NoAmount { .. }) => (4, "price_not_convertible"),
        }
    }

    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Unknown => "there is no such product".to_owned(),
            Self::Inactive => "the product is not for sale".to_owned(),
            Self::OtherCurrency(why) => why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::fields;

    fn offered(price: &str, currency: &str, active: bool) -> Description {
        let currency = currency.parse().unwrap();
        let price = domain::money::Money::parse(price, currency).unwrap();
        Description {
            name: "Cup".into(),
            price,
            active,
            prices: vec![],
            vendor: None,
            weight_grams: None,
        }
    }

    fn priced(items: &Value) -> Result<Vec<Line>, Problem> {
        priced_at(items, &Market::of(&[]))
    }

    fn priced_at(items: &Value, market: &Market) -> Result<Vec<Line>, Problem> {
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
            (
                "both".to_owned(),
                Description {
                    prices: vec![offered("3.99", "GBP", true).price],
                    ..offered("450", "JPY", true)
                },
            ),
            ("franc".to_owned(), offered("5.00", "CHF", true)),
            ("grain".to_owned(), offered("0.01", "IDR", true)),
        ]);
        let line = |item| line(item, order.currency, &offers, market);
        all_of(order.items.iter().map(line).collect())
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

    #[test]
    fn a_price_in_the_orders_currency_comes_first_and_staffs_is_never_converted() {
        let market = Market::of(&[
            ("GBP", "0.8412", 0),
            ("JPY", "164.35", 0),
            ("IDR", "17234", 0),
        ]);
        let price = json!({"amount": "1.00", "currency": "GBP"});
        let lines = priced_at(
            &json!([
                {"sku": "both", "quantity": 1},
                {"sku": "yen", "quantity": 2},
                {"sku": "yen", "quantity": 1, "unit_price": price},
                {"sku": "yen", "quantity": 1, "name": "Chipped"},
            ]),
            &market,
        )
        .unwrap();

        let told: Vec<_> = lines
            .iter()
            .map(|line| (line.unit_price_minor, line.converted_from.is_some()))
            .collect();
        // 450 / 164.35 × 0.8412 = 2.3032...
        assert_eq!(told, [(399, false), (230, true), (100, false), (230, true)]);
        assert_eq!(lines[1].total_minor(), 460, "the price of a piece is rounded, then multiplied");

        let item = |sku| json!({"sku": sku, "quantity": 1});
        for (sku, code, part) in [
            ("franc", "no_exchange_rate", "no rate of CHF"),
            ("grain", "price_not_convertible", "IDR 0.01"),
        ] {
            let refused = priced_at(&json!([item("cup"), item(sku)]), &market).unwrap_err();
            let told = format!("{refused:?}");
            assert!(told.contains(code) && told.contains(part), "{told}");
            assert!(told.contains("/items/1/sku"), "{told}");
        }
    }
}
