//! A rebuilt read model equals the live one.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Command;

use serde_json::json;
use tests::World;
use tests::command::daybook;
use tests::world::{STAFF, an_order, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_daybook-under-test");

/// What every query shows, as text.
async fn everything(world: &World) -> Vec<String> {
    world.settle().await;
    let mut shown = Vec::new();
    for path in [
        "/api/v1/orders?limit=100",
        "/api/v1/payments?limit=100",
        "/api/v1/products?limit=100",
        "/api/v1/inventory?limit=100",
        "/api/v1/reports/sales?group_by=sku",
        "/api/v1/reports/sales?group_by=day",
        "/api/v1/reports/sales?group_by=country",
    ] {
        shown.push(world.get(path).await.expect(200).text);
    }
    let orders = world.get("/api/v1/orders?limit=100").await.json();
    for order in orders["items"].as_array().unwrap() {
        let path = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
        shown.push(world.get(&path).await.expect(200).text);
        shown.push(
            world
                .get(&format!("{path}/timeline"))
                .await
                .expect(200)
                .text,
        );
    }
    shown
}

#[tokio::test]
async fn every_read_model_is_rebuilt_to_what_it_was() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    world.article("pot", "9.00", 3).await;
    for quantity in 1..=5 {
        let order = an_order(&[("cup", quantity), ("pot", 1)]);
        let _placed = world.post("/api/v1/orders", order).await.expect(201);
    }
    world.settle().await;
    let live = everything(&world).await;

    for name in projections::NAMES {
        let path = format!("/api/v1/projections/{name}/rebuild");
        let started = world.post(&path, json!({})).await;
        assert!(started.status.is_success(), "{}", started.text);
        until(&format!("{name} is rebuilt"), async || {
            let projections = world.get("/api/v1/projections").await.json();
            let items = projections["items"].as_array()?.clone();
            let status = items.iter().find(|item| item["name"] == name)?.clone();
            assert_ne!(status["rebuild"]["state"], "failed", "{status}");
            (status["rebuild"]["state"] == "done").then_some(())
        })
        .await;
    }

    assert_eq!(everything(&world).await, live);
}

#[tokio::test]
async fn nobody_rebuilds_what_does_not_exist() {
    let world = World::new().await;
    let refused = world
        .post("/api/v1/projections/nothing/rebuild", json!({}))
        .await;
    assert_eq!(refused.status.as_u16(), 404);
    assert!(refused.text.contains("sales"), "it names what there is: {}", refused.text);
}

/// How a read model is, in the list of all.
async fn status(world: &World, name: &str) -> serde_json::Value {
    let projections = world.get("/api/v1/projections").await.expect(200).json();
    let items = projections["items"].as_array().unwrap().clone();
    items.into_iter().find(|item| item["name"] == name).unwrap()
}

#[tokio::test]
async fn the_past_is_filled_into_tables_of_its_own_and_dropped_again() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    world.settle().await;
    let then: i64 = sqlx::query_scalar("select position from log_head")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let received = json!({"quantity": 23, "reference": "delivery 2"});
    let received = world.post("/api/v1/inventory/cup/receipts", received).await;
    assert!(received.status.is_success());
    world.settle().await;

    let path = "/api/v1/projections/stock/rebuild";
    let at = |until: serde_json::Value| json!({"until": until});
    let started = world.post(path, at(then.into())).await.expect(202).json();
    assert_eq!(started["schema"], "replay_stock");
    let replay = until("the replay is there", async || {
        let status = status(&world, "stock").await;
        assert_ne!(status["rebuild"]["state"], "failed", "{status}");
        status["replay"]
            .is_object()
            .then(|| status["replay"].clone())
    })
    .await;
    assert_eq!((&replay["schema"], &replay["position"]), (&"replay_stock".into(), &then.into()));
    let on_hand: i64 = sqlx::query_scalar("select on_hand from replay_stock.stock")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!((on_hand, world.stock("cup").await.0), (100, 123), "then and now");

    for (wish, status) in [
        (json!(1_000_000), 422),
        (json!("2001-01-01T00:00:00Z"), 422),
        (json!("yesterday"), 422),
        (json!(0), 422),
        (json!(1.5), 422),
    ] {
        let refused = world.post(path, at(wish.clone())).await;
        assert_eq!(refused.status.as_u16(), status, "{wish}: {}", refused.text);
    }
    let drop = |key: &'static str| {
        let request = world.staff(reqwest::Method::DELETE, "/api/v1/projections/stock/replay");
        tests::world::send(request.header("idempotency-key", key))
    };
    let _gone = drop("one").await.expect(200);
    let again = drop("one").await.expect(200);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(drop("two").await.problem(404), "not_found");
    assert!(status(&world, "stock").await.get("replay").is_none());
}

