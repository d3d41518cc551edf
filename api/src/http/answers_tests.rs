//! Which answers stand, and who computes.

use std::sync::atomic::AtomicUsize;

use chrono::TimeDelta;
use domain::money::Money;
use domain::product::{self, Description};
use domain::{inventory, listing, person};
use serde_json::json;
use store::recorded::Metadata;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::*;

fn recorded(position: i64, id: &str, event: Event) -> Arc<RecordedEvent> {
    Arc::new(RecordedEvent {
        position,
        event_id: Uuid::nil(),
        aggregate_type: String::new(),
        aggregate_id: id.to_owned(),
        sequence: 1,
        event_type: event.name(),
        event_version: "1".to_owned(),
        payload: "".into(),
        stored: "".into(),
        metadata: Metadata {
            command_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
            causation_id: None,
            actor: "staff".to_owned(),
            request_id: None,
            traceparent: None,
            reason: None,
        },
        recorded_at: DateTime::UNIX_EPOCH,
        event,
    })
}

fn described() -> Event {
    let price = Money { minor: 450, currency: "GBP".parse().unwrap() };
    let cup = Description {
        name: "Cup".into(),
        price,
        active: true,
        prices: vec![],
        vendor: None,
        weight_grams: None,
    };
    Event::Product(product::Event::Described(cup))
}

fn received(quantity: u64) -> Event {
    Event::Inventory(inventory::Event::Received { quantity, reference: "note".into() })
}

fn adjusted(quantity: i64) -> Event {
    Event::Inventory(inventory::Event::Adjusted { quantity, reason: "counted".into() })
}

/// Listening since position 10.
fn listening() -> Answers {
    let answers = Answers::new(10);
    answers.hear(&[recorded(10, "x", described())]);
    answers
}

fn made_at(position: i64, of: &[Of]) -> Computed {
    Computed::new(position, of.to_vec(), &json!({"position": position}))
}

fn sku(text: &str) -> Of {
    Of::Product(text.parse().unwrap())
}

#[test]
fn an_answer_stands_until_something_that_it_is_made_of_changes() {
    let answers = listening();
    let (cup, pot) = (made_at(11, &[sku("cup")]), made_at(11, &[sku("pot")]));
    let page = made_at(11, &[Of::Listing("cups".parse().unwrap())]);
    answers.hear(&[recorded(12, "cup", received(1))]);
    assert_eq!(answers.holds_at(&cup), None);
    assert_eq!(answers.holds_at(&pot), Some(12), "true up to what was heard last");
    answers.hear(&[recorded(
        13,
        "cups",
        Event::Listing(listing::Event::Withdrawn),
    )]);
    assert_eq!(answers.holds_at(&page), None);
    assert_eq!(answers.holds_at(&made_at(12, &[sku("cup")])), Some(13));
    let ahead = made_at(20, &[sku("cup")]);
    assert_eq!(answers.holds_at(&ahead), Some(20), "the read models were further");
}

#[test]
fn what_was_made_while_something_changed_does_not_stand() {
    let answers = listening();
    answers.hear(&[recorded(12, "cup", described())]);
    assert_eq!(answers.holds_at(&made_at(11, &[sku("cup")])), None);
    assert_eq!(answers.holds_at(&made_at(11, &[Of::Products])), None);
    assert_eq!(answers.holds_at(&made_at(11, &[Of::Listings])), None);
    assert_eq!(answers.holds_at(&made_at(11, &[Of::Categories])), Some(12));
}

#[test]
fn nothing_stands_before_anybody_listens_or_from_before_that() {
    let answers = Answers::new(10);
    assert_eq!(answers.holds_at(&made_at(11, &[Of::Categories])), None);
    answers.hear(&[recorded(10, "x", described())]);
    assert_eq!(answers.holds_at(&made_at(9, &[Of::Categories])), None);
    assert_eq!(answers.holds_at(&made_at(10, &[Of::Categories])), Some(10));
}

#[test]
fn lists_change_with_what_runs_out_or_comes_in_and_not_with_every_piece() {
    let answers = listening();
    let lists = |position| made_at(position, &[Of::Listings]);
    let hear = |position, event| answers.hear(&[recorded(position, "cup", event)]);
    hear(11, received(5));
    assert_eq!(answers.holds_at(&lists(10)), None, "there was none before");
    hear(12, adjusted(-4));
    assert_eq!(answers.holds_at(&lists(11)), Some(12));
    hear(13, adjusted(-1));
    assert_eq!(answers.holds_at(&lists(12)), None, "it ran out");
}

