//! A storm: orders at every provider, everything going wrong by chance, the process killed ten times.
//!
//! When it is over, every order is confirmed with exactly its amount captured, or has come to another
//! end with everything given back; the providers' own books agree with the log and the read models to
//! the penny; stock agrees; and what must always hold does at every position of the log.
//!
//! `DAYBOOK_STORM_SEED` repeats one, as far as the timing of real processes can be repeated;
//! `DAYBOOK_STORM_ORDERS` says how many orders.

mod books;
mod customers;
mod plan;
mod shops;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::chance::Chance;
use tests::served::Served;
use tests::servers;
use tests::world::{STAFF, new_database, until};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use self::customers::{Ended, Storm, live};
use self::plan::{Pays, Plan};
use self::shops::Shop;

/// So many that every fault meets every provider, and few enough for a test run of two minutes.
const ORDERS: u64 = 200;
/// Orders under way at once, and the least time between two: a slow machine's storm takes longer.
const UNDER_WAY_MAX: usize = 160;
const ORDER_EVERY: Duration = Duration::from_millis(20);
/// Seconds until an order that nobody pays is given up.
const PAYMENT_WINDOW: &str = "20";
/// After which a silent provider is asked.
const POLL_PAUSES: &str = "1s,2s,4s";
/// A provider that hangs is given up after this.
const PROVIDER_TIMEOUT_MS: &str = "1000";
/// How many calls in a thousand meet some fault.
const FAULTS: u64 = 80;
/// How often the process is killed.
const KILLS: u64 = 10;
/// How often providers work off refunds, and how often one of them is away for a while.
const REFUNDS_EVERY: Duration = Duration::from_millis(700);
const OUTAGE_EVERY: Duration = Duration::from_secs(5);
/// Pieces of what there is too little of, for each provider, per hundred orders.
const RARE_PIECES: u64 = 1;
const COMMON_PIECES: u64 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_money_and_orders_agree_in_the_end() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed = number("DAYBOOK_STORM_SEED").unwrap_or_else(rand::random);
    let orders = number("DAYBOOK_STORM_ORDERS").unwrap_or(ORDERS);
    eprintln!("DAYBOOK_STORM_SEED={seed} DAYBOOK_STORM_ORDERS={orders} repeats this storm");
    let began = Instant::now();

    let (stream, database_url) = new_database("").await;
    let shops = shops::all().await;
    let variables = environment(&shops, &database_url, stream);
    let served = Served::start(env!("CARGO_BIN_EXE_served"), variables).await;
    let storm = Arc::new(Storm { served, shops, seed, progress: AtomicU64::new(0) });
    open(&storm, orders).await;
    let pool = PgPool::connect_lazy(&database_url).unwrap();

    let troubles = [weather(&storm), work_off_refunds(&storm)];
    let killed = kill(&storm, orders);
    let mut under_way = JoinSet::new();
    let mut chance = Chance::of(seed, 0);
    let (mut ended, mut restless) = (Vec::new(), Vec::new());
    let mut take = |one: Result<Result<Ended, String>, JoinError>| match one
        .unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
    {
        Ok(one) => ended.push(one),
        Err(disagreement) => restless.push(disagreement),
    };
    for number in 1..=orders {
        let plan = Plan::draw(&mut chance, number, storm.shops.len());
        under_way.spawn(live(Arc::clone(&storm), plan));
        sleep(ORDER_EVERY).await;
        if UNDER_WAY_MAX <= under_way.len()
            && let Some(one) = under_way.join_next().await
        {
            take(one);
        }
    }
    while let Some(one) = under_way.join_next().await {
        take(one);
    }
    let stand = standing(&pool).await;
    assert!(
        restless.is_empty(),
        "seed {seed}: do not come to rest ({stand}): {}",
        restless.join("\n\n")
    );
    killed.await.unwrap();
    for trouble in troubles {
        trouble.abort();
    }
    let seconds = began.elapsed().as_secs();
    let words = tally(&ended);
    eprintln!("{orders} orders at rest after {seconds} s and {KILLS} kills: {words}");

    the_clear_sky(&storm).await;
    everything_is_read(&pool).await;
    for one in &mut ended {
        one.found = books::look(&storm, &one.order_id, &one.payment_id, 0).await;
        assert_eq!(one.found.disagreement(&storm.shops), None, "seed {seed}: {:#?}", one.found);
    }
    only_what_cannot_be_matched_is_parked(&storm, &ended).await;
    stock_agrees(&storm, &ended, orders).await;
    the_report_agrees(&storm, &ended).await;
    let checked = api::verify::verify(&pool, |_, _| ()).await.unwrap();
    eprintln!("{checked:?}");
}

