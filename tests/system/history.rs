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
use tests::World;
use tests::world::an_order;

const EXAMPLES: usize = 10;

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
