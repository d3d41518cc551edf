//! What becomes of an order's use of a promotion, beside its stock.

use super::*;
use crate::checkout::examples::{fail_short, held, issue, release, reserve, short};
use crate::placing::Discount;
use crate::testing::an_order;

fn spring() -> Code {
    "SPRING".parse().unwrap()
}

fn asked() -> Intent {
    Intent::ReservePromotion { promotion: spring(), customer_id: None }
}

fn given_back() -> Intent {
    Intent::ReleasePromotion { promotion: spring() }
}

fn after(facts: Vec<Fact>) -> (Checkout, Vec<Intent>) {
    let discount = Discount {
        promotion: spring(),
        name: "Spring".into(),
        amount_minor: 150,
        lines_minor: vec![90, 60],
    };
    let placing = Placing { discount: Some(Box::new(discount)), ..an_order() };
    let mut checkout = Checkout::default();
    let mut intents = checkout
        .react(Fact::OrderPlaced(Box::new(placing)))
        .unwrap();
    for fact in facts {
        intents = checkout.react(fact).unwrap();
    }
    (checkout, intents)
}

#[test]
fn an_order_asks_for_its_promotion_as_it_asks_for_its_stock() {
    let (_, intents) = after(vec![]);
    assert_eq!(intents, [reserve("cup", 2), reserve("pot", 1), asked()]);
    let all = vec![held("cup"), held("pot"), Fact::PromotionReserved];
    for last in 0..all.len() {
        let mut facts = all.clone();
        let last = facts.remove(last);
        let (mut checkout, intents) = after(facts);
        assert_eq!(intents, [], "it waits for {last:?}");
        assert_eq!(checkout.react(last), Ok(vec![Intent::ProcessOrder]));
    }
}

#[test]
fn an_order_whose_promotion_is_used_up_fails_and_lets_its_stock_go() {
    let failed = Failure::PromotionUsedUp { promotion: spring() };
    let (checkout, intents) = after(vec![held("cup"), held("pot"), Fact::PromotionUsedUp]);
    assert_eq!(intents, [release("cup"), release("pot"), Intent::FailOrder(failed)]);
    assert_eq!(checkout.stage(), Stage::Abandoned);
    // What cannot be had at any price is the better reason.
    let (_, intents) = after(vec![short("cup"), held("pot"), Fact::PromotionUsedUp]);
    assert_eq!(intents, [release("pot"), fail_short(&["cup"])]);
}

#[test]
fn an_order_that_is_given_up_gives_its_promotion_back() {
    let (_, intents) = after(vec![short("cup"), held("pot"), Fact::PromotionReserved]);
    assert_eq!(intents, [release("pot"), given_back(), fail_short(&["cup"])]);
    let (mut checkout, intents) = after(vec![held("cup"), Fact::OrderCancelled]);
    assert_eq!(intents, [release("cup")]);
    assert_eq!(checkout.react(held("pot")), Ok(vec![release("pot")]));
    assert_eq!(checkout.react(Fact::PromotionReserved), Ok(vec![given_back()]));
    let (mut checkout, _) = after(vec![Fact::OrderCancelled]);
    assert_eq!(checkout.react(Fact::PromotionUsedUp), Ok(vec![]));
}

#[test]
fn late_money_finds_its_promotion_again_or_goes_back() {
    let paid_late = || {
        let facts = vec![
            held("cup"),
            held("pot"),
            Fact::PromotionReserved,
            Fact::OrderProcessing,
            Fact::DeadlinePassed,
        ];
        let (mut checkout, intents) = after(facts);
        assert!(intents.contains(&given_back()), "{intents:?}");
        let (received, assessment) = (crate::testing::gbp(1700), None);
        let asked_again = checkout
            .react(Fact::PaymentCaptured { received, assessment })
            .unwrap();
        assert!(asked_again.contains(&asked()), "{asked_again:?}");
        checkout.react(held("cup")).unwrap();
        checkout.react(held("pot")).unwrap();
        checkout
    };
    let confirmed = paid_late().react(Fact::PromotionReserved).unwrap();
    assert!(matches!(confirmed[..], [Intent::ConfirmOrder { .. }]), "{confirmed:?}");
    let gone = paid_late().react(Fact::PromotionUsedUp).unwrap();
    assert!(
        matches!(&gone[..], [.., Intent::RefundPayment { amount_minor: 1700, reason, .. }]
            if reason.contains("promotion")),
        "{gone:?}"
    );
}

#[test]
fn an_order_that_is_fulfilled_uses_its_promotion_up() {
    let facts = vec![
        held("cup"),
        held("pot"),
        Fact::PromotionReserved,
        Fact::OrderProcessing,
        Fact::PaymentCaptured { received: crate::testing::gbp(1700), assessment: None },
        Fact::OrderConfirmed,
        Fact::OrderCompleted,
    ];
    let (_, intents) = after(facts);
    let settled = Intent::SettlePromotion { promotion: spring() };
    assert_eq!(intents, [issue("cup"), issue("pot"), settled]);
}

#[test]
fn an_order_without_a_promotion_hears_nothing_of_one() {
    let mut checkout = Checkout::default();
    checkout
        .react(Fact::OrderPlaced(Box::new(an_order())))
        .unwrap();
    assert!(checkout.react(Fact::PromotionReserved).is_err());
    let written = serde_json::to_value(&checkout).unwrap();
    assert_eq!(written.get("promise"), None, "as it was kept before there were any");
}
