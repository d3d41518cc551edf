//! A provider that a test holds in its hand: it says what it is told to, when it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use domain::attempt::Outcome;
use domain::ids::PaymentId;
use futures::future::{FutureExt as _, pending, ready};
use gateways::capabilities::{Capabilities, Codes, Methods, Unit};
use gateways::gateway::{
    BadSignature, CallError, Callback, Calling, Charge, Delivery, Found, Gateway, Notice, Payback,
    PaybackOutcome, Unreadable,
};
use tokio::sync::{Notify, mpsc};

use crate::world::pounds;

/// What a provider does when it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Pays at once.
    Pays,
    /// Takes everything on and says no more.
    TakesOn,
    /// Does not answer.
    Hangs,
    /// Takes on what it is called for once it is let go.
    Waits,
    /// Is not reached.
    IsAway,
    /// Is not reached, once it is let go.
    WaitsAway,
    /// Answers in a way that nobody can read.
    Babbles,
}

const CAPABILITIES: Capabilities = Capabilities {
    currencies: Codes::All,
    methods: Methods::All,
    countries: Codes::All,
    partial_refunds: true,
    unit: Unit::Minor,
    needs_payer: false,
    signs_webhooks: false,
};

/// A provider that a test holds in its hand.
pub(crate) struct Provider {
    name: &'static str,
    takes_webhooks: bool,
    manner: Mutex<Manner>,
    gate: Notify,
    callbacks: Mutex<Option<mpsc::Sender<Callback>>>,
    /// How often it was called for each reference, and how often asked.
    called: Mutex<HashMap<String, u32>>,
    asked: Mutex<HashMap<String, u32>>,
}

impl Provider {
    pub(crate) fn new(name: &'static str, manner: Manner) -> Arc<Self> {
        Self::with_webhooks(name, manner, false)
    }

    /// One of which it is written down before the call what it is asked for.
    pub(crate) fn known(name: &'static str, manner: Manner) -> Arc<Self> {
        Self::with_webhooks(name, manner, true)
    }

    fn with_webhooks(name: &'static str, manner: Manner, takes_webhooks: bool) -> Arc<Self> {
        Arc::new(Self {
            name,
            takes_webhooks,
            manner: Mutex::new(manner),
            gate: Notify::new(),
            callbacks: Mutex::default(),
            called: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// From now on its callbacks arrive there.
    pub(crate) fn is_switched_on(&self, callbacks: mpsc::Sender<Callback>) {
        *self.callbacks.lock().unwrap() = Some(callbacks);
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Lets one call go that waits, or the next that will.
    pub(crate) fn let_go(&self) {
        self.gate.notify_one();
    }

    /// Calls to it so far.
    pub(crate) fn calls(&self) -> usize {
        let called = self.called.lock().unwrap();
        called.values().map(|times| *times as usize).sum()
    }

    pub(crate) fn called(&self, reference: &str) -> u32 {
        self.called
            .lock()
            .unwrap()
            .get(reference)
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn asked(&self, reference: &str) -> u32 {
        self.asked
            .lock()
            .unwrap()
            .get(reference)
            .copied()
            .unwrap_or(0)
    }

    fn away(&self) -> CallError {
        CallError::NotSent { gateway: self.name, cause: "no route to host".to_owned() }
    }

    fn babbles(&self) -> CallError {
        CallError::OutcomeUnknown { gateway: self.name, cause: "500".to_owned() }
    }

    /// Says of its own accord that it has the money.
    pub(crate) async fn says_paid(&self, payment_id: PaymentId, reference: &str) {
        let callbacks = self.callbacks.lock().unwrap().clone().unwrap();
        let callback = Callback {
            callback_id: format!("evt_{reference}"),
            payment_id,
            reference: reference.to_owned(),
            outcome: paid(reference),
        };
        callbacks.send(callback).await.unwrap();
    }
}

fn paid(reference: &str) -> Outcome {
    let provider_reference = format!("their {reference}");
    Outcome::Captured { received: pounds(900), provider_reference, assessment: None }
}

fn taken_on(reference: &str) -> Outcome {
    Outcome::Accepted { provider_reference: format!("their {reference}"), next_step: None }
}

impl Gateway for Provider {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn initialize<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Outcome> {
        let reference = charge.reference.clone();
        *self
            .called
            .lock()
            .unwrap()
            .entry(reference.clone())
            .or_default() += 1;
        match *self.manner.lock().unwrap() {
            Manner::Pays => ready(Ok(paid(&reference))).boxed(),
            Manner::TakesOn => ready(Ok(taken_on(&reference))).boxed(),
            Manner::Hangs => pending().boxed(),
            Manner::Waits => async move {
                self.gate.notified().await;
                Ok(taken_on(&reference))
            }
            .boxed(),
            Manner::IsAway => ready(Err(self.away())).boxed(),
            Manner::WaitsAway => async move {
                self.gate.notified().await;
                Err(self.away())
            }
            .boxed(),
            Manner::Babbles => ready(Err(self.babbles())).boxed(),
        }
    }

    fn verify<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Found<Outcome>> {
        let reference = charge.reference.clone();
        *self
            .asked
            .lock()
            .unwrap()
            .entry(reference.clone())
            .or_default() += 1;
        match *self.manner.lock().unwrap() {
            Manner::Pays => ready(Ok(Found::Said(paid(&reference)))).boxed(),
            Manner::TakesOn | Manner::Waits => ready(Ok(Found::Said(taken_on(&reference)))).boxed(),
            Manner::Hangs => pending().boxed(),
            Manner::IsAway | Manner::WaitsAway => ready(Err(self.away())).boxed(),
            Manner::Babbles => ready(Err(self.babbles())).boxed(),
        }
    }

    fn refund<'a>(&'a self, _payback: &'a Payback) -> Calling<'a, PaybackOutcome> {
        ready(Ok(pending_refund())).boxed()
    }

    fn refund_status<'a>(&'a self, _payback: &'a Payback) -> Calling<'a, Found<PaybackOutcome>> {
        ready(Ok(Found::Said(pending_refund()))).boxed()
    }

    fn takes_webhooks(&self) -> bool {
        self.takes_webhooks
    }

    fn verify_webhook_signature(&self, _delivery: &Delivery<'_>) -> Result<(), BadSignature> {
        Err(BadSignature::NotConfigured { setting: "nothing" })
    }

    fn parse_webhook_event(&self, _delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
        Err(Unreadable("it sends none".to_owned()))
    }
}

fn pending_refund() -> PaybackOutcome {
    PaybackOutcome::Pending { provider_reference: None }
}