#[tokio::test]
async fn a_rebuild_is_paused_resumed_and_cancelled_over_http() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    world.settle().await;
    let step = async |step: &str| {
        let path = format!("/api/v1/projections/sales/rebuild{step}");
        world.post(&path, json!({})).await
    };
    assert_eq!(step("/pause").await.problem(409), "not_rebuilding");
    let nothing = world
        .post("/api/v1/projections/nothing/rebuild/cancel", json!({}))
        .await;
    assert_eq!(nothing.problem(404), "not_found");

    // Held up where it is about to make its tables, so that it is surely still running.
    let mut holding = world.pool.begin().await.unwrap();
    let hold = "insert into rebuild.marks values ('sales', 0, 0)";
    sqlx::query(hold).execute(&mut *holding).await.unwrap();
    let _running = step("").await.expect(202);
    assert_eq!(step("").await.problem(409), "already_rebuilding");
    for (wish, state) in [
        ("/pause", "pausing"),
        ("/resume", "resuming"),
        ("/cancel", "cancelling"),
    ] {
        assert_eq!(step(wish).await.expect(202).json()["state"], state);
    }
    let _gone = step("/pause").await.expect(202);
    let _gone = step("/cancel").await.expect(202);
    holding.rollback().await.unwrap();

    let rebuild = until("it is over", async || {
        let rebuild = status(&world, "sales").await["rebuild"].clone();
        assert_ne!(rebuild["state"], "done", "{rebuild}");
        (rebuild["state"] == "cancelled").then_some(rebuild)
    })
    .await;
    assert!(rebuild["events_per_second"].is_i64(), "{rebuild}");
}

#[tokio::test]
async fn whoever_stops_watching_a_rebuild_is_told_that_it_goes_on() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    world.settle().await;
    let mut holding = world.pool.begin().await.unwrap();
    let hold = "insert into rebuild.marks values ('sales', 0, 0)";
    sqlx::query(hold).execute(&mut *holding).await.unwrap();
    let words = [
        "rebuild", "sales", "stock", "--url", &world.url, "--token", STAFF,
    ];
    let mut watching = daybook(PROGRAM, &words).spawn().unwrap();
    // It says how far the rebuild is only when it is watching, and heeds Ctrl-C from then on.
    let mut said = BufReader::new(watching.stderr.take().unwrap());
    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        said.read_line(&mut line).map(|_| (line, said))
    });
    let (line, mut said) = first.await.unwrap().unwrap();
    assert!(line.contains("rebuild"), "{line}");

    let interrupt = ["-INT", &watching.id().to_string()];
    assert!(
        Command::new("kill")
            .args(interrupt)
            .status()
            .unwrap()
            .success()
    );

    let (ended, complaint) = tokio::task::spawn_blocking(move || {
        let mut complaint = String::new();
        said.read_to_string(&mut complaint).unwrap();
        (watching.wait().unwrap(), complaint)
    })
    .await
    .unwrap();
    assert_eq!(ended.code(), Some(1), "{complaint}");
    assert!(complaint.contains("rebuild sales --cancel"), "{complaint}");
    assert!(complaint.contains("stock"), "nobody has begun it: {complaint}");
    holding.rollback().await.unwrap();
    until("it goes on to its end", async || {
        (status(&world, "sales").await["rebuild"]["state"] == "done").then_some(())
    })
    .await;
    assert!(status(&world, "stock").await.get("rebuild").is_none());
}

#[tokio::test]
async fn a_server_that_stops_in_the_middle_of_a_rebuild_leaves_the_live_copy() {
    let mut world = World::new().await;
    world.article("cup", "4.50", 100).await;
    let _placed = world
        .post("/api/v1/orders", an_order(&[("cup", 2)]))
        .await
        .expect(201);
    let before = everything(&world).await;
    let pool = world.pool.clone();
    let mut holding = pool.begin().await.unwrap();
    let hold = "insert into rebuild.marks values ('orders', 0, 0)";
    sqlx::query(hold).execute(&mut *holding).await.unwrap();
    let path = "/api/v1/projections/orders/rebuild";
    let _running = world.post(path, json!({})).await.expect(202);

    world.stop().await;
    holding.rollback().await.unwrap();
    world.start().await;

    assert_eq!(everything(&world).await, before);
    until("a rebuild can be done again", async || {
        // The one that was broken off may still hold its claim for a moment.
        let started = world.post(path, json!({})).await;
        if started.status.is_success() {
            until("it is over", async || {
                let state = status(&world, "orders").await["rebuild"]["state"].clone();
                ["done", "failed"].contains(&state.as_str()?).then_some(())
            })
            .await;
        }
        let state = status(&world, "orders").await["rebuild"]["state"].clone();
        (state == "done").then_some(())
    })
    .await;
    assert_eq!(everything(&world).await, before);
}
