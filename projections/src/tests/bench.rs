use super::stories::*;
use super::world::World;
use crate::NAMES;
use domain::inventory::Command as Stock;
use std::time::Instant;
#[tokio::test]
async fn bench() {
    let mut shop = super::shop::Shop::default();
    for s in 0..3000 {
        shop.stock(
            &format!("S{s:05}"),
            Stock::Receive { quantity: 1_000_000_000, reference: String::new() },
        );
    }
    tell_big(&mut shop, 4000);
    println!("{} events", shop.log.len());
    let world = World::with(&[]).await;
    for c in shop.log.chunks(5000) {
        world.write(c).await;
    }
    for name in NAMES {
        let t = Instant::now();
        world.project(name, &shop.log, 2000).await;
        let live = t.elapsed();
        world.models.start_rebuild(name).unwrap();
        let v = world.models.rebuilds_of(name).ended().await;
        println!(
            "{name}: live {:?} = {:.0}/s; rebuild {:.2}s = {:.0}/s {:?}",
            live,
            shop.log.len() as f64 / live.as_secs_f64(),
            v.seconds,
            shop.log.len() as f64 / v.seconds,
            v.state
        );
    }
    use crate::sales::*;
    for g in [
        GroupBy::Day,
        GroupBy::Month,
        GroupBy::Country,
        GroupBy::Sku,
        GroupBy::Currency,
    ] {
        let t = Instant::now();
        let n = report(world.models.reads(), g, None, None)
            .await
            .unwrap()
            .len();
        println!("{g:?}: {n} rows in {:?}", t.elapsed());
    }
    for _ in 0..3 {
        let t = Instant::now();
        report(world.models.reads(), GroupBy::Sku, None, None)
            .await
            .unwrap()
            .len();
        println!("sku again {:?}", t.elapsed());
    }
    for x in [
        "explain (analyze, buffers) select sku collate \"C\" as key, currency, sum(orders)::bigint as orders, sum(units)::bigint as units, sum(gross_minor)::bigint as gross_minor, sum(refunded_minor)::bigint as refunded_minor from sales_by_sku where day between '-infinity' and 'infinity' group by 1, 2 order by 1, 2",
    ] {
        let plan: Vec<String> = sqlx::query_scalar(x)
            .fetch_all(world.models.reads())
            .await
            .unwrap();
        println!("{}", plan.join("\n"));
        sqlx::query("vacuum analyze sales_by_sku")
            .execute(world.models.reads())
            .await
            .unwrap();
        let plan: Vec<String> = sqlx::query_scalar(x)
            .fetch_all(world.models.reads())
            .await
            .unwrap();
        println!("{}", plan.join("\n"));
    }
    let t = Instant::now();
    let o = crate::orders::list(
        world.models.reads(),
        &crate::orders::Filter { sku: Some("S00007".parse().unwrap()), ..Default::default() },
        20,
        None,
    )
    .await
    .unwrap();
    println!("list by sku {} in {:?}", o.items.len(), t.elapsed());
    let t = Instant::now();
    let n = crate::timeline::of_order(world.models.reads(), o.items[0].id)
        .await
        .unwrap()
        .len();
    println!("timeline {n} in {:?}", t.elapsed());
}
