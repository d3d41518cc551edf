//! Money in its order's hands, and money in nobody's.

use chrono::DateTime;
use domain::ids::{PaymentId, RefundId};
use domain::order::Failure;
use domain::payment::Terms;
use domain::placing::{Address, Customer, Line, PaymentChoice, PaymentMethod, Placing};
use domain::refunding::Refund;

use super::*;

const PAYMENT: Uuid = Uuid::from_u128(7);
const REFUND: RefundId = RefundId(Uuid::from_u128(9));

enum Said {
    OfOrder(order::Event),
    OfPayment(payment::Event),
}

fn order_id() -> OrderId {
    OrderId(Uuid::from_u128(1))
}

fn pounds(minor: i64) -> Money {
    Money { minor, currency: "GBP".parse().unwrap() }
}

fn placed() -> order::Event {
    let at = DateTime::UNIX_EPOCH;
    order::Event::Placed(Box::new(Placing {
        set_aside: None,
        customer: Customer { name: "Ada".into(), email: "ada@example.com".into(), phone: None },
        customer_id: None,
        shipping_address: Address {
            line1: "12 St James's Square".into(),
            line2: None,
            city: None,
            postcode: None,
            country: "GB".into(),
        },
        currency: "GBP".parse().unwrap(),
        lines: vec![Line {
            converted_from: None,
            vendor: None,
            sku: "cup".parse().unwrap(),
            name: "A cup".into(),
            quantity: 1,
            unit_price_minor: 900,
        }],
        shipping_minor: 0,
        shipping: None,
        discount: None,
        payment_id: PaymentId(PAYMENT),
        payment: PaymentChoice {
            routed_by: None,
            method: PaymentMethod::CreditCard,
            gateway: "sandbox".to_owned(),
            token: None,
        },
        placed_at: at,
        pay_by: at,
    }))
}

fn opened(order_id: OrderId) -> payment::Event {
    let pay_by = DateTime::UNIX_EPOCH;
    payment::Event::Opened(Terms { order_id, amount: pounds(900), pay_by })
}

fn captured(again: bool) -> payment::Event {
    let (reference, provider_reference) = ("A1".to_owned(), "p".to_owned());
    let received = pounds(900);
    if again {
        payment::Event::CapturedAgain { reference, provider_reference, received }
    } else {
        payment::Event::Captured { reference, provider_reference, received, assessment: None }
    }
}

fn going(amount_minor: i64) -> payment::Event {
    let reason = "a chip".to_owned();
    payment::Event::RefundRequested { refund_id: REFUND, amount_minor, reference: None, reason }
}

fn asked_back(amount_minor: i64) -> order::Event {
    order::Event::RefundRequested(Refund {
        refund_id: REFUND,
        amount_minor,
        goods: vec![],
        shipping_minor: 0,
        restock: vec![],
        reason: "a chip".to_owned(),
    })
}

/// What is wrong after all of it, once everything has been heard.
fn after(said: Vec<Said>) -> Option<String> {
    let mut belongings = Belongings::default();
    for (position, said) in (1..).zip(said) {
        let taken = match said {
            Said::OfOrder(event) => belongings.take_order(position, order_id(), &event),
            Said::OfPayment(event) => belongings.take_payment(position, PAYMENT, &event),
        };
        if let Err(what) = taken {
            return Some(what);
        }
    }
    assert_eq!(belongings.kept_without_goods(0), None, "nobody has heard of it yet");
    belongings
        .kept_without_goods(i64::MAX)
        .map(|finding| finding.what)
}

fn paid() -> Vec<Said> {
    vec![
        Said::OfOrder(placed()),
        Said::OfPayment(opened(order_id())),
        Said::OfPayment(captured(false)),
    ]
}

fn confirmed() -> Vec<Said> {
    let mut said = paid();
    said.push(Said::OfOrder(order::Event::Confirmed { captured_minor: 900 }));
    said
}

fn then(mut said: Vec<Said>, more: impl IntoIterator<Item = Said>) -> Vec<Said> {
    said.extend(more);
    said
}

#[test]
fn money_is_for_goods_or_on_its_way_back() {
    let failed = order::Event::Failed(Failure::PaymentTimedOut);
    let cancelled = || order::Event::Cancelled { reason: "none".to_owned() };
    for sound in [
        paid(),
        confirmed(),
        then(paid(), [Said::OfOrder(failed.clone()), Said::OfPayment(going(900))]),
        then(confirmed(), [Said::OfOrder(asked_back(300)), Said::OfPayment(going(300))]),
        then(confirmed(), [Said::OfPayment(captured(true)), Said::OfPayment(going(900))]),
        then(
            confirmed(),
            [
                Said::OfOrder(cancelled()),
                Said::OfOrder(asked_back(900)),
                Said::OfPayment(going(900)),
            ],
        ),
        // Staff were called.
        then(
            paid(),
            [
                Said::OfOrder(failed.clone()),
                Said::OfPayment(going(900)),
                Said::OfPayment(payment::Event::RefundFailed {
                    refund_id: REFUND,
                    amount_minor: 900,
                    reason: "no".to_owned(),
                }),
            ],
        ),
    ] {
        assert_eq!(after(sound), None);
    }
    for wrong in [
        then(paid(), [Said::OfOrder(failed.clone())]),
        then(paid(), [Said::OfOrder(failed), Said::OfPayment(going(899))]),
        then(confirmed(), [Said::OfOrder(cancelled())]),
        then(confirmed(), [Said::OfPayment(captured(true))]),
        then(confirmed(), [Said::OfPayment(going(300))]),
        then(confirmed(), [Said::OfOrder(asked_back(300))]),
    ] {
        let what = after(wrong).expect("money is in nobody's hands");
        assert!(what.contains("is kept of its money where"), "{what}");
    }
}

#[test]
fn a_payment_belongs_to_exactly_one_order() {
    let other = OrderId(Uuid::from_u128(2));
    let mut belongings = Belongings::default();
    assert!(
        belongings
            .take_payment(1, PAYMENT, &opened(order_id()))
            .is_err()
    );
    let unplaced = belongings.take_order(1, order_id(), &order::Event::Processing);
    assert!(unplaced.is_err());
    assert_eq!(belongings.take_order(1, order_id(), &placed()), Ok(()));
    assert!(belongings.take_payment(2, PAYMENT, &opened(other)).is_err());
    assert!(belongings.take_order(2, other, &placed()).is_err());
}
