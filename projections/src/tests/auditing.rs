//! The self-audit: finds every row that is wrong, and nothing where all is well.

use std::collections::BTreeSet;

use super::stories::{busy, tell_all};
use super::world::World;
use crate::NAMES;
use crate::audit::{Auditor, BLOCK_EVENTS, Checked};
use crate::projection::ALL;

/// All blocks of a log.
async fn all(auditor: &mut Auditor, head: i64) -> Vec<Checked> {
    let mut checked = Vec::new();
    for block in 0..=(head - 1) / BLOCK_EVENTS {
        checked.push(auditor.check(block).await.unwrap());
    }
    checked
}

/// Tables and fields that differ.
fn told(checked: &[Checked]) -> BTreeSet<String> {
    let mismatches = checked.iter().flat_map(|checked| &checked.mismatches);
    mismatches
        .flat_map(|it| {
            let fields = it.fields.iter();
            fields.map(|field| format!("{} {}", it.table, field.field))
        })
        .collect()
}

#[tokio::test]
async fn a_read_model_that_is_what_the_log_makes_of_it_is_found_to_be() {
    let shop = busy(5);
    let world = World::projected(&shop.log, 100).await;
    let before = world.dump().await;
    let mut auditor = Auditor::open(&world.pool).await.unwrap();

    let checked = all(&mut auditor, shop.head()).await;

    assert_eq!(told(&checked), BTreeSet::new());
    let orders: usize = checked.iter().map(|checked| checked.orders).sum();
    assert_eq!(orders, shop.orders.len(), "all blocks together answer for every order");
    let rows: usize = checked.iter().map(|checked| checked.rows).sum();
    assert!(
        shop.log.len() < rows,
        "the timeline alone has nearly as many rows as the log: {rows}"
    );
    world.holds(&before).await;
}

#[tokio::test]
async fn read_models_that_are_behind_one_another_are_each_held_against_their_own_mark() {
    let shop = busy(3);
    let world = World::with(&shop.log).await;
    let mut auditor = Auditor::open(&world.pool).await.unwrap();
    for (nth, name) in NAMES.into_iter().enumerate() {
        world.project(name, &shop.log[..nth * 30], 10).await;
    }
    assert_eq!(told(&all(&mut auditor, shop.head()).await), BTreeSet::new());
    // Sales that know of orders which the list of orders does not know yet.
    world.project("sales", &shop.log, 10).await;
    assert_eq!(told(&all(&mut auditor, shop.head()).await), BTreeSet::new());
}

