//! The self-audit: finds every row that is wrong, and nothing where all is well.

use std::collections::BTreeSet;

use domain::ids::{OrderId, PaymentId, RefundId, VendorId};
use domain::money::Money;
use domain::payment::{Command as Pay, Unmatched};
use domain::promotion::Command as Uses;
use uuid::Uuid;

use super::catalogue;
use super::shop::{Shop, opening};
use super::stories::{Tale, busy, tell_all};
use super::world::World;
use crate::NAMES;
use crate::audit::{Auditor, BLOCK_EVENTS, Checked};
use crate::projection::{ALL, By};
use crate::settlement;

/// All blocks of a log, and the days of all payments.
async fn all(auditor: &mut Auditor, head: i64) -> Vec<Checked> {
    let mut checked = Vec::new();
    for block in 0..=(head - 1) / BLOCK_EVENTS {
        checked.push(auditor.check(block).await.unwrap());
    }
    loop {
        if let Some(added_up) = auditor.add_up().await.unwrap() {
            checked.push(added_up);
            return checked;
        }
    }
}

/// A busy shop that uses everything: vendors, promotions, pages, shelves, money that nobody asked
/// for, and guests of whom some are forgotten in part.
fn full(rounds: u32) -> Shop {
    let mut shop = busy(rounds);
    shop.register_vendor(VendorId(Uuid::from_u128(5)));
    shop.register_vendor(VendorId(Uuid::from_u128(6)));
    shop.offer("NEW");
    shop.offer("USED");
    let [held, used, released] = [0, 1, 2].map(|n| Tale::of(n).order);
    for order_id in [held, used, released] {
        shop.promote("USED", Uses::Reserve { order_id, customer_id: None });
    }
    shop.promote("USED", Uses::Settle { order_id: used });
    shop.promote("USED", Uses::Release { order_id: released });
    catalogue::furnish(&mut shop);
    catalogue::rearrange(&mut shop);
    shop.deliver("kiosk");
    let id = Uuid::from_u128(77);
    let money = Unmatched {
        gateway: "stripe".into(),
        reference: "elsewhere".into(),
        provider_reference: "px".into(),
        received: Money { minor: 500, currency: "GBP".parse().unwrap() },
        told_at: opening(),
    };
    let (refund_id, reason) = (RefundId(Uuid::from_u128(78)), "not ours".into());
    let give_back = Pay::GiveBackUnmatched { money, refund_id, reason };
    shop.payment(PaymentId(id), OrderId(id), give_back);
    shop.forget(vec![Tale::of(0).order, Tale::of(6).order]);
    shop
}

/// Makes the read model of a table anew.
async fn mend(world: &World, table: &str) {
    let owner = ALL.iter().find(|it| it.tables().contains(&table)).unwrap();
    world.models.start_rebuild(owner.name()).unwrap();
    world.models.rebuilds_of(owner.name()).ended().await;
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
    let shop = full(5);
    let world = World::projected(&shop.log, 100).await;
    let before = world.dump().await;
    let mut auditor = Auditor::open(&world.pool).await.unwrap();

    let checked = all(&mut auditor, shop.head()).await;

    assert_eq!(told(&checked), BTreeSet::new());
    let orders: usize = checked.iter().map(|checked| checked.orders).sum();
    assert_eq!(orders, shop.orders.len(), "all blocks together answer for every order");
    let left_out: usize = checked.iter().map(|checked| checked.left_out).sum();
    assert_eq!(left_out, 0);
    for projection in ALL {
        let of = projection.name();
        let rows = checked.iter().filter_map(|checked| checked.rows.get(of));
        let rows: usize = rows.sum();
        let mut there = 0;
        for audited in projection.audited() {
            if audited.by != By::Sum || audited.table == settlement::DAYS {
                let table = world.rows_of("read", [audited.table]).await;
                there += table.len();
            }
        }
        assert!(0 < there && there <= rows, "{of}: {rows} of {there} rows were compared");
    }
    world.holds(&before).await;
}

