//! What every payment provider is held to: the same cases for each, against its simulator.
//!
//! A new provider is one more line at the end of this file.

mod alone;
mod currencies;
mod ending;
mod garbage;
mod listing;
mod returning;

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use domain::attempt::{NextStep, Outcome};
use domain::ids::{OrderId, PaymentId, RefundId, attempt_reference};
use domain::money::Money;
use domain::placing::{Address, Customer};
use gateways::gateway::{
    About, CallError, Charge, Delivery, Found, Gateway, Notice, Payback, PaybackOutcome, Payer,
};
use gateways::registry::Registry;
use tests::simulators::{Fault, Sent, Simulator};
use uuid::Uuid;

use self::ending::{
    a_refund_that_waits_for_a_person_says_so,
    what_nobody_waits_for_any_more_is_ended_where_the_provider_can_do_so,
};
use self::garbage::garbage_moves_no_money_and_harms_nothing;
use self::listing::{
    a_list_that_cannot_be_read_is_no_empty_list, another_time_has_an_empty_list,
    everything_is_listed_once_page_by_page,
};
use self::returning::{
    a_dispute_says_where_the_money_is, a_refund_that_was_paid_out_and_came_back_says_so,
    a_second_payment_under_one_reference_is_told_apart,
};

/// A provider, and the adapter that speaks to it.
pub(crate) struct Pair {
    pub(crate) simulator: Arc<dyn Simulator>,
    pub(crate) gateway: Arc<dyn Gateway>,
}

impl Pair {
    pub(crate) fn of(simulator: Arc<dyn Simulator>) -> Self {
        Self::with(simulator, &[])
    }

