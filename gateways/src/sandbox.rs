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
//! | `elevated_risk` | pays at once, and finds the risk elevated |
//! | `highest_risk` | pays at once, and finds the risk highest |
//!
//! It confirms orders for which nobody has paid, and any customer may name it. So it is off unless
//! `SANDBOX_PAYMENTS=on` says otherwise; at a desk and in tests it is on unless `off` does.
//!
//! With `SANDBOX_WEBHOOK_SECRET` set it also takes webhooks, as real providers send them:
//! `{"id": "evt_1", "reference": "01K..."}` with the header `Sandbox-Signature`, the HMAC-SHA256 of
//! the raw body in hexadecimal.
//!
//! It keeps nothing: what became of a charge follows from the charge, so a restart loses nothing
//! but callbacks that were on their way, as with any provider.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::attempt::Outcome;
use domain::money::Money;
use domain::risk::{Assessment, Risk};
use futures::future::{FutureExt as _, ready};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::capabilities::{Capabilities, Codes, Methods, Unit};
use crate::gateway::{Callback, Calling, Charge, Found, Gateway, Payback, PaybackOutcome};
use crate::registry::Provider;
use crate::secret::Secret;
use crate::settings::{BadSetting, Environment};
use crate::signature::{from_hex, is_hmac_sha256, must};
use crate::webhook::{About, BadSignature, Delivery, Notice, Unreadable};

/// Its name.
pub const NAME: &str = "sandbox";
/// Switches it on.
pub const SETTING: &str = "SANDBOX_PAYMENTS";
/// How long after the deadline a `late` payment comes.
const LATE_BY: TimeDelta = TimeDelta::milliseconds(500);

/// It is made by the registry, which has what it sends its callbacks to.
pub(crate) const PROVIDER: Provider = Provider {
    name: NAME,
    capabilities: &CAPABILITIES,
    accepts_token,
    switched_on: |_| Ok(None),
};

const CAPABILITIES: Capabilities = Capabilities {
    currencies: Codes::All,
    methods: Methods::All,
    countries: Codes::All,
    partial_refunds: true,
    unit: Unit::Minor,
    needs_payer: false,
    signs_webhooks: true,
};

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
    Risky(Risk),
}

/// Every token.
const TOKENS: [(&str, Behaviour); 10] = [
    ("ok", Behaviour::Ok),
    ("declined", Behaviour::Declined),
    ("silent", Behaviour::Silent),
    ("late", Behaviour::Late),
    ("twice", Behaviour::Twice),
    ("wrong_amount", Behaviour::WrongAmount),
    ("poll_only", Behaviour::PollOnly),
    ("refund_fails", Behaviour::RefundFails),
    ("elevated_risk", Behaviour::Risky(Risk::Elevated)),
    ("highest_risk", Behaviour::Risky(Risk::Highest)),
];

/// What it can be told to do.
pub fn tokens() -> [&'static str; TOKENS.len()] {
    TOKENS.map(|(name, _)| name)
}

fn accepts_token(token: Option<&str>) -> Result<(), String> {
    match Behaviour::of(token) {
        Some(_) => Ok(()),
        None => Err(format!("the sandbox knows {}", tokens().join(", "))),
    }
}

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
    webhook_secret: Option<Secret>,
}

/// A webhook.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    id: String,
    reference: String,
}

impl Sandbox {
    /// A sandbox that sends its callbacks there; nothing while it is off.
    pub fn switched_on(
        callbacks: mpsc::Sender<Callback>,
        environment: &Environment,
    ) -> Result<Option<Self>, BadSetting> {
        let is_on = environment.switch(SETTING)?;
        Ok(is_on.then(|| Self::new(callbacks, environment)))
    }

    fn new(callbacks: mpsc::Sender<Callback>, environment: &Environment) -> Self {
        Self { callbacks, webhook_secret: environment.secret("SANDBOX_WEBHOOK_SECRET") }
    }

    /// What became of a charge by now; `None` while there is no word.
    fn word(charge: &Charge) -> Option<Outcome> {
        let captured = |received: Money| Outcome::Captured {
            received,
            provider_reference: provider_reference(charge),
            assessment: None,
        };
        // The token was looked at before the order was accepted; an unknown one is never paid.
        match Behaviour::of(charge.token.as_deref())? {
            Behaviour::Ok | Behaviour::Twice | Behaviour::PollOnly | Behaviour::RefundFails => {
                Some(captured(charge.amount))
            }
            Behaviour::Risky(risk) => Some(Outcome::Captured {
                received: charge.amount,
                provider_reference: provider_reference(charge),
                assessment: Some(Assessment { risk: Some(risk), ..Assessment::default() }),
            }),
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

fn accepted(charge: &Charge) -> Outcome {
    Outcome::Accepted { provider_reference: provider_reference(charge), next_step: None }
}

fn provider_reference(charge: &Charge) -> String {
    format!("sbx_{}", charge.reference)
}

impl Gateway for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn initialize<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Outcome> {
        self.call_back(charge);
        ready(Ok(accepted(charge))).boxed()
    }

    fn verify<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Found<Outcome>> {
        let word = Self::word(charge).unwrap_or_else(|| accepted(charge));
        ready(Ok(Found::Said(word))).boxed()
    }

    fn refund<'a>(&'a self, payback: &'a Payback) -> Calling<'a, PaybackOutcome> {
        ready(Ok(Self::payback_word(payback))).boxed()
    }

    fn refund_status<'a>(&'a self, payback: &'a Payback) -> Calling<'a, Found<PaybackOutcome>> {
        ready(Ok(Found::Said(Self::payback_word(payback)))).boxed()
    }

    fn takes_webhooks(&self) -> bool {
        self.webhook_secret.is_some()
    }

    fn verify_webhook_signature(&self, delivery: &Delivery<'_>) -> Result<(), BadSignature> {
        let setting = "SANDBOX_WEBHOOK_SECRET";
        let secret = self.webhook_secret.as_ref();
        let secret = secret.ok_or(BadSignature::NotConfigured { setting })?;
        let signature = from_hex(delivery.header("sandbox-signature")?)?;
        must(is_hmac_sha256(secret.reveal().as_bytes(), &[delivery.body], &signature))
    }

    fn parse_webhook_event(&self, delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
        let Event { id, reference } = delivery.json()?;
        Ok(Notice { key: id, about: About::Attempt { reference, provider_reference: None } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::{OrderId, PaymentId};
    use domain::placing::PaymentMethod;
    use uuid::Uuid;

    fn charge(token: &str) -> Charge {
        Charge {
            payment_id: PaymentId(Uuid::from_u128(1)),
            order_id: OrderId(Uuid::from_u128(2)),
            provider_reference: None,
            payer: None,
            started_at: Utc::now(),
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
        let sandbox = Sandbox::new(sender, &Environment::default());
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
        let sandbox = Sandbox::new(sender, &Environment::default());
        let is_captured =
            |found: Found<Outcome>| matches!(found, Found::Said(Outcome::Captured { .. }));
        assert!(is_captured(sandbox.verify(&charge("poll_only")).await.unwrap()));
        assert!(!is_captured(sandbox.verify(&charge("silent")).await.unwrap()));
        assert!(!is_captured(sandbox.verify(&charge("late")).await.unwrap()));
        let passed = Charge { pay_by: Utc::now() - TimeDelta::hours(1), ..charge("late") };
        assert!(is_captured(sandbox.verify(&passed).await.unwrap()));
    }
}