#[test]
fn reports_stand_until_something_is_sold_given_back_or_somebody_forgotten() {
    let answers = listening();
    let sales = |position| answers.holds_at(&made_at(position, &[Of::Sales]));
    let customers = |position| answers.holds_at(&made_at(position, &[Of::Customers]));
    let hear = |position, event| answers.hear(&[recorded(position, "x", event)]);
    hear(11, Event::Order(order::Event::Processing));
    hear(12, received(5));
    assert_eq!((sales(10), customers(10)), (Some(12), Some(12)));
    hear(13, Event::Order(order::Event::Confirmed { captured_minor: 450 }));
    assert_eq!((sales(12), customers(12)), (None, None));
    let forgotten = person::Event::Forgotten { orders: vec![], reason: "asked to be".into() };
    hear(14, Event::Person(forgotten));
    assert_eq!((sales(13), customers(13)), (Some(14), None));
}

#[test]
fn what_is_forgotten_of_changes_is_computed_again() {
    let answers = listening();
    let pot = made_at(11, &[sku("pot")]);
    for number in 0..=i64::try_from(CHANGES_MAX).unwrap() {
        answers.hear(&[recorded(12 + number, &number.to_string(), described())]);
    }
    assert_eq!(answers.holds_at(&pot), None);
    assert!(answers.changes().by_product.len() < 2);
}

#[tokio::test]
async fn of_many_who_ask_the_same_one_computes() {
    const MANY: usize = 64;
    let answers = listening();
    let (computed, barrier) = (AtomicUsize::new(0), Barrier::new(MANY));
    let ask = || async {
        barrier.wait().await;
        let compute = || async {
            computed.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(made_at(11, &[Of::Categories]))
        };
        let told = answers
            .tell(&Asking::default(), "x".to_owned(), compute)
            .await;
        told.unwrap().status()
    };
    let told = futures::future::join_all((0..MANY).map(|_| ask())).await;
    assert!(told.iter().all(axum::http::StatusCode::is_success));
    assert_eq!(computed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn who_waits_for_a_position_is_not_told_what_was_not_there_before_it() {
    let answers = listening();
    let (begun, go_on) = (Barrier::new(2), Barrier::new(2));
    let early = async {
        let compute = || async {
            begun.wait().await;
            go_on.wait().await;
            Err(Problem::not_found("listing"))
        };
        let told = answers
            .tell(&Asking::default(), "x".to_owned(), compute)
            .await;
        told.unwrap_err().status().as_u16()
    };
    let late = async {
        begun.wait().await;
        answers.hear(&[recorded(12, "cups", described())]);
        let asking = Asking::default().at_least(12);
        let compute = || async { Ok(made_at(12, &[Of::Categories])) };
        let told = answers.tell(&asking, "x".to_owned(), compute);
        let (told, _) = tokio::join!(told, go_on.wait());
        told.unwrap().headers()["daybook-position"].clone()
    };
    let (early, late) = tokio::join!(early, late);
    assert_eq!((early, late.to_str().unwrap()), (404, "12"));
}

#[tokio::test]
async fn a_failure_is_told_and_not_kept() {
    let answers = listening();
    let ask = async |compute: Result<Computed, Problem>| {
        let compute = Mutex::new(Some(compute));
        let compute = || async { compute.lock().unwrap().take().expect("asked once") };
        answers
            .tell(&Asking::default(), "x".to_owned(), compute)
            .await
            .map(|told| told.status().as_u16())
            .map_err(|problem| problem.status().as_u16())
    };
    assert_eq!(ask(Err(Problem::not_found("listing"))).await, Err(404));
    assert_eq!(ask(Ok(made_at(11, &[Of::Categories]))).await, Ok(200));
    assert_eq!(ask(Err(Problem::internal())).await, Ok(200), "it is kept by now");
}

#[tokio::test]
async fn what_ends_by_the_clock_does_not_stand_any_more() {
    let answers = listening();
    let ends_at = Utc::now() + TimeDelta::hours(1);
    let offered = |until: DateTime<Utc>| {
        Computed::new(10, vec![Of::Promotions], &json!(["SPRING"])).until(Some(until))
    };
    let kept: Kept = Ok(Arc::new(offered(ends_at)));
    assert!(answers.stands(&kept));
    let over: Kept = Ok(Arc::new(offered(Utc::now())));
    assert!(!answers.stands(&over), "nothing was heard, and it has ended");
    answers.hear(&[recorded(11, "x", described())]);
    assert!(answers.stands(&kept), "products are nothing to it");
}
