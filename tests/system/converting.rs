//! Prices in several currencies, and prices converted: from a file of rates to an order that is paid
//! and refunded in a currency that its product knows nothing of.

use chrono::{NaiveDate, TimeDelta, Utc};
use client::Connection;
use client::rates::{LoadArgs, Report};
use reqwest::Method;
use serde_json::{Value, json};
use tests::world::{STAFF, an_order, send, until};
use tests::{Answer, World};
use uuid::Uuid;

fn days_ago(days: i64) -> NaiveDate {
    Utc::now().date_naive() - TimeDelta::days(days)
}

fn money(amount: &str, currency: &str) -> Value {
    json!({"amount": amount, "currency": currency})
}

async fn load(world: &World, date: NaiveDate, rates: &[(&str, &str)]) -> Answer {
    let rates: Vec<Value> = rates
        .iter()
        .map(|(currency, per_eur)| json!({"currency": currency, "per_eur": per_eur}))
        .collect();
    let put = world.staff(Method::PUT, &format!("/api/v1/exchange-rates/{date}"));
    send(put.json(&json!({"source": "ECB", "rates": rates}))).await
}

async fn describe(world: &World, sku: &str, price: Value, prices: Value) -> Answer {
    let body =
        json!({"name": format!("The {sku}"), "price": price, "active": true, "prices": prices});
    let put = world.staff(Method::PUT, &format!("/api/v1/products/{sku}"));
    let put = put.header("idempotency-key", Uuid::now_v7().to_string());
    send(put.json(&body)).await
}

/// A shop that sells cups for EUR 10.00, and for JPY 1500.
async fn a_shop() -> World {
    let world = World::new().await;
    let prices = json!([money("1500", "JPY")]);
    let described = describe(&world, "cup", money("10.00", "EUR"), prices)
        .await
        .expect(200);
    assert_eq!(described.json()["prices"], json!([money("1500", "JPY")]));
    let stock = json!({"quantity": 100, "reference": "opening stock"});
    let _stock = world
        .post("/api/v1/inventory/cup/receipts", stock)
        .await
        .expect(200);
    world
}

async fn order(world: &World, currency: &str) -> Answer {
    let mut order = an_order(&[("cup", 3)]);
    order["currency"] = currency.into();
    world.post("/api/v1/orders", order).await
}

async fn item_of(world: &World, placed: &Answer) -> Value {
    let id = placed.json()["id"].as_str().unwrap().to_owned();
    world.order_when(&id, "confirmed").await["items"][0].clone()
}

#[tokio::test]
async fn a_price_in_the_orders_currency_is_taken_and_shown() {
    let world = a_shop().await;
    let placed = order(&world, "JPY").await.expect(201);
    let item = item_of(&world, &placed).await;
    assert_eq!(item["unit_price"], money("1500", "JPY"));
    assert_eq!(item.get("converted_from"), None);
    world.settle().await;
    let product = world.get("/api/v1/products/cup").await.expect(200).json();
    assert_eq!(product["price"], money("10.00", "EUR"));
    assert_eq!(product["prices"], json!([money("1500", "JPY")]));

    for (prices, code) in [
        (json!([money("0", "JPY")]), "price_not_positive"),
        (json!([money("9.00", "EUR")]), "two_prices"),
        (json!([money("1", "JPY"), money("2", "JPY")]), "two_prices"),
    ] {
        let refused = describe(&world, "cup", money("10.00", "EUR"), prices).await;
        assert_eq!(refused.problem(422), code);
    }
    let too_exact = json!([money("1.5", "JPY")]);
    let refused = describe(&world, "cup", money("10.00", "EUR"), too_exact).await;
    assert_eq!(refused.json()["errors"][0]["pointer"], "/prices/0/amount", "{}", refused.text);
    // What a view shows may be sent back, also where it is nothing.
    let none = describe(&world, "cup", money("10.00", "EUR"), json!([]))
        .await
        .expect(200);
    assert_eq!(none.json()["prices"], json!([]));
}

