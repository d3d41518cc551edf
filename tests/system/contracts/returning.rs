//! Refunds that were paid out and did not arrive, and money that came in twice under one name.

use domain::attempt::Outcome;
use gateways::gateway::{About, Found, PaybackOutcome};

use super::{Pair, payback};

/// Where the provider ever says so.
pub(crate) async fn a_refund_that_was_paid_out_and_came_back_says_so(pair: Pair) {
    let charge = pair.paid().await;
    let mut payback = payback(&charge, charge.amount.minor);
    let _taken_on = pair.refund(&mut payback).await;
    pair.simulator.works_off_refunds();
    let settled = pair.status(&payback).await;
    assert!(matches!(settled, PaybackOutcome::Settled { .. }), "{settled:?}");
    if !pair.simulator.refunds_come_back(&charge.reference) {
        return;
    }

    let failed = pair.status(&payback).await;
    assert!(matches!(failed, PaybackOutcome::Failed { .. }), "{failed:?}");
    for sent in pair.simulator.refund_webhooks(&charge.reference) {
        let about = pair.read(&sent).unwrap().about;
        let is_about_it = about == About::Refund { refund_id: payback.refund_id }
            || about == About::RefundsOf { reference: charge.reference.clone() };
        assert!(is_about_it, "{about:?}");
    }
}

/// Where whoever comes back to the page can.
pub(crate) async fn a_second_payment_under_one_reference_is_told_apart(pair: Pair) {
    let charge = pair.paid().await;
    let Some(sent) = pair.simulator.customer_pays_again(&charge.reference) else {
        return;
    };
    let About::Attempt { reference, provider_reference: Some(name) } =
        pair.read(&sent).unwrap().about
    else {
        panic!("it says of which payment it speaks");
    };
    assert_eq!(reference, charge.reference);
    assert_ne!(Some(&name), charge.provider_reference.as_ref());

    for name in [&name, charge.provider_reference.as_ref().unwrap()] {
        let one = pair.gateway.verify_one(&charge, name);
        let found = one.expect("it can be asked").await.unwrap();
        let Found::Said(Outcome::Captured { received, provider_reference, .. }) = found else {
            panic!("{found:?}");
        };
        assert_eq!((received, &provider_reference), (charge.amount, name));
    }
    let nothing = pair
        .gateway
        .verify_one(&charge, "1")
        .expect("it can be asked");
    assert_eq!(nothing.await.unwrap(), Found::NeverHeard);
}
