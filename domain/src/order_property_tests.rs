//! Whatever is asked of an order in whatever order, its money adds up.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use proptest::prelude::*;

use super::*;
use crate::placing::Line;
use crate::refunding::{Pieces, Restock};
use crate::screening::{Decision, Outcome};
use crate::testing::{an_order, line, noon, random, refund_id};

proptest! {
    #![proptest_config(random())]

    #[test]
    fn an_order_never_gives_back_more_than_it_was_paid_for_anything(
        lines in prop::collection::vec(a_line(), 1..5),
        shipping_minor in 0_i64..400,
        commands in prop::collection::vec(a_command(), 1..60),
    ) {
        let placing = Placing { lines, shipping_minor, ..an_order() };
        prop_assume!(placing.judge().is_ok());
        let mut books = Books::open(placing);
        for command in commands {
            books.ask(command);
            books.add_up();
        }
    }
}

fn a_line() -> impl Strategy<Value = Line> {
    ("[abc]", 1_u32..6, 0_i64..500).prop_map(|(sku, quantity, price)| line(&sku, quantity, price))
}

/// What captures say about the order's total: mostly the truth.
#[derive(Debug, Clone, Copy)]
enum Said {
    Exactly,
    Less,
    OtherCurrency,
}

/// A command whose captured money is known only once the order is.
#[derive(Debug, Clone)]
enum Asked {
    Plain(Command),
    Confirm(Said),
    /// Exactly what was asked for, from somebody whom the provider has looked at.
    Screen(Outcome),
}

fn a_command() -> impl Strategy<Value = Asked> {
    // Few names and few SKUs, one of them not on the order, so that commands meet.
    let name = || (0_u128..8).prop_map(refund_id);
    let pieces = || {
        let restock = prop_oneof![Just(Restock::Shelf), Just(Restock::No)];
        let one = ("[abcd]", 0_u32..5, restock).prop_map(|(sku, quantity, restock)| Pieces {
            sku: sku.parse().unwrap(),
            quantity,
            restock,
        });
        prop::collection::vec(one, 0..3)
    };
    let ask = prop_oneof![
        1 => Just(Ask::Rest),
        3 => (-10_i64..3000).prop_map(Ask::Amount),
        3 => pieces().prop_map(Ask::Pieces),
        2 => pieces().prop_map(Ask::PiecesAndShipping),
        1 => Just(Ask::Shipping),
        3 => (-10_i64..1000, pieces()).prop_map(|(minor, pieces)| Ask::AmountForPieces(minor, pieces)),
    ];
    let said = prop_oneof![
        4 => Just(Said::Exactly),
        1 => Just(Said::Less),
        1 => Just(Said::OtherCurrency),
    ];
    let failure = prop_oneof![
        Just(Failure::PaymentTimedOut),
        Just(Failure::PaymentMismatched),
        Just(Failure::ReviewTimedOut)
    ];
    let outcome = || {
        prop_oneof![
            Just(Outcome::Accept),
            Just(Outcome::Review),
            Just(Outcome::Refuse)
        ]
    };
    let verdict = prop_oneof![
        2 => Just(Verdict::Approve { pay_by: noon() }),
        1 => Just(Verdict::Refuse),
    ];
    prop_oneof![
        4 => Just(Asked::Plain(Command::Process)),
        4 => said.prop_map(Asked::Confirm),
        2 => outcome().prop_map(Asked::Screen),
        2 => verdict.prop_map(|verdict| {
            Asked::Plain(Command::Review { verdict, reason: "looked".into() })
        }),
        1 => Just(Asked::Plain(Command::Complete)),
        1 => failure.prop_map(|failure| Asked::Plain(Command::Fail(failure))),
        1 => name().prop_map(|refund_id| {
            Asked::Plain(Command::Cancel { reason: "changed my mind".into(), refund_id })
        }),
        12 => (name(), ask).prop_map(|(refund_id, ask)| {
            Asked::Plain(Command::Refund { refund_id, ask, reason: "broken".into() })
        }),
        4 => name().prop_map(|refund_id| Asked::Plain(Command::SettleRefund { refund_id })),
        4 => name().prop_map(|refund_id| {
            Asked::Plain(Command::FailRefund { refund_id, reason: "account closed".into() })
        }),
    ]
}

/// A second, simpler account of the same order.
struct Books {
    placing: Placing,
    order: Order,
    captured_minor: i64,
    refunds: BTreeMap<RefundId, Refund>,
    settled_minor: i64,
}

impl Books {
    fn open(placing: Placing) -> Self {
        let order = Order::replay(&[Event::Placed(Box::new(placing.clone()))]);
        Self { placing, order, captured_minor: 0, refunds: BTreeMap::new(), settled_minor: 0 }
    }

