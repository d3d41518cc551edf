//! What is going to happen to an order: drawn by chance before it does.

use tests::chance::Chance;

/// What the customer pays in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pays {
    /// What is asked for.
    Exactly,
    /// One minor unit less.
    Less,
    /// One minor unit more.
    More,
    /// The same number of another currency.
    OtherCurrency,
    /// What is asked for, but the provider takes it for somebody else's.
    UnderAnotherName,
    /// Nothing.
    Never,
    /// What is asked for, once the order has been given up.
    TooLate,
}

/// How the provider speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Once,
    Thrice,
    /// Once before there is anything to say, and once after.
    EarlyToo,
    /// What was said before the payment arrives after what was said about it.
    OutOfOrder,
    /// After somebody who knows no secret.
    AfterForged,
    /// Some seconds later.
    Late,
    /// Never.
    Lost,
}

/// What is done with the order besides paying it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Kept,
    /// Staff complete it.
    Completed,
    /// The customer cancels it, and pays it all the same.
    CancelledBeforePaying,
    /// The customer cancels it after paying.
    CancelledAfterPaying,
    /// Staff give money back so many times, a tenth of it each time.
    RefundedInPart(u64),
    /// Staff give all of it back.
    Refunded,
    /// Staff complete it, and take some of it back onto the shelf.
    Returned,
}

/// What is going to happen to an order.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Which order.
    pub(super) number: u64,
    /// At which provider.
    pub(super) shop: usize,
    /// Pieces.
    pub(super) quantity: u32,
    /// Whether of the article of which there is too little.
    pub(super) rare: bool,
    /// How often the customer is turned away first.
    pub(super) declines: u64,
    /// Whether the customer then pays by the first attempt as well, where that is possible.
    pub(super) twice: bool,
    pub(super) pays: Pays,
    pub(super) word: Word,
    pub(super) fate: Fate,
    /// Whether the first refund fails.
    pub(super) refund_fails: bool,
}

impl Plan {
    pub(super) fn draw(chance: &mut Chance, number: u64, shops: usize) -> Self {
        use {Fate as F, Pays as P, Word as W};
        let shops = u64::try_from(shops).unwrap();
        let odd = chance.happens(350);
        let pays = if odd {
            chance.one_of(&[
                P::Less,
                P::More,
                P::OtherCurrency,
                P::UnderAnotherName,
                P::Never,
                P::Never,
                P::TooLate,
                P::TooLate,
            ])
        } else {
            P::Exactly
        };
        let words = [
            W::Once,
            W::Once,
            W::Thrice,
            W::EarlyToo,
            W::OutOfOrder,
            W::AfterForged,
            W::Late,
            W::Lost,
        ];
        let parts = 1 + chance.below(3);
        let fates = [
            F::Kept,
            F::Kept,
            F::Completed,
            F::CancelledBeforePaying,
            F::CancelledAfterPaying,
            F::RefundedInPart(parts),
            F::RefundedInPart(parts),
            F::Refunded,
            F::Returned,
        ];
        Self {
            number,
            shop: usize::try_from(chance.below(shops)).unwrap(),
            quantity: u32::try_from(1 + chance.below(3)).unwrap(),
            rare: chance.happens(60),
            declines: if chance.happens(200) {
                1 + chance.below(2)
            } else {
                0
            },
            twice: chance.happens(500),
            pays,
            word: chance.one_of(&words),
            fate: chance.one_of(&fates),
            refund_fails: chance.happens(300),
        }
    }
    /// For a provider that never gives money back: nothing may end in its having to.
    pub(super) fn must_not_be_given_back(&mut self) {
        self.rare = false;
        if matches!(self.fate, Fate::CancelledBeforePaying | Fate::CancelledAfterPaying) {
            self.fate = Fate::Kept;
        }
    }
}
