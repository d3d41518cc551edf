//! What the folds make of every event, held against the domain's own states.

use domain::ids::OrderId;
use domain::order::Stage;
use domain::personal::Hidden;

use super::stories::{ENDINGS, Ending, Tale, busy, tell_all};
use super::world::World;
use crate::orders::{self, Filter, OrderView, Status};
use crate::payments;
use crate::{PaymentStatus, RefundState, timeline};

#[test]
fn an_order_is_shown_as_far_as_the_domain_says_it_is() {
    let shop = busy(3);
    for (id, order) in &shop.orders {
        let view = OrderView::at(&shop.of_order(*id)).unwrap();

        let stage = match view.status {
            Status::Pending => Stage::Pending,
            Status::Processing => Stage::Processing,
            Status::Confirmed => Stage::Confirmed,
            Status::Completed => Stage::Completed,
            Status::Cancelled => Stage::Cancelled,
            Status::Failed => Stage::Failed,
            Status::Refunded => Stage::Refunded,
        };
        assert_eq!(stage, order.stage(), "{id}");
        assert_eq!(view.total, order.total().unwrap().into(), "{id}");
    }
}

#[test]
fn each_ending_leaves_order_and_money_where_they_belong() {
    use PaymentStatus as P;
    use Status as S;

    let shop = busy(1);
    for (n, ending) in (0..).zip(ENDINGS) {
        let view = OrderView::at(&shop.of_order(Tale::of(n).order)).unwrap();
        let expected = match ending {
            Ending::Waiting => (S::Pending, P::Pending),
            Ending::Completed => (S::Completed, P::Captured),
            Ending::OutOfStock => (S::Failed, P::Pending),
            Ending::CancelledUnpaid => (S::Cancelled, P::Voided),
            Ending::CancelledPaid => (S::Cancelled, P::Refunded),
            Ending::PaidLate | Ending::PaidAtSecondTry | Ending::PaidTwice => {
                (S::Confirmed, P::Captured)
            }
            Ending::Mismatched => (S::Failed, P::Refunded),
            Ending::MismatchedCurrency => (S::Failed, P::Mismatched),
            Ending::RefundedInPart | Ending::RefundedAtSecondTry => {
                (S::Confirmed, P::PartiallyRefunded)
            }
            Ending::RefundedInFull => (S::Refunded, P::Refunded),
            Ending::RefundedByPieces => (S::Completed, P::PartiallyRefunded),
        };
        assert_eq!((view.status, view.payment_status), expected, "{ending:?}");
    }
}

#[test]
fn money_moves_through_each_of_its_states_as_the_events_say() {
    use PaymentStatus as P;

    let seen = |ending: Ending| {
        let shop = busy(1);
        let n = (0..).zip(ENDINGS).find(|(_, it)| *it == ending).unwrap().0;
        let events = shop.of_order(Tale::of(n).order);
        let mut seen: Vec<P> = (1..=events.len())
            .map(|until| OrderView::at(&events[..until]).unwrap().payment_status)
            .collect();
        seen.dedup();
        seen
    };

    // The first attempt starts in the same command that opens the payment, one event later.
    assert_eq!(
        seen(Ending::PaidAtSecondTry),
        [
            P::Pending,
            P::Declined,
            P::Awaiting,
            P::Declined,
            P::Awaiting,
            P::Captured
        ]
    );
    assert_eq!(
        seen(Ending::RefundedInFull)[3..],
        [P::Captured, P::PartiallyRefunded, P::Refunded]
    );
}

#[test]
fn a_refund_that_fails_says_why_and_the_next_one_stands_beside_it() {
    let shop = busy(1);
    let n = (0..)
        .zip(ENDINGS)
        .find(|(_, it)| *it == Ending::RefundedAtSecondTry)
        .unwrap()
        .0;

    let view = OrderView::at(&shop.of_order(Tale::of(n).order)).unwrap();

    let refunds: Vec<_> = view
        .refunds
        .iter()
        .map(|refund| (refund.status, refund.failure.as_deref()))
        .collect();
    assert_eq!(
        refunds,
        [
            (RefundState::Failed, Some("account closed")),
            (RefundState::Refunded, None)
        ]
    );
}