    fn ask(&mut self, asked: Asked) {
        let total = self.placing.total();
        let command = match asked {
            Asked::Plain(command) => command,
            Asked::Screen(outcome) => Command::ConfirmScreened {
                captured: total,
                screening: Screening::new(Decision { outcome, reasons: vec![] }, noon()),
            },
            Asked::Confirm(said) => Command::Confirm {
                captured: match said {
                    Said::Exactly => total,
                    Said::Less => Money { minor: total.minor - 1, ..total },
                    Said::OtherCurrency => Money { currency: "EUR".parse().unwrap(), ..total },
                },
            },
        };
        let exact = matches!(
            &command,
            Command::Confirm { captured } | Command::ConfirmScreened { captured, .. }
                if *captured == total
        );
        let was_held = self.order.review() == Review::Held;
        for event in self.order.decide(command).unwrap_or_default() {
            self.order.evolve(&event);
            match event {
                Event::Confirmed { captured_minor } => {
                    assert!(exact, "confirmed without exactly its total");
                    assert!(!was_held, "confirmed before anybody has looked");
                    self.captured_minor += captured_minor;
                }
                Event::RefundRequested(refund) => {
                    let before = self.refunds.insert(refund.refund_id, refund);
                    assert_eq!(before, None, "a name is used once at a time");
                }
                Event::Refunded(refund) => {
                    assert_eq!(self.refunds.get(&refund.refund_id), Some(&refund));
                    self.settled_minor += refund.amount_minor;
                }
                Event::RefundFailed { refund_id, amount_minor, .. } => {
                    let refund = self.refunds.remove(&refund_id).unwrap();
                    assert_eq!(refund.amount_minor, amount_minor);
                }
                Event::Placed(_)
                | Event::Screened(_)
                | Event::ReviewApproved { .. }
                | Event::ReviewRefused { .. }
                | Event::Processing
                | Event::LinesShipped(_)
                | Event::Completed
                | Event::Cancelled { .. }
                | Event::Failed(_) => {}
            }
        }
    }

    fn add_up(&self) {
        let asked_minor: i64 = self
            .refunds
            .values()
            .map(|refund| refund.amount_minor)
            .sum();
        assert!(asked_minor <= self.captured_minor, "{asked_minor} of {}", self.captured_minor);
        assert_eq!(self.order.refunded_minor(), self.settled_minor);
        assert_eq!(self.order.captured_minor(), self.captured_minor);

        for refund in self.refunds.values() {
            let goods_minor: i64 = refund.goods.iter().map(|part| part.amount_minor).sum();
            assert_eq!(goods_minor + refund.shipping_minor, refund.amount_minor, "{refund:?}");
            assert!(0 < refund.amount_minor && 0 <= refund.shipping_minor, "{refund:?}");
        }
        let shipping_minor: i64 = self
            .refunds
            .values()
            .map(|refund| refund.shipping_minor)
            .sum();
        assert!(shipping_minor <= self.placing.shipping_minor);
        for (sku, quantity) in self.placing.pieces_by_sku() {
            self.add_up_sku(&sku, quantity);
        }
        self.ask_for_the_rest(self.captured_minor - asked_minor);
    }

    fn add_up_sku(&self, sku: &Sku, quantity: u64) {
        let lines = self.placing.lines.iter().filter(|line| line.sku == *sku);
        let paid_minor: i64 = lines.map(Line::total_minor).sum();
        let parts = || {
            let goods = self.refunds.values().flat_map(|refund| &refund.goods);
            goods.filter(|part| part.sku == *sku)
        };
        assert!(parts().all(|part| 0 <= part.amount_minor));
        assert!(parts().map(|part| part.amount_minor).sum::<i64>() <= paid_minor, "{sku}");
        assert!(parts().map(|part| u64::from(part.quantity)).sum::<u64>() <= quantity, "{sku}");
        let back = self.refunds.values().flat_map(|refund| &refund.restock);
        let back = back
            .filter(|part| part.sku == *sku)
            .map(|part| u64::from(part.quantity));
        assert!(back.sum::<u64>() <= quantity, "{sku}");
    }

    /// All that did not go back, failed refunds included, can still be asked for at once.
    fn ask_for_the_rest(&self, left_minor: i64) {
        let refundable = match self.order.stage() {
            Stage::Confirmed | Stage::Completed => true,
            Stage::Cancelled => 0 < self.captured_minor,
            Stage::Unplaced
            | Stage::Pending
            | Stage::Processing
            | Stage::Failed
            | Stage::Refunded => false,
        };
        if !refundable {
            return;
        }
        let rest = Command::Refund {
            refund_id: refund_id(1000),
            ask: Ask::Rest,
            reason: "the rest".into(),
        };
        match self.order.decide(rest).as_deref() {
            Ok([Event::RefundRequested(refund)]) => assert_eq!(refund.amount_minor, left_minor),
            answer => assert_eq!((answer, left_minor), (Err(&Refusal::NothingToRefund), 0)),
        }
    }
}
