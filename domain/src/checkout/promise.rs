//! The use of a promotion that an order was promised: held, let go and used up like its stock.

use serde::{Deserialize, Serialize};

use super::{Brief, Checkout, Fact, Hold, Intent, OutOfPlace, Stage};
use crate::ids::CustomerId;
use crate::order::Failure;
use crate::placing::Placing;
use crate::promotion::Code;

/// A use of a promotion, and whether it is held for the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promise {
    promotion: Code,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer_id: Option<CustomerId>,
    pub(super) hold: Hold,
}

impl Promise {
    pub(super) fn of(placing: &Placing) -> Option<Self> {
        let discount = placing.discount.as_ref()?;
        let (promotion, customer_id) = (discount.promotion.clone(), placing.customer_id);
        Some(Self { promotion, customer_id, hold: Hold::Asked })
    }

    pub(super) fn ask(&mut self) -> Intent {
        self.hold = Hold::Asked;
        Intent::ReservePromotion {
            promotion: self.promotion.clone(),
            customer_id: self.customer_id,
        }
    }

    pub(super) fn release(&mut self) -> Option<Intent> {
        self.let_go(|promotion| Intent::ReleasePromotion { promotion })
    }

    pub(super) fn settle(&mut self) -> Option<Intent> {
        self.let_go(|promotion| Intent::SettlePromotion { promotion })
    }

    /// Why the order ends, if others were first.
    pub(super) fn used_up(&self) -> Failure {
        Failure::PromotionUsedUp { promotion: self.promotion.clone() }
    }

    fn let_go(&mut self, how: impl Fn(Code) -> Intent) -> Option<Intent> {
        if self.hold != Hold::Held {
            return None;
        }
        self.hold = Hold::Gone;
        Some(how(self.promotion.clone()))
    }
}

impl Checkout {
    pub(super) fn hear_of_promotion(
        &mut self,
        brief: &Brief,
        fact: &Fact,
    ) -> Result<Vec<Intent>, OutOfPlace> {
        use Fact as F;
        use Stage as S;

        match (self.stage, &mut self.promise, fact) {
            (S::Reserving | S::Rereserving, Some(promise), F::PromotionReserved) => {
                promise.hold = Hold::Held;
                Ok(self.once_all_have_answered(brief))
            }
            (S::Reserving | S::Rereserving, Some(promise), F::PromotionUsedUp) => {
                promise.hold = Hold::Short;
                Ok(self.once_all_have_answered(brief))
            }
            // Given up while it was being asked for.
            (S::Abandoned, Some(promise), F::PromotionReserved) => {
                let promotion = promise.promotion.clone();
                Ok(vec![Intent::ReleasePromotion { promotion }])
            }
            (S::Abandoned, Some(_), F::PromotionUsedUp) => Ok(vec![]),

            (_, _, fact) => self.out_of_place(fact.clone()),
        }
    }
}

#[cfg(test)]
#[path = "promise_tests.rs"]
mod tests;
