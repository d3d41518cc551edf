//! Deploy diff: silent where a build folds history to what is stored, and exact where it does not.

use super::stories::{busy, tell_all};
use super::world::World;
use crate::NAMES;
use crate::diffing::{self, DiffError, Folding, Report};

async fn live(world: &World) -> Report {
    diffing::live(&world.pool, 2, |_, _| ()).await.unwrap()
}

#[tokio::test]
async fn nothing_differs_where_the_read_models_are_what_this_build_makes_of_the_log() {
    let mut shop = busy(3);
    let (before, head) = (shop.log.len(), shop.head());
    let world = World::projected(&shop.log, 100).await;
    // Each at a mark of its own, as in a shop that goes on.
    tell_all(&mut shop, 3, 1);
    world.write(&shop.log[before..]).await;
    world.project("sales", &shop.log, 100).await;
    world.project("stock", &shop.log[..before + 9], 100).await;
    let before = world.dump().await;

    let report = live(&world).await;

    assert!(report.is_clean(), "{report}");
    assert!(head < report.position && report.position == shop.head());
    assert_eq!(report.to_string(), format!("nothing differs, up to position {}\n", shop.head()));
    world.holds(&before).await;
}

#[tokio::test]
async fn nothing_false_differs_while_the_shop_goes_on() {
    let mut shop = busy(3);
    let first = shop.log.len();
    let world = World::projected(&shop.log, 1_000).await;
    tell_all(&mut shop, 3, 25);
    let (over, is_over) = tokio::sync::watch::channel(false);
    let load = async {
        for batch in shop.log[first..].chunks(31) {
            world.write(batch).await;
            for name in NAMES {
                world.project(name, batch, 1_000).await;
            }
        }
        over.send_replace(true);
    };
    let diffs = async {
        let mut diffs = 0;
        while !*is_over.borrow() {
            let report = live(&world).await;
            assert!(report.is_clean(), "{report}");
            diffs += 1;
        }
        diffs
    };
    let ((), diffs) = tokio::join!(load, diffs);
    assert!(3 < diffs, "it was looked at {diffs} times meanwhile");
}

#[tokio::test]
async fn what_differs_is_told_field_by_field_and_within_bounds() {
    let shop = busy(3);
    let world = World::projected(&shop.log, 1_000).await;
    // As if an earlier build had folded otherwise.
    world
        .execute(
            "update read.order_progress set status = 'pending', \
             progress = jsonb_set(progress::jsonb, '{status}', '\"pending\"')::json \
             where status = 'confirmed'",
        )
        .await;
    world
        .execute("delete from read.stock where sku = 'pot'")
        .await;
    // A field that older builds did not write yet is no difference.
    world
        .execute(
            "update read.payments \
             set payment = replace(payment::text, '\"next_step\":null,', '')::json",
        )
        .await;

    let report = live(&world).await;

    let names: Vec<&str> = report
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!(names, ["orders.order_progress", "stock.stock"]);
    let orders = &report.tables[0];
    assert!(2 < orders.rows && orders.examples.len() == 2, "{report}");
    assert_eq!(orders.fields["status"], orders.rows);
    assert_eq!(orders.fields["progress.status"], orders.rows);
    let told = report.to_string();
    assert!(told.contains("status: stored \"pending\", folded \"confirmed\""), "{told}");
    assert!(told.contains(&format!("and {} more rows", orders.rows - 2)), "{told}");
    let sum = format!("{} orders, 0 payments and 1 SKUs would change\n", orders.rows);
    assert!(told.contains(&sum), "{told}");
    let changed = report.orders();
    assert_eq!(u64::try_from(changed.len()), Ok(orders.rows));
    let shown = changed
        .iter()
        .filter(|order| told.contains(&format!("\n  order {order}\n")));
    assert_eq!(shown.count(), changed.len().min(20), "{told}");
}

#[tokio::test]
async fn tables_of_another_version_are_told_as_such() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    world
        .execute("update read.marks set version = 1000 where name = 'products'")
        .await;
    world
        .execute("alter table read.products drop column sku")
        .await;
    let report = live(&world).await;
    let told = report.to_string();
    assert!(told.contains("products is stored in version 1000, this build's is"), "{told}");
    assert!(told.contains("products.products has another shape"), "{told}");
}

#[tokio::test]
async fn an_expectation_holds_for_the_same_history_and_for_no_other() {
    let shop = busy(1);
    let world = World::new().await;
    let mut kept = Vec::new();
    let folding = async |batch_events: usize, until: usize| {
        let mut folding = Folding::begin(&world.pool).await.unwrap();
        for batch in shop.log[..until].chunks(batch_events) {
            folding.take(batch).await.unwrap();
        }
        folding
    };
    let whole = shop.log.len();
    let lines = folding(1_000, whole).await.write(&mut kept).await.unwrap();
    let text = String::from_utf8(kept).unwrap();
    assert_eq!(text.lines().count(), lines + 1);

    let report = folding(7, whole)
        .await
        .against(text.as_bytes(), 5)
        .await
        .unwrap();
    assert!(report.is_clean(), "batches do not matter: {report}");

    let changed = text.replacen("\"on_hand\":", "\"on_hand\":1", 1);
    let report = folding(1_000, whole)
        .await
        .against(changed.as_bytes(), 5)
        .await
        .unwrap();
    assert_eq!(report.tables[0].name, "stock.stock", "{report}");
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("state.product"))
        .collect();
    let without = without.join("\n");
    let report = folding(1_000, whole)
        .await
        .against(without.as_bytes(), 5)
        .await
        .unwrap();
    assert_eq!(report.tables[0].name, "state.product", "{report}");
    let surplus = format!("{text}{{\"of\":\"gone.gone\",\"key\":{{}},\"row\":{{\"a\":1}}}}\n");
    let report = folding(1_000, whole)
        .await
        .against(surplus.as_bytes(), 5)
        .await
        .unwrap();
    assert_eq!(report.tables[0].name, "gone.gone", "{report}");

    let other = folding(1_000, whole - 1)
        .await
        .against(text.as_bytes(), 5)
        .await;
    assert!(matches!(other, Err(DiffError::Expectation(_))), "{other:?}");
    let garbage = folding(1_000, whole).await.against(&b"{}\n"[..], 5).await;
    assert!(garbage.unwrap_err().to_string().contains("line 1"));
}

#[tokio::test]
async fn an_export_is_held_against_read_models_that_stand_where_it_ends() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let mut folding = Folding::begin(&world.pool).await.unwrap();
    folding.take(&shop.log).await.unwrap();
    assert!(folding.against_live(5).await.unwrap().is_clean());

    let mut folding = Folding::begin(&world.pool).await.unwrap();
    folding.take(&shop.log[..50]).await.unwrap();
    let refused = folding.against_live(5).await.unwrap_err().to_string();
    assert!(refused.contains("the history that was folded ends at 50"), "{refused}");
    // A history that begins in the middle cannot be folded.
    let mut folding = Folding::begin(&world.pool).await.unwrap();
    assert!(folding.take(&shop.log[10..]).await.is_err());
}
