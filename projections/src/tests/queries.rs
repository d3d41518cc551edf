//! Lists, filters, cursors and timelines.

use std::collections::BTreeSet;

use domain::ids::{OrderId, PaymentId, Sku};
use uuid::Uuid;

use super::stories::{ENDINGS, Ending, SKUS, Tale, busy, placed_at};
use super::world::World;
use crate::orders::{self, Filter, OrderSummary, Status};
use crate::payments::PaymentView;
use crate::stock::StockView;
use crate::{Cursor, PaymentStatus, SkuCursor, payments, products, stock, timeline};

/// All pages of a list, and how many there were.
async fn all(world: &World, filter: &Filter, limit: i64) -> Vec<OrderSummary> {
    let mut items = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = orders::list(world.models.reads(), filter, limit, after)
            .await
            .unwrap();
        assert!(page.items.len() <= usize::try_from(limit).unwrap());
        items.extend(page.items);
        match page.next_cursor {
            Some(cursor) => after = Some(cursor.parse().unwrap()),
            None => return items,
        }
    }
}

#[tokio::test]
async fn orders_are_listed_newest_first_and_each_once_whatever_the_page() {
    let shop = busy(3);
    let world = World::projected(&shop.log, 1_000).await;
    let mut expected: Vec<OrderId> = shop.orders.keys().copied().collect();
    // Ids grow with the time of placing, as UUIDv7 do.
    expected.reverse();
    for limit in [1, 4, 42, 100] {
        let listed = all(&world, &Filter::default(), limit).await;
        let ids: Vec<OrderId> = listed.iter().map(|order| order.id).collect();
        assert_eq!(ids, expected, "pages of {limit}");
    }
}

/// Whether an order is one that a filter should find.
type Picks<'a> = Box<dyn Fn(&OrderSummary, &Tale) -> bool + 'a>;

