//! Facts, intents and checkouts at every stage, by their short names.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use super::*;
use crate::refunding::{GoodsPart, Refund};
use crate::testing::{an_order, gbp, noon, refund_id};

pub(super) const STAGES: [Stage; 12] = [
    Stage::Idle,
    Stage::Reserving,
    Stage::Held,
    Stage::Reserved,
    Stage::AwaitingPayment,
    Stage::Confirming,
    Stage::HeldPaid,
    Stage::Confirmed,
    Stage::Completed,
    Stage::Rereserving,
    Stage::TimedOut,
    Stage::Abandoned,
];

pub(super) fn one_of_each_fact() -> Vec<Fact> {
    vec![
        placed(),
        held("cup"),
        short("cup"),
        Fact::OrderProcessing,
        Fact::OrderConfirmed,
        Fact::OrderMovedOn,
        Fact::OrderCancelled,
        held_paid(),
        approved(),
        Fact::OrderRefused,
        Fact::LinesShipped { lines: vec![1] },
        Fact::OrderCompleted,
        asked(1, 900, Some("cup")),
        captured(),
        Fact::PaymentCapturedAgain { reference: "b".into(), received: gbp(1850) },
        Fact::PaymentMismatched { reference: "a".into(), expected: gbp(1850), received: gbp(1) },
        Fact::PaymentMisnamed { reference: "a".into(), named: "z".into() },
        Fact::PaymentDeclined,
        paid_out(1),
        Fact::PaymentRefundFailed { refund_id: refund_id(1), reason: "closed".into() },
        Fact::PaymentRefundReturned { refund_id: refund_id(1), reason: "closed".into() },
        Fact::PaymentChargedBack {
            dispute: "dp_1".into(),
            amount_minor: 1850,
            reason: "fraudulent".into(),
        },
        Fact::DeadlinePassed,
    ]
}

/// A checkout that came to a stage on the shortest way.
pub(super) fn at(stage: Stage) -> Checkout {
    let reserved = vec![placed(), held("cup"), held("pot")];
    let awaiting = [reserved.clone(), vec![Fact::OrderProcessing]].concat();
    let confirmed = [awaiting.clone(), vec![captured(), Fact::OrderConfirmed]].concat();
    let and = |facts: &Vec<Fact>, fact| [facts.clone(), vec![fact]].concat();
    let facts = match stage {
        Stage::Idle => vec![],
        Stage::Reserving => vec![placed()],
        Stage::Held => vec![placed_to_be_reviewed(), held("cup"), held("pot")],
        Stage::Reserved => reserved,
        Stage::AwaitingPayment => awaiting,
        Stage::Confirming => and(&awaiting, captured()),
        Stage::HeldPaid => and(&and(&awaiting, captured()), held_paid()),
        Stage::Confirmed => confirmed,
        Stage::Completed => and(&confirmed, Fact::OrderCompleted),
        Stage::Rereserving => [awaiting, vec![Fact::DeadlinePassed, captured()]].concat(),
        Stage::TimedOut => and(&awaiting, Fact::DeadlinePassed),
        Stage::Abandoned => and(&awaiting, Fact::OrderCancelled),
    };
    let mut checkout = Checkout::default();
    for fact in facts {
        checkout.react(fact).unwrap();
    }
    assert_eq!(checkout.stage(), stage);
    checkout
}

#[track_caller]
pub(super) fn walk(from: Stage, steps: impl IntoIterator<Item = (Fact, Vec<Intent>, Stage)>) {
    let mut checkout = at(from);
    for (fact, intents, stage) in steps {
        let what = format!("{fact:?} while {:?}", checkout.stage());
        assert_eq!(checkout.react(fact), Ok(intents), "{what}");
        assert_eq!(checkout.stage(), stage, "{what}");
    }
}

pub(super) fn sku(code: &str) -> Sku {
    code.parse().unwrap()
}

pub(super) fn placed() -> Fact {
    Fact::OrderPlaced(Box::new(an_order()))
}

