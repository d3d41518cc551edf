//! Rows and marks: together, once, and without a hole.

use domain::ids::VendorId;
use uuid::Uuid;

use super::stories::{busy, tell_all};
use super::world::World;
use crate::projection::ALL;
use crate::{Error, NAMES, ReadModels};

#[tokio::test]
async fn rows_and_mark_commit_together_or_not_at_all() {
    let mut shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let before = world.dump().await;
    // Whatever comes now breaks the second statement of its batch, after the first has written.
    for table in [
        "order_skus",
        "timeline",
        "payments",
        "stock",
        "products",
        "sales_by_sku",
        "settlement_payments",
        "milestones",
        "guest_orders",
        "customer_orders",
        "vendors",
        "vendor_orders",
        "promotions",
        "shipping_methods",
        "listings",
        "categories",
    ] {
        let sql = format!("alter table read.{table} add constraint broken check (false) not valid");
        world.execute(&sql).await;
    }
    let first = shop.log.len();
    tell_all(&mut shop, 1, 1);
    shop.describe("new", super::stories::described("new"));
    shop.register_vendor(VendorId(Uuid::from_u128(5)));
    shop.offer("NEW");
    shop.deliver("new");
    super::catalogue::furnish(&mut shop);
    world.write(&shop.log[first..]).await;

    for name in NAMES {
        let error = world
            .models
            .projector_of(name)
            .apply(&shop.log[first..])
            .await;
        assert!(matches!(error, Err(Error::Database(_))), "{name}: {error:?}");
    }
    world.holds(&before).await;

    // Once the cause is gone, all is made up for.
    for table in [
        "order_skus",
        "timeline",
        "payments",
        "stock",
        "products",
        "sales_by_sku",
        "settlement_payments",
        "milestones",
        "guest_orders",
        "customer_orders",
        "vendors",
        "vendor_orders",
        "promotions",
        "shipping_methods",
        "listings",
        "categories",
    ] {
        world
            .execute(&format!("alter table read.{table} drop constraint broken"))
            .await;
    }
    for name in NAMES {
        world.project(name, &shop.log[first..], 1_000).await;
    }
    world
        .holds(&World::projected(&shop.log, 1_000).await.dump().await)
        .await;
}

#[tokio::test]
async fn a_hole_is_refused_and_what_was_applied_is_skipped() {
    let shop = busy(1);
    let world = World::projected(&shop.log[..10], 1_000).await;
    let before = world.dump().await;

    for name in NAMES {
        let projector = world.models.projector_of(name);
        projector.apply(&shop.log[3..8]).await.unwrap();
        let beyond = projector.apply(&shop.log[11..20]).await;
        assert!(matches!(beyond, Err(Error::Gap { mark: 10, found: 12 })), "{beyond:?}");
        let mut holed = shop.log[10..20].to_vec();
        holed.remove(5);
        let within = projector.apply(&holed).await;
        assert!(matches!(within, Err(Error::Gap { mark: 15, found: 17 })), "{within:?}");
    }
    world.holds(&before).await;

    for name in NAMES {
        world.project(name, &shop.log, 1_000).await;
    }
    world
        .holds(&World::projected(&shop.log, 1_000).await.dump().await)
        .await;
}

#[tokio::test]
async fn two_projectors_of_one_database_apply_nothing_twice() {
    let shop = busy(2);
    let world = World::with(&shop.log).await;
    let other = ReadModels::open(world.pool.clone()).await.unwrap();
    let run = async |models: &ReadModels, name: &str, batch_events: usize| {
        let projector = models.projector_of(name);
        let head = shop.log.len();
        loop {
            let mark = usize::try_from(models.reached(name).await.unwrap()).unwrap();
            if mark == head {
                break;
            }
            let until = head.min(mark + batch_events);
            projector.apply(&shop.log[mark..until]).await.unwrap();
        }
    };
    for name in NAMES {
        tokio::join!(run(&world.models, name, 7), run(&other, name, 11));
    }
    world
        .holds(&World::projected(&shop.log, 1_000).await.dump().await)
        .await;
}

#[tokio::test]
async fn another_version_is_made_anew_and_catches_up_by_itself() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let expected = world.dump().await;
    world
        .execute("update read.marks set version = -1 where name in ('orders', 'stock')")
        .await;

    // A projector that was there before does not write into tables that are not its own.
    let error = world.models.projector_of("orders").apply(&shop.log).await;
    assert!(matches!(error, Err(Error::OtherVersion { stored: -1, .. })), "{error:?}");

    let models = ReadModels::open(world.pool.clone()).await.unwrap();
    for projection in ALL {
        let name = projection.name();
        let anew = ["orders", "stock"].contains(&name);
        let reached = models.reached(name).await.unwrap();
        assert_eq!(reached, if anew { 0 } else { shop.head() }, "{name}");
        models.projector_of(name).apply(&shop.log).await.unwrap();
    }
    world.holds(&expected).await;
}