    /// The same with settings of its own, which count for more.
    pub(crate) fn with(simulator: Arc<dyn Simulator>, more: &[(&'static str, String)]) -> Self {
        let settings = simulator.settings().into_iter().chain(more.iter().cloned());
        // Nobody wants to wait for a provider that hangs.
        let patience = [("DAYBOOK_GATEWAY_TIMEOUT_MS", "400".to_owned())];
        let environment = gateways::settings::Environment::of(settings.chain(patience));
        let (registry, _) = Registry::new(&environment).unwrap();
        let gateway = Arc::clone(registry.get(simulator.name()).expect("it is switched on"));
        Self { simulator, gateway }
    }

    pub(crate) fn charge(&self) -> Charge {
        let now = Utc::now();
        Charge {
            payment_id: PaymentId(Uuid::now_v7()),
            order_id: OrderId(Uuid::now_v7()),
            reference: attempt_reference(Uuid::now_v7()),
            provider_reference: None,
            amount: self.simulator.price(),
            method: self.simulator.method(),
            token: self.simulator.token().map(ToOwned::to_owned),
            payer: Some(Box::new(payer())),
            started_at: now,
            pay_by: now + TimeDelta::minutes(15),
        }
    }

    /// An attempt that the provider has taken on.
    async fn begun(&self) -> Charge {
        let mut charge = self.charge();
        let outcome = self.gateway.initialize(&charge).await.unwrap();
        let Outcome::Accepted { provider_reference, next_step } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(next_step.is_some(), "the customer has something to do");
        charge.provider_reference = Some(provider_reference);
        charge
    }

    /// One that has been paid.
    async fn paid(&self) -> Charge {
        let mut charge = self.begun().await;
        self.simulator.customer_pays(&charge.reference);
        charge.provider_reference = Some(self.captured(&charge).await.1);
        charge
    }

    async fn said(&self, charge: &Charge) -> Outcome {
        match self.gateway.verify(charge).await.unwrap() {
            Found::Said(outcome) => outcome,
            Found::NeverHeard => panic!("it has heard of it"),
        }
    }

    async fn captured(&self, charge: &Charge) -> (Money, String) {
        match self.said(charge).await {
            Outcome::Captured { received, provider_reference, .. } => {
                (received, provider_reference)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn refund(&self, payback: &mut Payback) -> PaybackOutcome {
        let outcome = self.gateway.refund(payback).await.unwrap();
        if let PaybackOutcome::Pending { provider_reference } = &outcome {
            payback.provider_reference.clone_from(provider_reference);
        }
        outcome
    }

    async fn status(&self, payback: &Payback) -> PaybackOutcome {
        match self.gateway.refund_status(payback).await.unwrap() {
            Found::Said(outcome) => outcome,
            Found::NeverHeard => panic!("it has heard of it"),
        }
    }

    fn read(&self, sent: &Sent) -> Result<Notice, String> {
        let (headers, body, received_at) = (&sent.headers, sent.body.as_slice(), Utc::now());
        let delivery = Delivery { headers, body, received_at };
        self.gateway
            .verify_webhook_signature(&delivery)
            .map_err(|bad| bad.to_string())?;
        self.gateway
            .parse_webhook_event(&delivery)
            .map_err(|unreadable| unreadable.to_string())
    }
}

fn payback(charge: &Charge, minor: i64) -> Payback {
    Payback {
        refund_id: RefundId(Uuid::now_v7()),
        provider_reference: None,
        charge: charge.clone(),
        amount: Money { minor, ..charge.amount },
    }
}

fn payer() -> Payer {
    Payer {
        customer: Customer {
            name: "Ada Byron".into(),
            email: "ada@example.com".into(),
            phone: Some("+256 770 000 001".into()),
        },
        address: Address {
            line1: "12 St James's Square".into(),
            line2: None,
            city: Some("London".into()),
            postcode: Some("SW1Y 4JH".into()),
            country: "GB".into(),
        },
    }
}

async fn it_waits_for_the_customer(pair: Pair) {
    let charge = pair.begun().await;

    assert!(matches!(pair.said(&charge).await, Outcome::Accepted { .. }));
}

async fn what_the_customer_is_to_do_leads_somewhere(pair: Pair) {
    let outcome = pair.gateway.initialize(&pair.charge()).await.unwrap();

    match outcome {
        Outcome::Accepted { next_step: Some(NextStep::Redirect { url }), .. } => {
            assert!(url.starts_with("https://"), "{url}");
        }
        Outcome::Accepted { next_step: Some(NextStep::ApproveOnPhone), .. } => {}
        other => panic!("{other:?}"),
    }
}

async fn what_is_paid_is_captured_to_the_penny(pair: Pair) {
    let charge = pair.begun().await;
    pair.simulator.customer_pays(&charge.reference);

    assert_eq!(pair.captured(&charge).await.0, charge.amount);
}

async fn the_same_reference_acts_once(pair: Pair) {
    let charge = pair.charge();

    let first = pair.gateway.initialize(&charge).await.unwrap();
    assert!(matches!(first, Outcome::Accepted { next_step: Some(_), .. }), "{first:?}");
    for _ in 0..2 {
        let again = pair.gateway.initialize(&charge).await.unwrap();
        // Where the page's address is told once only, nobody can pay any more, and it says so.
        let is_page = matches!(again, Outcome::Accepted { next_step: Some(_), .. });
        assert!(is_page || matches!(again, Outcome::Declined { .. }), "{again:?}");
    }

    assert_eq!(pair.simulator.asked_for(&charge.reference), 1);
}

async fn an_answer_that_is_lost_leaves_the_outcome_unknown_and_is_found_again(pair: Pair) {
    for fault in [
        Fault::ActsThenFails,
        Fault::ActsThenBreaksOff,
        Fault::ActsThenHangs,
        Fault::BreaksOff,
    ] {
        let mut charge = pair.charge();
        pair.simulator.faults().next(fault);
        let lost = pair.gateway.initialize(&charge).await.unwrap_err();
        assert!(matches!(lost, CallError::OutcomeUnknown { .. }), "{fault:?}: {lost:?}");

        // As the worker does: ask, and send again what was never heard.
        let outcome = match pair.gateway.verify(&charge).await.unwrap() {
            Found::Said(outcome) => outcome,
            Found::NeverHeard => pair.gateway.initialize(&charge).await.unwrap(),
        };
        assert_eq!(pair.simulator.asked_for(&charge.reference), 1, "{fault:?}");
        let Outcome::Accepted { provider_reference, next_step } = outcome else {
            // Nobody was told where to pay, so that another attempt may begin.
            assert!(matches!(outcome, Outcome::Declined { .. }), "{fault:?}: {outcome:?}");
            continue;
        };
        assert!(next_step.is_some(), "{fault:?}: the customer can pay");
        charge.provider_reference = Some(provider_reference);
        pair.simulator.customer_pays(&charge.reference);

        assert_eq!(pair.captured(&charge).await.0, charge.amount, "{fault:?}");
    }
}

async fn trouble_is_told_apart_by_whether_it_may_have_acted(pair: Pair) {
    for fault in [Fault::Fails, Fault::Babbles] {
        let charge = pair.charge();
        pair.simulator.faults().next(fault);
        let error = pair.gateway.initialize(&charge).await.unwrap_err();
        assert!(matches!(error, CallError::OutcomeUnknown { .. }), "{fault:?}: {error:?}");
    }
    pair.simulator.faults().next(Fault::TurnsAway);
    let error = pair.gateway.initialize(&pair.charge()).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
    pair.simulator.faults().next(Fault::KnowsNoKey);
    let error = pair.gateway.initialize(&pair.charge()).await.unwrap_err();
    assert!(matches!(error, CallError::Unauthorised { .. }), "{error:?}");
}

async fn no_error_shows_a_secret(pair: Pair) {
    let charge = pair.begun().await;
    for fault in [
        Fault::Fails,
        Fault::ActsThenBreaksOff,
        Fault::ActsThenHangs,
        Fault::Babbles,
        Fault::TurnsAway,
        Fault::KnowsNoKey,
    ] {
        for call in 0..2 {
            pair.simulator.faults().next(fault);
            let error = if call == 0 {
                pair.gateway.initialize(&pair.charge()).await.err()
            } else {
                pair.gateway.verify(&charge).await.err()
            };
            pair.simulator.faults().clear();
            let error = error.unwrap_or_else(|| panic!("{fault:?} is no answer"));
            let shown = format!("{error} {error:?}");
            for secret in pair.simulator.secrets() {
                assert!(!shown.contains(&secret), "{fault:?}: {shown}");
            }
        }
    }
}

async fn a_refusal_that_repeats_the_request_is_told_without_its_secrets(pair: Pair) {
    let charge = pair.paid().await;
    let payback = payback(&charge, 1_000);
    for call in 0..4 {
        pair.simulator.faults().next(Fault::RefusesAndRepeats);
        let said = match call {
            0 => format!("{:?}", pair.gateway.initialize(&pair.charge()).await),
            1 => format!("{:?}", pair.gateway.verify(&charge).await),
            2 => format!("{:?}", pair.gateway.refund(&payback).await),
            _ => format!("{:?}", pair.gateway.refund_status(&payback).await),
        };
        assert!(pair.simulator.faults().are_over() || call == 3, "{call} was refused: {said}");
        pair.simulator.faults().clear();
        for secret in pair.simulator.secrets() {
            assert!(!said.contains(&secret), "{call}: {said}");
        }
    }
}

async fn what_it_never_heard_of_is_told_apart(pair: Pair) {
    let found = pair.gateway.verify(&pair.charge()).await.unwrap();

    assert_eq!(found, Found::NeverHeard);
}

async fn each_way_of_saying_no_has_a_reason_of_ours(pair: Pair) {
    for how in pair.simulator.declines() {
        let charge = pair.begun().await;
        pair.simulator.customer_is_declined(&charge.reference, *how);

        let outcome = pair.said(&charge).await;

        assert_eq!(outcome, Outcome::Declined { reason: how.ours.to_owned() }, "{how:?}");
    }
}

async fn another_amount_or_currency_is_reported_as_it_came_in(pair: Pair) {
    let price = pair.simulator.price();
    let other = if price.currency.code() == "USD" {
        "EUR"
    } else {
        "USD"
    };
    for wrong in [
        Money { minor: price.minor - 1, ..price },
        Money { minor: price.minor + 1, ..price },
        Money { currency: other.parse().unwrap(), minor: price.minor },
    ] {
        let charge = pair.begun().await;
        pair.simulator
            .customer_pays_instead(&charge.reference, wrong);

        assert_eq!(pair.captured(&charge).await.0, wrong);
    }
}

async fn money_under_another_reference_is_not_taken(pair: Pair) {
    let charge = pair.begun().await;
    pair.simulator.customer_pays(&charge.reference);
    pair.simulator
        .confuses(&charge.reference, "01K0000000000000000000000Z");

    let outcome = pair.said(&charge).await;

    let Outcome::Misnamed { named, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(named, "01K0000000000000000000000Z");
}

async fn money_goes_back_in_parts_and_each_part_once(pair: Pair) {
    let charge = pair.paid().await;
    let part = charge.amount.minor / 3;
    for minor in [part, charge.amount.minor - part] {
        let mut payback = payback(&charge, minor);
        let outcome = pair.refund(&mut payback).await;
        assert!(matches!(outcome, PaybackOutcome::Pending { .. }), "{outcome:?}");
        let again = pair.refund(&mut payback).await;
        assert!(matches!(again, PaybackOutcome::Pending { .. }), "{again:?}");
        assert!(matches!(pair.status(&payback).await, PaybackOutcome::Pending { .. }));

        pair.simulator.works_off_refunds();

        let settled = pair.status(&payback).await;
        assert!(matches!(settled, PaybackOutcome::Settled { .. }), "{settled:?}");
        let name = payback.refund_id.to_string();
        assert_eq!(pair.simulator.refunds_called(&name), 1);
    }
}

async fn a_refund_whose_answer_is_lost_is_made_once(pair: Pair) {
    let charge = pair.paid().await;
    let mut payback = payback(&charge, 100);
    pair.simulator.faults().next(Fault::ActsThenBreaksOff);
    let lost = pair.gateway.refund(&payback).await.unwrap_err();
    assert!(matches!(lost, CallError::OutcomeUnknown { .. }), "{lost:?}");

    let found = pair.gateway.refund_status(&payback).await.unwrap();
    if found == Found::NeverHeard {
        pair.refund(&mut payback).await;
    }
    if let Found::Said(PaybackOutcome::Pending { provider_reference }) = found {
        payback.provider_reference = provider_reference;
    }
    pair.simulator.works_off_refunds();

    let settled = pair.status(&payback).await;
    assert!(matches!(settled, PaybackOutcome::Settled { .. }), "{settled:?}");
    assert_eq!(
        pair.simulator
            .refunds_called(&payback.refund_id.to_string()),
        1
    );
}

async fn a_refund_that_fails_says_so(pair: Pair) {
    let charge = pair.paid().await;
    pair.simulator.refunds_work(false);
    let mut payback = payback(&charge, 100);
    pair.refund(&mut payback).await;

    pair.simulator.works_off_refunds();

    let failed = pair.status(&payback).await;
    assert!(matches!(failed, PaybackOutcome::Failed { .. }), "{failed:?}");
}

async fn more_than_there_is_does_not_go_back(pair: Pair) {
    let charge = pair.paid().await;
    let mut payback = payback(&charge, charge.amount.minor + 1);

    let outcome = pair.refund(&mut payback).await;

    assert!(matches!(outcome, PaybackOutcome::Failed { .. }), "{outcome:?}");
}

async fn a_webhook_of_the_provider_says_what_to_ask_about(pair: Pair) {
    let charge = pair.begun().await;
    pair.simulator.customer_pays(&charge.reference);

    let notice = pair
        .read(&pair.simulator.webhook(&charge.reference))
        .unwrap();

    let About::Attempt { reference, .. } = notice.about else {
        panic!("{notice:?}")
    };
    assert_eq!(reference, charge.reference);
    assert!(!notice.key.is_empty());
}

async fn a_webhook_about_money_is_no_repetition_of_an_earlier_one(pair: Pair) {
    let charge = pair.begun().await;
    let key = || {
        let sent = pair.simulator.webhook(&charge.reference);
        pair.read(&sent).unwrap().key
    };
    let early = key();
    let mut keys = vec![early];
    if pair.simulator.may_pay_after_decline() {
        pair.simulator.customer_cannot_pay(&charge.reference);
        keys.push(key());
    }
    pair.simulator.customer_pays(&charge.reference);

    let of_payment = key();

    assert!(!keys.contains(&of_payment), "{of_payment} would be taken for one of {keys:?}");
}

async fn a_webhook_about_a_refund_says_what_to_ask_about(pair: Pair) {
    let charge = pair.paid().await;
    let mut payback = payback(&charge, 100);
    pair.refund(&mut payback).await;
    pair.simulator.works_off_refunds();

    for sent in pair.simulator.refund_webhooks(&charge.reference) {
        let notice = pair.read(&sent).unwrap();
        let is_ours = match &notice.about {
            About::RefundsOf { reference } => *reference == charge.reference,
            About::Refund { refund_id } => *refund_id == payback.refund_id,
            About::Attempt { .. }
            | About::Staff { .. }
            | About::Dispute(_)
            | About::Unnamed { .. }
            | About::Nothing => false,
        };
        assert!(is_ours, "{notice:?}");
    }
    let account = pair.simulator.account(&charge.reference);
    assert_eq!((account.came_in, account.gone_minor), (vec![charge.amount], 100));
    assert_eq!(account.going_minor, 0);
}

async fn a_webhook_of_anybody_else_is_refused(pair: Pair) {
    let charge = pair.begun().await;
    pair.simulator.customer_pays(&charge.reference);
    let Some(forged) = pair.simulator.forged_webhook(&charge.reference) else {
        assert!(!pair.gateway.capabilities().signs_webhooks);
        return;
    };
    assert!(pair.read(&forged).is_err());

    let genuine = pair.simulator.webhook(&charge.reference);
    let unsigned = Sent { headers: gateways::webhook::HeaderMap::new(), ..genuine.clone() };
    if !genuine.headers.is_empty() {
        assert!(pair.read(&unsigned).is_err(), "without its signature");
    }
}

async fn what_is_no_webhook_is_refused_and_harms_nothing(pair: Pair) {
    let genuine = pair.simulator.webhook(&pair.begun().await.reference);
    for body in [
        b"".as_slice(),
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe\x00",
        b"a=b&c",
        br#"{"data":1,"event":2}"#,
    ] {
        let babble = Sent { body: body.to_vec(), ..genuine.clone() };
        assert!(pair.read(&babble).is_err(), "{body:?}");
    }
}

/// Every case, for one provider.
macro_rules! contract {
    ($provider:ident, $start:expr, [$($case:ident),+ $(,)?]) => {
        mod $provider {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Pair::of($start.await)).await;
                }
            )+
        }
    };
    ($provider:ident, $start:expr) => {
        contract!($provider, $start, [
            it_waits_for_the_customer,
            what_the_customer_is_to_do_leads_somewhere,
            what_is_paid_is_captured_to_the_penny,
            the_same_reference_acts_once,
            an_answer_that_is_lost_leaves_the_outcome_unknown_and_is_found_again,
            trouble_is_told_apart_by_whether_it_may_have_acted,
            no_error_shows_a_secret,
            a_refusal_that_repeats_the_request_is_told_without_its_secrets,
            what_it_never_heard_of_is_told_apart,
            each_way_of_saying_no_has_a_reason_of_ours,
            another_amount_or_currency_is_reported_as_it_came_in,
            money_under_another_reference_is_not_taken,
            what_nobody_waits_for_any_more_is_ended_where_the_provider_can_do_so,
            money_goes_back_in_parts_and_each_part_once,
            a_refund_whose_answer_is_lost_is_made_once,
            a_refund_that_fails_says_so,
            a_refund_that_was_paid_out_and_came_back_says_so,
            a_second_payment_under_one_reference_is_told_apart,
            a_refund_that_waits_for_a_person_says_so,
            a_dispute_says_where_the_money_is,
            more_than_there_is_does_not_go_back,
            a_webhook_of_the_provider_says_what_to_ask_about,
            a_webhook_about_money_is_no_repetition_of_an_earlier_one,
            a_webhook_about_a_refund_says_what_to_ask_about,
            a_webhook_of_anybody_else_is_refused,
            what_is_no_webhook_is_refused_and_harms_nothing,
            everything_is_listed_once_page_by_page,
            another_time_has_an_empty_list,
            a_list_that_cannot_be_read_is_no_empty_list,
            garbage_moves_no_money_and_harms_nothing,
        ]);
    };
}

contract!(stripe, tests::simulators::stripe::Stripe::start());
contract!(paystack, tests::simulators::paystack::Paystack::start());
contract!(mtn_momo, tests::simulators::mtn_momo::MtnMomo::start());
contract!(sslcommerz, tests::simulators::sslcommerz::SslCommerz::start());
contract!(flutterwave, tests::simulators::flutterwave::Flutterwave::start());
contract!(flutterwave_v4, tests::simulators::flutterwave_v4::FlutterwaveV4::start());