#[tokio::test]
async fn each_filter_finds_what_one_would_pick_by_hand() {
    let shop = busy(3);
    let world = World::projected(&shop.log, 1_000).await;
    let every = all(&world, &Filter::default(), 100).await;
    let tales: Vec<Tale> = (0..42).rev().map(Tale::of).collect();
    let sku: Sku = SKUS[1].parse().unwrap();
    let (from, to) = (placed_at(6), placed_at(20));
    let none = Filter::default;

    let cases: Vec<(Filter, Picks<'_>)> = vec![
        (
            Filter { status: Some(Status::Confirmed), ..none() },
            Box::new(|order, _| order.status == Status::Confirmed),
        ),
        (
            Filter { customer_email: Some(" CUSTOMER.2@example.com".into()), ..none() },
            Box::new(|_, tale| tale.n % 5 == 2),
        ),
        (
            Filter { country: Some("FR".into()), ..none() },
            Box::new(|_, tale| tale.n % 3 == 1),
        ),
        (
            Filter { sku: Some(sku.clone()), ..none() },
            Box::new(|_, tale| tale.placing.lines.iter().any(|line| line.sku == sku)),
        ),
        (
            Filter { placed_from: Some(from), placed_to: Some(to), ..none() },
            Box::new(|order, _| from <= order.placed_at && order.placed_at <= to),
        ),
        (
            Filter {
                sku: Some(sku.clone()),
                country: Some("GB".into()),
                placed_from: Some(from),
                ..none()
            },
            Box::new(|order, tale| {
                tale.placing.lines.iter().any(|line| line.sku == sku)
                    && order.country == "GB"
                    && from <= order.placed_at
            }),
        ),
    ];
    for (filter, picks) in cases {
        let expected: Vec<OrderSummary> = every
            .iter()
            .zip(&tales)
            .filter(|(order, tale)| picks(order, tale))
            .map(|(order, _)| order.clone())
            .collect();
        assert!(!expected.is_empty(), "{filter:?}");
        for limit in [2, 100] {
            assert_eq!(all(&world, &filter, limit).await, expected, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn every_filter_of_orders_is_an_index_scan() {
    let world = World::projected(&busy(3).log, 1_000).await;
    // Few rows would be read from end to end; whether an index could serve is the question here.
    let mut plans = world.models.reads().begin().await.unwrap();
    sqlx::query("set local enable_seqscan = off")
        .execute(&mut *plans)
        .await
        .unwrap();
    sqlx::query("set local enable_sort = off")
        .execute(&mut *plans)
        .await
        .unwrap();
    for (index, filter) in [
        ("orders_newest", "orders where true"),
        ("orders_by_status", "order_progress where status = 'failed'"),
        ("orders_by_email", "orders where email_key = 'ada@example.com'"),
        ("orders_by_country", "orders where country = 'GB'"),
        ("order_skus_pkey", "order_skus where sku = 'pot'"),
    ] {
        let explain = format!(
            "explain select * from {filter} and (placed_at, order_id) < (now(), \
             '00000000-0000-0000-0000-000000000000') order by placed_at desc, order_id desc \
             limit 21"
        );
        let plan: Vec<String> = sqlx::query_scalar(&explain)
            .fetch_all(&mut *plans)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("Scan Backward using {index}")), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
    }
}

#[tokio::test]
async fn payments_are_listed_newest_first_with_their_attempts() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let reads = world.models.reads();
    let all = payments::Filter::default();
    let first = payments::list(reads, &all, 5, None).await.unwrap();
    let after = first.next_cursor.unwrap().parse().unwrap();
    let second = payments::list(reads, &all, 100, Some(after)).await.unwrap();
    assert_eq!(second.next_cursor, None);
    let listed: Vec<_> = first.items.into_iter().chain(second.items).collect();
    // All but those that wait for stock or ran out of it.
    assert_eq!(listed.len(), ENDINGS.len() - 2);
    assert!(listed.is_sorted_by(|a, b| a.opened_at > b.opened_at));

    let n = (0..)
        .zip(ENDINGS)
        .find(|(_, it)| *it == Ending::PaidTwice)
        .unwrap()
        .0;
    let twice = payments::by_id(reads, Tale::of(n).payment)
        .await
        .unwrap()
        .unwrap();
    assert!(listed.contains(&twice));
    let states: Vec<String> = twice
        .attempts
        .iter()
        .map(|it| serde_json::to_string(&it.status).unwrap())
        .collect();
    assert_eq!(states, ["\"captured\"", "\"captured\""]);
    assert_eq!(
        payments::by_id(reads, PaymentId(Uuid::nil()))
            .await
            .unwrap(),
        None
    );
}

/// All payments that a filter leaves, page by page.
async fn paid(world: &World, filter: &payments::Filter, limit: i64) -> Vec<PaymentView> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = payments::list(world.models.reads(), filter, limit, after).await;
        let page = page.unwrap();
        found.extend(page.items);
        after = page.next_cursor.map(|cursor| cursor.parse().unwrap());
        if after.is_none() {
            return found;
        }
    }
}

/// Whether a filter leaves a payment.
type Pick = Box<dyn Fn(&PaymentView) -> bool>;

