//! Money that came in twice under one reference of ours, at providers whose pages take it again.

use std::time::Duration;

use super::*;

/// Whoever comes back to the page pays again: the order has its money, and the second goes back.
async fn what_is_paid_twice_under_one_reference_goes_back_once(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, payment_id, reference) = ordered(&world, &simulator).await;
    simulator.customer_pays(&reference);
    let first = simulator.webhook(&reference);
    deliver(&world, simulator.name(), &first).await;
    world.order_when(&order_id, "confirmed").await;
    let done = the_one(&world, "done").await;
    let second = simulator.customer_pays_again(&reference).unwrap();
    deliver(&world, simulator.name(), &second).await;
    let webhook_id = the_one(&world, "parked").await;

    let refused = give_back(&world, &done).await;
    assert_eq!(refused.problem(409), "money_is_ours");
    assert_eq!(refused.json()["payment_id"], payment_id.as_str());
    let asked = give_back(&world, &webhook_id).await.expect(202);
    assert_eq!(asked.json()["amount"], shown(simulator.price()));
    refund_called(&simulator, &refund_id_in(&asked)).await;
    simulator.works_off_refunds();
    webhook_when(&world, &webhook_id, "refunded").await;
    assert_eq!(give_back(&world, &webhook_id).await.problem(409), "money_already_refunded");
    let order = world.order_when(&order_id, "confirmed").await;
    assert_eq!(order["refunds"], json!([]), "it was never the order's");
    world.verify().await;
}

#[tokio::test]
async fn flutterwave_is_paid_twice_under_one_reference() {
    let simulator = tests::simulators::flutterwave::Flutterwave::start().await;
    what_is_paid_twice_under_one_reference_goes_back_once(simulator).await;
}

#[tokio::test]
async fn sslcommerz_is_paid_twice_under_one_reference() {
    let simulator = tests::simulators::sslcommerz::SslCommerz::start().await;
    what_is_paid_twice_under_one_reference_goes_back_once(simulator).await;
}

/// The webhook of the second payment comes before anybody has heard of the first.
async fn what_was_paid_twice_is_found_whichever_payment_is_told_of_first(
    simulator: Arc<dyn Simulator>,
) {
    let world = World::with(|settings| {
        settings.environment = simulator.environment();
        settings.poll_pauses = Pauses::new(vec![Duration::from_hours(1)]);
    })
    .await;
    let (order_id, _, reference) = ordered(&world, &simulator).await;
    simulator.customer_pays(&reference);
    let first = simulator.webhook(&reference);
    let second = simulator.customer_pays_again(&reference).unwrap();

    deliver(&world, simulator.name(), &second).await;
    world.order_when(&order_id, "confirmed").await;
    deliver(&world, simulator.name(), &first).await;
    let done = the_one(&world, "done").await;
    let webhook_id = the_one(&world, "parked").await;

    assert_eq!(give_back(&world, &done).await.problem(409), "money_is_ours");
    let asked = give_back(&world, &webhook_id).await.expect(202);
    assert_eq!(asked.json()["amount"], shown(simulator.price()));
    refund_called(&simulator, &refund_id_in(&asked)).await;
    simulator.works_off_refunds();
    webhook_when(&world, &webhook_id, "refunded").await;
    let order = world.order_when(&order_id, "confirmed").await;
    assert_eq!(order["refunds"], json!([]), "it was never the order's");
    world.verify().await;
}

#[tokio::test]
async fn flutterwave_tells_of_the_second_payment_first() {
    let simulator = tests::simulators::flutterwave::Flutterwave::start().await;
    what_was_paid_twice_is_found_whichever_payment_is_told_of_first(simulator).await;
}

#[tokio::test]
async fn sslcommerz_tells_of_the_second_payment_first() {
    let simulator = tests::simulators::sslcommerz::SslCommerz::start().await;
    what_was_paid_twice_is_found_whichever_payment_is_told_of_first(simulator).await;
}
