//! The bodies that the import sends, as the HTTP contract writes them.

use serde::Serialize;

use super::history::{History, Order, Product};
use super::pence::decimal;

const CURRENCY: &str = "GBP";
/// The file has no addresses, and an order needs one.
const NO_ADDRESS: &str = "not recorded";
/// A top-level domain that never exists (RFC 2606), so that no letter reaches anyone.
const MAIL_DOMAIN: &str = "customers.invalid";

#[derive(Debug, Serialize)]
pub(super) struct Money {
    amount: String,
    currency: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct ProductBody<'h> {
    name: &'h str,
    price: Money,
    active: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct ReceiptBody<'h> {
    pub(super) quantity: u64,
    pub(super) reference: &'h str,
}

#[derive(Debug, Serialize)]
pub(super) struct OrderBody<'h> {
    customer: Customer,
    shipping_address: Address,
    currency: &'static str,
    payment_method: &'static str,
    gateway: &'static str,
    payment_token: &'static str,
    placed_at: String,
    items: Vec<Item<'h>>,
}

#[derive(Debug, Serialize)]
struct Customer {
    name: String,
    email: String,
}

#[derive(Debug, Serialize)]
struct Address {
    line1: &'static str,
    country: &'static str,
}

#[derive(Debug, Serialize)]
struct Item<'h> {
    sku: &'h str,
    name: &'h str,
    quantity: u32,
    unit_price: Money,
}

/// Completing needs no words.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

pub(super) fn product(product: Product<'_>) -> ProductBody<'_> {
    ProductBody { name: product.name, price: pounds(product.price_pence), active: true }
}

pub(super) fn order<'h>(history: &'h History, order: &'h Order) -> OrderBody<'h> {
    let items = order.lines.iter().map(|line| {
        let (sku, name) = (history.text(line.sku), history.text(line.name));
        Item {
            sku,
            name: if name.is_empty() { sku } else { name },
            quantity: line.quantity,
            unit_price: pounds(line.price_pence),
        }
    });
    OrderBody {
        customer: customer(history, order),
        shipping_address: Address { line1: NO_ADDRESS, country: order.country },
        currency: CURRENCY,
        payment_method: "credit_card",
        gateway: "sandbox",
        payment_token: "ok",
        // The file's local time without a zone, taken as UTC, so that days and months stay as the
        // wholesaler counted them.
        placed_at: order.placed_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        items: items.collect(),
    }
}

fn customer(history: &History, order: &Order) -> Customer {
    match order.customer.map(|number| history.text(number)) {
        Some(number) => Customer {
            name: format!("Customer {number}"),
            email: format!("{number}@{MAIL_DOMAIN}"),
        },
        None => Customer {
            name: "Guest".to_owned(),
            email: format!("guest-{}@{MAIL_DOMAIN}", order.invoice),
        },
    }
}

fn pounds(pence: i64) -> Money {
    Money { amount: decimal(pence), currency: CURRENCY }
}

#[cfg(test)]
mod tests {
    use csv::ByteRecord;
    use serde_json::{json, to_value};

    use super::*;
    use crate::online_retail::history::Gathering;
    use crate::online_retail::rules::order_line;

    fn history(lines: &[[&str; 8]]) -> History {
        let mut gathering = Gathering::default();
        for line in lines {
            gathering.add(&order_line(&ByteRecord::from(line.to_vec())).unwrap());
        }
        gathering.finish().0
    }

    #[test]
    fn an_order_is_sent_as_the_file_has_it() {
        let time = "2010-12-01 08:26:00";
        let history = history(&[
            [
                "536365", "85123A", " MUG ", "6", time, "2.5", "17850.0", "EIRE",
            ],
            ["536365", "85123A", "", "1", time, "3.39", "17850.0", "EIRE"],
        ]);

        let body = to_value(order(&history, &history.orders[0])).unwrap();

        assert_eq!(
            body,
            json!({
                "customer": {"name": "Customer 17850", "email": "17850@customers.invalid"},
                "shipping_address": {"line1": "not recorded", "country": "IE"},
                "currency": "GBP",
                "payment_method": "credit_card",
                "gateway": "sandbox",
                "payment_token": "ok",
                "placed_at": "2010-12-01T08:26:00Z",
                "items": [
                    {"sku": "85123A", "name": "MUG", "quantity": 6,
                     "unit_price": {"amount": "2.50", "currency": "GBP"}},
                    {"sku": "85123A", "name": "85123A", "quantity": 1,
                     "unit_price": {"amount": "3.39", "currency": "GBP"}},
                ],
            })
        );
    }

    #[test]
    fn a_guest_is_a_stranger_each_time() {
        let time = "2010-12-01 08:26:00";
        let history = history(&[["7", "A", "", "1", time, "1.0", "", "France"]]);

        let body = to_value(order(&history, &history.orders[0])).unwrap();

        let guest = json!({"name": "Guest", "email": "guest-7@customers.invalid"});
        assert_eq!(body["customer"], guest);
    }
}
