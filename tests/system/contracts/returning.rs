//! Refunds that were paid out and did not arrive, money that came in twice under one name, and money
//! that was charged back.

use domain::attempt::Outcome;
use domain::money::Money;
use domain::payment::{Chargeback, Funds};
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

/// Where it is known how the provider says so.
pub(crate) async fn a_dispute_says_where_the_money_is(pair: Pair) {
    let charge = pair.paid().await;
    let price = charge.amount;
    let part = Money { minor: price.minor / 3, ..price };
    let said = pair.simulator.charges_back(&charge.reference, part.minor);
    if said.is_empty() {
        assert!(pair.gateway.chargeback(&charge, "1").is_none(), "staff are told, and no more");
        return;
    }
    let ask = async |name: &str| {
        let call = pair.gateway.chargeback(&charge, name);
        call.expect("it can be asked").await.unwrap()
    };
    let mut names = Vec::new();
    for sent in said {
        let About::Dispute(dispute) = pair.read(&sent).unwrap().about else {
            panic!("it is about a dispute");
        };
        let ours = dispute
            .reference
            .as_ref()
            .map(|named| *named == charge.reference);
        let theirs = dispute.provider_reference == charge.provider_reference;
        assert!(ours.unwrap_or(theirs), "{dispute:?}");
        names.extend(dispute.name);
    }
    names.dedup();
    let [name] = names.as_slice() else {
        panic!("{names:?}");
    };
    let Found::Said(Some(Chargeback { dispute, amount, reason, funds })) = ask(name).await else {
        panic!("the money is gone");
    };
    assert_eq!((&dispute, amount, funds), (name, part, Funds::Withdrawn));
    assert!(!reason.is_empty());
    assert_eq!(ask("1").await, Found::NeverHeard);

    let other = pair.paid().await;
    let of_another = pair.gateway.chargeback(&other, name);
    let confused = of_another.expect("it can be asked").await;
    assert!(confused.is_err(), "{confused:?}: it is about other money");
    if !pair.simulator.reinstates(&charge.reference).is_empty() {
        let Found::Said(Some(Chargeback { funds, .. })) = ask(name).await else {
            panic!("the money is back");
        };
        assert_eq!(funds, Funds::Reinstated);
    }
}
