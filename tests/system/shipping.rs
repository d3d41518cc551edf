//! What vendors see of orders, and how the lines of an order leave.

use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::items;
use tests::world::{Answer, World, an_order, send};
use uuid::Uuid;

use crate::vendors::selling::Seller;

/// Potts sells vases, Wedge pots, and the house cups.
async fn a_market() -> (World, Seller, Seller) {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    let potts = Seller::active(&world, "potts@example.org").await;
    let wedge = Seller::active(&world, "wedge@example.org").await;
    potts.stocked(&world, "vase", "9.00", 100).await;
    wedge.stocked(&world, "pot", "6.00", 100).await;
    (world, potts, wedge)
}

/// An order of somebody for these articles, paid.
async fn paid(world: &World, articles: &[(&str, u32)]) -> String {
    let placed = world.post("/api/v1/orders", an_order(articles)).await;
    let id = placed.expect(201).json()["id"].as_str().unwrap().to_owned();
    let _order = world.order_when(&id, "confirmed").await;
    world.settle().await;
    id
}

async fn orders_of(world: &World, seller: &Seller) -> Vec<Value> {
    items(
        &seller
            .get(world, "/api/v1/vendors/me/orders")
            .await
            .expect(200),
    )
}

async fn ship(world: &World, seller: &Seller, order: &str, body: Value) -> Answer {
    seller
        .post(world, &format!("/api/v1/orders/{order}/shipments"), &body)
        .await
}

#[tokio::test]
async fn two_vendors_of_one_order_see_and_ship_their_own_lines_and_the_last_completes_it() {
    let (world, potts, wedge) = a_market().await;
    let id = paid(&world, &[("vase", 2), ("pot", 1), ("cup", 3), ("vase", 1)]).await;

    let theirs = orders_of(&world, &potts).await;
    let [order] = theirs.as_slice() else {
        panic!("{theirs:?}")
    };
    let lines: Vec<_> = order["items"].as_array().unwrap().iter().collect();
    let told = |line: &Value| {
        (line["line"].clone(), line["sku"].clone(), line["line_total"]["amount"].clone())
    };
    assert_eq!(
        lines.iter().map(|line| told(line)).collect::<Vec<_>>(),
        [
            (json!(1), json!("vase"), json!("18.00")),
            (json!(4), json!("vase"), json!("9.00"))
        ]
    );
    assert_eq!(
        (&order["subtotal"]["amount"], &order["shipped"]),
        (&json!("27.00"), &json!(false))
    );
    assert_eq!(order["ship_to"]["name"], "Ada Byron");
    assert_eq!(order["ship_to"]["address"]["line1"], "12 St James's Square");
    // What a vendor has no need of is not there.
    let text = order.to_string();
    for hidden in [
        "ada@example.com",
        "payment",
        "pot",
        "cup",
        "gateway",
        "total\":{\"amount\":\"46",
    ] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }

    for line in [2, 3, 5] {
        let refused = ship(&world, &potts, &id, json!({"lines": [1, line]})).await;
        assert_eq!(refused.problem(422), "no_such_line");
    }
    let body = json!({"lines": [1], "carrier": "Royal Mail", "tracking_number": "JD0002"});
    let shipped = ship(&world, &potts, &id, body.clone())
        .await
        .expect(200)
        .json();
    assert_eq!((&shipped["shipped"], &shipped["status"]), (&json!([1]), &json!("confirmed")));
    let again = ship(&world, &potts, &id, body).await.expect(200).json();
    assert_eq!((&again["shipped"], &again["version"]), (&json!([]), &shipped["version"]));

    let path = format!("/api/v1/orders/{id}");
    let early = world.post(&format!("{path}/complete"), json!({})).await;
    assert_eq!(early.problem(409), "order_not_shipped");
    let late = world
        .post(&format!("{path}/cancel"), json!({"reason": "changed my mind"}))
        .await;
    assert_eq!(late.problem(409), "order_already_shipped");

    let _rest = ship(&world, &potts, &id, json!({})).await.expect(200);
    let staff = world
        .post(&format!("{path}/shipments"), json!({"lines": [3]}))
        .await;
    assert_eq!(staff.expect(200).json()["status"], "confirmed");
    let last = ship(&world, &wedge, &id, json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!((&last["shipped"], &last["status"]), (&json!([2]), &json!("completed")));
    world.settle().await;
    assert_eq!(world.stock("vase").await, (97, 0), "its stock is issued");
    assert_eq!(world.stock("cup").await, (97, 0));

    let order = world.get(&path).await.expect(200).json();
    let shipments: Vec<&Value> = order["shipments"].as_array().unwrap().iter().collect();
    assert_eq!(
        shipments
            .iter()
            .map(|s| s["lines"].clone())
            .collect::<Vec<_>>(),
        [json!([1]), json!([4]), json!([3]), json!([2])]
    );
    assert_eq!(shipments[0]["tracking_number"], "JD0002");
    assert_eq!(order["items"][0]["vendor"], potts.id.as_str());
    assert_eq!(order["items"][2].get("vendor"), None);
    let timeline = world.get(&format!("{path}/timeline")).await.text;
    for sentence in [
        "line 1 shipped by their vendor with Royal Mail under JD0002",
        "line 3 shipped\"",
    ] {
        assert!(timeline.contains(sentence), "{sentence} in {timeline}");
    }
    let theirs = &orders_of(&world, &potts).await[0];
    assert_eq!((&theirs["shipped"], &theirs["status"]), (&json!(true), &json!("completed")));
    assert_eq!(theirs["items"][0]["shipped"]["carrier"], "Royal Mail");
    let open = potts
        .get(&world, "/api/v1/vendors/me/orders?shipped=false")
        .await;
    assert!(items(&open.expect(200)).is_empty());

    let report = projections::diffing::live(&world.pool, 10, |_, _| ())
        .await
        .unwrap();
    assert!(report.is_clean(), "{report}");
    world.verify().await;
}