#[tokio::test]
async fn every_row_that_somebody_changed_is_named_with_its_fields() {
    let shop = busy(3);
    let world = World::projected(&shop.log, 1_000).await;
    let mut auditor = Auditor::open(&world.pool).await.unwrap();
    let one = |table: &str, key: &str| {
        format!("where ctid = (select ctid from read.{table} order by {key} limit 1)")
    };
    let mut tampered = BTreeSet::new();
    for (table, key, change, told_as) in [
        ("orders", "order_id", "set total_minor = 1", "orders total_minor"),
        ("order_progress", "order_id", "set status = 'lost'", "order_progress status"),
        ("order_skus", "sku, placed_at, order_id", "", "order_skus "),
        ("timeline", "position", "", "timeline "),
        ("payments", "payment_id", "set version = 99", "payments version"),
        ("stock", "sku", "set on_hand = on_hand + 1", "stock on_hand"),
        ("products", "sku", "set price_minor = 1", "products price_minor"),
        ("sales_orders", "order_id", "set country = 'XX'", "sales_orders country"),
        (
            "sales_refunds",
            "position",
            "set refunded_minor = 1",
            "sales_refunds refunded_minor",
        ),
        ("settlement_payments", "payment_id", "", "settlement_payments "),
        ("milestones", "order_id", "set paid_at = '2001-01-01Z'", "milestones paid_at"),
        ("guest_orders", "order_id", "set name = 'Eve'", "guest_orders name"),
        (
            "customer_orders",
            "order_id",
            "set gross_minor = 1",
            "customer_orders gross_minor",
        ),
        (
            "vendor_orders",
            "order_id, vendor_id",
            "set is_paid = not is_paid",
            "vendor_orders is_paid",
        ),
        (
            "sales_by_vendor",
            "day, vendor, currency",
            "set units = units + 1",
            "sales_by_country and sales_by_vendor units",
        ),
        (
            "sales_by_sku_and_month",
            "month, sku, currency",
            "set units = units + 1",
            "sales_by_sku_and_month units",
        ),
        (
            "sales_by_country",
            "day, country, currency",
            "set gross_minor = gross_minor + 7",
            "sales_by_country and sales_by_sku gross_minor",
        ),
        (
            "sales_by_sku",
            "day, sku, currency",
            "set refunded_minor = refunded_minor + 7",
            "sales_by_country and sales_by_sku refunded_minor",
        ),
    ] {
        let verb = if change.is_empty() {
            "delete from"
        } else {
            "update"
        };
        world
            .execute(&format!("{verb} read.{table} {change} {}", one(table, key)))
            .await;
        let found = told(&all(&mut auditor, shop.head()).await);
        assert!(found.contains(told_as), "{told_as} is not among {found:#?}");
        tampered.insert(table);
    }
    let tables: BTreeSet<&str> = ALL
        .iter()
        .flat_map(|projection| projection.tables().iter().copied())
        .collect();
    // Sums over all payments of a day are for `diff` to compare. So are records of guests and uses of
    // promotions, made of many orders, and what is no order's and no SKU's.
    tampered.extend(["settlement_days", "guests", "promotions", "vendors"]);
    tampered.extend(["listings", "listing_variants", "categories"]);
    tampered.extend(["shipping_methods", "pickup_points"]);
    assert_eq!(tampered, tables, "a row of every table was changed");

    for name in NAMES {
        world.models.start_rebuild(name).unwrap();
        world.models.rebuilds_of(name).ended().await;
    }
    assert_eq!(told(&all(&mut auditor, shop.head()).await), BTreeSet::new(), "it is mended");
}

#[tokio::test]
async fn rows_that_belong_to_nothing_are_found_where_somebody_has_such_rows() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let mut auditor = Auditor::open(&world.pool).await.unwrap();
    // An event of one order in the timeline of another.
    let add = "insert into read.timeline \
               select (select max(order_id::text)::uuid from read.timeline), min(position) \
               from read.timeline on conflict do nothing";
    world.execute(add).await;
    let found = told(&all(&mut auditor, shop.head()).await);
    assert!(found.contains("timeline "), "{found:#?}");
}

#[tokio::test]
async fn nothing_false_is_found_while_events_and_rebuilds_go_on() {
    let mut shop = busy(5);
    let first = shop.log.len();
    let world = World::projected(&shop.log, 1_000).await;
    tell_all(&mut shop, 5, 25);
    let head = shop.head();
    let (over, is_over) = tokio::sync::watch::channel(false);
    let load = async {
        for (nth, batch) in shop.log[first..].chunks(23).enumerate() {
            world.write(batch).await;
            for name in NAMES {
                let projector = world.models.projector_of(name);
                projector.apply(batch).await.unwrap();
                projector.apply(batch).await.unwrap();
            }
            if nth % 20 == 0 {
                let _running = world.models.start_rebuild(NAMES[nth / 20 % NAMES.len()]);
            }
        }
        over.send_replace(true);
    };
    let audit = async {
        let mut auditor = Auditor::open(&world.pool).await.unwrap();
        let (mut blocks, mut block) = (0, 0);
        while !*is_over.borrow() {
            let checked = auditor.check(block).await.unwrap();
            assert_eq!(told(&[checked]), BTreeSet::new(), "block {block}");
            // By leaps, so that old and new take turns.
            block = (block + 7) % (head / BLOCK_EVENTS);
            blocks += 1;
        }
        blocks
    };
    let ((), blocks) = tokio::join!(load, audit);
    assert!(50 < blocks, "it looked at {blocks} blocks meanwhile");
}
