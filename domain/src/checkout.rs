//! Checkout: carries one placed order through stock and payment to its end.
//!
//! Facts come in, intents go out; nothing here waits, calls or retries. The id of an intent's
//! command is derived from the fact that caused it, so a redelivered fact cannot act twice.
//!
//! ```text
//!               Held                                  HeldPaid
//!              ▲    │ approved                        ▲    │ approved
//!              │    ▼                                 │    ▼
//! Idle ─▶ Reserving ─▶ Reserved ─▶ AwaitingPayment ─▶ Confirming ─▶ Confirmed ─▶ Completed
//!             │            │              │               ▲ │           │
//!             ▼            ▼              ▼     late money│ ▼           ▼
//!         Abandoned ◀──────┴──────────────┴──▶ Rereserving  Abandoned ◀─┘
//! ```
//!
//! Whoever is held and refused, cancelled, or not looked at in time is abandoned like anybody else.
//!
//! Invariants:
//! 1. Whoever leaves for `Abandoned` lets every reservation go, of stock and of a promotion.
//! 2. Money that comes in belongs to a confirmed order, or an intent gives it back.
//! 3. A fact that no row expects changes nothing and is reported, never dropped.
//! 4. While staff have to look at an order, nobody is asked for money and nothing is confirmed; what
//!    it holds, it holds for a bounded time.

mod parcels;
mod promise;
mod refunds;
mod review;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::parcels::Parcels;
use self::promise::Promise;
pub use crate::facts::{Fact, Intent, OutOfPlace};
use crate::ids::{PaymentId, RefundId, Sku};
use crate::money::Money;
use crate::order::Failure;
use crate::placing::{PaymentChoice, Placing};
use crate::refunding::RestockPart;
use crate::risk::Assessment;
use crate::screening::SetAside;

/// How often money that never belonged to the order is asked for again once it could not go back:
/// a provider says so after hours or days, and whatever it is then takes a person.
const OWN_REFUNDS_AGAIN_MAX: u32 = 5;

/// Where a checkout stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing heard yet.
    #[default]
    Idle,
    /// Stock has been asked for; answers are counted.
    Reserving,
    /// All stock is held; staff have to look at the order before anybody is asked for money.
    Held,
    /// All stock is held; the order has been asked to wait for its money.
    Reserved,
    /// The money is awaited.
    AwaitingPayment,
    /// The money is there; the order has been asked to confirm.
    Confirming,
    /// The money is there; staff have to look at the order before it is confirmed.
    HeldPaid,
    /// Paid.
    Confirmed,
    /// Fulfilled.
    Completed,
    /// Money came after the deadline; stock has been asked for once more.
    Rereserving,
    /// Given up for want of payment; late money may revive it.
    TimedOut,
    /// Given up for good.
    Abandoned,
}

impl Stage {
    /// Whether the payment has been opened, so that its provider may say anything at any time.
    fn knows_of_payment(self) -> bool {
        match self {
            Self::Idle | Self::Reserving | Self::Held | Self::Reserved => false,
            // A checkout may be abandoned before its payment is opened, but then nobody speaks.
            Self::AwaitingPayment
            | Self::Confirming
            | Self::HeldPaid
            | Self::Confirmed
            | Self::Completed
            | Self::Rereserving
            | Self::TimedOut
            | Self::Abandoned => true,
        }
    }
}

/// Whether pieces of a SKU are held for the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hold {
    Asked,
    Held,
    Short,
    Gone,
}

/// What the process must remember of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The payment that carries its money.
    pub payment_id: PaymentId,
    /// How it is to be paid.
    pub payment: PaymentChoice,
    /// What is to be paid.
    pub total: Money,
    /// Until when.
    pub pay_by: DateTime<Utc>,
}

/// One order's checkout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    stage: Stage,
    brief: Option<Brief>,
    pieces: BTreeMap<Sku, (u64, Hold)>,
    /// Refunds that the order knows of, with what goes back on the shelf.
    refunds: BTreeMap<RefundId, (i64, Vec<RestockPart>)>,
    refunded_minor: i64,
    /// Refunded before the goods went out: restocked once they have been issued.
    restock_later: Vec<(RefundId, RestockPart)>,
    /// Refunds of money that never belonged to the order.
    own_refunds: BTreeSet<RefundId>,
    /// When a hold ends, until it was heard that it has.
    #[serde(default)]
    review_by: Option<DateTime<Utc>>,
    /// What was said about late money, until its stock is held again.
    #[serde(default)]
    assessment: Option<Assessment>,
    /// How often one of those was asked for again.
    #[serde(default)]
    own_refunds_again: u32,
    /// The use of a promotion that the order was promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promise: Option<Promise>,
    /// What has left of it, while the rest has not.
    #[serde(default, skip_serializing_if = "Parcels::is_empty")]
    parcels: Parcels,
}

