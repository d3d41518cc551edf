//! The sandbox: a provider without money, which obeys its token, so that every path can be tried.
//!
//! | token | behaves |
//! | --- | --- |
//! | `ok` (also no token) | pays at once |
//! | `declined` | says no |
//! | `silent` | never answers, not even when asked |
//! | `late` | pays after the deadline |
//! | `twice` | pays at once and says so twice, in the same words |
//! | `wrong_amount` | pays one minor unit more than asked for |
//! | `poll_only` | pays, but says so only when asked |
//! | `refund_fails` | pays at once, and cannot give it back |
//!
//! It keeps nothing: what became of a charge follows from the charge, so a restart loses nothing
//! but callbacks that were on their way, as with any provider.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::money::Money;
use domain::payment::Outcome;
use futures::future::{BoxFuture, FutureExt as _, ready};
use tokio::sync::mpsc;

use crate::gateway::{CallError, Callback, Charge, Gateway, Payback, PaybackOutcome};

/// Its name.
pub const NAME: &str = "sandbox";
/// How long after the deadline a `late` payment comes.
const LATE_BY: TimeDelta = TimeDelta::milliseconds(500);

/// What a token asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Ok,
    Declined,
    Silent,
    Late,
    Twice,
    WrongAmount,
    PollOnly,
    RefundFails,
}

/// Every token.
const TOKENS: [(&str, Behaviour); 8] = [
    ("ok", Behaviour::Ok),
    ("declined", Behaviour::Declined),
    ("silent", Behaviour::Silent),
    ("late", Behaviour::Late),
    ("twice", Behaviour::Twice),
    ("wrong_amount", Behaviour::WrongAmount),
    ("poll_only", Behaviour::PollOnly),
    ("refund_fails", Behaviour::RefundFails),
];

impl Behaviour {
    fn of(token: Option<&str>) -> Option<Self> {
        match token {
            None => Some(Self::Ok),
            Some(token) => TOKENS
                .iter()
                .find(|(name, _)| *name == token)
                .map(|(_, of)| *of),
        }
    }
}

/// The sandbox provider.
pub struct Sandbox {
    callbacks: mpsc::Sender<Callback>,
}

impl Sandbox {
    /// A sandbox that sends its callbacks there.
    pub fn new(callbacks: mpsc::Sender<Callback>) -> Self {
        Self { callbacks }
    }

    /// What became of a charge by now; `None` while there is no word.
    fn word(charge: &Charge) -> Option<Outcome> {
        let captured = |received: Money| Outcome::Captured {
            received,
            provider_reference: provider_reference(charge),
        };
        // The token was looked at before the order was accepted; an unknown one is never paid.
        match Behaviour::of(charge.token.as_deref())? {
            Behaviour::Ok | Behaviour::Twice | Behaviour::PollOnly | Behaviour::RefundFails => {
                Some(captured(charge.amount))
            }
            Behaviour::Declined => {
                Some(Outcome::Declined { reason: "the sandbox was told to decline".to_owned() })
            }
            Behaviour::Silent => None,
            Behaviour::Late => {
                (charge.pay_by + LATE_BY <= Utc::now()).then(|| captured(charge.amount))
            }
            Behaviour::WrongAmount => {
                let minor = charge.amount.minor.saturating_add(1);
                Some(captured(Money { minor, ..charge.amount }))
            }
        }
    }

    /// Calls back in the background, as a provider does.
    fn call_back(&self, charge: &Charge) {
        let times = match Behaviour::of(charge.token.as_deref()) {
            None | Some(Behaviour::Silent | Behaviour::PollOnly) => return,
            Some(Behaviour::Twice) => 2,
            Some(_) => 1,
        };
        let wait = match Behaviour::of(charge.token.as_deref()) {
            Some(Behaviour::Late) => (charge.pay_by + LATE_BY - Utc::now())
                .to_std()
                .unwrap_or(Duration::ZERO),
            _ => Duration::ZERO,
        };
        let (callbacks, charge) = (self.callbacks.clone(), charge.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            for _ in 0..times {
                let Some(outcome) = Self::word(&charge) else {
                    return;
                };
                let callback = Callback {
                    callback_id: format!("evt_{}", charge.reference),
                    payment_id: charge.payment_id,
                    reference: charge.reference.clone(),
                    outcome,
                };
                // Nobody listens once Daybook stops; the word is then asked for.
                let _stopped = callbacks.send(callback).await;
            }
        });
    }

    fn payback_word(payback: &Payback) -> PaybackOutcome {
        match Behaviour::of(payback.charge.token.as_deref()) {
            Some(Behaviour::RefundFails) => {
                PaybackOutcome::Failed { reason: "the sandbox was told to fail refunds".to_owned() }
            }
            _ => PaybackOutcome::Settled {
                provider_reference: format!("sbx_refund_{}", payback.refund_id),
            },
        }
    }
}

