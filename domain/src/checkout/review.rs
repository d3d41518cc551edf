//! What the checkout makes of holds and of what staff say about them.

use chrono::{DateTime, Utc};

use super::{Brief, Checkout, Fact, Intent, OutOfPlace, Stage, give_back};

impl Checkout {
    pub(super) fn hear_of_review(
        &mut self,
        brief: Brief,
        fact: Fact,
    ) -> Result<Vec<Intent>, OutOfPlace> {
        use Fact as F;
        use Stage as S;

        match (self.stage, fact) {
            (S::Confirming, F::OrderHeld { review_by }) => {
                self.review_by = Some(review_by);
                Ok(self.move_to(S::HeldPaid, vec![]))
            }

            (S::Reserving, F::OrderApproved { pay_by }) => {
                self.go_on(brief, pay_by);
                Ok(vec![])
            }
            (S::Held, F::OrderApproved { pay_by }) => {
                self.go_on(brief, pay_by);
                Ok(self.move_to(S::Reserved, vec![Intent::ProcessOrder]))
            }
            (S::HeldPaid, F::OrderApproved { .. }) => {
                let confirm = Intent::ConfirmOrder { captured: brief.total, assessment: None };
                Ok(self.move_to(S::Confirming, vec![confirm]))
            }

            (S::Reserving | S::Held, F::OrderRefused) => Ok(self.give_up(S::Abandoned, vec![])),
            (S::Confirming | S::HeldPaid, F::OrderRefused) => {
                let back = give_back(&brief, brief.total, "the order was refused");
                Ok(self.give_up(S::Abandoned, vec![back]))
            }

            // Its stock was short, or it was cancelled, in the moment in which staff looked.
            (S::Abandoned, F::OrderApproved { .. } | F::OrderRefused) => Ok(vec![]),

            (_, fact) => self.out_of_place(fact),
        }
    }

    /// Whoever waited for staff has all the time to pay that others have.
    fn go_on(&mut self, mut brief: Brief, pay_by: DateTime<Utc>) {
        self.review_by = None;
        brief.pay_by = pay_by;
        self.brief = Some(brief);
    }
}
