//! What vendors see of stock, and everybody of vendors.

use reqwest::Method;
use serde_json::{Value, json};
use tests::people::asked;
use tests::telling::items;
use tests::world::{STAFF, World, send};

use super::selling::{Seller, pottery};

fn skus(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["sku"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_vendor_counts_their_own_articles_and_nobody_elses_exist() {
    let world = World::new().await;
    let potts = Seller::active(&world, "potts@example.org").await;
    let wedge = Seller::active(&world, "wedge@example.org").await;
    world.article("cup", "4.50", 10).await;
    wedge.stocked(&world, "pot", "6.00", 4).await;
    for (sku, stock) in [("bowl", 1), ("jug", 2), ("vase", 3)] {
        potts.stocked(&world, sku, "9.00", stock).await;
    }
    world.settle().await;

    let all = potts.get(&world, "/api/v1/inventory").await.expect(200);
    assert_eq!(all.header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(skus(&items(&all)), ["bowl", "jug", "vase"]);
    let first = potts
        .get(&world, "/api/v1/inventory?limit=2")
        .await
        .expect(200);
    assert_eq!(skus(&items(&first)), ["bowl", "jug"]);
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/inventory?limit=2&cursor={cursor}");
    assert_eq!(skus(&items(&potts.get(&world, &path).await)), ["vase"]);
    let table = world
        .guest(Method::GET, "/api/v1/inventory")
        .bearer_auth(&potts.token)
        .header("accept", "text/csv");
    let table = send(table).await.expect(200).text;
    let named: Vec<_> = table
        .lines()
        .map(|row| row.split(',').next().unwrap())
        .collect();
    assert_eq!(named, ["sku", "bowl", "jug", "vase"]);
    assert_eq!(items(&world.get("/api/v1/inventory").await).len(), 5);

    let one = potts
        .get(&world, "/api/v1/inventory/vase")
        .await
        .expect(200);
    assert_eq!(one.json()["on_hand"], 3);
    for others in ["cup", "pot", "nothing"] {
        let path = format!("/api/v1/inventory/{others}");
        assert_eq!(potts.get(&world, &path).await.problem(404), "not_found", "{others}");
    }
    let past = potts.get(&world, "/api/v1/inventory/vase?as_of=1").await;
    assert_eq!(past.problem(400), "invalid_parameters");
    let path = format!("/api/v1/vendors/{}/deactivate", potts.id);
    let _inactive = world
        .post(&path, json!({"reason": "away"}))
        .await
        .expect(200);
    assert_eq!(items(&potts.get(&world, "/api/v1/inventory").await.expect(200)).len(), 3);
}

#[tokio::test]
async fn everybody_sees_what_an_active_vendor_has_agreed_to_show() {
    let world = World::new().await;
    let potts = Seller::registered(&world, "potts@example.org").await;
    let path = format!("/api/v1/vendors/{}", potts.id);
    world.settle().await;
    let seen = async || asked(&world, None, &path).await;
    assert_eq!(seen().await.problem(404), "not_found", "not active yet");
    assert_eq!(potts.get(&world, &path).await.problem(404), "not_found");
    assert_eq!(world.get(&path).await.expect(200).json()["status"], "applied");

    let act = async |what: &str, body: Value| {
        let path = format!("{path}/{what}");
        world.post(&path, body).await.expect(200).position()
    };
    let at = async |position: i64| {
        let request = world.guest(Method::GET, &path);
        send(request.header("daybook-min-position", position)).await
    };
    let first = at(act("activate", json!({})).await).await.expect(200);
    assert_eq!(first.header("cache-control").as_deref(), Some("public, max-age=600"));
    assert_eq!(first.json(), json!({"id": potts.id, "business_name": "potts"}));
    let tag = first.header("etag").unwrap();
    let same = world
        .guest(Method::GET, &path)
        .header("if-none-match", &tag);
    let _same = send(same).await.expect(304);

    let mut profile = pottery("Potts & Daughter");
    profile["description"] = "Pots since 1760".into();
    profile["shows_place"] = true.into();
    let changed = potts.put(&world, "/api/v1/vendors/me", &profile).await;
    let shown = at(changed.expect(200).position()).await.expect(200);
    let expected = json!({
        "id": potts.id, "business_name": "Potts & Daughter", "description": "Pots since 1760",
        "place": {"city": "Stoke-on-Trent", "country": "GB"},
    });
    assert_eq!(shown.json(), expected);
    assert_ne!(shown.header("etag"), Some(tag));

    let whole = asked(&world, Some(STAFF), &path).await.expect(200);
    assert_eq!(whole.header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(whole.json()["address"]["line1"], "3 Kiln Lane");
    let gone = at(act("deactivate", json!({"reason": "sold fakes"})).await).await;
    assert_eq!(gone.problem(404), "not_found");
}