#[tokio::test]
async fn an_order_without_a_line_of_theirs_does_not_exist_for_a_vendor() {
    let (world, potts, wedge) = a_market().await;
    let id = paid(&world, &[("pot", 1), ("cup", 1)]).await;
    assert!(orders_of(&world, &potts).await.is_empty());
    assert_eq!(ship(&world, &potts, &id, json!({})).await.problem(404), "not_found");
    let nothing = Uuid::now_v7().to_string();
    for seller in [&potts, &wedge] {
        assert_eq!(ship(&world, seller, &nothing, json!({})).await.problem(404), "not_found");
    }
    for path in [
        format!("/api/v1/orders/{id}"),
        format!("/api/v1/orders/{id}/timeline"),
    ] {
        assert_eq!(wedge.get(&world, &path).await.problem(404), "not_found", "not all of it");
    }
    let path = format!("/api/v1/orders/{id}/shipments");
    let key =
        |request: reqwest::RequestBuilder| request.header("idempotency-key", "k").json(&json!({}));
    let guest = send(key(world.guest(Method::POST, &path))).await;
    assert_eq!(guest.problem(401), "unauthenticated");
}

#[tokio::test]
async fn a_vendor_hears_of_an_order_when_it_is_paid_and_no_longer_where_it_goes_once_it_is_off() {
    let (world, potts, _) = a_market().await;
    let mut order = an_order(&[("vase", 1)]);
    order["payment_token"] = "silent".into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let waiting = placed["id"].as_str().unwrap();
    let _order = world.order_when(waiting, "processing").await;
    let id = paid(&world, &[("vase", 1)]).await;
    let theirs = orders_of(&world, &potts).await;
    assert_eq!(
        theirs
            .iter()
            .map(|order| order["id"].clone())
            .collect::<Vec<_>>(),
        [json!(id)]
    );
    let early = ship(&world, &potts, waiting, json!({})).await;
    assert_eq!(early.problem(409), "order_not_paid");

    let path = format!("/api/v1/orders/{id}/cancel");
    let _off = world
        .post(&path, json!({"reason": "changed my mind"}))
        .await
        .expect(200);
    world.settle().await;
    let theirs = &orders_of(&world, &potts).await[0];
    assert_eq!((&theirs["status"], theirs.get("ship_to")), (&json!("cancelled"), None));
    let late = ship(&world, &potts, &id, json!({})).await;
    assert_eq!(late.problem(409), "order_already_cancelled");
    for (query, count) in [("?status=cancelled", 1), ("?status=confirmed", 0)] {
        let listed = potts
            .get(&world, &format!("/api/v1/vendors/me/orders{query}"))
            .await;
        assert_eq!(items(&listed.expect(200)).len(), count, "{query}");
    }
}

