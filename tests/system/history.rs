//! The sample history: this build folds it to what is expected of it.
//!
//! Whoever changes a fold or an upcaster on purpose writes the expectation anew, so that the change
//! shows in review as the lines that changed:
//!
//! ```sh
//! UPDATE_EXPECTATION=1 cargo test -p tests --test system history::
//! daybook diff --history tests/history/sample.ndjson --write tests/history/expected.ndjson # the same
//! ```

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use api::diffing::fold;
use sqlx::Executor as _;
use tests::World;
use tests::command::{Ran, daybook, ran};
use tests::world::{MASTER_KEY, an_order};

const PROGRAM: &str = env!("CARGO_BIN_EXE_daybook-under-test");
const EXAMPLES: usize = 10;
const DIFFERS: &str = "this build makes something else of the history";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("history")
        .join(name)
}

#[tokio::test]
async fn this_build_folds_the_sample_history_to_what_is_expected() {
    let world = World::new().await;
    let folding = async || fold(&world.pool, &file("sample.ndjson")).await.unwrap();
    if std::env::var_os("UPDATE_EXPECTATION").is_some() {
        let out = File::create(file("expected.ndjson")).unwrap();
        folding().await.write(out).await.unwrap();
    }
    let expected = BufReader::new(File::open(file("expected.ndjson")).unwrap());
    let report = folding().await.against(expected, EXAMPLES).await.unwrap();
    assert!(
        report.is_clean(),
        "this build folds history to something else:\n{report}\
         if that is on purpose, UPDATE_EXPECTATION=1 writes the expectation anew"
    );
}

#[tokio::test]
async fn what_a_running_shop_holds_is_what_this_build_makes_of_its_log() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    for quantity in 1..=5 {
        let order = an_order(&[("cup", quantity)]);
        let _placed = world.post("/api/v1/orders", order).await.expect(201);
    }
    world.settle().await;
    let report = projections::diffing::live(&world.pool, EXAMPLES, |_, _| ())
        .await
        .unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn the_command_fails_where_something_differs_and_writes_nothing_live() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    world.settle().await;
    let diff = async |words: &[&str]| {
        let source = ["diff", "--database-url", &world.settings.database_url];
        ran(daybook(PROGRAM, &[&source, words].concat())).await
    };
    let agrees = async |words: &[&str]| {
        let ran = diff(words).await;
        assert!(ran.is_well, "{ran:?}");
    };
    let refused = async |words: &[&str], why: &str| {
        let Ran { is_well, complained, .. } = diff(words).await;
        assert!(!is_well && complained.contains(why), "{complained}");
    };
    agrees(&["--history", "live"]).await;
    let kept = tempfile::tempdir().unwrap();
    let kept = kept.path().join("kept.ndjson");
    let (sample, kept) = (file("sample.ndjson"), kept.to_str().unwrap());
    let sample = sample.to_str().unwrap();
    agrees(&["--history", sample, "--write", kept]).await;
    agrees(&["--history", sample, "--expect", kept]).await;
    let expected = std::fs::read_to_string(kept).unwrap();
    assert_eq!(expected, std::fs::read_to_string(file("expected.ndjson")).unwrap());

    std::fs::write(kept, expected.replace("\"status\":\"completed\"", "\"status\":\"lost\""))
        .unwrap();
    refused(&["--history", sample, "--expect", kept], DIFFERS).await;
    world
        .pool
        .execute("update read.stock set on_hand = 7")
        .await
        .unwrap();
    refused(&["--history", "live"], DIFFERS).await;
    assert_eq!(world.stock("cup").await.0, 7, "it is told, not mended");

    std::fs::write(kept, "{\"position\":1}\n").unwrap();
    refused(&["--history", kept], "line 1 of the export").await;
    refused(&["--history", "live", "--write", kept], "give --history a file").await;
    refused(&["--history", "/nowhere/at/all"], "/nowhere/at/all").await;
}

#[tokio::test]
async fn an_export_is_held_against_snapshots_as_well_and_orders_are_named() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let placed = world.post("/api/v1/orders", an_order(&[("cup", 1)])).await;
        ids.push(tests::telling::id_in(&placed.expect(201)));
    }
    for id in &ids {
        world.order_when(id, "confirmed").await;
    }
    world.settle().await;
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let (export, orders) = (path("log.ndjson"), path("orders"));
    let url = &world.settings.database_url;
    let key: &str = &MASTER_KEY;
    let source = ["--database-url", url, "--master-key", key];
    let words = ["export", "--format", "ndjson", "--out", &export];
    let exported = ran(daybook(PROGRAM, &[&words[..], &source].concat())).await;
    assert!(exported.is_well, "{exported:?}");
    let diff = async || {
        let words = ["diff", "--history", &export, "--orders", &orders];
        ran(daybook(PROGRAM, &[&words[..], &source].concat())).await
    };
    let same = diff().await;
    assert!(same.is_well, "{same:?}");
    assert_eq!(std::fs::read_to_string(&orders).unwrap(), "");

    // A snapshot of an order that is not what its events add up to.
    let snapshot = "insert into snapshots (aggregate_type, aggregate_id, version, state, \
                    state_schema, event_id) \
                    select 'order', aggregate_id, sequence, '{}', $2, event_id from events \
                    where aggregate_type = 'order' and aggregate_id = $1 and sequence = 1";
    sqlx::query(snapshot)
        .bind(&ids[1])
        .bind(<domain::order::Order as store::states::Kept>::STATE_SCHEMA)
        .execute(&world.pool)
        .await
        .unwrap();
    let differs = diff().await;
    assert!(
        !differs.is_well && differs.told.contains("snapshot.order: 1 rows differ"),
        "{differs:?}"
    );
    assert!(differs.told.contains(&format!("  order {}\n", ids[1])), "{differs:?}");
    assert_eq!(std::fs::read_to_string(&orders).unwrap(), format!("{}\n", ids[1]));
}