impl Checkout {
    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// When [`Fact::DeadlinePassed`] is due; `None` while nothing is awaited.
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        match self.stage {
            Stage::AwaitingPayment => self.brief.as_ref().map(|brief| brief.pay_by),
            Stage::Held | Stage::HeldPaid => self.review_by,
            Stage::Idle
            | Stage::Reserving
            | Stage::Reserved
            | Stage::Confirming
            | Stage::Confirmed
            | Stage::Completed
            | Stage::Rereserving
            | Stage::TimedOut
            | Stage::Abandoned => None,
        }
    }

    /// Moves on by one fact, and says what to ask for next. An unexpected fact changes nothing.
    pub fn react(&mut self, fact: Fact) -> Result<Vec<Intent>, OutOfPlace> {
        use Fact as F;

        match (self.brief.clone(), fact) {
            (None, F::OrderPlaced(placing)) => Ok(self.begin(&placing)),
            (None, fact) | (Some(_), fact @ F::OrderPlaced(_)) => self.out_of_place(fact),

            (Some(brief), fact @ (F::StockReserved { .. } | F::StockShort { .. })) => {
                self.hear_of_stock(&brief, fact)
            }
            (Some(brief), fact @ (F::PromotionReserved | F::PromotionUsedUp)) => {
                self.hear_of_promotion(&brief, &fact)
            }
            (
                Some(brief),
                fact @ (F::OrderProcessing
                | F::OrderConfirmed
                | F::OrderMovedOn
                | F::OrderCancelled
                | F::LinesShipped { .. }
                | F::OrderCompleted
                | F::RefundRequested(_)),
            ) => self.hear_of_order(brief, fact),
            (
                Some(brief),
                fact @ (F::OrderHeld { .. } | F::OrderApproved { .. } | F::OrderRefused),
            ) => self.hear_of_review(brief, fact),
            (
                Some(brief),
                fact @ (F::PaymentCaptured { .. }
                | F::PaymentCapturedAgain { .. }
                | F::PaymentMismatched { .. }
                | F::PaymentMisnamed { .. }
                | F::PaymentDeclined
                | F::PaymentRefunded { .. }
                | F::PaymentRefundFailed { .. }
                | F::PaymentRefundReturned { .. }
                | F::PaymentChargedBack { .. }
                | F::DeadlinePassed),
            ) => self.hear_of_money(&brief, fact),
        }
    }

    fn hear_of_stock(&mut self, brief: &Brief, fact: Fact) -> Result<Vec<Intent>, OutOfPlace> {
        use Fact as F;
        use Stage as S;

        match (self.stage, fact) {
            (S::Reserving | S::Rereserving, F::StockReserved { sku }) => {
                Ok(self.count(brief, &sku, Hold::Held))
            }
            (S::Reserving | S::Rereserving, F::StockShort { sku }) => {
                Ok(self.count(brief, &sku, Hold::Short))
            }
            // Invariant 1: given up while it was being asked for.
            (S::Abandoned, F::StockReserved { sku }) => Ok(vec![Intent::ReleaseStock { sku }]),
            (S::Abandoned, F::StockShort { .. }) => Ok(vec![]),

            (_, fact) => self.out_of_place(fact),
        }
    }

    fn hear_of_order(&mut self, brief: Brief, fact: Fact) -> Result<Vec<Intent>, OutOfPlace> {
        use Fact as F;
        use Stage as S;

        match (self.stage, fact) {
            (S::Reserved, F::OrderProcessing) => {
                Ok(self.move_to(S::AwaitingPayment, vec![Intent::OpenPayment(brief)]))
            }
            (S::Confirming, F::OrderConfirmed) => Ok(self.move_to(S::Confirmed, vec![])),
            (S::Confirmed, F::LinesShipped { lines }) => {
                self.parcels.ship(lines);
                Ok(vec![])
            }
            (S::Confirmed, F::OrderCompleted) => {
                self.parcels = Parcels::default();
                let intents = self.issue_all();
                Ok(self.move_to(S::Completed, intents))
            }

            // There is no money yet, or the order asks for its refund itself.
            (S::Reserving | S::Held | S::Reserved | S::Confirmed, F::OrderCancelled) => {
                Ok(self.give_up(S::Abandoned, vec![]))
            }
            (S::AwaitingPayment, F::OrderCancelled) => {
                Ok(self.give_up(S::Abandoned, vec![Intent::VoidPayment(brief.payment_id)]))
            }
            // The money is there, but the order was cancelled before it could be confirmed or,
            // where stock is asked for once more, before it could fail.
            (S::Confirming | S::HeldPaid, F::OrderCancelled)
            | (S::Rereserving, F::OrderCancelled | F::OrderMovedOn) => {
                let back = give_back(&brief, brief.total, "the order was cancelled");
                Ok(self.give_up(S::Abandoned, vec![back]))
            }
            // Cancelled or refused a moment ago: that fact is on its way.
            (S::Held | S::Reserved | S::Confirming | S::HeldPaid, F::OrderMovedOn) => Ok(vec![]),
            // Late money no longer revives a cancelled order.
            (S::TimedOut | S::Abandoned, F::OrderCancelled | F::OrderMovedOn) => {
                Ok(self.move_to(S::Abandoned, vec![]))
            }

            (S::Confirmed | S::Completed | S::Abandoned, F::RefundRequested(refund)) => {
                Ok(self.refund(brief.payment_id, refund))
            }

            (_, fact) => self.out_of_place(fact),
        }
    }

    fn hear_of_money(&mut self, brief: &Brief, fact: Fact) -> Result<Vec<Intent>, OutOfPlace> {
        use Fact as F;
        use Stage as S;

        match (self.stage, fact) {
            (S::AwaitingPayment, F::PaymentCaptured { received: captured, assessment }) => {
                Ok(self.move_to(S::Confirming, vec![Intent::ConfirmOrder { captured, assessment }]))
            }
            (S::AwaitingPayment, F::PaymentMismatched { reference, expected, received }) => {
                let mut intents = vec![
                    Intent::FailOrder(Failure::PaymentMismatched),
                    Intent::VoidPayment(brief.payment_id),
                ];
                intents.extend(give_back_mismatched(brief, reference, expected, received));
                Ok(self.give_up(S::Abandoned, intents))
            }
            (S::AwaitingPayment, F::PaymentMisnamed { reference, named }) => {
                let intents = vec![
                    Intent::FailOrder(Failure::PaymentMismatched),
                    Intent::VoidPayment(brief.payment_id),
                    call_about_misnamed(&reference, &named),
                ];
                Ok(self.give_up(S::Abandoned, intents))
            }
            (S::AwaitingPayment, F::DeadlinePassed) => {
                let intents = vec![
                    Intent::FailOrder(Failure::PaymentTimedOut),
                    Intent::VoidPayment(brief.payment_id),
                ];
                Ok(self.give_up(S::TimedOut, intents))
            }

            // Invariant 4. Staff may have looked in this moment; then the order knows, and goes on.
            (S::Held | S::HeldPaid, F::DeadlinePassed) => {
                self.review_by = None;
                Ok(vec![Intent::EndReview])
            }

            // Invariant 2: money is never kept without goods.
            (S::TimedOut, F::PaymentCaptured { assessment, .. }) => {
                self.assessment = assessment;
                let intents = self.reserve_all(brief.pay_by);
                Ok(self.move_to(S::Rereserving, intents))
            }
            (S::Abandoned, F::PaymentCaptured { received, .. }) => {
                Ok(vec![give_back(brief, received, "the order had been given up")])
            }
            (stage, F::PaymentCapturedAgain { reference, received })
                if stage.knows_of_payment() =>
            {
                Ok(vec![give_back_by(
                    brief,
                    reference,
                    received,
                    "it was paid twice",
                )])
            }
            (stage, F::PaymentMismatched { reference, expected, received })
                if stage.knows_of_payment() =>
            {
                Ok(give_back_mismatched(brief, reference, expected, received))
            }
            // Nobody's money of ours: there is nothing to give back.
            (stage, F::PaymentMisnamed { reference, named }) if stage.knows_of_payment() => {
                Ok(vec![call_about_misnamed(&reference, &named)])
            }
            // The customer may try again, or it no longer matters.
            (stage, F::PaymentDeclined | F::DeadlinePassed) if stage.knows_of_payment() => {
                Ok(vec![])
            }

            (_, F::PaymentRefunded { refund_id }) if self.knows(refund_id) => {
                Ok(self.settle(refund_id))
            }
            (_, F::PaymentRefundFailed { refund_id, reason }) if self.knows(refund_id) => {
                Ok(self.refund_failed(brief.payment_id, refund_id, reason))
            }
            (stage, F::PaymentRefundReturned { refund_id, reason }) if stage.knows_of_payment() => {
                Ok(self.refund_returned(brief.payment_id, refund_id, &reason))
            }
            // The goods may have left: only people know what is to become of them.
            (stage, F::PaymentChargedBack { dispute, amount_minor, reason })
                if stage.knows_of_payment() =>
            {
                let amount = Money { minor: amount_minor, ..brief.total };
                let reason = format!("{amount} was charged back ({dispute}): {reason}");
                Ok(vec![Intent::CallStaff { reason }])
            }

            (_, fact) => self.out_of_place(fact),
        }
    }

    fn out_of_place(&self, fact: Fact) -> Result<Vec<Intent>, OutOfPlace> {
        Err(OutOfPlace { stage: self.stage, fact: Box::new(fact) })
    }

    /// Remembers the name that the process gave to a refund of its own.
    pub fn name_own_refund(&mut self, refund_id: RefundId) {
        self.own_refunds.insert(refund_id);
    }

    fn knows(&self, refund_id: RefundId) -> bool {
        self.refunds.contains_key(&refund_id) || self.own_refunds.contains(&refund_id)
    }

    fn move_to(&mut self, stage: Stage, intents: Vec<Intent>) -> Vec<Intent> {
        self.stage = stage;
        if stage.knows_of_payment() {
            self.drop_token();
        }
        intents
    }

    /// Lets go of what the payment is opened with, which may tell who pays. Nobody needs it once
    /// the payment has it, or never will. Whether there was any.
    pub fn drop_token(&mut self) -> bool {
        let payment = self.brief.as_mut().map(|brief| &mut brief.payment);
        payment.and_then(|payment| payment.token.take()).is_some()
    }

    /// Invariant 1.
    fn give_up(&mut self, to: Stage, mut intents: Vec<Intent>) -> Vec<Intent> {
        if to == Stage::Abandoned {
            self.parcels = Parcels::default();
        }
        intents.extend(self.release_all());
        self.move_to(to, intents)
    }

    fn begin(&mut self, placing: &Placing) -> Vec<Intent> {
        self.brief = Some(Brief {
            payment_id: placing.payment_id,
            payment: placing.payment.clone(),
            total: placing.total(),
            pay_by: placing.pay_by,
        });
        match placing.set_aside {
            // It has ended as soon as it was placed: nothing is held for it.
            Some(SetAside::Refused) => return self.move_to(Stage::Abandoned, vec![]),
            Some(SetAside::Held { review_by }) => self.review_by = Some(review_by),
            None => {}
        }
        self.promise = Promise::of(placing);
        self.parcels = Parcels::of(placing);
        self.pieces = placing
            .pieces_by_sku()
            .into_iter()
            .map(|(sku, quantity)| (sku, (quantity, Hold::Asked)))
            .collect();
        // Approved at the last moment, it may still be paid for as long as any other.
        let window = placing.pay_by.signed_duration_since(placing.placed_at);
        let until = self
            .review_by
            .map_or(Some(placing.pay_by), |by| by.checked_add_signed(window));
        let until = until.unwrap_or(placing.pay_by);
        let intents = self.reserve_all(until);
        self.move_to(Stage::Reserving, intents)
    }

    fn reserve_all(&mut self, expires_at: DateTime<Utc>) -> Vec<Intent> {
        let stock = self.pieces.iter_mut().map(|(sku, (quantity, hold))| {
            *hold = Hold::Asked;
            Intent::ReserveStock { sku: sku.clone(), quantity: *quantity, expires_at }
        });
        stock
            .chain(self.promise.as_mut().map(Promise::ask))
            .collect()
    }

    /// Counts one answer; the last one decides.
    fn count(&mut self, brief: &Brief, sku: &Sku, answer: Hold) -> Vec<Intent> {
        if let Some((_, hold)) = self.pieces.get_mut(sku) {
            *hold = answer;
        }
        self.once_all_have_answered(brief)
    }

    fn once_all_have_answered(&mut self, brief: &Brief) -> Vec<Intent> {
        let promised = self.promise.as_ref().map(|promise| promise.hold);
        let mut holds = self.pieces.values().map(|(_, hold)| *hold).chain(promised);
        if holds.any(|hold| hold == Hold::Asked) {
            return vec![];
        }
        let short: Vec<Sku> = self
            .pieces
            .iter()
            .filter(|(_, (_, hold))| *hold == Hold::Short)
            .map(|(sku, _)| sku.clone())
            .collect();
        let is_kept = promised != Some(Hold::Short);
        match (self.stage, short.is_empty() && is_kept) {
            (Stage::Rereserving, true) => {
                let assessment = self.assessment.take();
                let confirm = Intent::ConfirmOrder { captured: brief.total, assessment };
                self.move_to(Stage::Confirming, vec![confirm])
            }
            (Stage::Rereserving, false) => {
                let mut intents = self.release_all();
                let why = if short.is_empty() {
                    "paid too late: the promotion is used up"
                } else {
                    "paid too late: out of stock"
                };
                intents.push(give_back(brief, brief.total, why));
                self.move_to(Stage::Abandoned, intents)
            }
            (_, true) if self.review_by.is_some() => self.move_to(Stage::Held, vec![]),
            (_, true) => self.move_to(Stage::Reserved, vec![Intent::ProcessOrder]),
            (_, false) => {
                let mut intents = self.release_all();
                let used_up = self.promise.as_ref().filter(|_| short.is_empty());
                let failure = match used_up.map(Promise::used_up) {
                    Some(used_up) => used_up,
                    None => Failure::OutOfStock { skus: short },
                };
                intents.push(Intent::FailOrder(failure));
                self.move_to(Stage::Abandoned, intents)
            }
        }
    }

    fn release_all(&mut self) -> Vec<Intent> {
        let mut intents = self.let_go(|sku| Intent::ReleaseStock { sku });
        intents.extend(self.promise.as_mut().and_then(Promise::release));
        intents
    }

    fn issue_all(&mut self) -> Vec<Intent> {
        let mut intents = self.let_go(|sku| Intent::IssueStock { sku });
        intents.extend(self.promise.as_mut().and_then(Promise::settle));
        let restock = std::mem::take(&mut self.restock_later);
        intents.extend(
            restock
                .into_iter()
                .map(|(refund_id, part)| Intent::RestockStock { refund_id, part }),
        );
        intents
    }

    fn let_go(&mut self, how: impl Fn(Sku) -> Intent) -> Vec<Intent> {
        self.pieces
            .iter_mut()
            .filter(|(_, (_, hold))| *hold == Hold::Held)
            .map(|(sku, (_, hold))| {
                *hold = Hold::Gone;
                how(sku.clone())
            })
            .collect()
    }
}