#[tokio::test]
async fn payments_are_filtered_by_what_they_show() {
    let world = World::projected(&busy(3).log, 1_000).await;
    let none = payments::Filter::default();
    let every = paid(&world, &none, 100).await;
    let (one, another) = (every[3].clone(), every[every.len() - 3].clone());
    let last = one.attempts.last().unwrap().clone();
    let (order_id, method) = (one.order_id, last.method);
    let (from, to) = (another.opened_at, one.opened_at);
    let mut cases: Vec<(payments::Filter, Pick)> = vec![
        (
            payments::Filter { order_id: Some(order_id), ..none.clone() },
            Box::new(move |it| it.order_id == order_id),
        ),
        (
            payments::Filter { gateway: Some(last.gateway.clone()), ..none.clone() },
            Box::new(move |it| it.attempts.last().unwrap().gateway == last.gateway),
        ),
        (
            payments::Filter { method: Some(method), ..none.clone() },
            Box::new(move |it| it.attempts.last().unwrap().method == method),
        ),
        (
            payments::Filter { opened_from: Some(from), opened_to: Some(to), ..none.clone() },
            Box::new(move |it| from <= it.opened_at && it.opened_at <= to),
        ),
    ];
    let mut seen = BTreeSet::new();
    for status in PaymentStatus::ALL {
        let filter = payments::Filter { status: Some(status), ..none.clone() };
        if every.iter().any(|it| it.status == status) {
            seen.insert(status.as_str());
            cases.push((filter, Box::new(move |it| it.status == status)));
        } else {
            assert_eq!(paid(&world, &filter, 100).await, [], "{status:?}");
        }
    }
    assert!(4 <= seen.len(), "{seen:?}");
    for (filter, picks) in cases {
        let expected: Vec<PaymentView> = every.iter().filter(|it| picks(it)).cloned().collect();
        assert!(!expected.is_empty(), "{filter:?}");
        for limit in [2, 100] {
            assert_eq!(paid(&world, &filter, limit).await, expected, "{filter:?}");
        }
    }
    let nowhere = payments::Filter { gateway: Some("nowhere".into()), ..none };
    assert_eq!(paid(&world, &nowhere, 100).await, []);
}

#[tokio::test]
async fn stock_is_filtered_by_article_and_by_what_is_available() {
    let world = World::projected(&busy(2).log, 1_000).await;
    let reads = world.models.reads();
    let every = stock::list(reads, &stock::Filter::default(), 100, None).await;
    let every = every.unwrap().items;
    let some = every[every.len() / 2].clone();
    let listed = async |filter: stock::Filter| {
        let page = stock::list(reads, &filter, 100, None).await.unwrap();
        page.items
    };
    let few = stock::Filter { available_max: Some(some.available), ..stock::Filter::default() };
    let many = stock::Filter { available_min: Some(some.available), ..stock::Filter::default() };
    let of = |is: &dyn Fn(&StockView) -> bool| -> Vec<StockView> {
        every.iter().filter(|it| is(it)).cloned().collect()
    };
    assert_eq!(listed(few).await, of(&|it| it.available <= some.available));
    assert_eq!(listed(many).await, of(&|it| some.available <= it.available));
    let part = some.sku.as_str()[1..].to_owned();
    let found = stock::Filter { search: Some(part), ..stock::Filter::default() };
    assert!(listed(found).await.contains(&some));
    let nothing = stock::Filter { search: Some("no such thing".into()), ..Default::default() };
    assert_eq!(listed(nothing).await, []);
}