#[tokio::test]
async fn an_order_is_converted_paid_and_refunded_in_a_currency_that_its_product_does_not_have() {
    let world = a_shop().await;
    let _loaded = load(&world, days_ago(0), &[("USD", "1.08335"), ("KWD", "0.3324")])
        .await
        .expect(200);

    // 10.00 × 1.08335 = 10.8335, so 10.83 for a piece and 32.49 for three of them.
    let placed = order(&world, "USD").await.expect(201);
    assert_eq!(placed.json()["total"], money("32.49", "USD"));
    let order_id = placed.json()["id"].as_str().unwrap().to_owned();
    let shown = world.order_when(&order_id, "confirmed").await;
    assert_eq!(shown["captured"], money("32.49", "USD"));
    assert_eq!(shown["items"][0]["unit_price"], money("10.83", "USD"));
    let rate = json!({
        "currency": "USD", "per_eur": "1.08335", "date": days_ago(0), "source": "ECB",
    });
    let converted = json!({"unit_price": money("10.00", "EUR"), "rates": [rate]});
    assert_eq!(shown["items"][0]["converted_from"], converted);

    // The rate is frozen: another one changes neither the order nor what goes back.
    let _changed = load(&world, days_ago(0), &[("USD", "2")]).await.expect(200);
    let one =
        json!({"reason": "a chip", "items": [{"sku": "cup", "quantity": 1, "restock": false}]});
    let path = format!("/api/v1/orders/{order_id}/refunds");
    let refund = world.post(&path, one).await.expect(201).json();
    assert_eq!(refund["amount"], money("10.83", "USD"));
    until("it has gone back", async || {
        let order = world
            .get(&format!("/api/v1/orders/{order_id}"))
            .await
            .json();
        (order["refunded"] == money("10.83", "USD")).then_some(())
    })
    .await;
    let dearer = order(&world, "USD").await.expect(201).json();
    assert_eq!(dearer["total"], money("60.00", "USD"));

    world.settle().await;
    let timeline = world
        .get(&format!("/api/v1/orders/{order_id}/timeline"))
        .await
        .expect(200)
        .json();
    let told = timeline["items"][0]["summary"].as_str().unwrap();
    let expected = format!(
        "1 line ordered for USD 32.49, 1 of them converted at USD 1.08335 to the euro of {} (ECB)",
        days_ago(0)
    );
    assert_eq!(told, expected);
    let stored = &timeline["items"][0]["data"]["lines"][0]["converted_from"];
    assert_eq!(stored["to"]["per_eur"], "1.08335", "exact, as text");
    world.verify().await;
}

#[tokio::test]
async fn without_rates_nothing_is_converted_and_what_would_help_is_said() {
    let world = a_shop().await;
    let refused = order(&world, "USD").await;
    assert_eq!(refused.problem(422), "currency_mismatch");
    let why = refused.json()["errors"][0]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(why.contains("`prices`") && why.contains("PUT /exchange-rates/{date}"), "{why}");

    // Five days are no age for a rate, six are.
    let _old = load(&world, days_ago(6), &[("USD", "1.07")])
        .await
        .expect(200);
    let stale = order(&world, "USD").await;
    assert_eq!(stale.problem(422), "no_exchange_rate");
    let why = stale.json()["errors"][0]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    for part in ["EUR", "USD", &days_ago(6).to_string(), "more than 5 days"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let missing = order(&world, "KWD").await;
    assert_eq!(missing.problem(422), "no_exchange_rate");
    let _newer = load(&world, days_ago(5), &[("USD", "1.08")])
        .await
        .expect(200);
    let placed = order(&world, "USD").await.expect(201).json();
    assert_eq!(placed["total"], money("32.40", "USD"));
    // One of tomorrow is known today, and counts tomorrow.
    let _ahead = load(&world, days_ago(-2), &[("USD", "3")])
        .await
        .expect(200);
    let placed = order(&world, "USD").await.expect(201).json();
    assert_eq!(placed["total"], money("32.40", "USD"));

    // What staff say is what it costs.
    let mut by_staff = an_order(&[("cup", 1)]);
    by_staff["currency"] = "USD".into();
    by_staff["items"][0]["unit_price"] = money("7.77", "USD");
    let placed = world.post("/api/v1/orders", by_staff).await.expect(201);
    let item = item_of(&world, &placed).await;
    assert_eq!((&item["unit_price"], item.get("converted_from")), (&money("7.77", "USD"), None));
}

#[tokio::test]
async fn rates_are_loaded_by_administrators_and_shown_as_of_a_day() {
    let world = World::new().await;
    let first = load(&world, days_ago(3), &[("USD", "1.07"), ("JPY", "164.35")])
        .await
        .expect(200);
    assert_eq!((&first.json()["changed"], &first.json()["unchanged"]), (&json!(2), &json!(0)));
    let again = load(&world, days_ago(3), &[("JPY", "164.35"), ("USD", "1.070")])
        .await
        .expect(200);
    assert_eq!((&again.json()["changed"], &again.json()["unchanged"]), (&json!(0), &json!(2)));
    let _next = load(&world, days_ago(1), &[("USD", "1.0800")])
        .await
        .expect(200);

    let shown = async |date: NaiveDate| {
        let path = format!("/api/v1/exchange-rates?date={date}");
        let rates = world.get(&path).await.expect(200).json();
        let rates = rates["items"].as_array().unwrap().clone();
        let text = |rate: &Value, name: &str| rate[name].as_str().unwrap().to_owned();
        rates
            .iter()
            .map(|rate| {
                assert_eq!(rate["loaded_by"], "staff");
                (text(rate, "currency"), text(rate, "per_eur"), rate["counts"] == true)
            })
            .collect::<Vec<_>>()
    };
    let of = |code: &str, per_eur: &str, counts| (code.to_owned(), per_eur.to_owned(), counts);
    assert_eq!(shown(days_ago(4)).await, []);
    assert_eq!(shown(days_ago(2)).await, [of("JPY", "164.35", true), of("USD", "1.07", true)]);
    let today = [of("JPY", "164.35", true), of("USD", "1.0800", true)];
    assert_eq!(shown(days_ago(0)).await, today, "as exact as it was given");
    let ahead = [of("JPY", "164.35", false), of("USD", "1.0800", true)];
    assert_eq!(shown(days_ago(-4)).await, ahead);

    let guest = world.guest(Method::PUT, "/api/v1/exchange-rates/2026-01-02");
    let guest = send(guest.json(&json!({"source": "me", "rates": []}))).await;
    assert_eq!(guest.problem(401), "unauthenticated");
    for date in ["soon", "2026-02-30", "1998-12-31", "9999-12-31"] {
        let put = world.staff(Method::PUT, &format!("/api/v1/exchange-rates/{date}"));
        let rates = json!({"source": "ECB", "rates": [{"currency": "USD", "per_eur": "1"}]});
        assert_eq!(send(put.json(&rates)).await.problem(400), "invalid_parameters", "{date}");
    }
    let refused = load(&world, days_ago(0), &[("EUR", "1"), ("USD", "0"), ("GBP", "1e9")]).await;
    assert_eq!(refused.problem(422), "invalid_fields");
    assert_eq!(refused.json()["errors"].as_array().unwrap().len(), 3);
    assert_eq!(shown(days_ago(0)).await, today, "nothing of it is loaded");
}

#[tokio::test]
async fn what_one_process_loads_the_other_converts_by() {
    let one = a_shop().await;
    let (database_url, stream) = (one.settings.database_url.clone(), one.settings.stream.clone());
    let other = World::with(|settings| {
        settings.database_url = database_url;
        settings.stream = stream;
    })
    .await;
    assert_eq!(order(&other, "USD").await.problem(422), "currency_mismatch");

    let _loaded = load(&one, days_ago(0), &[("USD", "1.08")])
        .await
        .expect(200);
    // At once where it was loaded.
    let placed = order(&one, "USD").await.expect(201).json();
    assert_eq!(placed["total"], money("32.40", "USD"));
    until("the other has heard of it", async || {
        order(&other, "USD").await.status.is_success().then_some(())
    })
    .await;
}

/// As `daybook rates load` does it.
async fn from_file(world: &World, text: &str) -> Result<Report, client::Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rates");
    std::fs::write(&file, text).unwrap();
    let connection = Connection {
        url: world.url.clone(),
        token: Some(STAFF.to_owned()),
        data_dir: folder.path().to_owned(),
    };
    client::rates::load(&LoadArgs { file, source: "ECB".to_owned(), connection }).await
}

