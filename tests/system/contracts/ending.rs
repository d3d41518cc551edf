//! What is open and goes no further: ended where nobody waits for it, told where a person has to act.

use domain::attempt::Outcome;
use gateways::gateway::{CallError, Charge, Found, PaybackOutcome};
use tests::simulators::Fault;

use super::{Pair, payback};

pub(super) async fn what_nobody_waits_for_any_more_is_ended_where_the_provider_can_do_so(
    pair: Pair,
) {
    let charge = pair.begun().await;
    let end = async |charge: &Charge| pair.gateway.cancel(charge).await.unwrap();
    if !pair.gateway.cancels() {
        // It says how the attempt stands, and nothing changes.
        assert!(matches!(end(&charge).await, Found::Said(Outcome::Accepted { .. })));
        assert!(!pair.simulator.is_over(&charge.reference));
        return;
    }
    for _ in 0..2 {
        let ended = end(&charge).await;
        assert!(matches!(ended, Found::Said(Outcome::Declined { .. })), "{ended:?}");
    }
    pair.simulator.customer_pays(&charge.reference);
    assert!(pair.simulator.is_over(&charge.reference));
    assert!(matches!(pair.said(&charge).await, Outcome::Declined { .. }), "nobody could pay");

    // Money that was there before is not lost.
    let charge = pair.begun().await;
    pair.simulator.customer_pays(&charge.reference);
    let Found::Said(Outcome::Captured { received, .. }) = end(&charge).await else {
        panic!("it is paid");
    };
    assert_eq!(received, charge.amount);

    // Nor does anybody guess what became of it where no answer came.
    let charge = pair.begun().await;
    pair.simulator.faults().next(Fault::ActsThenBreaksOff);
    let lost = pair.gateway.cancel(&charge).await.unwrap_err();
    assert!(matches!(lost, CallError::OutcomeUnknown { .. }), "{lost:?}");
    assert!(matches!(end(&charge).await, Found::Said(Outcome::Declined { .. })));
    assert_eq!(end(&pair.charge()).await, Found::NeverHeard);
}

pub(super) async fn a_refund_that_waits_for_a_person_says_so(pair: Pair) {
    let charge = pair.paid().await;
    let mut payback = payback(&charge, 100);
    pair.refund(&mut payback).await;
    if !pair.simulator.refunds_wait_for_somebody() {
        return;
    }

    let waiting = pair.status(&payback).await;
    let PaybackOutcome::NeedsStaff { provider_reference, what } = waiting else {
        panic!("{waiting:?}");
    };
    assert_eq!(Some(provider_reference), payback.provider_reference);
    assert!(!what.is_empty());

    pair.simulator.works_off_refunds();
    let settled = pair.status(&payback).await;
    assert!(matches!(settled, PaybackOutcome::Settled { .. }), "{settled:?}");
}