fn environment(shops: &[Shop], database_url: &str, stream: String) -> Vec<(String, String)> {
    let own = [
        ("DATABASE_URL", database_url.to_owned()),
        ("NATS_URL", servers::nats_url().to_owned()),
        ("DAYBOOK_STREAM", stream),
        ("DAYBOOK_STREAM_BYTES_MAX", (64 * 1024 * 1024).to_string()),
        ("DAYBOOK_STAFF_TOKEN", STAFF.to_owned()),
        ("DAYBOOK_PAYMENT_WINDOW", PAYMENT_WINDOW.to_owned()),
        ("DAYBOOK_POLL_PAUSES", POLL_PAUSES.to_owned()),
        ("DAYBOOK_GATEWAY_TIMEOUT_MS", PROVIDER_TIMEOUT_MS.to_owned()),
        // All customers come from one address.
        ("DAYBOOK_RATE_LIMITS", "none".to_owned()),
        ("SANDBOX_PAYMENTS", "on".to_owned()),
    ];
    let simulators = shops.iter().filter_map(|shop| shop.simulator.as_ref());
    let theirs = simulators.flat_map(|simulator| simulator.settings());
    let all = own.into_iter().chain(theirs);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn rare_pieces(orders: u64) -> u64 {
    1 + orders * RARE_PIECES / 100
}

/// Offers what is sold, with its stock.
async fn open(storm: &Storm, orders: u64) {
    for shop in &storm.shops {
        for (sku, pieces) in [
            (shop.common(), COMMON_PIECES),
            (shop.rare(), rare_pieces(orders)),
        ] {
            let price = json!({
                "amount": shop.price.decimal(), "currency": shop.price.currency.code(),
            });
            let body = json!({"name": sku, "price": price, "active": true});
            let put = || {
                let path = format!("/api/v1/products/{sku}");
                let put = storm.served.request(Method::PUT, &path).bearer_auth(STAFF);
                put.header("idempotency-key", &sku).json(&body)
            };
            let _described = storm.served.insist(put).await.expect(200);
            let path = format!("/api/v1/inventory/{sku}/receipts");
            let body = json!({"quantity": pieces, "reference": "opening stock"});
            let _received = storm.post(&path, &body).await.expect(200);
        }
    }
}

/// Faults with every provider's answers, and now and then one that is away.
fn weather(storm: &Arc<Storm>) -> JoinHandle<()> {
    let simulators = storm.shops.iter().filter_map(|shop| shop.simulator.clone());
    let simulators: Vec<_> = simulators.collect();
    let mut chance = Chance::of(storm.seed, u64::MAX);
    for (number, simulator) in (1..).zip(&simulators) {
        let faults = Chance::of(storm.seed, u64::MAX - number);
        simulator.faults().come_by_chance(faults, FAULTS);
    }
    tokio::spawn(async move {
        loop {
            sleep(OUTAGE_EVERY).await;
            let which = usize::try_from(chance.below(simulators.len() as u64)).unwrap();
            let simulator = &simulators[which];
            simulator.server().goes_away().await;
            sleep(Duration::from_millis(300 + chance.below(1_500))).await;
            simulator.server().comes_back().await;
        }
    })
}

/// Nothing goes wrong any more.
async fn the_clear_sky(storm: &Storm) {
    for simulator in storm
        .shops
        .iter()
        .filter_map(|shop| shop.simulator.as_ref())
    {
        simulator.faults().clear();
        // It may have been away when the weather ended.
        simulator.server().goes_away().await;
        simulator.server().comes_back().await;
    }
}

fn work_off_refunds(storm: &Arc<Storm>) -> JoinHandle<()> {
    let storm = Arc::clone(storm);
    tokio::spawn(async move {
        loop {
            sleep(REFUNDS_EVERY).await;
            for simulator in storm
                .shops
                .iter()
                .filter_map(|shop| shop.simulator.as_ref())
            {
                simulator.works_off_refunds();
            }
        }
    })
}

/// Kills the process whenever another part of the storm is over.
fn kill(storm: &Arc<Storm>, orders: u64) -> JoinHandle<()> {
    let storm = Arc::clone(storm);
    tokio::spawn(async move {
        for time in 1..=KILLS {
            while storm.progress.load(Ordering::Relaxed) < time * 2 * orders / (KILLS + 1) {
                sleep(Duration::from_millis(20)).await;
            }
            storm.served.dies_and_comes_back().await;
        }
    })
}

/// Waits until every read model and worker has taken in the whole log, and every webhook is worked
/// on.
async fn everything_is_read(pool: &PgPool) {
    until("everything is read", async || {
        let behind: i64 = sqlx::query_scalar(
            "select count(*) from (select position from read.marks \
             union all select position from worker_marks) as marks, log_head \
             where marks.position <> log_head.position",
        )
        .fetch_one(pool)
        .await
        .ok()?;
        let unworked: i64 =
            sqlx::query_scalar("select count(*) from webhooks where state = 'received'")
                .fetch_one(pool)
                .await
                .ok()?;
        (behind == 0 && unworked == 0).then_some(())
    })
    .await;
}

async fn all_items(storm: &Storm, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let page = storm.get(&format!("{path}{sign}limit=100{cursor}")).await;
        let page = page.expect(200).json();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// Staff are called about exactly these: money of another amount or currency than was asked for, or
/// under another name, and refunds that failed. All but the second and the third have been settled.
async fn only_what_cannot_be_matched_is_parked(storm: &Storm, ended: &[Ended]) {
    let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unmatched = 0;
    for one in ended {
        let mismatched = one.found.attempts("mismatched");
        let calls = mismatched + one.found.failed_refunds();
        if 0 < calls {
            expected.insert(&one.order_id, calls);
        }
        let is_odd = matches!(
            one.plan.pays,
            Pays::Less | Pays::More | Pays::OtherCurrency | Pays::UnderAnotherName
        );
        assert!(
            mismatched == 0 || is_odd || one.token == Some("wrong_amount"),
            "{:?}",
            one.found
        );
        let foreign = one.found.foreign(&storm.shops);
        assert!(foreign == 0 || one.plan.pays == Pays::OtherCurrency, "{:?}", one.found);
        unmatched += foreign;
    }
    let facts = all_items(storm, "/api/v1/parked-facts").await;
    let mut parked: BTreeMap<&str, usize> = BTreeMap::new();
    for fact in &facts {
        let reason = fact["reason"].as_str().unwrap();
        let is_known = ["was asked for", "and spoke of", "failed:"]
            .iter()
            .any(|words| reason.contains(words));
        assert!(is_known, "{fact}");
        *parked
            .entry(fact["order_id"].as_str().unwrap())
            .or_default() += 1;
    }
    assert_eq!(parked, expected, "{facts:#?}");
    let webhooks = all_items(storm, "/api/v1/webhooks?state=parked").await;
    // Of another currency or another name; nothing else is left to do.
    for webhook in &webhooks {
        let reason = webhook["reason"].as_str().unwrap();
        assert!(reason.ends_with("no order counts it"), "{webhook}");
    }
    eprintln!("{} calls to staff, {unmatched} payments in another currency", facts.len());
}

async fn stock_agrees(storm: &Storm, ended: &[Ended], orders: u64) {
    for (number, shop) in storm.shops.iter().enumerate() {
        for (rare, opening) in [(false, COMMON_PIECES), (true, rare_pieces(orders))] {
            let sku = if rare { shop.rare() } else { shop.common() };
            let of = ended
                .iter()
                .filter(|one| one.plan.shop == number && one.plan.rare == rare);
            let (mut on_hand, mut reserved) = (i64::try_from(opening).unwrap(), 0);
            for one in of {
                let pieces = i64::from(one.plan.quantity);
                match one.found.status() {
                    "confirmed" => reserved += pieces,
                    "completed" => on_hand += i64::from(one.restocked) - pieces,
                    // All of one piece went back after it had gone out, and onto the shelf.
                    "refunded" if 0 < one.restocked => {
                        on_hand += i64::from(one.restocked) - pieces;
                    }
                    _ => {}
                }
            }
            let path = format!("/api/v1/inventory/{sku}");
            let stock = storm.get(&path).await.expect(200).json();
            let found = (stock["on_hand"].as_i64(), stock["reserved"].as_i64());
            assert_eq!(found, (Some(on_hand), Some(reserved)), "{sku}");
        }
    }
}

/// What was ever confirmed is sold; what went back of it is refunded.
async fn the_report_agrees(storm: &Storm, ended: &[Ended]) {
    let report = storm.get("/api/v1/reports/sales?group_by=currency").await;
    let report = report.expect(200).json();
    let mut said: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
    for one in ended {
        if !one.found.was_confirmed() {
            continue;
        }
        let total = &one.found.order["total"];
        let currency = total["currency"].as_str().unwrap().to_owned();
        let sum = said.entry(currency).or_default();
        sum.0 += 1;
        sum.1 += books::minor(total);
        sum.2 += one.found.given_back();
    }
    let rows = report["items"].as_array().unwrap();
    let reported: BTreeMap<String, (i64, i64, i64)> = rows
        .iter()
        .map(|row| {
            let minor = |name: &str| books::minor(&row[name]);
            let key = row["key"].as_str().unwrap().to_owned();
            (key, (row["orders"].as_i64().unwrap(), minor("gross"), minor("refunded")))
        })
        .collect();
    assert_eq!(reported, said);
}

/// How far everything is, for people.
async fn standing(pool: &PgPool) -> String {
    let marks: Vec<(String, i64)> = sqlx::query_as(
        "select name, position from read.marks union all select worker, position from worker_marks \
         union all select 'log', position from log_head",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    format!("{marks:?}")
}

/// How the orders ended, for people.
fn tally(ended: &[Ended]) -> String {
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    for one in ended {
        *statuses.entry(one.found.status()).or_default() += 1;
    }
    let attempts = |status| {
        ended
            .iter()
            .map(|one| one.found.attempts(status))
            .sum::<usize>()
    };
    format!(
        "{statuses:?}; attempts captured {}, declined {}, mismatched {}",
        attempts("captured"),
        attempts("declined"),
        attempts("mismatched")
    )
}
