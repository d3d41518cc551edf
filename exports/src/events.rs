//! Events as a table: what every event has, then what some have, typed, then the payload as JSON.
//!
//! | column | of |
//! | --- | --- |
//! | `order_id` | events of orders and payments, and of stock that an order holds |
//! | `sku` | events of stock and products |
//! | `quantity` | pieces moved; of a placed order, all of its pieces |
//! | `amount_minor` | of a placed order its total, of a product its price, else what is asked, captured or refunded |
//! | `currency` | where the event itself names it |
//! | `placed_at` | when the customer ordered, which for imported history is long before `recorded_at` |
//!
//! `recorded_at` is what readers are shown as `at`, a word that SQL keeps for itself.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::table::{BadRow, Cell, Column, Kind, Row, cell, instant};

macro_rules! columns {
    ($($name:literal $kind:ident),+ $(,)?) => {
        [$(Column { name: $name, kind: Kind::$kind }),+]
    };
}

/// The columns, in order. New ones come before `data`.
pub const COLUMNS: [Column; 30] = columns![
    "position" Int,
    "event_id" Text,
    "recorded_at" Time,
    "aggregate" Word,
    "aggregate_id" Word,
    "sequence" Int,
    "event" Word,
    "schema_version" Int,
    "actor" Word,
    "reason" Word,
    "command_id" Word,
    "correlation_id" Word,
    "causation_id" Word,
    "request_id" Word,
    "traceparent" Word,
    "order_id" Word,
    "payment_id" Word,
    "refund_id" Word,
    "sku" Word,
    "quantity" Int,
    "amount_minor" Int,
    "shipping_minor" Int,
    "currency" Word,
    "placed_at" Time,
    "country" Word,
    "customer_email" Word,
    "customer_id" Word,
    "gateway" Word,
    "lines" Lines,
    "data" Json,
];

/// An event as readers get it.
#[derive(Deserialize)]
struct Event<'l> {
    position: i64,
    #[serde(borrow, rename = "event_id")]
    id: Cow<'l, str>,
    #[serde(borrow)]
    at: Cow<'l, str>,
    #[serde(borrow)]
    aggregate: Cow<'l, str>,
    #[serde(borrow)]
    aggregate_id: Cow<'l, str>,
    sequence: i64,
    #[serde(borrow, rename = "event")]
    name: Cow<'l, str>,
    #[serde(borrow)]
    schema_version: Cow<'l, str>,
    #[serde(borrow)]
    actor: Cow<'l, str>,
    #[serde(borrow)]
    reason: Option<Cow<'l, str>>,
    #[serde(borrow)]
    command_id: Cow<'l, str>,
    #[serde(borrow)]
    correlation_id: Cow<'l, str>,
    #[serde(borrow)]
    causation_id: Option<Cow<'l, str>>,
    #[serde(borrow)]
    request_id: Option<Cow<'l, str>>,
    #[serde(borrow)]
    traceparent: Option<Cow<'l, str>>,
    #[serde(borrow)]
    data: &'l RawValue,
}

/// Reads a row from the line of an event.
pub fn row(line: &[u8]) -> Result<Row, BadRow> {
    let event: Event<'_> = serde_json::from_slice(line)?;
    let data: Value = serde_json::from_str(event.data.get())?;
    let facts = Facts::of(&event, &data);
    let text = |text: &str| Cell::Text(text.to_owned());
    let maybe = |text: &Option<Cow<'_, str>>| {
        text.as_deref()
            .map_or(Cell::Null, |text| Cell::Text(text.to_owned()))
    };
    Ok(vec![
        Cell::Int(event.position),
        text(&event.id),
        instant(&event.at).map_or(Cell::Null, Cell::Time),
        text(&event.aggregate),
        text(&event.aggregate_id),
        Cell::Int(event.sequence),
        text(&event.name),
        event.schema_version.parse().map_or(Cell::Null, Cell::Int),
        text(&event.actor),
        maybe(&event.reason),
        text(&event.command_id),
        text(&event.correlation_id),
        maybe(&event.causation_id),
        maybe(&event.request_id),
        maybe(&event.traceparent),
        facts.order_id,
        facts.payment_id,
        facts.refund_id,
        facts.sku,
        facts.quantity,
        facts.amount_minor,
        facts.shipping_minor,
        facts.currency,
        facts.placed_at,
        facts.country,
        facts.customer_email,
        facts.customer_id,
        facts.gateway,
        facts.lines,
        text(event.data.get()),
    ])
}

