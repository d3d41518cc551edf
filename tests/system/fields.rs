//! Every flaw of a body is told at once, by the place of its field; what can be sold, and by whom.

use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{a_world_with_cups, keyed, pointers, these};
use tests::world::{an_order, send};
use tests::{Answer, World};

async fn place_as_guest(world: &World, order: &Value) -> Answer {
    send(keyed(world.guest(Method::POST, "/api/v1/orders")).json(order)).await
}

#[tokio::test]
async fn every_bad_field_is_told_at_once_by_its_pointer() {
    let world = World::new().await;
    let order = json!({
        "customer": {"name": 7, "email": "nobody", "phone": "", "age": 36},
        "shipping_address": {"line2": ["x"], "country": "UK"},
        "currency": "POUNDS",
        "shipping_cost": {"amount": 3, "currency": "GBP", "vat": true},
        "gateway": "piggybank",
        "placed_at": "yesterday",
        "coupon/10~": "WELCOME",
        "items": [
            {"sku": "", "quantity": 0},
            {"sku": "cup", "quantity": 1_000_001, "unit_price": "4.50"},
            {"sku": "cup", "quantity": "1", "colour": "red"},
            {"sku": "cup", "quantity": 1.5, "name": "x".repeat(201)},
            "cup",
            {},
        ],
    });

    let answer = place_as_guest(&world, &order).await;

    assert_eq!(answer.problem(422), "invalid_fields");
    let expected = these(&[
        "/customer/name",
        "/customer/email",
        "/customer/phone",
        "/customer/age",
        "/shipping_address/line1",
        "/shipping_address/line2",
        "/shipping_address/country",
        "/currency",
        "/shipping_cost/amount",
        "/shipping_cost/vat",
        "/payment_method",
        "/gateway",
        "/placed_at",
        "/coupon~110~0",
        "/items/0/sku",
        "/items/0/quantity",
        "/items/1/quantity",
        "/items/1/unit_price",
        "/items/2/quantity",
        "/items/2/colour",
        "/items/3/quantity",
        "/items/3/name",
        "/items/4",
        "/items/5/sku",
        "/items/5/quantity",
    ]);
    assert_eq!(pointers(&answer), expected, "{}", answer.text);
    for (order, pointer) in [(json!([]), ""), (json!(null), ""), (json!("order"), "")] {
        let answer = place_as_guest(&world, &order).await;
        assert_eq!(answer.problem(422), "invalid_fields");
        assert_eq!(pointers(&answer), these(&[pointer]));
    }
}

#[tokio::test]
async fn the_bounds_themselves_are_taken() {
    let world = a_world_with_cups().await;
    let long = |chars: usize| "\u{e9}".repeat(chars);
    let order = json!({
        "customer": {
            "name": long(200),
            "email": format!("{}@{}.example", "a".repeat(64), "b.".repeat(90) + "c"),
            "phone": format!("+44 20 7946 0123{}", " ".repeat(24)),
        },
        "shipping_address": {
            "line1": long(200), "line2": long(200), "city": long(100), "postcode": long(20),
            "country": "GB",
        },
        "currency": "GBP",
        "payment_method": "cash",
        "shipping_cost": null,
        "items": [{"sku": "cup", "quantity": 1_000_000}],
    });
    let placed = place_as_guest(&world, &order).await.expect(201).json();
    assert_eq!(placed["total"]["amount"], "4500000.00");
    for (pointer, chars) in [
        ("/customer/name", 201),
        ("/customer/phone", 41),
        ("/shipping_address/line1", 201),
        ("/shipping_address/line2", 201),
        ("/shipping_address/city", 101),
        ("/shipping_address/postcode", 21),
    ] {
        let mut order = order.clone();
        *order.pointer_mut(pointer).unwrap() = long(chars).into();
        let answer = place_as_guest(&world, &order).await;
        assert_eq!(answer.problem(422), "invalid_fields");
        assert_eq!(pointers(&answer), these(&[pointer]));
    }
}

