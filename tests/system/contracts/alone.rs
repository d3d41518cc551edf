//! What only one provider has.

use chrono::{TimeDelta, Utc};
use domain::attempt::{NextStep, Outcome};
use gateways::gateway::{CallError, Charge, PaybackOutcome};
use tests::simulators::flutterwave_v4::FlutterwaveV4;
use tests::simulators::mtn_momo::MtnMomo;
use tests::simulators::sslcommerz::SslCommerz;
use tests::simulators::{Fault, Simulator as _};

use super::{Pair, payback};

#[tokio::test]
async fn calls_at_the_same_time_share_one_token_until_it_is_spent() {
    let simulator = FlutterwaveV4::start().await;
    let pair = Pair::of(simulator.clone());

    futures::future::join_all((0..20).map(|_| pair.begun())).await;
    assert_eq!(simulator.tokens(), 1);

    // A token that is refused before its time is not shown again.
    simulator.faults().next(Fault::KnowsNoKey);
    let refused = pair.gateway.initialize(&pair.charge()).await.unwrap_err();
    assert!(matches!(refused, CallError::Unauthorised { .. }), "{refused:?}");
    pair.begun().await;
    assert_eq!(simulator.tokens(), 2);
}

#[tokio::test]
async fn what_the_shop_has_stored_at_the_provider_can_be_charged() {
    let pair = Pair::of(FlutterwaveV4::start().await);
    let charge = Charge { token: Some("cus_1:pmd_2".to_owned()), ..pair.charge() };

    let outcome = pair.gateway.initialize(&charge).await.unwrap();

    let Outcome::Accepted { next_step: Some(NextStep::Redirect { url }), .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(url.starts_with("https://"), "{url}");
}

/// MTN makes users for each product separately.
#[tokio::test]
async fn another_user_may_pay_out_than_the_one_who_collects() {
    let simulator = MtnMomo::start().await;
    let own = simulator.pays_out_by_another();
    let alone = Pair::of(simulator.clone());
    let charge = alone.paid().await;
    let refused = alone.gateway.refund(&payback(&charge, 100)).await;
    assert!(matches!(refused, Err(CallError::Unauthorised { .. })), "{refused:?}");

    let pair = Pair::with(simulator, &own);
    let charge = pair.paid().await;
    let mut payback = payback(&charge, 100);
    pair.refund(&mut payback).await;
    pair.simulator.works_off_refunds();
    let settled = pair.status(&payback).await;
    assert!(matches!(settled, PaybackOutcome::Settled { .. }), "{settled:?}");
}

/// Nobody tries to pay until nobody will; and then somebody does.
#[tokio::test]
async fn what_was_never_attempted_is_over_a_day_after_its_deadline_and_may_succeed_all_the_same() {
    let simulator = SslCommerz::start().await;
    let pair = Pair::of(simulator.clone());
    let mut charge = pair.begun().await;
    simulator.is_looked_at(&charge.reference);
    charge.pay_by = Utc::now() - TimeDelta::hours(1);
    assert!(
        matches!(pair.said(&charge).await, Outcome::Accepted { .. }),
        "it may be paid late"
    );
    charge.pay_by = Utc::now() - TimeDelta::hours(25);
    let over = Outcome::Declined { reason: "expired".to_owned() };
    assert_eq!(pair.said(&charge).await, over);

    simulator.customer_pays(&charge.reference);
    assert_eq!(pair.captured(&charge).await.0, charge.amount);
}
