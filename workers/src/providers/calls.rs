//! One call to a provider, and what comes of it.
//!
//! What is to be called is looked up in the state that the journal has *decided*, which may be ahead
//! of the commit: a call that is skipped because of an answer that then fails to be committed stays
//! open (see [`super::lanes`]), and is asked for. Whether a question may be forgotten is read from
//! the log itself.

use std::sync::Arc;

use chrono::Utc;
use domain::ids::{OrderId, PaymentId, RefundId};
use domain::money::Money;
use domain::payment::{self, AttemptState, Outcome, Payment};
use gateways::gateway::{
    CALL_TIMEOUT, CallError, Callback, Charge, Gateway, Payback, PaybackOutcome,
};
use store::command::{ExecuteError, Verdict};
use uuid::Uuid;

use super::lanes::{Call, Ended, Why};
use super::{Providers, RETRY_PAUSE};
use crate::derived::{self, Cause};
use crate::polls::Subject;

/// Times that something is tried while the journal is away; it is asked for after that.
const TRIES_MAX: u32 = 20;

/// Something to be done at a provider, as the provider knows it.
struct Errand<T> {
    order_id: OrderId,
    gateway: Arc<dyn Gateway>,
    what: T,
}

/// One step of a payment, and because of what.
struct Step<'a> {
    payment_id: PaymentId,
    order_id: OrderId,
    cause: &'a Cause,
    name: &'a str,
}

