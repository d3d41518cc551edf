//! Every row of the tables, on payments that the domain itself has decided.

use domain::aggregate::Decider as _;
use domain::payment::{Attempt, Command, Terms};
use domain::placing::{PaymentChoice, PaymentMethod};
use uuid::Uuid;

use super::*;

const REFERENCE: &str = "01K0000000000000000000000A";

fn money(text: &str) -> Money {
    Money::parse(text, "GBP".parse().unwrap()).unwrap()
}

fn refund_id() -> RefundId {
    RefundId(Uuid::from_u128(7))
}

/// A payment of 15.30 GBP after these commands.
fn payment(commands: Vec<Command>) -> Payment {
    let at = "2026-11-21T09:30:00Z".parse().unwrap();
    let terms = Terms {
        order_id: domain::ids::OrderId(Uuid::from_u128(1)),
        amount: money("15.30"),
        pay_by: at,
    };
    let choice = PaymentChoice {
        routed_by: None,
        method: PaymentMethod::CreditCard,
        gateway: "stripe".to_owned(),
        token: None,
    };
    let attempt =
        Attempt { reference: REFERENCE.to_owned(), choice, started_at: at, instead_of: None };
    let mut payment = Payment::default();
    for command in std::iter::once(Command::Open { terms, attempt }).chain(commands) {
        for event in payment.decide(command).unwrap() {
            payment.evolve(&event);
        }
    }
    payment
}

fn said(outcome: Outcome) -> Command {
    Command::RecordOutcome { reference: REFERENCE.to_owned(), outcome }
}

fn captured(amount: &str) -> Command {
    said(Outcome::Captured {
        received: money(amount),
        provider_reference: "pi_1".to_owned(),
        assessment: None,
    })
}

fn refunded(amount_minor: i64) -> Command {
    let (refund_id, reason) = (refund_id(), "broken".to_owned());
    Command::Refund { refund_id, amount_minor, reference: None, reason }
}

fn settled() -> Command {
    Command::SettleRefund { refund_id: refund_id(), provider_reference: "re_1".to_owned() }
}

fn failed() -> Command {
    Command::FailRefund { refund_id: refund_id(), reason: "closed".to_owned() }
}

fn listed(what: What, standing: Standing, amount: &str, currency: &str) -> Transaction {
    Transaction {
        what,
        reference: Some(match what {
            What::Payment => REFERENCE.to_owned(),
            What::Refund => refund_id().to_string(),
        }),
        provider_reference: "pi_1".to_owned(),
        amount: amount.to_owned(),
        currency: Some(currency.parse().unwrap()),
        standing,
        at: None,
    }
}

/// The kind of difference, if there is one.
fn kind(listed: &Transaction, payment: &Payment) -> Option<Kind> {
    let name = Name::of(listed).unwrap();
    match judge(listed, &name, payment, true) {
        Verdict::Agrees => None,
        Verdict::Differs { kind, .. } | Verdict::Nobodys { kind, .. } => Some(kind),
    }
}

#[test]
fn an_attempt_agrees_or_differs_by_how_it_stands_there_and_here() {
    use Kind as K;
    use Standing as S;

    let declined = || said(Outcome::Declined { reason: "declined".to_owned() });
    let open = payment(vec![]);
    let over = payment(vec![declined()]);
    let paid = payment(vec![captured("15.30")]);
    let wrong = payment(vec![captured("15.29")]);
    let back = payment(vec![captured("15.30"), refunded(1530)]);
    for (standing, amount, currency, here, expected) in [
        (S::Succeeded, "15.30", "GBP", &paid, None),
        (S::Succeeded, "15.3", "GBP", &paid, None),
        (S::Succeeded, "15.29", "GBP", &paid, Some(K::AmountDiffers)),
        (S::Succeeded, "?", "GBP", &paid, Some(K::AmountDiffers)),
        (S::Succeeded, "15.30", "EUR", &paid, Some(K::CurrencyDiffers)),
        (S::Succeeded, "15.29", "GBP", &wrong, None),
        (S::Succeeded, "15.30", "GBP", &wrong, Some(K::AmountDiffers)),
        (S::Succeeded, "15.29", "EUR", &wrong, None),
        (S::Succeeded, "15.30", "GBP", &open, Some(K::MissingInLog)),
        (S::Succeeded, "15.30", "GBP", &over, Some(K::MissingInLog)),
        (S::Succeeded, "15.29", "GBP", &open, Some(K::AmountDiffers)),
        (S::Succeeded, "15.30", "EUR", &open, Some(K::CurrencyDiffers)),
        (S::Failed, "15.30", "GBP", &open, Some(K::StateDiffers)),
        (S::Failed, "15.30", "GBP", &over, None),
        (S::Failed, "15.30", "GBP", &paid, None),
        (S::Reversed, "15.30", "GBP", &paid, Some(K::StateDiffers)),
        (S::Reversed, "15.30", "GBP", &back, None),
        (S::Reversed, "15.30", "GBP", &over, None),
        (S::Pending, "15.30", "GBP", &open, None),
        (S::Pending, "15.30", "GBP", &paid, None),
        (S::Unknown, "15.30", "GBP", &open, None),
    ] {
        let listed = listed(What::Payment, standing, amount, currency);
        assert_eq!(kind(&listed, here), expected, "{listed:?} {here:?}");
    }
}