#[tokio::test]
async fn an_amount_has_the_decimals_of_its_currency_and_no_more() {
    let world = World::new().await;
    let describe = async |amount: Value, currency: &str| {
        let body = json!({
            "name": "Cup", "price": {"amount": amount, "currency": currency}, "active": true,
        });
        let path = format!("/api/v1/products/cup-{currency}");
        send(keyed(world.staff(Method::PUT, &path)).json(&body)).await
    };
    for (amount, currency) in [
        (json!("450.5"), "JPY"),
        (json!("450.0"), "JPY"),
        (json!("1.2345"), "KWD"),
        (json!("4.505"), "GBP"),
        (json!("4.500"), "GBP"),
        (json!("-4.50"), "GBP"),
        (json!("+4.50"), "GBP"),
        (json!("4,50"), "GBP"),
        (json!("4.5e1"), "GBP"),
        (json!(" 4.50"), "GBP"),
        (json!(".50"), "GBP"),
        (json!("4."), "GBP"),
        (json!(""), "GBP"),
        (json!("99999999999999999999"), "GBP"),
        (json!(4.5), "GBP"),
    ] {
        let answer = describe(amount.clone(), currency).await;
        assert_eq!(answer.problem(422), "invalid_fields", "{amount}");
        assert_eq!(pointers(&answer), these(&["/price/amount"]), "{amount}");
    }
    for (amount, currency, price, total) in [
        ("450", "JPY", "450", "1350"),
        ("1.234", "KWD", "1.234", "3.702"),
        ("4.5", "GBP", "4.50", "13.50"),
        ("4", "EUR", "4.00", "12.00"),
    ] {
        let described = describe(amount.into(), currency).await.expect(200).json();
        assert_eq!(described["price"], json!({"amount": price, "currency": currency}));
        let sku = format!("cup-{currency}");
        let mut order = an_order(&[(sku.as_str(), 3)]);
        order["currency"] = currency.into();
        let placed = place_as_guest(&world, &order).await.expect(201).json();
        assert_eq!(placed["total"], json!({"amount": total, "currency": currency}));
    }
}

#[tokio::test]
async fn prices_names_and_dates_are_given_by_staff_only() {
    let world = a_world_with_cups().await;
    let mut order = an_order(&[("cup", 2), ("ghost", 1)]);
    order["placed_at"] = "2010-12-01T10:26:00+02:00".into();
    order["items"][0]["unit_price"] = json!({"amount": "1.00", "currency": "GBP"});
    order["items"][1]["unit_price"] = json!({"amount": "2.55", "currency": "GBP"});
    order["items"][1]["name"] = "Long gone".into();

    let refused = place_as_guest(&world, &order).await;
    let placed = world.post("/api/v1/orders", order).await.expect(201);

    assert_eq!(refused.problem(403), "staff_only_fields");
    let expected = [
        "/placed_at",
        "/items/0/unit_price",
        "/items/1/unit_price",
        "/items/1/name",
    ];
    assert_eq!(pointers(&refused), these(&expected));
    assert_eq!(placed.json()["total"]["amount"], "4.55");
    world.settle().await;
    let order = world.get(&placed.header("location").unwrap()).await.json();
    assert_eq!(order["placed_at"], "2010-12-01T08:26:00Z");
    assert_eq!(order["items"][0]["name"], "The cup");
    assert_eq!(order["items"][1]["name"], "Long gone");
    assert_eq!(order["items"][1]["unit_price"]["amount"], "2.55");
}

#[tokio::test]
async fn what_cannot_be_sold_is_refused_line_by_line() {
    let world = a_world_with_cups().await;
    for (sku, currency, active) in [("old", "GBP", false), ("yen", "JPY", true)] {
        let body = json!({
            "name": sku, "price": {"amount": "9", "currency": currency}, "active": active,
        });
        let path = format!("/api/v1/products/{sku}");
        let put = keyed(world.staff(Method::PUT, &path)).json(&body);
        let _described = send(put).await.expect(200);
    }
    for (items, code, lines) in [
        (
            [("cup", 1), ("nope", 1), ("no", 1)],
            "unknown_product",
            &["/items/1/sku", "/items/2/sku"][..],
        ),
        ([("cup", 1), ("old", 1), ("cup", 1)], "product_inactive", &["/items/1/sku"]),
        ([("yen", 1), ("cup", 1), ("cup", 1)], "currency_mismatch", &["/items/0/sku"]),
    ] {
        let answer = place_as_guest(&world, &an_order(&items)).await;
        assert_eq!(answer.problem(422), code);
        assert_eq!(pointers(&answer), these(lines));
    }
    let unpriced = json!({
        "name": "Free", "price": {"amount": "0.00", "currency": "GBP"}, "active": true,
    });
    let put = keyed(world.staff(Method::PUT, "/api/v1/products/free")).json(&unpriced);
    assert_eq!(send(put).await.problem(422), "price_not_positive");
}