impl Providers {
    /// Makes a call and takes down its answer, if there is one.
    pub(super) async fn make(self: Arc<Self>, call: Call) -> Ended {
        for _ in 0..TRIES_MAX {
            let made = match &call.subject {
                Subject::Attempt { payment_id, reference } => {
                    self.ask_for_attempt(*payment_id, reference, &call.why)
                        .await
                }
                Subject::Refund { payment_id, refund_id } => {
                    self.ask_for_refund(*payment_id, *refund_id, &call.why)
                        .await
                }
            };
            match made {
                Ok(is_open) => return Ended { call, is_open },
                Err(error) => tracing::warn!(%error, "a call to a provider is tried again"),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        Ended { call, is_open: true }
    }

    /// Takes down what a provider says of its own accord.
    pub(super) async fn take_callback(&self, callback: Callback) {
        let Callback { callback_id, payment_id, reference, outcome } = callback;
        let cause = Cause::named(derived::id(payment_id.0, &callback_id));
        for _ in 0..TRIES_MAX {
            match self
                .take_word(payment_id, &cause, &reference, &outcome)
                .await
            {
                Ok(()) => return,
                Err(error) => tracing::warn!(payment.id = %payment_id, %error, "a callback waits"),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn take_word(
        &self,
        payment_id: PaymentId,
        cause: &Cause,
        reference: &str,
        outcome: &Outcome,
    ) -> Result<(), ExecuteError> {
        let (payment, _) = self
            .journal
            .decided::<Payment>(&payment_id.to_string())
            .await?;
        let terms = payment.terms().ok_or_else(|| {
            ExecuteError::Corrupt(format!(
                "a provider speaks of payment {payment_id}, which is not open"
            ))
        })?;
        let step = Step { payment_id, order_id: terms.order_id, cause, name: "callback" };
        self.tell(step, said_of_attempt(reference, outcome.clone()))
            .await
    }

    /// Whether it stays open.
    async fn ask_for_attempt(
        &self,
        payment_id: PaymentId,
        reference: &str,
        why: &Why,
    ) -> Result<bool, ExecuteError> {
        if let Some(Errand { order_id, gateway, what: charge }) =
            self.charge(payment_id, reference).await?
        {
            let answer = match why {
                Why::Event { .. } => in_time(gateway.initialize(&charge)).await,
                // After the deadline nobody waits for it; but it may have been made before a crash.
                Why::Late if Utc::now() <= charge.pay_by => {
                    in_time(gateway.initialize(&charge)).await
                }
                Why::Late | Why::Silence { .. } => in_time(gateway.verify(&charge)).await,
            };
            if let Some(outcome) = answer {
                let (cause, name) = why.step("initialized", derived::id(payment_id.0, reference));
                let step = Step { payment_id, order_id, cause: &cause, name: &name };
                self.tell(step, said_of_attempt(reference, outcome)).await?;
            }
        }
        self.is_open(payment_id, why, |payment| {
            let attempt = payment.attempt(reference);
            matches!(attempt, Some((_, AttemptState::Awaited | AttemptState::Accepted)))
        })
        .await
    }

    /// Whether it stays open.
    async fn ask_for_refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        why: &Why,
    ) -> Result<bool, ExecuteError> {
        if let Some(Errand { order_id, gateway, what: payback }) =
            self.payback(payment_id, refund_id).await?
        {
            let answer = match why {
                Why::Event { .. } | Why::Late => in_time(gateway.refund(&payback)).await,
                Why::Silence { .. } => in_time(gateway.refund_status(&payback)).await,
            };
            if let Some(command) = answer.and_then(|answer| said_of_refund(refund_id, answer)) {
                let (cause, name) = why.step("refunded", refund_id.0);
                let step = Step { payment_id, order_id, cause: &cause, name: &name };
                self.tell(step, command).await?;
            }
        }
        self.is_open(payment_id, why, |payment| payment.pending_refund_minor(refund_id).is_some())
            .await
    }

    /// Whether a question stays open, by the log itself. What an event asked for is closed by the
    /// log when that is read.
    async fn is_open(
        &self,
        payment_id: PaymentId,
        why: &Why,
        is_open: impl Fn(&Payment) -> bool + Send,
    ) -> Result<bool, ExecuteError> {
        match why {
            Why::Event { .. } => Ok(true),
            Why::Late | Why::Silence { .. } => {
                let (payment, _) = self
                    .journal
                    .load::<Payment>(&payment_id.to_string())
                    .await?;
                Ok(is_open(&payment))
            }
        }
    }

    /// The attempt as its provider knows it; `None` if nothing is to be asked any more.
    async fn charge(
        &self,
        payment_id: PaymentId,
        reference: &str,
    ) -> Result<Option<Errand<Charge>>, ExecuteError> {
        let (payment, _) = self
            .journal
            .decided::<Payment>(&payment_id.to_string())
            .await?;
        Ok(match payment.attempt(reference) {
            Some((_, AttemptState::Awaited | AttemptState::Accepted)) => {
                self.charge_of(payment_id, &payment, reference)
            }
            _ => None,
        })
    }

    fn charge_of(
        &self,
        payment_id: PaymentId,
        payment: &Payment,
        reference: &str,
    ) -> Option<Errand<Charge>> {
        let (attempt, _) = payment.attempt(reference)?;
        let terms = payment.terms()?;
        let name = &attempt.choice.gateway;
        let Some(gateway) = self.registry.get(name) else {
            tracing::error!(payment.id = %payment_id, gateway = name, "no such gateway is switched on");
            return None;
        };
        let charge = Charge {
            payment_id,
            reference: attempt.reference.clone(),
            amount: terms.amount,
            method: attempt.choice.method,
            token: attempt.choice.token.clone(),
            pay_by: terms.pay_by,
        };
        Some(Errand { order_id: terms.order_id, gateway: Arc::clone(gateway), what: charge })
    }

    /// A pending refund as its provider knows it; `None` if it is not pending any more.
    async fn payback(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
    ) -> Result<Option<Errand<Payback>>, ExecuteError> {
        let (payment, _) = self
            .journal
            .decided::<Payment>(&payment_id.to_string())
            .await?;
        let Some(minor) = payment.pending_refund_minor(refund_id) else {
            return Ok(None);
        };
        let errand = payment
            .paying_attempt()
            .and_then(|attempt| self.charge_of(payment_id, &payment, &attempt.reference));
        Ok(errand.map(|Errand { order_id, gateway, what: charge }| {
            let amount = Money { minor, currency: charge.amount.currency };
            Errand { order_id, gateway, what: Payback { refund_id, charge, amount } }
        }))
    }

    async fn tell(&self, step: Step<'_>, command: payment::Command) -> Result<(), ExecuteError> {
        let Step { payment_id, order_id, cause, name } = step;
        let envelope = derived::envelope("gateway", order_id, cause, name, None);
        let receipt = self
            .journal
            .execute_derived::<Payment>(&payment_id.to_string(), command, envelope)
            .await?;
        if let Verdict::Refused(refusal) = receipt.verdict {
            tracing::warn!(payment.id = %payment_id, %refusal, "a provider's word was refused");
        }
        Ok(())
    }
}

impl Why {
    /// Because of what, and under which name an answer is taken down.
    fn step(&self, called: &str, subject: Uuid) -> (Cause, String) {
        match self {
            Self::Event { cause } => (cause.clone(), called.to_owned()),
            Self::Late => (Cause::named(subject), format!("{called} late")),
            Self::Silence { asked } => (Cause::named(subject), format!("poll {asked}")),
        }
    }
}

fn said_of_attempt(reference: &str, outcome: Outcome) -> payment::Command {
    payment::Command::RecordOutcome { reference: reference.to_owned(), outcome }
}

/// What there is to take down; nothing while the provider is undecided.
fn said_of_refund(refund_id: RefundId, answer: PaybackOutcome) -> Option<payment::Command> {
    match answer {
        PaybackOutcome::Pending => None,
        PaybackOutcome::Settled { provider_reference } => {
            Some(payment::Command::SettleRefund { refund_id, provider_reference })
        }
        PaybackOutcome::Failed { reason } => {
            Some(payment::Command::FailRefund { refund_id, reason })
        }
    }
}

/// A provider's answer, if it comes in time.
async fn in_time<T>(call: impl Future<Output = Result<T, CallError>>) -> Option<T> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the outcome is unknown and will be asked for");
            None
        }
        Err(_elapsed) => {
            tracing::warn!("a provider did not answer in time; it will be asked again");
            None
        }
    }
}