#[tokio::test]
async fn read_models_that_are_behind_one_another_are_each_held_against_their_own_mark() {
    let shop = full(3);
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

/// A change of one row of each table, the first by its key, and what is told of it; none is a row that
/// is deleted.
const TAMPERED: &[(&str, &str, &str, &str)] = &[
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
    (
        "settlement_days",
        "day, gateway, currency",
        "set pending_minor = pending_minor + 1",
        "settlement_days pending_minor",
    ),
    ("guests", "email_key", "set name = 'Eve'", "guests name"),
    ("vendors", "vendor_id", "set standing = 'active'", "vendors standing"),
    ("promotions", "code", "set used = used + 1", "promotions used"),
    ("listings", "handle", "set title = 'Gone'", "listings title"),
    ("listing_variants", "sku", "set place = 9", "listing_variants place"),
    ("listing_claims", "sku, handle", "", "listing_claims "),
    ("categories", "handle", "set name = 'Loft'", "categories name"),
    (
        "shipping_methods",
        "method_id",
        "set active = not active",
        "shipping_methods active",
    ),
    ("pickup_points", "point_id", "set country = 'ZZ'", "pickup_points country"),
];

#[tokio::test]
async fn every_row_that_somebody_changed_is_named_with_its_fields() {
    let shop = full(3);
    let world = World::projected(&shop.log, 1_000).await;
    let mut auditor = Auditor::open(&world.pool).await.unwrap();
    let one = |table: &str, key: &str| {
        format!("where ctid = (select ctid from read.{table} order by {key} limit 1)")
    };
    let mut tampered = BTreeSet::new();
    for &(table, key, change, told_as) in TAMPERED {
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
    assert_eq!(tampered, tables, "a row of every table was changed");

    for name in NAMES {
        world.models.start_rebuild(name).unwrap();
        world.models.rebuilds_of(name).ended().await;
    }
    assert_eq!(told(&all(&mut auditor, shop.head()).await), BTreeSet::new(), "it is mended");
}

#[tokio::test]
async fn a_row_that_is_gone_is_missed() {
    let shop = full(1);
    let world = World::projected(&shop.log, 1_000).await;
    let mut auditor = Auditor::open(&world.pool).await.unwrap();
    for table in [
        "settlement_days",
        "settlement_payments",
        "guests",
        "vendors",
        "promotions",
        "listings",
        "listing_variants",
        "listing_claims",
        "categories",
        "shipping_methods",
        "pickup_points",
    ] {
        for order in ["asc", "desc"] {
            let delete = format!(
                "delete from read.{table} \
                 where ctid = (select ctid from read.{table} t order by t::text {order} limit 1)"
            );
            world.execute(&delete).await;
            let found = told(&all(&mut auditor, shop.head()).await);
            assert_eq!(found, BTreeSet::from([format!("{table} ")]));
            mend(&world, table).await;
        }
    }
    assert_eq!(told(&all(&mut auditor, shop.head()).await), BTreeSet::new(), "it is mended");
}

#[tokio::test]
async fn a_row_of_somebody_who_never_was_is_found() {
    let shop = full(1);
    let world = World::projected(&shop.log, 1_000).await;
    let mut auditor = Auditor::open(&world.pool).await.unwrap();
    for (table, first, last) in [
        ("settlement_days", r#"{"gateway": "a"}"#, r#"{"gateway": "zz"}"#),
        ("guests", r#"{"email_key": "a"}"#, r#"{"email_key": "zz"}"#),
        ("promotions", r#"{"code": "A"}"#, r#"{"code": "zz"}"#),
        ("listings", r#"{"handle": "a"}"#, r#"{"handle": "zz"}"#),
        ("listing_variants", r#"{"sku": "A"}"#, r#"{"sku": "zz"}"#),
        ("listing_claims", r#"{"handle": "a"}"#, r#"{"handle": "zz"}"#),
        ("categories", r#"{"handle": "a"}"#, r#"{"handle": "zz"}"#),
        ("shipping_methods", r#"{"method_id": "a"}"#, r#"{"method_id": "zz"}"#),
        ("pickup_points", r#"{"point_id": "a"}"#, r#"{"point_id": "zz"}"#),
        ("products", r#"{"sku": "A"}"#, r#"{"sku": "zz"}"#),
        ("stock", r#"{"sku": "A"}"#, r#"{"sku": "zz"}"#),
        ("vendors", "vendor_id", ""),
        ("orders", "order_id", ""),
        ("order_progress", "order_id", ""),
        ("sales_orders", "order_id", ""),
        ("milestones", "order_id", ""),
        ("guest_orders", "order_id", ""),
        ("customer_orders", "order_id", ""),
        ("vendor_orders", "order_id", ""),
        ("payments", "payment_id", ""),
        ("settlement_payments", "payment_id", ""),
    ] {
        let ids = [0x1_u128, u128::MAX - 1]
            .map(|id| format!(r#"{{"{first}": "{}"}}"#, Uuid::from_u128(id)));
        let strays = if last.is_empty() {
            ids
        } else {
            [first.to_owned(), last.to_owned()]
        };
        for stray in strays {
            // A guest's name for us is theirs alone.
            let more = if table == "guests" {
                " || jsonb_build_object('guest_id', gen_random_uuid())"
            } else {
                ""
            };
            let insert = format!(
                "insert into read.{table} select (jsonb_populate_record(t, '{stray}'::jsonb{more})).* \
                 from read.{table} t limit 1"
            );
            world.execute(&insert).await;
            let found = told(&all(&mut auditor, shop.head()).await);
            assert_eq!(found, BTreeSet::from([format!("{table} ")]), "{stray}");
            mend(&world, table).await;
        }
    }
    assert_eq!(told(&all(&mut auditor, shop.head()).await), BTreeSet::new(), "it is mended");
}

#[test]
fn no_table_of_a_read_model_is_without_an_audit() {
    for projection in ALL {
        let audited = projection.audited();
        let mut audited: Vec<&str> = audited.iter().map(|it| it.table).collect();
        let mut tables = projection.tables().to_vec();
        audited.sort_unstable();
        tables.sort_unstable();
        let name = projection.name();
        assert_eq!(
            audited, tables,
            "{name} has to say of each of its tables, once, how it is audited"
        );
    }
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
    let mut shop = full(5);
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
        let (mut blocks, mut block, mut passes) = (0, 0, 0);
        while !*is_over.borrow() {
            let checked = auditor.check(block).await.unwrap();
            assert_eq!(told(&[checked]), BTreeSet::new(), "block {block}");
            if let Some(added_up) = auditor.add_up().await.unwrap() {
                assert_eq!(told(&[added_up]), BTreeSet::new(), "pass {passes}");
                passes += 1;
            }
            // By leaps, so that old and new take turns.
            block = (block + 7) % (head / BLOCK_EVENTS);
            blocks += 1;
        }
        (blocks, passes)
    };
    let ((), (blocks, passes)) = tokio::join!(load, audit);
    assert!(50 < blocks, "it looked at {blocks} blocks meanwhile");
    assert!(1 < passes, "it went through all payments {passes} times meanwhile");
}