#[test]
fn what_was_not_placed_yet_is_no_order() {
    assert_eq!(OrderView::at(&[]), None);
    let shop = busy(1);
    let later = &shop.of_order(Tale::of(0).order)[1..];
    assert_eq!(OrderView::at(later), None);
}

#[tokio::test]
async fn a_row_is_what_a_replay_of_the_log_gives() {
    let shop = busy(3);
    let world = World::projected(&shop.log, 50).await;
    let reads = world.models.reads();
    for id in shop.orders.keys() {
        let stored = world.models.order(*id).await.unwrap().unwrap();
        let row = Some(stored.view().unwrap());
        let replay = OrderView::at(&timeline::events_of(reads, *id).await.unwrap());
        assert_eq!(row, replay);
        assert_eq!(row, OrderView::at(&shop.of_order(*id)), "live events are no different");

        let payment = payments::by_id(reads, row.as_ref().unwrap().payment_id)
            .await
            .unwrap();
        if let (Some(row), Some(payment)) = (row, payment) {
            assert_eq!(
                (row.payment_status, row.captured, row.refunded),
                (payment.status, payment.captured, payment.refunded)
            );
        }
    }
}

#[tokio::test]
async fn batch_boundaries_do_not_matter() {
    let shop = busy(2);
    let at_once = World::projected(&shop.log, 1_000).await.dump().await;
    for batch_events in [1, 7] {
        World::projected(&shop.log, batch_events)
            .await
            .holds(&at_once)
            .await;
    }
}

#[tokio::test]
async fn whoever_is_forgotten_is_gone_from_every_row_wherever_batches_end() {
    let mut shop = busy(1);
    let gone: Vec<OrderId> = shop.orders.keys().step_by(2).copied().collect();
    shop.forget(gone.clone());
    tell_all(&mut shop, 1, 1);
    let at_once = World::projected(&shop.log, 1_000).await;
    let rows = at_once.dump().await;
    for batch_events in [1, 7] {
        World::projected(&shop.log, batch_events)
            .await
            .holds(&rows)
            .await;
    }

    let hidden = Hidden::Forgotten.customer();
    for id in shop.orders.keys() {
        let stored = at_once.models.order(*id).await.unwrap().unwrap();
        let customer = stored.view().unwrap().customer;
        assert_eq!(customer.email == hidden.email, gone.contains(id), "{customer:?}");
    }
    let reads = at_once.models.reads();
    let email = at_once.models.order(gone[0]).await.unwrap().unwrap();
    let filter =
        Filter { customer_email: Some(email.view().unwrap().customer.email), ..Filter::default() };
    let found = orders::list(reads, &filter, 100, None).await.unwrap();
    assert_eq!(found.items.len(), gone.len());
    assert!(
        found
            .items
            .iter()
            .all(|order| order.customer.name == hidden.name)
    );
    let guests: Vec<(String, i64)> =
        sqlx::query_as("select email_key, orders from guests order by email_key")
            .fetch_all(reads)
            .await
            .unwrap();
    let left = shop.orders.keys().filter(|id| !gone.contains(id)).count();
    let told: i64 = guests.iter().map(|(_, orders)| orders).sum();
    assert_eq!(usize::try_from(told), Ok(left), "{guests:?}");
    assert!(
        guests
            .iter()
            .all(|(email, _)| email.starts_with("customer.")),
        "{guests:?}"
    );
    let told = timeline::of_order(reads, gone[0]).await.unwrap();
    let last = told.last().unwrap();
    assert_eq!(last.event, "person.forgotten");
    assert!(!last.data.get().contains(&gone[1].to_string()), "{}", last.data);
}
