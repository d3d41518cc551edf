//! The table against every order in which a small history can be heard, projected and asked for.

use domain::aggregate::Decider as _;
use domain::ids::{OrderId, RefundId};
use domain::inventory::{Event as E, Inventory};
use uuid::Uuid;

use super::*;

const CUP: &str = "cup";

fn cup() -> Sku {
    CUP.parse().unwrap()
}

fn found(position: i64, version: i64, available: i64) -> Found {
    Found { available, version, position }
}

impl Availability {
    /// As if the log had brought this, and had ended there.
    fn heard(&self, position: i64, next: Option<Move>) {
        let mut table = self.table();
        if let Some(next) = next {
            table.take(CUP, next);
        }
        table.heard = position;
        drop(table);
        self.heard.send_replace(position);
    }
}

#[test]
fn each_event_moves_what_is_available_as_it_moves_the_stock() {
    let (one, two) = (OrderId(Uuid::from_u128(1)), OrderId(Uuid::from_u128(2)));
    let (expires_at, refund_id) = (chrono::DateTime::UNIX_EPOCH, RefundId(Uuid::nil()));
    let (mut available, mut stock) = (0, Inventory::default());
    for event in [
        E::Received { quantity: 10, reference: String::new() },
        E::Reserved { order_id: one, quantity: 3, expires_at },
        E::Reserved { order_id: two, quantity: 4, expires_at },
        E::Adjusted { quantity: -2, reason: String::new() },
        E::Released { order_id: one, quantity: 3 },
        E::Issued { order_id: two, quantity: 4 },
        E::Restocked { order_id: two, refund_id, quantity: 1 },
    ] {
        available += pieces_of(&event);
        stock.evolve(&event);
        assert_eq!(i64::try_from(stock.available()), Ok(available), "after {event:?}");
    }
}

#[test]
fn what_the_read_model_knows_up_to_the_same_position_is_known() {
    let availability = Availability::new(10);
    assert_eq!(availability.of(&cup()), None);

    availability.learn(&cup(), found(10, 3, 7));
    assert_eq!(availability.of(&cup()), Some(view(&cup(), 7, 10)));

    availability.heard(11, Some(Move { sequence: 4, pieces: -2 }));
    assert_eq!(availability.of(&cup()), Some(view(&cup(), 5, 11)));
}

#[test]
fn what_was_heard_before_the_read_model_caught_up_counts_once() {
    let availability = Availability::new(10);
    let told = availability.learn(&cup(), found(8, 3, 7));
    assert_eq!((told, availability.of(&cup())), (view(&cup(), 7, 8), None));

    availability.heard(11, Some(Move { sequence: 4, pieces: -2 }));
    availability.heard(12, Some(Move { sequence: 5, pieces: -1 }));
    let told = availability.learn(&cup(), found(11, 4, 5));

    assert_eq!(told, view(&cup(), 4, 12));
    assert_eq!(availability.of(&cup()), Some(told));
}

#[test]
fn whoever_saw_the_read_model_further_is_told_no_less() {
    let availability = Availability::new(10);
    availability.learn(&cup(), found(10, 3, 7));
    assert_eq!(availability.learn(&cup(), found(12, 4, 6)), view(&cup(), 6, 12));
    assert_eq!(availability.learn(&cup(), found(14, 3, 7)), view(&cup(), 7, 14));
}

#[test]
fn a_hole_in_the_sequence_ends_what_is_known() {
    let availability = Availability::new(10);
    availability.learn(&cup(), found(10, 3, 7));
    availability.heard(11, Some(Move { sequence: 5, pieces: -2 }));
    assert_eq!(availability.of(&cup()), None);
}