fn give_back(brief: &Brief, amount: Money, reason: &str) -> Intent {
    Intent::RefundPayment {
        payment_id: brief.payment_id,
        refund_id: None,
        reference: None,
        amount_minor: amount.minor,
        reason: reason.to_owned(),
    }
}

/// Gives money back the way it came.
fn give_back_by(brief: &Brief, reference: String, amount: Money, reason: &str) -> Intent {
    Intent::RefundPayment {
        payment_id: brief.payment_id,
        refund_id: None,
        reference: Some(reference),
        amount_minor: amount.minor,
        reason: reason.to_owned(),
    }
}

/// Another currency cannot be refunded in the order's own: that takes a person.
fn give_back_mismatched(
    brief: &Brief,
    reference: String,
    expected: Money,
    received: Money,
) -> Vec<Intent> {
    let reason = format!("{expected} was asked for, {received} came in");
    let mut intents = vec![Intent::CallStaff { reason: reason.clone() }];
    if expected.currency == received.currency && 0 < received.minor {
        intents.push(give_back_by(brief, reference, received, &reason));
    }
    intents
}

fn call_about_misnamed(reference: &str, named: &str) -> Intent {
    let reason = format!("the provider was asked about {reference} and spoke of {named}");
    Intent::CallStaff { reason }
}

#[cfg(test)]
#[path = "checkout_examples.rs"]
mod examples;
#[cfg(test)]
#[path = "checkout_review_tests.rs"]
mod review_tests;
#[cfg(test)]
#[path = "checkout_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "checkout_world_tests.rs"]
mod world;