/// The position of an event, from its line: the one thing that is read of a line that is passed on
/// as it is.
pub fn position(line: &[u8]) -> Result<i64, BadRow> {
    #[derive(Deserialize)]
    struct Position {
        position: i64,
    }
    let Position { position } = serde_json::from_slice(line)?;
    Ok(position)
}

/// What an event says, where it says it.
struct Facts {
    order_id: Cell,
    payment_id: Cell,
    refund_id: Cell,
    sku: Cell,
    quantity: Cell,
    amount_minor: Cell,
    shipping_minor: Cell,
    currency: Cell,
    placed_at: Cell,
    country: Cell,
    customer_email: Cell,
    customer_id: Cell,
    gateway: Cell,
    lines: Cell,
}

impl Facts {
    fn of(event: &Event<'_>, data: &Value) -> Self {
        let id = || Cell::Text(event.aggregate_id.clone().into_owned());
        let word = |value: &Value| cell(Kind::Word, value);
        let int = |value: &Value| cell(Kind::Int, value);
        let aggregate = &*event.aggregate;
        let lines = cell(Kind::Lines, &data["lines"]);
        let placed = Placed::of(&lines, &data["shipping_minor"], &data["discount"]);
        // Whichever of them an event has: no event has two.
        let money = ["amount", "received", "price"]
            .map(|name| &data[name])
            .into_iter()
            .find(|money| money.is_object())
            .unwrap_or(&Value::Null);
        Self {
            order_id: match aggregate {
                "order" => id(),
                // Payments are correlated with their order from the first event on.
                "payment" => Cell::Text(event.correlation_id.clone().into_owned()),
                _ => word(&data["order_id"]),
            },
            payment_id: if aggregate == "payment" {
                id()
            } else {
                word(&data["payment_id"])
            },
            refund_id: word(&data["refund_id"]),
            sku: if matches!(aggregate, "inventory" | "product") {
                id()
            } else {
                Cell::Null
            },
            quantity: placed
                .pieces
                .map_or_else(|| int(&data["quantity"]), Cell::Int),
            amount_minor: placed
                .total_minor
                .map(Cell::Int)
                .into_iter()
                .chain(
                    [
                        &data["amount_minor"],
                        &data["captured_minor"],
                        &money["minor"],
                    ]
                    .map(int),
                )
                .find(|cell| *cell != Cell::Null)
                .unwrap_or(Cell::Null),
            shipping_minor: int(&data["shipping_minor"]),
            currency: if money.is_object() {
                word(&money["currency"])
            } else {
                word(&data["currency"])
            },
            placed_at: cell(Kind::Time, &data["placed_at"]),
            country: word(&data["shipping_address"]["country"]),
            customer_email: word(&data["customer"]["email"]),
            customer_id: word(&data["customer_id"]),
            gateway: if data["payment"].is_object() {
                word(&data["payment"]["gateway"])
            } else {
                word(&data["gateway"])
            },
            lines,
        }
    }
}

/// What follows from the lines of an order, unless it cannot be represented.
#[derive(Default)]
struct Placed {
    pieces: Option<i64>,
    total_minor: Option<i64>,
}

