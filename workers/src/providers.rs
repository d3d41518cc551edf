//! Calls payment providers: when an attempt has started, when money is to go back, when a
//! provider has been silent for too long; and takes down what they say of their own accord.
//!
//! The request is in the log before the call, the answer after it. A call without an answer has
//! an unknown outcome, and the provider is asked for it by reference (see [`crate::polls`]).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use domain::event::Event;
use domain::ids::{OrderId, PaymentId, RefundId};
use domain::money::Money;
use domain::payment::{self, AttemptState, Outcome, Payment};
use futures::StreamExt as _;
use gateways::gateway::{CALL_TIMEOUT, Callback, Charge, Gateway, Payback, PaybackOutcome};
use gateways::registry::Registry;
use sqlx::PgPool;
use store::command::ExecuteError;
use store::feed::Feeds;
use store::journal::Journal;
use store::leader::{self, Office};
use store::recorded::RecordedEvent;
use tokio::sync::{mpsc, watch};

use crate::derived::{self, Cause};
use crate::marks;
pub use crate::polls::Pauses;
use crate::polls::{self, Poll, Subject};

/// Its name among the workers.
pub const NAME: &str = "providers";
/// Most events of one batch.
const BATCH_MAX: usize = 2_000;
/// Calls to providers under way at once.
const CALLS_AT_ONCE: usize = 128;
/// Callbacks taken down at once.
const CALLBACKS_AT_ONCE: usize = 256;
/// How often silent providers are looked for.
const TICK: Duration = Duration::from_millis(500);
/// Pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Times a callback is taken down again while the journal is away; polling finds it after that.
const CALLBACK_TRIES_MAX: u32 = 20;

/// Why a batch could not be carried through. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Log(#[from] store::log::Error),
    #[error(transparent)]
    Journal(#[from] ExecuteError),
}

/// Everything that calling providers needs.
#[derive(Clone)]
pub struct Providers {
    /// For marks and polls.
    pub pool: PgPool,
    /// Takes down what providers say.
    pub journal: Journal,
    /// The providers.
    pub registry: Registry,
    /// When silent ones are asked.
    pub pauses: Pauses,
}