#[test]
fn a_second_payment_under_the_same_reference_is_nobodys() {
    let paid = payment(vec![captured("15.30")]);
    let mut second = listed(What::Payment, Standing::Succeeded, "15.30", "GBP");
    second.provider_reference = "pi_2".to_owned();

    assert_eq!(kind(&second, &paid), Some(Kind::UnknownMoney));
    // Also beside money that no order counts; but what may be the attempt's own is its own.
    let provider_reference = "pi_1".to_owned();
    let dollars = Money { minor: 1530, currency: "USD".parse().unwrap() };
    let foreign = Outcome::Captured { received: dollars, provider_reference, assessment: None };
    let uncounted = payment(vec![said(foreign)]);
    assert_eq!(kind(&second, &uncounted), Some(Kind::UnknownMoney));
    assert_eq!(kind(&second, &payment(vec![])), Some(Kind::MissingInLog));
    // A statement calls payments what it likes.
    let name = Name::of(&second).unwrap();
    assert_eq!(judge(&second, &name, &paid, false), Verdict::Agrees);
}

#[test]
fn a_refund_agrees_or_differs_by_how_it_stands_there_and_here() {
    use Kind as K;
    use Standing as S;

    let refund = |last: Option<Command>| {
        let commands = [captured("15.30"), refunded(530)];
        payment(commands.into_iter().chain(last).collect())
    };
    let (pending, paid_out, not) = (refund(None), refund(Some(settled())), refund(Some(failed())));
    for (standing, amount, here, expected) in [
        (S::Succeeded, "5.30", &paid_out, None),
        (S::Succeeded, "5.31", &paid_out, Some(K::AmountDiffers)),
        (S::Succeeded, "5.30", &pending, Some(K::MissingInLog)),
        (S::Succeeded, "5.29", &pending, Some(K::AmountDiffers)),
        (S::Succeeded, "5.30", &not, Some(K::StateDiffers)),
        (S::Failed, "5.30", &pending, Some(K::StateDiffers)),
        (S::Failed, "5.30", &not, None),
        (S::Failed, "5.30", &paid_out, None),
        (S::Pending, "5.30", &pending, None),
        (S::Unknown, "5.30", &paid_out, None),
    ] {
        let listed = listed(What::Refund, standing, amount, "GBP");
        assert_eq!(kind(&listed, here), expected, "{listed:?} {here:?}");
    }
    // Where no currency is said, it is the payment's.
    let mut silent = listed(What::Refund, Standing::Succeeded, "5.3", "GBP");
    silent.currency = None;
    assert_eq!(kind(&silent, &paid_out), None);
}

#[test]
fn what_names_nothing_of_ours_matters_if_money_has_moved() {
    for (what, expected) in [
        (What::Payment, Kind::UnknownMoney),
        (What::Refund, Kind::UnknownRefund),
    ] {
        let moved = judge_unknown(&listed(what, Standing::Succeeded, "1.00", "GBP"));
        let here = "nothing".to_owned();
        assert_eq!(moved, Verdict::Nobodys { kind: expected, here });
        for standing in [Standing::Pending, Standing::Failed, Standing::Unknown] {
            let still = judge_unknown(&listed(what, standing, "1.00", "GBP"));
            assert_eq!(still, Verdict::Agrees, "{standing:?}");
        }
    }
}

#[test]
fn a_refund_is_found_by_its_id_and_by_its_id_as_a_reference() {
    let mut refund = listed(What::Refund, Standing::Succeeded, "1.00", "GBP");
    assert_eq!(Name::of(&refund), Some(Name::Refund(refund_id())));
    refund.reference = Some(domain::ids::attempt_reference(refund_id().0));
    assert_eq!(Name::of(&refund), Some(Name::Refund(refund_id())));
    for other in [None, Some(String::new()), Some("broken cup".to_owned())] {
        refund.reference = other;
        assert_eq!(Name::of(&refund), None);
    }
}

#[test]
fn money_that_was_not_listed_is_missing_unless_the_provider_has_it() {
    let paid = payment(vec![captured("15.30"), refunded(530), settled()]);
    let attempt = Name::Attempt(REFERENCE.to_owned());
    let refund = Name::Refund(refund_id());
    let missing = |said: Said, name: &Name, lists| {
        judge_missing(&said, name, &paid, lists).map(|(kind, _)| kind)
    };
    let has = |amount: &str| {
        let provider_reference = "pi_1".to_owned();
        Said::OfAttempt(Found::Said(Outcome::Captured {
            assessment: None,
            received: money(amount),
            provider_reference,
        }))
    };
    let gone = Kind::MissingAtProvider;
    assert_eq!(missing(has("15.30"), &attempt, true), None, "made on another day");
    assert_eq!(missing(has("15.30"), &attempt, false), Some(gone), "a statement lacks it");
    assert_eq!(missing(has("15.31"), &attempt, true), Some(Kind::AmountDiffers));
    assert_eq!(missing(Said::OfAttempt(Found::NeverHeard), &attempt, true), Some(gone));
    assert_eq!(missing(Said::Nothing, &attempt, true), Some(gone));
    let declined = Outcome::Declined { reason: "reversed".to_owned() };
    let said = Said::OfAttempt(Found::Said(declined));
    assert_eq!(missing(said, &attempt, true), Some(Kind::StateDiffers));
    let paid_out = PaybackOutcome::Settled { provider_reference: "re_1".to_owned() };
    let said = Said::OfRefund(Found::Said(paid_out));
    assert_eq!(missing(said.clone(), &refund, true), None);
    assert_eq!(missing(said, &refund, false), Some(gone));
    let failed = PaybackOutcome::Failed { reason: "closed".to_owned() };
    let said = Said::OfRefund(Found::Said(failed));
    assert_eq!(missing(said, &refund, true), Some(Kind::StateDiffers));
}