impl Placed {
    fn of(lines: &Cell, shipping_minor: &Value, discount: &Value) -> Self {
        let Cell::Lines(lines) = lines else {
            return Self::default();
        };
        // The first version of the event knew no shipping cost.
        let shipping_minor = shipping_minor.as_i64().unwrap_or(0);
        let pieces = lines
            .iter()
            .try_fold(0_i64, |sum, line| sum.checked_add(line.quantity?));
        let discount_minor = discount["amount_minor"].as_i64().unwrap_or(0);
        let to_begin_with = shipping_minor.saturating_sub(discount_minor);
        let total_minor = lines.iter().try_fold(to_begin_with, |sum, line| {
            sum.checked_add(line.quantity?.checked_mul(line.unit_price_minor?)?)
        });
        Self { pieces, total_minor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Line;

    /// The cells that hold something, by name, of an event with this payload.
    fn told(aggregate: &str, data: &str) -> Vec<(&'static str, Cell)> {
        let line = format!(
            r#"{{"position":7,"event_id":"e","at":"2026-03-01T12:00:00.123456Z","aggregate":"{aggregate}",
            "aggregate_id":"id","sequence":1,"event":"x","schema_version":"2","actor":"staff",
            "reason":null,"command_id":"c","correlation_id":"of","causation_id":null,
            "request_id":null,"traceparent":null,"data":{data}}}"#
        );
        let row = row(line.as_bytes()).unwrap();
        assert_eq!(row.len(), COLUMNS.len());
        let facts = COLUMNS.iter().zip(row).skip(15).take(14);
        facts
            .filter(|(_, cell)| *cell != Cell::Null)
            .map(|(column, cell)| (column.name, cell))
            .collect()
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn a_placed_order_tells_its_total_its_pieces_and_its_lines() {
        let data = r#"{"type":"order.placed","customer":{"name":"Ada","email":"ada@example.com"},
            "shipping_address":{"line1":"x","country":"GB"},"currency":"GBP","lines":[
            {"sku":"cup","name":"Cup","quantity":2,"unit_price_minor":450},
            {"sku":"pot","name":"Pot","quantity":1,"unit_price_minor":900}],"shipping_minor":350,
            "payment_id":"p","payment":{"method":"credit_card","gateway":"sandbox"},
            "placed_at":"2010-12-01T08:26:00Z"}"#;
        let line = |sku: &str, name: &str, quantity, unit_price_minor| Line {
            sku: Some(sku.into()),
            name: Some(name.into()),
            quantity: Some(quantity),
            unit_price_minor: Some(unit_price_minor),
        };
        assert_eq!(
            told("order", data),
            [
                ("order_id", text("id")),
                ("payment_id", text("p")),
                ("quantity", Cell::Int(3)),
                ("amount_minor", Cell::Int(2_150)),
                ("shipping_minor", Cell::Int(350)),
                ("currency", text("GBP")),
                ("placed_at", Cell::Time("2010-12-01T08:26:00Z".parse().unwrap())),
                ("country", text("GB")),
                ("customer_email", text("ada@example.com")),
                ("gateway", text("sandbox")),
                (
                    "lines",
                    Cell::Lines(vec![line("cup", "Cup", 2, 450), line("pot", "Pot", 1, 900)])
                ),
            ]
        );
    }

    #[test]
    fn every_kind_of_event_tells_whose_and_how_much() {
        for (aggregate, data, expected) in [
            (
                "payment",
                r#"{"received":{"minor":1850,"currency":"GBP"},"reference":"a"}"#,
                vec![
                    ("order_id", text("of")),
                    ("payment_id", text("id")),
                    ("amount_minor", Cell::Int(1_850)),
                    ("currency", text("GBP")),
                ],
            ),
            (
                "inventory",
                r#"{"order_id":"o","quantity":2,"expires_at":"2026-03-01T12:00:00Z"}"#,
                vec![
                    ("order_id", text("o")),
                    ("sku", text("id")),
                    ("quantity", Cell::Int(2)),
                ],
            ),
            // More pieces than a signed number holds: the payload still says how many.
            (
                "inventory",
                r#"{"quantity":18446744073709551615,"reference":"x"}"#,
                vec![("sku", text("id"))],
            ),
            (
                "product",
                r#"{"name":"Cup","price":{"minor":450,"currency":"GBP"},"active":true}"#,
                vec![
                    ("sku", text("id")),
                    ("amount_minor", Cell::Int(450)),
                    ("currency", text("GBP")),
                ],
            ),
            (
                "order",
                r#"{"refund_id":"r","amount_minor":800,"reason":"x","shipping_minor":350,
                    "goods":[{"sku":"cup","amount_minor":450,"quantity":1}]}"#,
                vec![
                    ("order_id", text("id")),
                    ("refund_id", text("r")),
                    ("amount_minor", Cell::Int(800)),
                    ("shipping_minor", Cell::Int(350)),
                ],
            ),
            (
                "order",
                r#"{"captured_minor":1850}"#,
                vec![("order_id", text("id")), ("amount_minor", Cell::Int(1_850))],
            ),
        ] {
            assert_eq!(told(aggregate, data), expected, "{data}");
        }
    }

    #[test]
    fn what_a_promotion_takes_off_is_not_part_of_what_an_order_comes_to() {
        let told = told(
            "order",
            r#"{"lines":[{"sku":"cup","name":"Cup","quantity":2,"unit_price_minor":450}],
            "shipping_minor":350,"discount":{"promotion":"SPRING","name":"Spring",
            "amount_minor":90,"lines_minor":[90]}}"#,
        );
        assert!(told.contains(&("amount_minor", Cell::Int(1160))), "{told:?}");
    }
}