#[tokio::test]
async fn files_of_the_ecb_are_loaded_and_what_is_wrong_with_them_is_told_by_line() {
    let world = a_shop().await;
    let (today, yesterday) = (days_ago(0), days_ago(1));
    let daily = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <gesmes:Envelope xmlns:gesmes=\"http://www.gesmes.org/xml/2002-08-01\" \
         xmlns=\"http://www.ecb.int/vocabulary/2002-08-01/eurofxref\">\n<Cube>\n\
         <Cube time='{today}'>\n<Cube currency='USD' rate='1.0834'/>\n\
         <Cube currency='GBP' rate='0.8412'/>\n</Cube>\n</Cube>\n</gesmes:Envelope>"
    );
    let report = from_file(&world, &daily).await.unwrap();
    assert_eq!((report.days, report.changed, report.unchanged), (1, 2, 0));
    let again = from_file(&world, &daily).await.unwrap();
    assert_eq!((again.changed, again.unchanged, again.unread), (0, 2, vec![]));
    let placed = order(&world, "GBP").await.expect(201).json();
    assert_eq!(placed["total"], money("25.23", "GBP"));

    // A history: a currency that is no more, one that was not quoted, and garbage.
    let history = format!(
        "Date,USD,JPY,ZZZ,GBP,\n{today},1.0834,164.35,1.23,0.8412,\n{yesterday},1.08,N/A,1.22,lots,\n\
         soon,1,1,1,1,\n"
    );
    let report = from_file(&world, &history).await.unwrap();
    assert_eq!((report.days, report.changed, report.unchanged), (2, 2, 2), "{report:?}");
    assert_eq!(report.past, ["ZZZ"]);
    let lines: Vec<usize> = report.unread.iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 4], "{report:?}");
    assert!(report.unread[0].what.contains("GBP lots"), "{report:?}");

    let cbn = json!({
        "date": today, "source": "CBN", "rates": [{"currency": "NGN", "per_eur": "1650.50"}],
    });
    let report = from_file(&world, &cbn.to_string()).await.unwrap();
    assert_eq!((report.changed, report.unread), (1, vec![]));
    let placed = order(&world, "NGN").await.expect(201);
    let item = item_of(&world, &placed).await;
    assert_eq!(item["converted_from"]["rates"][0]["source"], "CBN");

    let nothing = from_file(&world, "<html></html>")
        .await
        .unwrap_err()
        .to_string();
    assert!(nothing.contains("holds no exchange rates"), "{nothing}");
}
