//! One call to a provider, and what comes of it.
//!
//! What is to be called is looked up in the state that the journal has *decided*, which may be ahead
//! of the commit: a call that is skipped because of an answer that then fails to be committed stays
//! open (see [`super::lanes`]), and is asked for. Whether a question may be forgotten is read from
//! the log itself.

use std::sync::Arc;

use chrono::Utc;
use domain::attempt::NOT_REACHED;
use domain::event::Event;
use domain::ids::{OrderId, PaymentId};
use domain::order;
use domain::payment::{self, ATTEMPTS_MAX, AttemptState, Outcome, Payment, Tried, Unmatched};
use gateways::gateway::{CALL_TIMEOUT, CallError, Callback, Charge, Found, Gateway, Payer};
use gateways::reason::Reason;
use store::command::{ExecuteError, Verdict};
use uuid::Uuid;

use super::beginning::Begun;
use super::lanes::{Call, Ended, Why};
use super::twice::is_another;
use super::{Providers, RETRY_PAUSE};
use crate::derived::{self, Cause};
use crate::polls::Subject;
use crate::unmatched;

/// Times that something is tried while the journal is away; it is asked for after that.
const TRIES_MAX: u32 = 20;

/// Something to be done at a provider about an attempt, as the provider knows it.
pub(super) struct Errand {
    pub(super) order_id: OrderId,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) what: Charge,
    /// Of an attempt that a rule has routed: who has been tried for it so far, this one included.
    pub(super) tried_at: Vec<String>,
    /// Whether its money is still asked for.
    pub(super) is_wanted: bool,
}

