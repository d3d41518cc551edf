//! Read models taken away: every table in every format, as of one position.

use std::fs;
use std::path::Path;

use projections::rows::TABLES;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::command::{daybook, ran};
use tests::telling::{a_world_with_cups, id_in, keyed};
use tests::world::{STAFF, an_order, send};

use crate::vendors::selling::Seller;

const PROGRAM: &str = env!("CARGO_BIN_EXE_daybook-under-test");
async fn exported(name: &str, format: &str, out: &Path, source: &[&str]) -> String {
    let out = out.display().to_string();
    let words = [
        "export",
        "--read-model",
        name,
        "--format",
        format,
        "--out",
        &out,
    ];
    let ran = ran(daybook(PROGRAM, &[&words[..], source].concat())).await;
    assert!(ran.is_well, "{name}: {ran:?}");
    ran.told
}

async fn rows(world: &World, name: &str) -> (i64, Vec<Value>) {
    let answer = world
        .get(&format!("/api/v1/projections/{name}/rows"))
        .await
        .expect(200);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/x-ndjson"));
    let rows = answer.text.lines();
    let rows = rows.map(|line| serde_json::from_str(line).unwrap());
    (answer.position(), rows.collect())
}

#[tokio::test]
async fn every_table_is_taken_away_in_every_format_with_its_position() {
    let world = a_world_with_cups().await;
    for quantity in 1..=3 {
        let placed = world
            .post("/api/v1/orders", an_order(&[("cup", quantity)]))
            .await;
        let id = placed.expect(201).json()["id"].as_str().unwrap().to_owned();
        world.order_when(&id, "confirmed").await;
    }
    let seller = Seller::active(&world, "potts@example.org").await;
    seller.stocked(&world, "pot", "9.00", 10).await;
    let pot = world.post("/api/v1/orders", an_order(&[("pot", 1)])).await;
    world
        .order_when(&id_in(&pot.expect(201)), "confirmed")
        .await;
    let guest = keyed(world.guest(Method::POST, "/api/v1/orders"));
    let guest = send(guest.json(&an_order(&[("cup", 1)]))).await;
    world
        .order_when(&id_in(&guest.expect(201)), "confirmed")
        .await;
    for (path, body) in [
        ("categories/kitchen", json!({"name": "Kitchen"})),
        ("promotions/SPRING", json!({"name": "Spring sale", "percentage": "10"})),
        (
            "shipping/pickup-points/kiosk",
            json!({"name": "Kiosk", "address": {"line1": "1 Quay", "country": "GB"}}),
        ),
        (
            "shipping/methods/collect",
            json!({
                "name": "Collect", "kind": "pickup_point", "pickup_points": ["kiosk"],
                "rates": [{
                    "currency": "GBP",
                    "bands": [{"price": {"amount": "1.00", "currency": "GBP"}}],
                }],
            }),
        ),
        (
            "listings/tea-cup",
            json!({
                "title": "Tea cup", "description": "For tea.", "images": [], "tags": ["gift"],
                "category": "kitchen", "active": true,
                "variants": [{"sku": "cup", "options": [{"name": "size", "value": "S"}]}],
            }),
        ),
    ] {
        let put = keyed(world.staff(Method::PUT, &format!("/api/v1/{path}")));
        let _there = send(put.json(&body)).await.expect(200);
    }
    world.settle().await;
    let head = store::log::head(&world.pool).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = ["--url", &world.url, "--token", STAFF];
    let database = ["--database-url", &world.settings.database_url];
    for name in TABLES.iter().map(|table| table.name) {
        let (position, rows) = rows(&world, name).await;
        assert_eq!(position, head, "{name}");
        assert!(!rows.is_empty(), "{name}");
        for format in ["ndjson", "csv", "parquet"] {
            let [one, other] =
                ["one", "other"].map(|of| folder.path().join(format!("{name}.{of}.{format}")));
            let told = exported(name, format, &one, &server).await;
            assert!(told.contains(&format!("as of position {head}")), "{told}");
            let _told = exported(name, format, &other, &database).await;
            assert_eq!(fs::read(&one).unwrap(), fs::read(&other).unwrap(), "{name} {format}");
        }
        let path = folder.path().join(format!("{name}.one.ndjson"));
        let text = fs::read_to_string(path).unwrap();
        let written: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(written, rows, "{name}");
    }
    let (_, stock) = rows(&world, "stock").await;
    assert_eq!((&stock[0]["on_hand"], &stock[0]["reserved"]), (&json!(1_000), &json!(7)));
    let (_, orders) = rows(&world, "orders").await;
    let totals: Vec<i64> = orders
        .iter()
        .map(|order| order["total_minor"].as_i64().unwrap())
        .collect();
    assert_eq!(totals, [450, 900, 1_350, 900, 450], "in the order in which they were placed");
    assert_eq!(orders[2]["lines"][0]["quantity"], 3);
    let (_, payments) = rows(&world, "payments").await;
    assert_eq!(payments[0]["captured_minor"], 450);
    let (_, sales) = rows(&world, "sales").await;
    assert_eq!((&sales[0]["units"], &sales[0]["net_minor"]), (&json!(8), &json!(4_050)));
    let csv = world.staff(Method::GET, "/api/v1/projections/products/rows");
    let csv = send(csv.header("accept", "text/csv")).await.expect(200);
    let head = "sku,name,price_minor,currency,active,version,updated_at,vendor_id,weight_grams\ncup,The cup,450,GBP,true,1,";
    assert!(csv.text.starts_with(head), "{}", csv.text);
}

#[tokio::test]
async fn a_read_model_is_exported_whole_or_refused() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("x.csv").display().to_string();
    let words = [
        "export", "--format", "csv", "--out", &out, "--url", &world.url,
    ];
    for (more, complaint) in [
        (&["--read-model", "orders", "--from", "3"][..], "leave out --from"),
        (&["--read-model", "baskets"], "customer_orders"),
    ] {
        let ran = ran(daybook(PROGRAM, &[&words[..], more].concat())).await;
        assert!(!ran.is_well && ran.complained.contains(complaint), "{ran:?}");
    }
    let unknown = world.get("/api/v1/projections/baskets/rows").await;
    assert_eq!(unknown.problem(404), "not_found");
    let odd = world.get("/api/v1/projections/orders/rows?limit=3").await;
    assert_eq!(odd.problem(400), "invalid_parameters");
}