/// Staff have to look at it, within a day.
pub(super) fn placed_to_be_reviewed() -> Fact {
    let set_aside = Some(SetAside::Held { review_by: review_by() });
    Fact::OrderPlaced(Box::new(Placing { set_aside, ..an_order() }))
}

pub(super) fn review_by() -> DateTime<Utc> {
    noon() + chrono::TimeDelta::days(1)
}

/// What staff give to pay, once they have looked.
pub(super) fn new_pay_by() -> DateTime<Utc> {
    noon() + chrono::TimeDelta::hours(5)
}

pub(super) fn held_paid() -> Fact {
    Fact::OrderHeld { review_by: review_by() }
}

pub(super) fn approved() -> Fact {
    Fact::OrderApproved { pay_by: new_pay_by() }
}

pub(super) fn held(code: &str) -> Fact {
    Fact::StockReserved { sku: sku(code) }
}

pub(super) fn short(code: &str) -> Fact {
    Fact::StockShort { sku: sku(code) }
}

pub(super) fn captured() -> Fact {
    Fact::PaymentCaptured { received: gbp(1850), assessment: None }
}

pub(super) fn asked(name: u128, amount_minor: i64, back_on_the_shelf: Option<&str>) -> Fact {
    let part = |code| RestockPart { sku: sku(code), quantity: 1 };
    Fact::RefundRequested(Refund {
        refund_id: refund_id(name),
        amount_minor,
        goods: vec![GoodsPart { sku: sku("cup"), amount_minor, quantity: 1 }],
        shipping_minor: 0,
        restock: back_on_the_shelf.map(part).into_iter().collect(),
        reason: "broken".into(),
    })
}

pub(super) fn paid_out(name: u128) -> Fact {
    Fact::PaymentRefunded { refund_id: refund_id(name) }
}

pub(super) fn reserve(code: &str, quantity: u64) -> Intent {
    let expires_at = noon() + chrono::TimeDelta::minutes(30);
    Intent::ReserveStock { sku: sku(code), quantity, expires_at }
}

pub(super) fn release(code: &str) -> Intent {
    Intent::ReleaseStock { sku: sku(code) }
}

pub(super) fn issue(code: &str) -> Intent {
    Intent::IssueStock { sku: sku(code) }
}

pub(super) fn restock(name: u128, code: &str) -> Intent {
    let part = RestockPart { sku: sku(code), quantity: 1 };
    Intent::RestockStock { refund_id: refund_id(name), part }
}

pub(super) fn open() -> Intent {
    let Placing { payment_id, payment, pay_by, .. } = an_order();
    Intent::OpenPayment(Brief { payment_id, payment, total: gbp(1850), pay_by })
}

pub(super) fn void() -> Intent {
    Intent::VoidPayment(an_order().payment_id)
}

pub(super) fn confirm() -> Intent {
    Intent::ConfirmOrder { captured: gbp(1850), assessment: None }
}

pub(super) fn fail_short(codes: &[&str]) -> Intent {
    let skus = codes.iter().map(|code| sku(code)).collect();
    Intent::FailOrder(Failure::OutOfStock { skus })
}

pub(super) fn goes_back(amount_minor: i64, reason: &str) -> Intent {
    Intent::RefundPayment {
        payment_id: an_order().payment_id,
        refund_id: None,
        reference: None,
        amount_minor,
        reason: reason.into(),
    }
}

pub(super) fn goes_back_by(reference: &str, amount_minor: i64, reason: &str) -> Intent {
    Intent::RefundPayment {
        payment_id: an_order().payment_id,
        refund_id: None,
        reference: Some(reference.into()),
        amount_minor,
        reason: reason.into(),
    }
}

pub(super) fn pay_out(name: u128, amount_minor: i64) -> Intent {
    Intent::RefundPayment {
        payment_id: an_order().payment_id,
        refund_id: Some(refund_id(name)),
        reference: None,
        amount_minor,
        reason: "broken".into(),
    }
}

pub(super) fn settle(name: u128) -> Intent {
    Intent::SettleRefund { refund_id: refund_id(name) }
}
