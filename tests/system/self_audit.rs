//! The self-audit of a running shop: silent while all is well, and an alarm when it is not.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;
use tests::World;
use tests::telling::keyed;
use tests::world::{an_order, send, until};

use crate::vendors::selling::Seller;

async fn a_world_that_audits_itself() -> World {
    // Without a rest: harder than any shop would have it.
    let world = World::with(|settings| settings.self_audit = 100).await;
    world.article("cup", "4.50", 10_000).await;
    world.article("pot", "9.00", 10_000).await;
    world
}

async fn self_audit(world: &World) -> Value {
    world.get("/api/v1/self-audit").await.expect(200).json()
}

/// Waits until a round that begins after this has gone through all of history.
async fn a_whole_round(world: &World) -> Value {
    let rounds = self_audit(world).await["rounds"].as_i64().unwrap();
    until("a whole round of the self-audit", async || {
        let now = self_audit(world).await;
        (rounds + 2 <= now["rounds"].as_i64()?).then_some(now)
    })
    .await
}

#[tokio::test]
async fn nothing_is_found_while_orders_flow_and_what_is_changed_then_is_named() {
    let world = a_world_that_audits_itself().await;
    let place = async |lane: u32| {
        for quantity in 1..=15 {
            let order = an_order(&[("cup", quantity), ("pot", lane)]);
            let _placed = world.post("/api/v1/orders", order).await.expect(201);
        }
    };
    tokio::join!(place(1), place(2), place(3), place(4));
    world.settle().await;

    let clean = a_whole_round(&world).await;
    assert_eq!(clean["alarms_raised"], 0, "{clean}");
    assert_eq!(clean["differs_now"], json!([]), "{clean}");

    let change = "update read.order_progress set status = 'lost' \
                  where order_id = (select min(order_id::text)::uuid from read.order_progress)";
    world.pool.execute(change).await.unwrap();
    let found = until("an alarm", async || {
        let now = self_audit(&world).await;
        (now["alarms"] != json!([])).then_some(now)
    })
    .await;
    let alarm = &found["alarms"][0];
    assert_eq!(alarm["read_model"], "orders", "{found}");
    assert_eq!(alarm["table_name"], "order_progress");
    assert_eq!(alarm["fields"], json!(["status"]), "a field, and never what it holds");
    let field = &found["differs_now"][0]["fields"][0];
    assert_eq!(field["stored"], "lost", "{found}");
    assert!(field["folded"].is_string());
    // The same row does not raise another.
    assert_eq!(a_whole_round(&world).await["alarms_raised"], 1);
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains("daybook_self_audit_mismatches_total"), "{metrics}");

    // A rebuild mends the row; the alarm stays, for ever.
    let rebuild = "/api/v1/projections/orders/rebuild";
    let _started = world.post(rebuild, json!({})).await.expect(202);
    until("the row is mended", async || {
        let now = self_audit(&world).await;
        (now["differs_now"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(self_audit(&world).await["alarms_raised"], 1);
    let forgotten = world.pool.execute("delete from self_audit_alarms").await;
    assert!(forgotten.unwrap_err().to_string().contains("append-only"));
}

/// A row of each table that is not an order's, a payment's or a SKU's own.
const ALTERED: [(&str, &str, &str); 9] = [
    ("guests", "set orders = orders + 1", "orders"),
    ("settlement_days", "set captured_minor = captured_minor + 1", "captured_minor"),
    ("listings", "set title = 'Free cups'", "title"),
    ("listing_variants", "set place = place + 1", "place"),
    ("categories", "set name = 'Attic'", "name"),
    ("vendors", "set standing = 'inactive'", "standing"),
    ("promotions", "set used = used + 1", "used"),
    ("shipping_methods", "set active = not active", "active"),
    ("pickup_points", "set active = not active", "active"),
];

#[tokio::test]
async fn every_read_model_is_audited_and_a_row_of_any_raises_the_alarm() {
    let world = a_world_that_audits_itself().await;
    let seller = Seller::active(&world, "potts@example.org").await;
    seller.stocked(&world, "vase", "7.00", 10).await;
    let put = async |path: &str, body: Value| {
        let request = world.staff(Method::PUT, &format!("/api/v1{path}"));
        let _put = send(keyed(request).json(&body)).await.expect(200);
    };
    put("/categories/kitchen", json!({"name": "Kitchen"})).await;
    let variants = json!([{"sku": "cup", "options": []}]);
    put(
        "/listings/cups",
        json!({"title": "Cups", "category": "kitchen", "active": true, "variants": variants}),
    )
    .await;
    let kiosk = json!({
        "name": "Kiosk", "address": {"line1": "1 Quay", "country": "GB"}, "active": true,
    });
    put("/shipping/pickup-points/kiosk", kiosk).await;
    let collect = json!({
        "name": "Collect", "kind": "pickup_point", "pickup_points": ["kiosk"], "active": true,
        "rates": [{"currency": "GBP", "bands": [{"price": {"amount": "1.00", "currency": "GBP"}}]}],
    });
    put("/shipping/methods/collect", collect).await;
    put("/promotions/SPRING", json!({"name": "Spring", "percentage": "10"})).await;
    let mut order = an_order(&[("cup", 1), ("pot", 1)]);
    order["promotion_code"] = json!("SPRING");
    for order in [order, an_order(&[("vase", 2)])] {
        let _placed = world.post("/api/v1/orders", order).await.expect(201);
    }
    world.settle().await;

    let clean = a_whole_round(&world).await;
    assert_eq!(clean["alarms_raised"], 0, "{clean}");
    for name in projections::NAMES {
        let metric = format!("daybook_self_audit_rows_total{{read_model=\"{name}\"}} ");
        until(&format!("rows of {name} are counted"), async || {
            let metrics = world.get("/metrics").await.text;
            let rows = metrics.lines().find_map(|line| line.strip_prefix(&metric));
            rows.is_some_and(|rows| rows != "0").then_some(())
        })
        .await;
    }

    for (table, change, _) in ALTERED {
        let change = format!(
            "update read.{table} {change} where ctid = (select min(ctid) from read.{table})"
        );
        let altered = world.pool.execute(change.as_str()).await.unwrap();
        assert_eq!(altered.rows_affected(), 1, "{table} has a row");
    }
    let told = until("an alarm of each", async || {
        let now = self_audit(&world).await;
        let alarms = now["alarms"].as_array()?.clone();
        let tables: BTreeSet<_> = alarms
            .iter()
            .filter_map(|it| it["table_name"].as_str())
            .collect();
        ALTERED
            .iter()
            .all(|(table, ..)| tables.contains(table))
            .then_some(alarms)
    })
    .await;
    for (table, _, field) in ALTERED {
        let of = |alarm: &&Value| alarm["table_name"] == table && alarm["fields"] == json!([field]);
        assert!(told.iter().any(|alarm| of(&alarm)), "{table} {field}: {told:#?}");
    }
    let tables: BTreeSet<_> = told
        .iter()
        .map(|alarm| &alarm["table_name"])
        .map(Value::to_string)
        .collect();
    assert_eq!(tables.len(), ALTERED.len(), "and of nothing else: {told:#?}");
}

#[tokio::test]
async fn after_a_restart_it_goes_on_and_still_finds_nothing() {
    let mut world = a_world_that_audits_itself().await;
    let _first = a_whole_round(&world).await;
    world.restart().await;
    let again = a_whole_round(&world).await;
    assert_eq!(again["alarms_raised"], 0, "{again}");
}
