//! Sales, to the penny.

use chrono::NaiveDate;
use domain::money::Money;

use super::shop::Shop;
use super::stories::{ENDINGS, Ending, SKUS, Tale, busy, stocked, tell_all};
use super::world::World;
use crate::AsOf;
use crate::history::EventRef;
use crate::money::Decimal;
use crate::sales::{GroupBy, SalesRow, changes, report, report_at};
use crate::storable::instant;

async fn of(world: &World, group_by: GroupBy) -> Vec<SalesRow> {
    report(world.models.reads(), group_by, None, None)
        .await
        .unwrap()
}

fn row(key: &str, counts: [i64; 2], amounts: [&str; 3], currency: &str) -> SalesRow {
    let currency = currency.parse().unwrap();
    let money = |amount: &str| Money::parse(amount, currency).unwrap().into();
    SalesRow {
        key: key.to_owned(),
        orders: counts[0],
        units: counts[1],
        gross: money(amounts[0]),
        refunded: money(amounts[1]),
        net: money(amounts[2]),
    }
}

fn minor(amount: Decimal) -> i64 {
    amount.to_string().replace('.', "").parse().unwrap()
}

/// The orders of `busy(1)` by hand. Paid are 1, 4, 5, 6, 7 and 10 to 13, in order of
/// [`ENDINGS`]; order `n` has 5 and `1 + n % 4` pieces at `100 + n % 7 * 33`:
///
/// | n | currency | units | price | goods | of which went back |
/// | --- | --- | --- | --- | --- | --- |
/// | 1 | GBP | 7 | 133 | 931 | |
/// | 4 | EUR | 6 | 232 | 1392 | all |
/// | 5 | EUR | 7 | 265 | 1855 | |
/// | 6 | JPY | 8 | 298 | 2384 | |
/// | 7 | JPY | 9 | 100 | 900 | |
/// | 10 | GBP | 8 | 199 | 1592 | 123 |
/// | 11 | GBP | 9 | 232 | 2088 | all |
/// | 12 | EUR | 6 | 265 | 1590 | 2 pieces: 530 |
/// | 13 | EUR | 7 | 298 | 2086 | 77, less 11 of it for shipping |
///
/// Shipping, 350 for odd orders, takes its share of a refund by amount: of order 13's 77 it is
/// 77 * 350 / 2436 = 11.06.
#[tokio::test]
async fn sales_by_currency_are_what_one_adds_up_by_hand() {
    let world = World::projected(&busy(1).log, 1_000).await;
    assert_eq!(
        of(&world, GroupBy::Currency).await,
        [
            row("EUR", [4, 26], ["69.23", "19.88", "49.35"], "EUR"),
            row("GBP", [3, 24], ["46.11", "22.11", "24.00"], "GBP"),
            row("JPY", [2, 17], ["3284", "0", "3284"], "JPY"),
        ]
    );
}

#[tokio::test]
async fn every_grouping_adds_up_to_the_same_and_is_ordered_bytewise() {
    let shop = busy(4);
    let world = World::projected(&shop.log, 100).await;
    let sums = |rows: &[SalesRow]| {
        let mut sums = std::collections::BTreeMap::<&str, [i64; 4]>::new();
        for row in rows {
            let sum = sums.entry(row.gross.currency).or_default();
            let amounts = [
                row.units,
                minor(row.gross.amount),
                minor(row.refunded.amount),
                minor(row.net.amount),
            ];
            for (sum, amount) in sum.iter_mut().zip(amounts) {
                *sum += amount;
            }
        }
        sums
    };
    let expected = sums(&of(&world, GroupBy::Currency).await);
    let groupings = [GroupBy::Day, GroupBy::Month, GroupBy::Country, GroupBy::Sku];
    for group_by in groupings {
        let rows = of(&world, group_by).await;
        assert_eq!(sums(&rows), expected, "{group_by:?}");
        let keys = |row: &SalesRow| (row.key.clone(), row.gross.currency);
        assert!(rows.is_sorted_by_key(keys), "{group_by:?}");
    }
}

#[tokio::test]
async fn days_are_included_at_both_ends_and_dated_by_when_the_order_was_placed() {
    let world = World::projected(&busy(1).log, 1_000).await;
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let days = of(&world, GroupBy::Day).await;
    let keys: Vec<&str> = days.iter().map(|row| row.key.as_str()).collect();
    // Every third order is seven hours later; the first was at nine in the morning.
    assert_eq!(
        keys,
        [
            "2026-03-01",
            "2026-03-01",
            "2026-03-01",
            "2026-03-02",
            "2026-03-02"
        ]
    );

    let reads = world.models.reads();
    let (first, second) = (day("2026-03-01"), day("2026-03-02"));
    let of_days = async |from, to| report(reads, GroupBy::Day, from, to).await.unwrap();
    assert_eq!(of_days(Some(first), Some(first)).await, days[..3]);
    assert_eq!(of_days(Some(second), None).await, days[3..]);
    assert_eq!(of_days(None, Some(second)).await, days);
    assert_eq!(of_days(Some(second), Some(first)).await, []);
}