#[test]
fn a_full_table_leaves_the_rest_to_the_read_model() {
    let availability = Availability::new(0);
    for number in 0..ARTICLES_MAX {
        availability.learn(&number.to_string().parse().unwrap(), found(0, 1, 1));
    }
    assert_eq!(availability.learn(&cup(), found(0, 1, 9)), view(&cup(), 9, 0));
    assert_eq!(availability.of(&cup()), None);
    assert!(availability.of(&"0".parse().unwrap()).is_some());
}

#[test]
fn an_article_that_moves_too_often_before_it_is_known_is_given_up() {
    let availability = Availability::new(10);
    availability.learn(&cup(), found(8, 0, 0));
    for (position, sequence) in (11..).zip(1..=MOVES_MAX) {
        let sequence = i64::try_from(sequence).unwrap();
        availability.heard(position, Some(Move { sequence, pieces: 1 }));
    }
    assert_eq!(availability.table().articles.len(), 1);
    availability.heard(1_000_000, Some(Move { sequence: 1_000_000, pieces: 1 }));
    assert!(availability.table().articles.is_empty());
}

#[tokio::test]
async fn who_waits_for_a_position_is_told_when_it_is_heard_or_the_time_is_over() {
    let availability = Availability::new(10);
    let patience = Duration::from_millis(1);
    assert!(availability.wait_for(10, patience).await.is_ok());
    let late = availability.wait_for(11, patience).await.unwrap_err();
    assert!(matches!(late, WaitError::Behind { reached: 10, wanted: 11, .. }), "{late}");

    let (waited, ()) = tokio::join!(availability.wait_for(11, Duration::from_mins(1)), async {
        availability.heard(11, None);
    },);
    assert!(waited.is_ok());
}

/// Pieces of the cup that come in at each position: powers of two, so that a sum tells what is in
/// it; 0 where the log is about something else.
const HISTORY: [i64; 4] = [1, 2, 0, 4];

#[derive(Debug, Clone, Copy)]
enum Step {
    Hear,
    Project,
    Find,
    Learn,
}

/// The cup after so many events of the log: its version and what there is of it.
fn cup_at(position: usize) -> (i64, i64) {
    let moves = HISTORY[..position].iter().filter(|pieces| **pieces != 0);
    (i64::try_from(moves.clone().count()).unwrap(), moves.sum())
}

fn row_at(position: usize) -> Found {
    let (version, available) = cup_at(position);
    found(i64::try_from(position).unwrap(), version, available)
}

/// It may be fresher than it says, and never staler.
fn assert_honest(told: &AvailabilityView, path: &[Step]) {
    let claimed = usize::try_from(told.as_of_position).unwrap();
    let honest = (claimed..=HISTORY.len()).any(|position| cup_at(position).1 == told.available);
    assert!(honest, "{told:?} after {path:?}");
}

#[test]
fn no_answer_is_older_than_it_says_in_whatever_order_things_happen() {
    const STEPS: u32 = 9;
    for path in 0..4_u32.pow(STEPS) {
        let steps = (0..STEPS).map(|step| match path >> (2 * step) & 3 {
            0 => Step::Hear,
            1 => Step::Project,
            2 => Step::Find,
            _ => Step::Learn,
        });
        let steps: Vec<Step> = steps.collect();
        let availability = Availability::new(0);
        let (mut heard, mut projected, mut row) = (0, 0, row_at(0));
        for step in &steps {
            match step {
                Step::Hear if heard < HISTORY.len() => {
                    heard += 1;
                    let pieces = HISTORY[heard - 1];
                    let next = Move { sequence: cup_at(heard).0, pieces };
                    let position = i64::try_from(heard).unwrap();
                    availability.heard(position, (pieces != 0).then_some(next));
                }
                Step::Project if projected < HISTORY.len() => projected += 1,
                Step::Find => row = row_at(projected),
                Step::Learn => assert_honest(&availability.learn(&cup(), row), &steps),
                Step::Hear | Step::Project => {}
            }
            let from_memory = availability.of(&cup());
            if let Some(told) = from_memory {
                assert_honest(&told, &steps);
            }
        }
    }
}
