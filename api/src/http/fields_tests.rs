//! What the reader of fields accepts, and how it names what it does not.

use serde_json::{Value, json};

use super::*;

#[derive(Debug)]
struct Parcel {
    name: String,
    note: Option<String>,
    price: Money,
    items: Vec<(Sku, u32)>,
}

impl Body for Parcel {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text("name", 5);
        let note = fields.optional_text("note", 5);
        let price = fields.money("price");
        let items = fields.list("items", 3, |item| {
            let (sku, pieces) = (item.sku("sku"), item.pieces("quantity", 10));
            Some((sku?, pieces?))
        });
        Some(Self { name: name?, note, price: price?, items: items? })
    }
}

fn flaws_of(value: &Value) -> Vec<(String, String)> {
    let notes = Notes { gateways: &[], flaws: RefCell::default() };
    let text = value.to_string();
    let body = crate::http::json::parse(text.as_bytes()).unwrap();
    let body = object(&body, String::new(), &notes, Parcel::read);
    let flaws = notes.flaws.into_inner();
    assert!(body.is_none() || !flaws.is_empty(), "{value} has no flaw");
    flaws
        .into_iter()
        .map(|flaw| (flaw.pointer, flaw.detail))
        .collect()
}

fn pointers_of(value: &Value) -> Vec<String> {
    flaws_of(value)
        .into_iter()
        .map(|(pointer, _)| pointer)
        .collect()
}

fn good() -> Value {
    json!({
        "name": "Cups",
        "price": {"amount": "4.5", "currency": "GBP"},
        "items": [{"sku": "cup", "quantity": 2}],
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = good();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[test]
fn a_good_body_is_read_as_it_is() {
    let parcel: Parcel = read_value(&good(), &[]).unwrap();

    assert_eq!((parcel.name.as_str(), parcel.note), ("Cups", None));
    assert_eq!((parcel.price.minor, parcel.items.len()), (450, 1));
}

#[test]
fn every_flaw_is_told_at_once() {
    let body = json!({
        "name": 7,
        "price": {"amount": 4.5, "currency": "XXQ", "cents": 1},
        "items": [{"sku": "", "quantity": 0}, {"quantity": "2"}, 3],
        "a/b~c": 1,
    });

    assert_eq!(
        pointers_of(&body),
        [
            "/name",
            "/price/amount",
            "/price/currency",
            "/price/cents",
            "/items/0/sku",
            "/items/0/quantity",
            "/items/1/sku",
            "/items/1/quantity",
            "/items/2",
            "/a~1b~0c",
        ]
    );
}

#[test]
fn a_missing_field_is_named_and_null_is_missing() {
    assert_eq!(pointers_of(&json!({})), ["/name", "/price", "/items"]);
    assert_eq!(pointers_of(&with("/name", Value::Null)), ["/name"]);
    assert_eq!(flaws_of(&json!([])), [(String::new(), "must be an object".into())]);
}

#[test]
fn texts_are_bounded_in_characters_and_free_of_control_characters() {
    for (text, fine) in [
        ("ééééé", true),
        ("éééééé", false),
        ("", false),
        ("   ", false),
        ("a\u{0}b", false),
        ("a\nb", false),
    ] {
        assert_eq!(
            read_value::<Parcel>(&with("/name", text.into()), &[]).is_ok(),
            fine,
            "{text:?}"
        );
    }
}

#[test]
fn whole_numbers_only() {
    for number in [
        json!(1.5),
        json!(2.0),
        json!("2"),
        json!(11),
        json!(-1),
        json!(u64::MAX),
    ] {
        let body = with("/items/0/quantity", number);
        assert_eq!(pointers_of(&body), ["/items/0/quantity"], "{body}");
    }
}

#[test]
fn more_decimals_than_the_currency_has_are_told_on_the_amount() {
    let body = with("/price", json!({"amount": "1.5", "currency": "JPY"}));

    assert_eq!(
        flaws_of(&body),
        [("/price/amount".into(), "JPY has 0 decimals, the amount has more".into())]
    );
}

#[test]
fn a_list_has_a_bound() {
    let item = json!({"sku": "cup", "quantity": 1});

    assert_eq!(pointers_of(&with("/items", json!([]))), ["/items"]);
    assert_eq!(pointers_of(&with("/items", json!([item, item, item, item]))), ["/items"]);
}

#[test]
fn an_instant_has_a_zone_and_a_sensible_year() {
    assert_eq!(
        instant("2010-12-01T08:26:00+01:00").unwrap().to_rfc3339(),
        "2010-12-01T07:26:00+00:00"
    );
    for bad in [
        "",
        "2010-12-01",
        "2010-12-01T08:26:00",
        "1969-01-01T00:00:00Z",
        "yesterday",
    ] {
        assert!(instant(bad).is_err(), "{bad}");
    }
}