fn provider_reference(charge: &Charge) -> String {
    format!("sbx_{}", charge.reference)
}

impl Gateway for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn accepts_token(&self, token: Option<&str>) -> Result<(), String> {
        Behaviour::of(token).map(|_| ()).ok_or_else(|| {
            let names: Vec<&str> = TOKENS.iter().map(|(name, _)| *name).collect();
            format!("the sandbox knows the tokens {}", names.join(", "))
        })
    }

    fn initialize<'a>(&'a self, charge: &'a Charge) -> BoxFuture<'a, Result<Outcome, CallError>> {
        self.call_back(charge);
        let provider_reference = provider_reference(charge);
        ready(Ok(Outcome::Accepted { provider_reference })).boxed()
    }

    fn verify<'a>(&'a self, charge: &'a Charge) -> BoxFuture<'a, Result<Outcome, CallError>> {
        let accepted = || Outcome::Accepted { provider_reference: provider_reference(charge) };
        ready(Ok(Self::word(charge).unwrap_or_else(accepted))).boxed()
    }

    fn refund<'a>(
        &'a self,
        payback: &'a Payback,
    ) -> BoxFuture<'a, Result<PaybackOutcome, CallError>> {
        ready(Ok(Self::payback_word(payback))).boxed()
    }

    fn refund_status<'a>(
        &'a self,
        payback: &'a Payback,
    ) -> BoxFuture<'a, Result<PaybackOutcome, CallError>> {
        ready(Ok(Self::payback_word(payback))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::PaymentId;
    use domain::placing::PaymentMethod;
    use uuid::Uuid;

    fn charge(token: &str) -> Charge {
        Charge {
            payment_id: PaymentId(Uuid::from_u128(1)),
            reference: "01K0000000000000000000000A".to_owned(),
            amount: Money { minor: 1530, currency: "GBP".parse().unwrap() },
            method: PaymentMethod::CreditCard,
            token: Some(token.to_owned()),
            pay_by: Utc::now() + TimeDelta::hours(1),
        }
    }

    /// Everything that a charge brings before its deadline, without being asked.
    async fn callbacks(token: &str) -> Vec<Callback> {
        let (sender, mut received) = mpsc::channel(10);
        let sandbox = Sandbox::new(sender);
        sandbox.initialize(&charge(token)).await.unwrap();
        drop(sandbox);
        let mut callbacks = Vec::new();
        // The channel ends when the sandbox's own tasks have.
        while let Some(callback) = received.recv().await {
            callbacks.push(callback);
        }
        callbacks
    }

    #[tokio::test]
    async fn every_token_calls_back_as_it_says() {
        for (token, times) in [
            ("ok", 1),
            ("declined", 1),
            ("silent", 0),
            ("twice", 2),
            ("poll_only", 0),
        ] {
            assert_eq!(callbacks(token).await.len(), times, "{token}");
        }
        let twice = callbacks("twice").await;
        assert_eq!(twice[0], twice[1]);
    }

    #[tokio::test]
    async fn a_wrong_amount_is_one_minor_unit_more() {
        let wrong = callbacks("wrong_amount").await;
        let Outcome::Captured { received, .. } = &wrong[0].outcome else {
            panic!("it pays")
        };
        assert_eq!(received.minor, 1531);
    }

    #[tokio::test]
    async fn asking_finds_what_was_not_said_and_a_late_payment_only_after_its_deadline() {
        let (sender, _received) = mpsc::channel(10);
        let sandbox = Sandbox::new(sender);
        let is_captured = |outcome: Outcome| matches!(outcome, Outcome::Captured { .. });
        assert!(is_captured(sandbox.verify(&charge("poll_only")).await.unwrap()));
        assert!(!is_captured(sandbox.verify(&charge("silent")).await.unwrap()));
        assert!(!is_captured(sandbox.verify(&charge("late")).await.unwrap()));
        let passed = Charge { pay_by: Utc::now() - TimeDelta::hours(1), ..charge("late") };
        assert!(is_captured(sandbox.verify(&passed).await.unwrap()));
    }

    #[test]
    fn a_token_that_it_does_not_know_is_named() {
        let (sender, _received) = mpsc::channel(1);
        let refusal = Sandbox::new(sender)
            .accepts_token(Some("gold"))
            .unwrap_err();
        assert!(refusal.contains("poll_only"), "{refusal}");
    }
}
