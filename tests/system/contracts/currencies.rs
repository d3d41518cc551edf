//! Amounts of currencies without decimals, with two and with three, as each provider writes them: to
//! the penny on the way there and back, and what cannot be written exactly is not asked for.

use domain::attempt::Outcome;
use domain::money::Money;
use gateways::gateway::{Charge, PaybackOutcome};
use tests::simulators::Simulator;
use tests::simulators::flutterwave::Flutterwave;
use tests::simulators::flutterwave_v4::FlutterwaveV4;
use tests::simulators::mtn_momo::MtnMomo;
use tests::simulators::paystack::Paystack;
use tests::simulators::sslcommerz::SslCommerz;
use tests::simulators::stripe::Stripe;

use super::{Pair, payback};

fn money(minor: i64, code: &str) -> Money {
    Money { minor, currency: code.parse().unwrap() }
}

/// An attempt of this amount that has been asked for.
async fn asked(pair: &Pair, token: Option<&str>, amount: Money) -> Charge {
    let code = amount.currency.code();
    assert!(pair.gateway.capabilities().currencies.contain(code), "{code}");
    let mut charge = Charge { amount, ..pair.charge() };
    charge.token = token.map(ToOwned::to_owned).or(charge.token);
    let outcome = pair.gateway.initialize(&charge).await.unwrap();
    let Outcome::Accepted { provider_reference, .. } = outcome else {
        panic!("{amount}: {outcome:?}");
    };
    charge.provider_reference = Some(provider_reference);
    charge
}

/// The same, paid; what the provider was asked for is written like this.
async fn paid(pair: &Pair, token: Option<&str>, amount: Money, written: &str) -> Charge {
    let mut charge = asked(pair, token, amount).await;
    assert_eq!(pair.simulator.asked_amount(&charge.reference), written, "{amount}");
    pair.simulator.customer_pays(&charge.reference);
    let (received, provider_reference) = pair.captured(&charge).await;
    assert_eq!(received, amount);
    charge.provider_reference = Some(provider_reference);
    charge
}

/// Two halves go back, and then nothing is left.
async fn goes_back(pair: &Pair, charge: &Charge) {
    let half = charge.amount.minor / 2;
    assert_eq!(half * 2, charge.amount.minor, "it has halves");
    for _ in 0..2 {
        let mut payback = payback(charge, half);
        let outcome = pair.refund(&mut payback).await;
        assert!(matches!(outcome, PaybackOutcome::Pending { .. }), "{outcome:?}");
        pair.simulator.works_off_refunds();
        let settled = pair.status(&payback).await;
        assert!(matches!(settled, PaybackOutcome::Settled { .. }), "{settled:?}");
    }
    let outcome = pair.refund(&mut payback(charge, half)).await;
    assert!(matches!(outcome, PaybackOutcome::Failed { .. }), "{outcome:?}");
}

async fn there_and_back(pair: &Pair, token: Option<&str>, table: &[(i64, &str, &str)]) {
    for (minor, code, written) in table {
        let charge = paid(pair, token, money(*minor, code), written).await;
        goes_back(pair, &charge).await;
    }
}

/// docs.stripe.com/currencies, with its special cases.
#[tokio::test]
async fn stripe_has_its_own_idea_of_decimals() {
    let pair = Pair::of(Stripe::start().await);
    let table = [
        (1_530, "GBP", "1530"),
        (1_530, "JPY", "1530"),
        (1_530, "KRW", "1530"),
        (1_530, "VND", "1530"),
        (1_530, "XAF", "1530"),
        (1_530, "XOF", "1530"),
        (1_530, "RWF", "1530"),
        // A smaller unit that Stripe does not know.
        (3_000, "MGA", "30"),
        // Three decimals, the last of them a zero.
        (15_300, "KWD", "15300"),
        (15_300, "BHD", "15300"),
    ];
    there_and_back(&pair, None, &table).await;

    for (minor, code) in [(15_301, "KWD"), (1_501, "MGA")] {
        let charge = Charge { amount: money(minor, code), ..pair.charge() };
        let outcome = pair.gateway.initialize(&charge).await.unwrap();
        let refused = Outcome::Declined { reason: "not_supported".to_owned() };
        assert_eq!(outcome, refused, "{minor} {code}");
        assert_eq!(pair.simulator.asked_for(&charge.reference), 0);
        let written = if code == "KWD" { "15300" } else { "15" };
        let charge = paid(&pair, None, money(minor - 1, code), written).await;
        let outcome = pair.refund(&mut payback(&charge, 1)).await;
        assert!(matches!(outcome, PaybackOutcome::Failed { .. }), "{code}: {outcome:?}");
    }
    for code in ["ISK", "UGX"] {
        assert!(
            !pair.gateway.capabilities().currencies.contain(code),
            "sources disagree on {code}"
        );
    }
}

#[tokio::test]
async fn paystack_takes_a_hundred_times_the_unit_also_where_there_is_no_smaller_one() {
    let pair = Pair::of(Paystack::start().await);
    let table = [
        (1_530, "NGN", "1530"),
        (1_530, "KES", "1530"),
        (1_530, "XOF", "153000"),
    ];
    there_and_back(&pair, None, &table).await;
}

#[tokio::test]
async fn flutterwave_takes_units_with_the_decimals_that_the_currency_has() {
    let without = [
        (1_530, "UGX", "1530"),
        (1_530, "RWF", "1530"),
        (1_530, "XAF", "1530"),
        (1_530, "XOF", "1530"),
    ];
    let v3 = Pair::of(Flutterwave::start().await);
    there_and_back(&v3, None, &without).await;
    there_and_back(&v3, None, &[(1_530, "KES", "15.30")]).await;
    // What is stored there is not bound to the country of a telephone. Its amounts are numbers.
    let v4 = Pair::of(FlutterwaveV4::start().await);
    there_and_back(&v4, Some("cus_1:pmd_2"), &without).await;
    there_and_back(&v4, Some("cus_1:pmd_2"), &[(1_530, "KES", "15.3")]).await;
}

#[tokio::test]
async fn mtn_takes_decimals_only_where_the_country_has_them() {
    for (environment, minor, code, written) in [
        ("mtnghana", 1_530, "GHS", "15.30"),
        ("mtnuganda", 1_530, "UGX", "1530"),
        ("mtncameroon", 1_530, "XAF", "1530"),
        ("mtnivorycoast", 1_530, "XOF", "1530"),
        ("mtnguineaconakry", 1_530, "GNF", "1530"),
    ] {
        let target = ("MTN_MOMO_TARGET_ENVIRONMENT", environment.to_owned());
        let pair = Pair::with(MtnMomo::start().await, &[target]);
        there_and_back(&pair, None, &[(minor, code, written)]).await;
    }
}

/// What the customer pays in counts, and not the taka that it comes to.
#[tokio::test]
async fn sslcommerz_captures_other_currencies_as_they_are_and_gives_none_of_them_back() {
    let simulator = SslCommerz::start().await;
    let pair = Pair::of(simulator.clone());
    for code in ["USD", "EUR", "GBP", "AUD", "CAD"] {
        let charge = paid(&pair, None, money(1_530, code), "15.30").await;
        let came_in = simulator.account(&charge.reference).came_in;
        assert_eq!(came_in, vec![charge.amount]);
        let outcome = pair.refund(&mut payback(&charge, 100)).await;
        let PaybackOutcome::Failed { reason } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(reason.contains("dashboard"), "{reason}");
    }
    let taka = paid(&pair, None, money(15_300, "BDT"), "153.00").await;
    goes_back(&pair, &taka).await;
}