impl Providers {
    /// Runs until told to stop. Failures are logged and tried again for ever.
    pub async fn run(self, feeds: Feeds, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let failed = tokio::select! {
                result = self.lead(&feeds) => result.err(),
                _ = stop.changed() => None,
            };
            if let Some(error) = failed {
                tracing::warn!(%error, "calls to providers are tried again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Takes down callbacks until there are no more.
    pub async fn take_callbacks(self, callbacks: mpsc::Receiver<Callback>) {
        tokio_stream(callbacks)
            .for_each_concurrent(CALLBACKS_AT_ONCE, |callback| self.take_callback(callback))
            .await;
    }

    async fn take_callback(&self, callback: Callback) {
        let Callback { callback_id, payment_id, reference, outcome } = callback;
        let cause = Cause::named(derived::id(payment_id.0, &callback_id));
        for _ in 0..CALLBACK_TRIES_MAX {
            let recorded = self
                .record(payment_id, &cause, "callback", &reference, &outcome)
                .await;
            match recorded {
                Ok(()) => return,
                Err(error) => tracing::warn!(payment.id = %payment_id, %error, "a callback waits"),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn lead(&self, feeds: &Feeds) -> Result<(), Error> {
        let mut lead = leader::lead(&self.pool, Office::Providers).await?;
        let mut feed = feeds.subscribe();
        let mut mark = marks::of(&self.pool, NAME).await?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                batch = feed.next(mark, BATCH_MAX) => {
                    mark = self.act_on(&batch?).await?;
                }
                _ = tick.tick() => {
                    lead.still_ours().await?;
                    self.ask_the_silent().await?;
                }
            }
        }
    }

    /// Makes the calls that a batch of events asks for, then keeps mark and polls together.
    async fn act_on(&self, batch: &[Arc<RecordedEvent>]) -> Result<i64, Error> {
        let mark = batch.last().map_or(0, |event| event.position);
        let calls: Vec<_> = batch.iter().filter_map(|event| call(event)).collect();
        let made: Vec<Result<(), Error>> =
            futures::stream::iter(calls.iter().map(|call| self.make(call)).collect::<Vec<_>>())
                .buffer_unordered(CALLS_AT_ONCE)
                .collect()
                .await;
        made.into_iter().collect::<Result<(), _>>()?;

        let answered: HashSet<Subject> = batch.iter().filter_map(|event| answered(event)).collect();
        let asked = calls.iter().map(|call| call.subject.clone());
        let open: Vec<Subject> = asked
            .filter(|subject| !answered.contains(subject))
            .collect();
        let mut transaction = self.pool.begin().await?;
        if !open.is_empty() {
            polls::plan(&mut transaction, &open, self.pauses.due_at(0)).await?;
        }
        if !answered.is_empty() {
            let answered: Vec<Subject> = answered.into_iter().collect();
            polls::forget(&mut transaction, &answered).await?;
        }
        marks::set(&mut transaction, NAME, mark).await?;
        transaction.commit().await?;
        Ok(mark)
    }

    async fn make(&self, call: &Call) -> Result<(), Error> {
        match &call.subject {
            Subject::Attempt { payment_id, reference } => {
                let Some((gateway, charge)) = self.charge(*payment_id, reference).await? else {
                    return Ok(());
                };
                let answer = in_time(gateway.initialize(&charge)).await;
                self.note(*payment_id, &call.cause, "initialized", reference, answer)
                    .await
            }
            Subject::Refund { payment_id, refund_id } => {
                let Some((gateway, payback)) = self.payback(*payment_id, *refund_id).await? else {
                    return Ok(());
                };
                let answer = in_time(gateway.refund(&payback)).await;
                self.note_payback(&payback, &call.cause, "refunded", answer)
                    .await
            }
        }
    }

    async fn ask_the_silent(&self) -> Result<(), Error> {
        for poll in polls::due(&self.pool, Utc::now()).await? {
            let step = format!("poll {}", poll.asked);
            if self.ask(&poll, &step).await? {
                polls::put_off(&self.pool, &poll, self.pauses.due_at(poll.asked + 1)).await?;
            } else {
                let mut connection = self.pool.acquire().await?;
                polls::forget(&mut connection, std::slice::from_ref(&poll.subject)).await?;
            }
        }
        Ok(())
    }

    /// Asks once; whether to ask again.
    async fn ask(&self, poll: &Poll, step: &str) -> Result<bool, Error> {
        match &poll.subject {
            Subject::Attempt { payment_id, reference } => {
                let Some((gateway, charge)) = self.charge(*payment_id, reference).await? else {
                    return Ok(false);
                };
                let answer = in_time(gateway.verify(&charge)).await;
                let cause = Cause::named(derived::id(payment_id.0, reference));
                self.note(*payment_id, &cause, step, reference, answer)
                    .await?;
                Ok(self.charge(*payment_id, reference).await?.is_some())
            }
            Subject::Refund { payment_id, refund_id } => {
                let Some((gateway, payback)) = self.payback(*payment_id, *refund_id).await? else {
                    return Ok(false);
                };
                let answer = in_time(gateway.refund_status(&payback)).await;
                self.note_payback(&payback, &Cause::named(refund_id.0), step, answer)
                    .await?;
                Ok(self.payback(*payment_id, *refund_id).await?.is_some())
            }
        }
    }

    /// The attempt as its provider knows it; `None` if nothing is to be asked any more.
    async fn charge(
        &self,
        payment_id: PaymentId,
        reference: &str,
    ) -> Result<Option<(Arc<dyn Gateway>, Charge)>, Error> {
        let (payment, _) = self
            .journal
            .load::<Payment>(&payment_id.to_string())
            .await?;
        let Some((attempt, AttemptState::Awaited | AttemptState::Accepted)) =
            payment.attempt(reference)
        else {
            return Ok(None);
        };
        Ok(self.charge_of(payment_id, &payment, &attempt.reference))
    }

    fn charge_of(
        &self,
        payment_id: PaymentId,
        payment: &Payment,
        reference: &str,
    ) -> Option<(Arc<dyn Gateway>, Charge)> {
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
        Some((Arc::clone(gateway), charge))
    }

    /// A pending refund as its provider knows it; `None` if it is not pending any more.
    async fn payback(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
    ) -> Result<Option<(Arc<dyn Gateway>, Payback)>, Error> {
        let (payment, _) = self
            .journal
            .load::<Payment>(&payment_id.to_string())
            .await?;
        let Some(minor) = payment.pending_refund_minor(refund_id) else {
            return Ok(None);
        };
        let paying = payment
            .paying_attempt()
            .map(|attempt| attempt.reference.clone());
        let charge = paying.and_then(|reference| self.charge_of(payment_id, &payment, &reference));
        Ok(charge.map(|(gateway, charge)| {
            let amount = Money { minor, currency: charge.amount.currency };
            (gateway, Payback { refund_id, charge, amount })
        }))
    }

    /// Takes down an answer; no answer leaves the attempt as it is, to be asked for again.
    async fn note(
        &self,
        payment_id: PaymentId,
        cause: &Cause,
        step: &str,
        reference: &str,
        answer: Option<Outcome>,
    ) -> Result<(), Error> {
        match answer {
            Some(outcome) => Ok(self
                .record(payment_id, cause, step, reference, &outcome)
                .await?),
            None => Ok(()),
        }
    }

    async fn record(
        &self,
        payment_id: PaymentId,
        cause: &Cause,
        step: &str,
        reference: &str,
        outcome: &Outcome,
    ) -> Result<(), ExecuteError> {
        let command = payment::Command::RecordOutcome {
            reference: reference.to_owned(),
            outcome: outcome.clone(),
        };
        self.tell(payment_id, cause, step, command).await
    }

    async fn note_payback(
        &self,
        payback: &Payback,
        cause: &Cause,
        step: &str,
        answer: Option<PaybackOutcome>,
    ) -> Result<(), Error> {
        let refund_id = payback.refund_id;
        let command = match answer {
            None | Some(PaybackOutcome::Pending) => return Ok(()),
            Some(PaybackOutcome::Settled { provider_reference }) => {
                payment::Command::SettleRefund { refund_id, provider_reference }
            }
            Some(PaybackOutcome::Failed { reason }) => {
                payment::Command::FailRefund { refund_id, reason }
            }
        };
        Ok(self
            .tell(payback.charge.payment_id, cause, step, command)
            .await?)
    }

    async fn tell(
        &self,
        payment_id: PaymentId,
        cause: &Cause,
        step: &str,
        command: payment::Command,
    ) -> Result<(), ExecuteError> {
        let payment = payment_id.to_string();
        let order_id = self.order_of(&payment).await?;
        let envelope = derived::envelope("gateway", order_id, cause, step, None);
        let receipt = self
            .journal
            .execute_derived::<Payment>(&payment, command, envelope)
            .await?;
        if let store::command::Verdict::Refused(refusal) = receipt.verdict {
            tracing::warn!(payment.id = payment, %refusal, "a provider's word was refused");
        }
        Ok(())
    }

    async fn order_of(&self, payment: &str) -> Result<OrderId, ExecuteError> {
        let (state, _) = self.journal.load::<Payment>(payment).await?;
        state.terms().map(|terms| terms.order_id).ok_or_else(|| {
            ExecuteError::Corrupt(format!(
                "a provider speaks of payment {payment}, which is not open"
            ))
        })
    }
}

/// A provider's answer, if it comes in time.
async fn in_time<T>(
    call: impl Future<Output = Result<T, gateways::gateway::CallError>>,
) -> Option<T> {
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

/// A call that an event asks for.
struct Call {
    /// The event.
    cause: Cause,
    subject: Subject,
}

fn call(event: &RecordedEvent) -> Option<Call> {
    let Event::Payment(payment_event) = &event.event else {
        return None;
    };
    let payment_id = event.aggregate_id.parse().ok()?;
    let subject = match payment_event {
        payment::Event::AttemptStarted(attempt) => {
            Subject::Attempt { payment_id, reference: attempt.reference.clone() }
        }
        payment::Event::RefundRequested { refund_id, .. } => {
            Subject::Refund { payment_id, refund_id: *refund_id }
        }
        _ => return None,
    };
    Some(Call { cause: event.into(), subject })
}

/// What an event answers for good.
fn answered(event: &RecordedEvent) -> Option<Subject> {
    use payment::Event as E;
    let Event::Payment(payment_event) = &event.event else {
        return None;
    };
    let payment_id = event.aggregate_id.parse().ok()?;
    match payment_event {
        E::Captured { reference, .. }
        | E::CapturedAgain { reference, .. }
        | E::Mismatched { reference, .. }
        | E::Declined { reference, .. } => {
            Some(Subject::Attempt { payment_id, reference: reference.clone() })
        }
        E::Refunded { refund_id, .. } | E::RefundFailed { refund_id, .. } => {
            Some(Subject::Refund { payment_id, refund_id: *refund_id })
        }
        E::Opened(_)
        | E::AttemptStarted(_)
        | E::AttemptAccepted { .. }
        | E::Voided
        | E::RefundRequested { .. } => None,
    }
}

fn tokio_stream(receiver: mpsc::Receiver<Callback>) -> impl futures::Stream<Item = Callback> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|callback| (callback, receiver))
    })
}