#[tokio::test]
async fn any_days_by_sku_are_the_sum_of_those_days() {
    let mut shop = stocked();
    for first in [0, 10, 20, 40, 60, 80] {
        tell_all(&mut shop, first, 1);
    }
    let world = World::projected(&shop.log, 30).await;
    let reads = world.models.reads();
    let day = |text: &str| Some(text.parse::<NaiveDate>().unwrap());
    for (from, to) in [
        (None, None),
        (day("2026-03-02"), None),
        (None, day("2026-03-31")),
        (None, day("2026-03-30")),
        (day("2026-03-01"), day("2026-03-31")),
        (day("2026-03-02"), day("2026-04-30")),
        (day("2026-03-02"), day("2026-03-20")),
        (day("2026-03-28"), day("2026-05-02")),
        (day("2026-04-01"), day("2026-06-30")),
        (day("2026-05-02"), day("2026-05-01")),
    ] {
        let rows = report(reads, GroupBy::Sku, from, to).await.unwrap();
        let of_days: Vec<(String, String, i64, i64)> = sqlx::query_as(
            "select sku, currency, sum(orders)::bigint, sum(gross_minor - refunded_minor)::bigint \
             from sales_by_sku where coalesce($1, '-infinity') <= day \
             and day <= coalesce($2, 'infinity') group by 1, 2 order by 1, 2",
        )
        .bind(from)
        .bind(to)
        .fetch_all(reads)
        .await
        .unwrap();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| (row.key, row.net.currency.to_owned(), row.orders, minor(row.net.amount)))
            .collect();
        assert_eq!(rows, of_days, "{from:?} to {to:?}");
    }
}

#[tokio::test]
async fn an_order_counts_once_for_each_sku_it_holds() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let paid = |ending: &Ending| {
        !matches!(
            ending,
            Ending::Waiting
                | Ending::OutOfStock
                | Ending::CancelledUnpaid
                | Ending::Mismatched
                | Ending::MismatchedCurrency
        )
    };
    let rows = of(&world, GroupBy::Sku).await;
    for sku in SKUS {
        let holding = (0..)
            .zip(ENDINGS)
            .filter(|(_, ending)| paid(ending))
            .filter(|(n, _)| {
                Tale::of(*n)
                    .placing
                    .lines
                    .iter()
                    .any(|line| line.sku.as_str() == sku)
            })
            .count();
        let counted: i64 = rows
            .iter()
            .filter(|row| row.key == sku)
            .map(|row| row.orders)
            .sum();
        assert_eq!(counted, i64::try_from(holding).unwrap(), "{sku}");
    }
}

const GROUPINGS: [GroupBy; 5] = [
    GroupBy::Day,
    GroupBy::Month,
    GroupBy::Country,
    GroupBy::Sku,
    GroupBy::Currency,
];

/// A world in which nothing more has happened than up to a position.
async fn until(shop: &Shop, position: i64) -> World {
    let log = shop.log.iter().filter(|event| event.position <= position);
    World::projected(&log.cloned().collect::<Vec<_>>(), 50).await
}

#[tokio::test]
async fn sales_as_of_a_moment_are_what_the_report_said_at_that_moment() {
    let shop = busy(3);
    let now = World::projected(&shop.log, 70).await;
    let reads = now.models.reads();
    let last = shop.log.len();
    for index in [0, last / 5, last / 2, 4 * last / 5, last - 1] {
        let event = &shop.log[index];
        let then = until(&shop, event.position).await;
        for group_by in GROUPINGS {
            let expected = of(&then, group_by).await;
            let moments = [
                AsOf::Position(event.position),
                AsOf::Time(event.recorded_at),
            ];
            for as_of in moments {
                let rows = report_at(reads, group_by, None, None, as_of).await.unwrap();
                assert_eq!(rows, expected, "{group_by:?} {as_of:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_changed_between_two_moments_is_named_with_its_events() {
    let shop = busy(3);
    let world = World::projected(&shop.log, 70).await;
    let reads = world.models.reads();
    let (since, head) = (shop.log[shop.log.len() / 2].position, shop.head());
    for group_by in GROUPINGS {
        let (from, to) = (AsOf::Position(since), AsOf::Position(head));
        let before = report_at(reads, group_by, None, None, from).await.unwrap();
        let changed = changes(reads, group_by, (None, None), from, to)
            .await
            .unwrap();
        let differing = of(&world, group_by).await;
        let differing = differing.iter().filter(|row| !before.contains(row));
        let keys: Vec<&str> = differing.map(|row| row.key.as_str()).collect();
        assert_eq!(
            changed
                .iter()
                .map(|row| row.key.as_str())
                .collect::<Vec<_>>(),
            keys
        );
        for change in &changed {
            assert_eq!(i64::try_from(change.events.len()).unwrap(), change.events_count);
            assert!(!change.events.is_empty(), "{group_by:?} {change:?}");
            for EventRef { position, at, event } in &change.events {
                assert!(since < *position && *position <= head, "{change:?}");
                let index = usize::try_from(*position - 1).unwrap();
                let recorded = &shop.log[index];
                assert_eq!((event, *at), (&recorded.event_type, instant(recorded.recorded_at)));
            }
        }
    }
    let same = AsOf::Position(head);
    assert_eq!(
        changes(reads, GroupBy::Sku, (None, None), same, same)
            .await
            .unwrap(),
        []
    );
}
