//! Whatever providers say, however late, twice or wrong: money adds up at every step.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use proptest::prelude::*;

use super::*;
use crate::money::Money;
use crate::testing::{by_card, gbp, noon, order_id, random, refund_id};

proptest! {
    #![proptest_config(random())]

    #[test]
    fn no_more_goes_back_than_came_in(
        commands in prop::collection::vec(a_command(), 1..120),
    ) {
        let mut payment = Payment::default();
        let mut books = Books::default();
        for command in commands {
            for event in payment.decide(command).unwrap_or_default() {
                payment.evolve(&event);
                books.write(&event);
            }
            books.agree_with(&payment);
        }
    }
}

fn a_command() -> impl Strategy<Value = Command> {
    // Few references and names, so that they are used late and twice.
    let reference = || (0_u8..4).prop_map(|n| format!("attempt-{n}"));
    let attempt = || {
        reference().prop_map(|reference| Attempt {
            reference,
            choice: by_card(),
            started_at: noon(),
            instead_of: None,
        })
    };
    let name = || (0_u128..8).prop_map(refund_id);
    let p = || "p".to_owned();
    let euros = || Money { minor: 1850, currency: "EUR".parse().unwrap() };
    let received = prop_oneof![
        6 => Just(gbp(1850)),
        1 => (-5000_i64..5000).prop_map(gbp),
        1 => any::<i64>().prop_map(gbp),
        1 => Just(euros()),
    ];
    let outcome = prop_oneof![
        2 => Just(Outcome::Accepted { provider_reference: p(), next_step: None }),
        1 => Just(Outcome::Misnamed {
            named: "z".into(),
            received: gbp(1850),
            provider_reference: p(),
        }),
        3 => Just(Outcome::Declined { reason: "insufficient_funds".into() }),
        3 => received.prop_map(move |received| Outcome::Captured {
            received,
            provider_reference: p(),
            assessment: None,
        }),
    ];
    let amount_minor = prop_oneof![8 => -10_i64..2000, 1 => Just(1850), 1 => any::<i64>()];
    prop_oneof![
        3 => attempt().prop_map(|attempt| {
            let terms = Terms { order_id: order_id(1), amount: gbp(1850), pay_by: noon() };
            Command::Open { terms, attempt }
        }),
        6 => attempt().prop_map(|attempt| Command::StartAttempt { attempt }),
        9 => (reference(), outcome)
            .prop_map(|(reference, outcome)| Command::RecordOutcome { reference, outcome }),
        3 => (reference(), attempt()).prop_map(|(reference, attempt)| Command::FallBack {
            attempt: Attempt { instead_of: Some(reference.clone()), ..attempt },
            reference,
            reason: "not_reached".into(),
        }),
        1 => Just(Command::Void),
        9 => (name(), amount_minor, prop::option::of(reference())).prop_map(
            |(refund_id, amount_minor, reference)| {
                Command::Refund { refund_id, amount_minor, reference, reason: "broken".into() }
            },
        ),
        2 => name().prop_map(|refund_id| {
            Command::AcceptRefund { refund_id, provider_reference: "r".into() }
        }),
        4 => name().prop_map(|refund_id| {
            Command::SettleRefund { refund_id, provider_reference: "r".into() }
        }),
        4 => name().prop_map(|refund_id| {
            Command::FailRefund { refund_id, reason: "account closed".into() }
        }),
        3 => name().prop_map(|refund_id| {
            Command::ReturnRefund { refund_id, reason: "account closed".into() }
        }),
        3 => (reference(), a_chargeback())
            .prop_map(|(reference, chargeback)| Command::RecordChargeback { reference, chargeback }),
    ]
}

/// Few disputes, so that they are heard of late and twice.
fn a_chargeback() -> impl Strategy<Value = Chargeback> {
    let amount = prop_oneof![
        6 => Just(gbp(1850)),
        3 => (-5_i64..1850).prop_map(gbp),
        1 => any::<i64>().prop_map(gbp),
        1 => Just(Money { minor: 1850, currency: "EUR".parse().unwrap() }),
    ];
    let funds = prop_oneof![2 => Just(Funds::Withdrawn), 1 => Just(Funds::Reinstated)];
    (0_u8..4, amount, funds).prop_map(|(n, amount, funds)| Chargeback {
        dispute: format!("dispute-{n}"),
        amount,
        reason: "fraudulent".into(),
        funds,
    })
}

/// A second, simpler account of the same payment.
#[derive(Default)]
struct Books {
    captures: usize,
    came_in_minor: i64,
    pending: BTreeMap<RefundId, i64>,
    refunded_minor: i64,
    charged_back: BTreeMap<String, i64>,
    money_is_there: bool,
}

