//! Read models of the operator's own, in a running shop.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::World;
use tests::world::{an_order, until};

/// The directory of the example, and beside it a file that cannot work.
fn directory(at: &Path) -> PathBuf {
    let example = "../projections/examples/orders_by_hour.sql";
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
    std::fs::copy(example, at.join("orders_by_hour.sql")).unwrap();
    let greedy = "-- daybook:tables\ncreate table a (b int);\n\
                  -- daybook:batch\ndelete from public.worker_marks;\n";
    std::fs::write(at.join("greedy.sql"), greedy).unwrap();
    at.to_owned()
}

async fn item(world: &World, name: &str) -> Value {
    let listing = world.get("/api/v1/projections").await.expect(200).json();
    let items = listing["items"].as_array().unwrap().clone();
    items.into_iter().find(|item| item["name"] == name).unwrap()
}

#[tokio::test]
async fn a_sql_file_follows_the_shop_and_a_broken_one_beside_it_harms_nobody() {
    let files = tempfile::tempdir().unwrap();
    let at = directory(files.path());
    let world = World::with(|settings| settings.sql_projections = Some(at)).await;
    world.article("cup", "4.50", 100).await;
    for quantity in 1..=3 {
        let order = an_order(&[("cup", quantity)]);
        let _placed = world.post("/api/v1/orders", order).await.expect(201);
    }
    world.settle().await;

    let follows = until("the example has caught up", async || {
        let example = item(&world, "orders_by_hour").await;
        (example["lag"] == 0 && example["position"] != 0).then_some(example)
    })
    .await;
    assert_eq!(
        (&follows["state"], &follows["file"]),
        (&"running".into(), &"orders_by_hour.sql".into())
    );
    let counted =
        "select sum(placed)::bigint, sum(paid)::bigint from own_orders_by_hour.orders_by_hour";
    let counted: (i64, i64) = sqlx::query_as(counted)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(counted, (3, 3));

    let broken = until("the broken one says why", async || {
        let broken = item(&world, "greedy").await;
        (broken["state"] == "failed").then_some(broken)
    })
    .await;
    let why = broken["detail"].as_str().unwrap();
    assert!(why.contains("permission denied"), "{why}");
    let _ready = world.get("/health/ready").await.expect(200);
    let refused = world
        .post("/api/v1/projections/greedy/rebuild", serde_json::json!({}))
        .await;
    assert_eq!(refused.problem(404), "not_found");
    world.verify().await;
}