#[tokio::test]
async fn stock_and_products_are_listed_by_sku_bytewise() {
    let world = World::projected(&busy(2).log, 1_000).await;
    let reads = world.models.reads();
    let mut skus = SKUS.map(str::to_owned);
    skus.sort();

    let everything = stock::Filter::default();
    let first = stock::list(reads, &everything, 3, None).await.unwrap();
    let after: SkuCursor = first.next_cursor.unwrap().parse().unwrap();
    let rest = stock::list(reads, &everything, 3, Some(after.clone()))
        .await
        .unwrap();
    let listed: Vec<_> = first.items.into_iter().chain(rest.items).collect();
    assert_eq!(
        listed
            .iter()
            .map(|it| it.sku.to_string())
            .collect::<Vec<_>>(),
        skus
    );

    let offered = products::list(reads, &products::Filter::default(), 3, None)
        .await
        .unwrap();
    let rest = products::list(reads, &products::Filter::default(), 3, Some(after))
        .await
        .unwrap();
    assert_eq!(rest.next_cursor, None);
    for (product, stock) in offered.items.iter().chain(&rest.items).zip(&listed) {
        assert_eq!((&product.sku, product.available), (&stock.sku, stock.available));
        let (prices, own) = (product.prices.as_slice(), product.price);
        assert!(
            matches!(prices, [yen] if yen.currency == "JPY" && own.currency == "GBP"),
            "{product:?}"
        );
        assert_eq!(
            products::by_sku(reads, &product.sku)
                .await
                .unwrap()
                .as_ref(),
            Some(product)
        );
        assert_eq!(stock::by_sku(reads, &stock.sku).await.unwrap().as_ref(), Some(stock));
    }
    assert_eq!(
        stock::by_sku(reads, &"unknown".parse().unwrap())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn products_are_found_by_part_of_their_name_and_by_whether_they_are_sold() {
    let world = World::projected(&busy(1).log, 1_000).await;
    let find = async |active, search: Option<&str>| {
        let search = search.map(str::to_owned);
        let filter = products::Filter { active, search, ..products::Filter::default() };
        let page = products::list(world.models.reads(), &filter, 20, None)
            .await
            .unwrap();
        page.items
            .iter()
            .map(|product| product.sku.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(find(None, Some("bank c")).await, ["BANK CHARGES"]);
    assert_eq!(find(None, Some("%")).await, [""; 0], "a search is no pattern");
    assert_eq!(find(Some(false), None).await, ["pot"]);
    assert_eq!(find(Some(true), Some("85123a")).await, ["85123A"]);
}

#[tokio::test]
async fn a_timeline_tells_everything_about_an_order_and_nothing_else() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let n = (0..)
        .zip(ENDINGS)
        .find(|(_, it)| *it == Ending::RefundedByPieces)
        .unwrap()
        .0;
    let id = Tale::of(n).order;

    let entries = timeline::of_order(world.models.reads(), id).await.unwrap();

    let told: Vec<&str> = entries.iter().map(|entry| entry.summary.as_str()).collect();
    assert_eq!(
        told,
        [
            "3 lines ordered for EUR 15.90, 1 of them converted at EUR 0.8412 to the euro of \
             2010-11-30 (ECB), USD 1.3022 to the euro of 2010-11-30 (ECB)",
            "5 × 85123A reserved until 2026-03-03 09:00",
            "1 × 22423 reserved until 2026-03-03 09:00",
            "all stock reserved, money awaited",
            "EUR 15.90 asked for until 2026-03-03 09:00",
            "attempt ATTEMPT000000121 started at sandbox",
            "attempt ATTEMPT000000121 taken on by sandbox",
            "EUR 15.90 captured by sandbox",
            "confirmed: EUR 15.90 paid",
            "line 2 shipped by their vendor with Royal Mail",
            "completed",
            "5 × 85123A issued",
            "1 × 22423 issued",
            "refund of EUR 5.30 asked for: broken",
            "EUR 5.30 to go back: broken",
            "EUR 5.30 went back",
            "refund of EUR 5.30 done",
            "2 × 85123A back on the shelf",
        ]
    );
    assert!(entries.is_sorted_by_key(|entry| entry.position));
    for entry in &entries {
        let stored = &shop.log[usize::try_from(entry.position - 1).unwrap()];
        assert_eq!(entry.data.get(), &*stored.payload, "byte for byte");
        assert_eq!((entry.at, &entry.event), (stored.recorded_at, &stored.event_type));
    }
}

#[tokio::test]
async fn every_event_is_on_one_timeline_or_is_nobodys() {
    let shop = busy(2);
    let world = World::projected(&shop.log, 1_000).await;
    let mut told = 0;
    for id in shop.orders.keys() {
        told += timeline::positions_of(world.models.reads(), *id)
            .await
            .unwrap()
            .len();
    }
    // Four products described and stocked, and one adjustment.
    assert_eq!(told, shop.log.len() - 9);
}