impl Books {
    fn write(&mut self, event: &Event) {
        match event {
            Event::Captured { received, .. } => {
                assert_eq!((*received, self.captures), (gbp(1850), 0), "the first is the capture");
                self.captures += 1;
                self.money_is_there = true;
                self.came_in_minor = self.came_in_minor.saturating_add(received.minor);
            }
            Event::CapturedAgain { received, .. } => {
                assert_eq!(*received, gbp(1850));
                assert!(0 < self.captures, "a second success follows a first");
                self.came_in_minor = self.came_in_minor.saturating_add(received.minor);
            }
            Event::Mismatched { expected, received, .. } => {
                assert_ne!(expected, received);
                if received.currency == expected.currency && 0 < received.minor {
                    self.came_in_minor = self.came_in_minor.saturating_add(received.minor);
                }
            }
            Event::AttemptStarted(_) => assert!(!self.money_is_there, "the money is there"),
            Event::RefundRequested { refund_id, amount_minor, .. } => {
                assert!(0 < *amount_minor);
                let left_minor = self.left_minor();
                assert!(*amount_minor <= left_minor, "{amount_minor} of {left_minor} left");
                assert_eq!(self.pending.insert(*refund_id, *amount_minor), None);
            }
            Event::Refunded { refund_id, amount_minor, .. } => {
                assert_eq!(self.pending.remove(refund_id), Some(*amount_minor));
                self.refunded_minor += amount_minor;
            }
            Event::RefundFailed { refund_id, amount_minor, .. } => {
                assert_eq!(self.pending.remove(refund_id), Some(*amount_minor));
            }
            Event::RefundReturned { amount_minor, .. } => {
                self.refunded_minor -= amount_minor;
                assert!(0 <= self.refunded_minor, "nothing comes back that did not go");
            }
            Event::ChargedBack { dispute, amount_minor, .. } => {
                assert!(0 < *amount_minor);
                let known = self.charged_back.insert(dispute.clone(), *amount_minor);
                assert_eq!(known, None, "a dispute takes its money once");
            }
            Event::ChargebackReversed { dispute, amount_minor, .. } => {
                // It stays known, so that it takes nothing again.
                let taken = self.charged_back.insert(dispute.clone(), 0);
                assert_eq!(taken, Some(*amount_minor), "what it took comes back");
            }
            Event::Opened(_)
            | Event::AttemptAccepted { .. }
            | Event::Misnamed { .. }
            | Event::RefundAccepted { .. }
            | Event::Declined { .. }
            | Event::Voided => {}
            Event::UnmatchedReceived(_) => panic!("this payment is an order's"),
        }
    }

    fn gone_minor(&self) -> i64 {
        self.refunded_minor + self.pending.values().sum::<i64>()
    }

    fn charged_back_minor(&self) -> i64 {
        self.charged_back
            .values()
            .fold(0, |sum, minor| sum.saturating_add(*minor))
    }

    fn left_minor(&self) -> i64 {
        (self.came_in_minor - self.gone_minor())
            .saturating_sub(self.charged_back_minor())
            .max(0)
    }

    fn agree_with(&self, payment: &Payment) {
        let gone_minor = self.gone_minor();
        assert!(gone_minor <= self.came_in_minor, "{gone_minor} of {}", self.came_in_minor);
        assert_eq!(payment.captured_minor(), self.came_in_minor);
        assert_eq!(payment.refunded_minor(), self.refunded_minor);
        assert_eq!(payment.charged_back_minor(), self.charged_back_minor());
        assert_eq!(payment.refundable_minor(), self.left_minor());
        for (refund_id, amount_minor) in &self.pending {
            let pending = payment.pending_refund(*refund_id).unwrap();
            assert_eq!(pending.amount_minor, *amount_minor);
            let Brought::Attempt(tried) = pending.brought else {
                panic!("an attempt of ours brought it")
            };
            assert!(*amount_minor <= tried.received_minor, "by one attempt");
        }
        let awaited =
            |state: &AttemptState| matches!(state, AttemptState::Awaited | AttemptState::Accepted);
        let awaited = payment
            .attempts
            .iter()
            .filter(|tried| awaited(&tried.state));
        assert!(awaited.count() <= 1, "one attempt is awaited at a time");
        for tried in &payment.attempts {
            assert!(0 <= payment.left_minor(tried), "no attempt gives back more than it brought");
            let same = |other: &&Tried| other.attempt.reference == tried.attempt.reference;
            assert_eq!(payment.attempts.iter().filter(same).count(), 1, "a reference is its own");
        }
    }
}
