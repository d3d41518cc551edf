//! What must hold in the little world once it has come to rest.

use super::*;

impl World {
    pub(super) fn is_in_order(&self) {
        for trade in &self.trades {
            trade.is_in_order(&self.stock);
            self.is_promised(trade);
        }
        for (sku, inventory) in &self.stock {
            assert_eq!(inventory.on_hand(), self.expected_on_hand[sku], "{sku}");
        }
    }
}

impl World {
    /// A use is held for as long as the goods are, used up when they are sent, and else given back.
    fn is_promised(&self, trade: &Trade) {
        let is_promised = trade.placing.discount.is_some();
        let holds = self.promotion.is_held_for(trade.id);
        let stage = trade.checkout.stage();
        assert_eq!(holds, is_promised && stage == Stage::Confirmed, "{self:#?}");
        let is_used = is_promised && stage == Stage::Completed;
        assert_eq!(trade.uses, u32::from(is_used), "{self:#?}");
    }
}

impl Trade {
    fn is_in_order(&self, stock: &BTreeMap<Sku, Inventory>) {
        let stages = (self.order.stage(), self.checkout.stage());
        assert!(
            matches!(
                stages,
                (order::Stage::Confirmed, Stage::Confirmed)
                    | (order::Stage::Completed | order::Stage::Refunded, Stage::Completed)
                    | (order::Stage::Refunded | order::Stage::Cancelled, Stage::Abandoned)
                    | (order::Stage::Failed, Stage::Abandoned | Stage::TimedOut)
            ),
            "{stages:?} do not agree: {self:#?}"
        );
        assert_ne!(self.order.review(), order::Review::Held, "nothing is held for ever: {self:#?}");
        let sent = stages.1 == Stage::Completed;
        for (sku, quantity) in self.placing.pieces_by_sku() {
            let held = stock[&sku].reservation(self.id).map(|held| held.quantity);
            let kept = stages.0 == order::Stage::Confirmed;
            assert_eq!(held, kept.then_some(quantity), "held of {sku}: {self:#?}");
            assert_eq!(self.issued.get(&sku).copied(), sent.then_some(quantity), "sent of {sku}");
        }

        let mut to_give_back = self.came_in.clone();
        if 0 < self.order.captured_minor() {
            let own = to_give_back
                .iter()
                .position(|minor| *minor == self.order.captured_minor());
            to_give_back.remove(own.expect("no order is confirmed without its money"));
        }
        let mut given_back = self.given_back.clone();
        to_give_back.sort_unstable();
        given_back.sort_unstable();
        assert_eq!(given_back, to_give_back, "money without an order goes back: {self:#?}");

        // Whatever failed on the way, it has gone back in the end, or a person has been called.
        if self.given_back_again < 5 {
            let own = self.order.captured_minor() - self.order.refunded_minor();
            let kept = self.payment.captured_minor() - self.payment.refunded_minor();
            assert_eq!(kept, own, "money is kept for goods only: {self:#?}");
        }

        let (captured, refunded) = (self.order.captured_minor(), self.order.refunded_minor());
        assert!(refunded <= captured);
        let ended = matches!(stages.0, order::Stage::Cancelled | order::Stage::Refunded);
        if ended && self.refund_failures == 0 {
            assert_eq!(refunded, captured, "a withdrawn order keeps no money: {self:#?}");
        }
    }
}