#[tokio::test]
async fn what_is_refunded_is_not_shipped_and_the_rest_completes() {
    let (world, potts, wedge) = a_market().await;
    let id = paid(&world, &[("vase", 1), ("pot", 1)]).await;
    let path = format!("/api/v1/orders/{id}");
    let refund =
        json!({"reason": "broken", "items": [{"sku": "vase", "quantity": 1, "restock": true}]});
    let _refund = world
        .post(&format!("{path}/refunds"), refund)
        .await
        .expect(201);
    world.settle().await;
    assert_eq!(
        ship(&world, &potts, &id, json!({"lines": [1]}))
            .await
            .problem(409),
        "line_refunded"
    );
    assert_eq!(orders_of(&world, &potts).await[0]["items"][0]["refunded_quantity"], 1);
    let last = ship(&world, &wedge, &id, json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(last["status"], "completed");
    world.verify().await;
}

#[tokio::test]
async fn what_staff_price_by_hand_is_its_vendors_all_the_same() {
    let (world, potts, _) = a_market().await;
    let mut order = an_order(&[("vase", 1)]);
    order["items"][0]["name"] = "Chipped vase".into();
    order["items"][0]["unit_price"] = json!({"amount": "1.00", "currency": "GBP"});
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let _order = world
        .order_when(placed["id"].as_str().unwrap(), "confirmed")
        .await;
    world.settle().await;
    let theirs = orders_of(&world, &potts).await;
    assert_eq!(theirs[0]["items"][0]["name"], "Chipped vase");
}

#[tokio::test]
async fn sales_by_vendor_add_up_to_the_others_and_refunds_are_the_vendors() {
    let (world, potts, wedge) = a_market().await;
    let id = paid(&world, &[("vase", 2), ("pot", 1), ("cup", 1), ("vase", 1)]).await;
    let _other = paid(&world, &[("cup", 2)]).await;
    let before = world.get("/api/v1/orders").await.expect(200).position();
    let refund =
        json!({"reason": "broken", "items": [{"sku": "vase", "quantity": 1, "restock": false}]});
    let _refund = world
        .post(&format!("/api/v1/orders/{id}/refunds"), refund)
        .await
        .expect(201);
    world.settle().await;
    let report = async |query: &str| {
        items(
            &world
                .get(&format!("/api/v1/reports/sales?{query}"))
                .await
                .expect(200),
        )
    };
    let row = |rows: &[Value], key: &str| {
        let row = rows.iter().find(|row| row["key"] == key).unwrap().clone();
        (row["orders"].clone(), row["units"].clone(), row["net"]["amount"].clone())
    };
    for query in ["group_by=vendor", "group_by=vendor&as_of=100000"] {
        let query =
            query.replace("100000", &world.get("/api/v1/orders").await.position().to_string());
        let rows = report(&query).await;
        assert_eq!(rows.len(), 3, "{rows:?}");
        assert_eq!(row(&rows, &potts.id), (json!(1), json!(3), json!("18.00")), "{query}");
        assert_eq!(row(&rows, &wedge.id), (json!(1), json!(1), json!("6.00")), "{query}");
        assert_eq!(row(&rows, "house"), (json!(2), json!(3), json!("13.50")), "{query}");
    }
    let earlier = report(&format!("group_by=vendor&as_of={before}")).await;
    assert_eq!(row(&earlier, &potts.id), (json!(1), json!(3), json!("27.00")));
    let changed = report(&format!("group_by=vendor&diff_from={before}")).await;
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["key"], potts.id.as_str());
    // The contract of the others is what it was.
    let all = &report("group_by=currency").await[0];
    assert_eq!((&all["orders"], &all["net"]["amount"]), (&json!(2), &json!("37.50")));
    let report = projections::diffing::live(&world.pool, 10, |_, _| ())
        .await
        .unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_piece_that_goes_back_is_kept_back_once_however_many_lines_hold_its_article() {
    let (world, potts, _) = a_market().await;
    let id = paid(&world, &[("vase", 2), ("vase", 1)]).await;
    let refund =
        json!({"reason": "broken", "items": [{"sku": "vase", "quantity": 1, "restock": true}]});
    let _refund = world
        .post(&format!("/api/v1/orders/{id}/refunds"), refund)
        .await
        .expect(201);
    world.settle().await;
    let order = &orders_of(&world, &potts).await[0];
    let kept_back: Vec<u64> = order["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["refunded_quantity"].as_u64().unwrap())
        .collect();
    assert_eq!(kept_back, [1, 0]);
}

#[tokio::test]
async fn what_has_left_is_not_on_hand_again_though_all_of_the_order_is_refunded() {
    let (world, potts, _) = a_market().await;
    let id = paid(&world, &[("vase", 2), ("pot", 1), ("cup", 3), ("vase", 1)]).await;
    let _shipped = ship(&world, &potts, &id, json!({"lines": [1]}))
        .await
        .expect(200);
    let refund = json!({"reason": "not wanted"});
    let path = format!("/api/v1/orders/{id}/refunds");
    let _asked = world.post(&path, refund).await.expect(201);
    let _refunded = world.order_when(&id, "refunded").await;
    world.settle().await;

    let stock = async |sku: &str| {
        let level = world
            .get(&format!("/api/v1/inventory/{sku}"))
            .await
            .expect(200)
            .json();
        (level["on_hand"].clone(), level["reserved"].clone())
    };
    assert_eq!(stock("vase").await, (json!(98), json!(0)), "two vases are on their way");
    for kept in ["pot", "cup"] {
        assert_eq!(stock(kept).await, (json!(100), json!(0)), "{kept}");
    }
    let parked = items(&world.get("/api/v1/parked-facts").await.expect(200));
    let called = parked
        .iter()
        .any(|fact| fact["reason"].to_string().contains("lines 1 had left"));
    assert!(called, "{parked:?}");

    // What comes back is received like any other goods.
    let body = json!({"quantity": 2, "reference": format!("returned of {id}")});
    let _back = potts
        .post(&world, "/api/v1/inventory/vase/receipts", &body)
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(stock("vase").await, (json!(100), json!(0)));
    world.verify().await;
    let report = projections::diffing::live(&world.pool, 10, |_, _| ())
        .await
        .unwrap();
    assert!(report.is_clean(), "{report}");
}