/// One step of a payment, and because of what.
pub(super) struct Step<'a> {
    pub(super) payment_id: PaymentId,
    pub(super) order_id: OrderId,
    pub(super) cause: &'a Cause,
    pub(super) name: &'a str,
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
        if let Some(errand) = self
            .charge(payment_id, reference, AttemptState::is_open)
            .await?
        {
            let begun = match why {
                // Nothing begins that nobody waits for any more.
                _ if !errand.is_wanted => self.verify(&errand).await?,
                Why::Event { .. } => self.begin(&errand).await?,
                // After the deadline nobody waits for it; but it may have been made before a crash.
                Why::Late if Utc::now() <= errand.what.pay_by => self.begin(&errand).await?,
                Why::Late | Why::Silence { .. } => self.verify(&errand).await?,
            };
            let said = match &begun {
                Begun::Said(outcome) => name_of(outcome),
                Begun::Instead(_) | Begun::Silence => String::new(),
            };
            let subject = derived::id(payment_id.0, reference);
            let (cause, mut name) = why.step("initialized", subject, &said);
            let command = match begun {
                Begun::Said(outcome) => Some(said_of_attempt(reference, outcome)),
                Begun::Instead(attempt) => {
                    name.push_str(" elsewhere");
                    let (reference, reason) = (reference.to_owned(), NOT_REACHED.to_owned());
                    Some(payment::Command::FallBack { reference, reason, attempt })
                }
                Begun::Silence => None,
            };
            if let Some(command) = command {
                let order_id = errand.order_id;
                let step = Step { payment_id, order_id, cause: &cause, name: &name };
                self.tell(step, command).await?;
            }
        }
        self.is_open(payment_id, why, |payment| {
            payment
                .attempt(reference)
                .is_some_and(|tried| tried.state.is_open())
        })
        .await
    }

    /// Asks what became of an attempt because somebody said that something had; a decline may have
    /// been followed by money. Whether there is an answer in the log now, or none is needed.
    pub(crate) async fn ask_again(
        &self,
        payment_id: PaymentId,
        reference: &str,
        provider_reference: Option<String>,
        key: &str,
    ) -> Result<bool, ExecuteError> {
        let may_change = |state| match state {
            AttemptState::Awaited | AttemptState::Accepted | AttemptState::Declined => true,
            AttemptState::Captured | AttemptState::Mismatched => false,
        };
        let Some(mut errand) = self.charge(payment_id, reference, may_change).await? else {
            return Ok(true);
        };
        if provider_reference.is_some() {
            errand.what.provider_reference = provider_reference;
        }
        let outcome =
            match in_time(errand.gateway.name(), errand.gateway.verify(&errand.what)).await {
                Some(Found::Said(outcome)) => outcome,
                // Nothing begins because somebody says that something has: least of all what is over.
                Some(Found::NeverHeard) => return Ok(true),
                None => return Ok(false),
            };
        let cause = Cause::named(derived::id(payment_id.0, key));
        let order_id = errand.order_id;
        let step = Step { payment_id, order_id, cause: &cause, name: &name_of(&outcome) };
        self.tell(step, said_of_attempt(reference, outcome)).await?;
        Ok(true)
    }

    /// An attempt that is over, where the provider speaks of a payment under its reference that is another
    /// one; and whether what it brought is counted.
    pub(super) async fn attempt_like(
        &self,
        payment_id: PaymentId,
        reference: &str,
        provider_reference: &str,
    ) -> Result<Option<(Errand, bool)>, ExecuteError> {
        let (payment, _) = self
            .journal
            .load::<Payment>(&payment_id.to_string())
            .await?;
        match payment.attempt(reference) {
            Some(tried) if is_another(tried, provider_reference) => {
                let errand = self.charge_of(payment_id, &payment, tried).await?;
                Ok(errand.map(|errand| (errand, 0 < tried.received_minor)))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// What a provider says of an attempt, whatever became of it, for whoever only wants to know;
    /// `None` if it says nothing.
    pub(crate) async fn hear_of_attempt(
        &self,
        payment_id: PaymentId,
        reference: &str,
    ) -> Result<Option<Found<Outcome>>, ExecuteError> {
        let Some(errand) = self.charge(payment_id, reference, |_| true).await? else {
            return Ok(None);
        };
        Ok(in_time(errand.gateway.name(), errand.gateway.verify(&errand.what)).await)
    }

    /// Ends what is open of a payment, where its provider can be told so, because another attempt is
    /// to begin under the name of this command. What cannot be ended stays open.
    pub async fn end_open(&self, payment_id: PaymentId, key: Uuid) -> Result<(), ExecuteError> {
        let (payment, _) = self
            .journal
            .decided::<Payment>(&payment_id.to_string())
            .await?;
        // The other would be refused, and this page may be the only one.
        if !payment.wants_money() || ATTEMPTS_MAX <= payment.attempts().len() {
            return Ok(());
        }
        for tried in payment.open_attempts() {
            let reference = &tried.attempt.reference;
            let errand = self.charge_of(payment_id, &payment, tried).await?;
            let Some(errand) = errand.filter(|errand| errand.gateway.cancels()) else {
                continue;
            };
            let ended = in_time(errand.gateway.name(), errand.gateway.cancel(&errand.what)).await;
            if let Some(Found::Said(outcome)) = ended {
                let cause = Cause::named(derived::id(key, reference));
                let order_id = errand.order_id;
                let step = Step { payment_id, order_id, cause: &cause, name: &name_of(&outcome) };
                self.tell(step, said_of_attempt(reference, outcome)).await?;
            }
        }
        Ok(())
    }

    /// Asks how an attempt stands; one that nobody waits for any more is ended first.
    async fn verify(&self, errand: &Errand) -> Result<Begun, ExecuteError> {
        let Errand { gateway, what: charge, is_wanted, .. } = errand;
        let call = if *is_wanted {
            gateway.verify(charge)
        } else {
            gateway.cancel(charge)
        };
        match in_time(gateway.name(), call).await {
            Some(Found::Said(outcome)) => Ok(Begun::Said(outcome)),
            // What we sent did not arrive: it is sent again while somebody waits for it.
            Some(Found::NeverHeard) if *is_wanted && Utc::now() <= charge.pay_by => {
                self.begin(errand).await
            }
            Some(Found::NeverHeard) => Ok(Begun::Said(Reason::Expired.declines())),
            None => Ok(Begun::Silence),
        }
    }

    /// Whether a question stays open, by the log itself. What an event asked for is closed by the
    /// log when that is read.
    pub(super) async fn is_open(
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
    pub(super) async fn charge(
        &self,
        payment_id: PaymentId,
        reference: &str,
        is_asked: impl Fn(AttemptState) -> bool + Send,
    ) -> Result<Option<Errand>, ExecuteError> {
        let (payment, _) = self
            .journal
            .decided::<Payment>(&payment_id.to_string())
            .await?;
        match payment.attempt(reference) {
            Some(tried) if is_asked(tried.state) => {
                self.charge_of(payment_id, &payment, tried).await
            }
            Some(_) | None => Ok(None),
        }
    }

    pub(super) async fn charge_of(
        &self,
        payment_id: PaymentId,
        payment: &Payment,
        tried: &Tried,
    ) -> Result<Option<Errand>, ExecuteError> {
        let Some(terms) = payment.terms() else {
            return Ok(None);
        };
        let attempt = &tried.attempt;
        let Some(gateway) = self.gateway_of(payment_id, &attempt.choice.gateway) else {
            return Ok(None);
        };
        let payer = if gateway.capabilities().needs_payer {
            self.payer(terms.order_id).await?
        } else {
            None
        };
        let charge = Charge {
            payment_id,
            order_id: terms.order_id,
            reference: attempt.reference.clone(),
            provider_reference: tried.provider_reference.clone(),
            amount: terms.amount,
            method: attempt.choice.method,
            token: attempt.choice.token.clone(),
            payer,
            started_at: attempt.started_at,
            pay_by: terms.pay_by,
        };
        let order_id = terms.order_id;
        let tried_at = match attempt.choice.routed_by {
            Some(_) => {
                let tried = payment.stands_in_for(&attempt.reference);
                tried
                    .map(|tried| tried.attempt.choice.gateway.clone())
                    .collect()
            }
            None => Vec::new(),
        };
        let is_wanted = payment.wants_money();
        Ok(Some(Errand { order_id, gateway, what: charge, tried_at, is_wanted }))
    }

    /// Money that nobody asked for, as its provider knows it.
    pub(super) fn nobodys(&self, payment_id: PaymentId, money: &Unmatched) -> Option<Errand> {
        let gateway = self.gateway_of(payment_id, &money.gateway)?;
        let charge = unmatched::charge(payment_id, money);
        let order_id = charge.order_id;
        let tried_at = Vec::new();
        Some(Errand { order_id, gateway, what: charge, tried_at, is_wanted: false })
    }

    fn gateway_of(&self, payment_id: PaymentId, name: &str) -> Option<Arc<dyn Gateway>> {
        let gateway = self.registry.get(name);
        if gateway.is_none() {
            tracing::error!(payment.id = %payment_id, gateway = name, "no such gateway is switched on");
        }
        gateway.map(Arc::clone)
    }

    /// Who pays, as the order says; payments do not know.
    async fn payer(&self, order_id: OrderId) -> Result<Option<Box<Payer>>, ExecuteError> {
        let events = store::log::of_aggregate(&self.pool, "order", &order_id.to_string()).await;
        let events = events.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
        Ok(events.iter().find_map(|recorded| match &recorded.event {
            Event::Order(order::Event::Placed(placing)) => Some(Box::new(Payer {
                customer: placing.customer.clone(),
                address: placing.shipping_address.clone(),
            })),
            _ => None,
        }))
    }

    pub(super) async fn tell(
        &self,
        step: Step<'_>,
        command: payment::Command,
    ) -> Result<(), ExecuteError> {
        self.told(step, command).await.map(drop)
    }

    /// What a provider has said is taken down; why not, if it was refused.
    pub(super) async fn told(
        &self,
        step: Step<'_>,
        command: payment::Command,
    ) -> Result<Option<payment::Refusal>, ExecuteError> {
        let Step { payment_id, order_id, cause, name } = step;
        let envelope = derived::envelope("gateway", order_id, cause, name, None);
        let receipt = self
            .journal
            .execute_derived::<Payment>(&payment_id.to_string(), command, envelope)
            .await?;
        let Verdict::Refused(refusal) = receipt.verdict else {
            return Ok(None);
        };
        tracing::warn!(payment.id = %payment_id, %refusal, "a provider's word was refused");
        Ok(Some(refusal))
    }
}

impl Why {
    /// Because of what, and under which name an answer is taken down. The same question may be asked
    /// again, because somebody looks; only the same answer to it is a repetition.
    pub(super) fn step(&self, called: &str, subject: Uuid, said: &str) -> (Cause, String) {
        match self {
            Self::Event { cause } => (cause.clone(), called.to_owned()),
            Self::Late => (Cause::named(subject), format!("{called} late")),
            Self::Silence { asked } => (Cause::named(subject), format!("poll {asked} {said}")),
        }
    }
}

fn said_of_attempt(reference: &str, outcome: Outcome) -> payment::Command {
    payment::Command::RecordOutcome { reference: reference.to_owned(), outcome }
}

/// A name for a step that is the same for the same word only.
fn name_of(outcome: &Outcome) -> String {
    format!("{outcome:?}")
}

/// A provider's answer, if it comes in time.
pub(super) async fn in_time<T>(
    gateway: &'static str,
    call: impl Future<Output = Result<T, CallError>>,
) -> Option<T> {
    timed(gateway, call).await.ok()
}

/// The same, or why not. It is logged here.
pub(super) async fn timed<T>(
    gateway: &'static str,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let answer = tokio::time::timeout(CALL_TIMEOUT, call).await;
    let answer = answer.unwrap_or_else(|_elapsed| {
        let cause = "it did not answer in time".to_owned();
        Err(CallError::OutcomeUnknown { gateway, cause })
    });
    match &answer {
        Ok(_) => {}
        Err(error @ CallError::Unauthorised { .. }) => {
            tracing::error!(%error, "nothing can be paid there until its settings are right");
        }
        Err(error) => tracing::warn!(%error, "a provider gave no answer"),
    }
    answer
}
