//! Calls payment providers: when an attempt has started, when money is to go back, when a
//! provider has been silent for too long; and takes down what they say of their own accord.
//!
//! The request is in the log before the call, the answer after it. A call without an answer has
//! an unknown outcome, and the provider is asked for it by reference (see [`crate::polls`]).
//!
//! Whatever the moment of a crash, an attempt that its provider leaves unanswered is asked for. What
//! is at or below the mark has its answer in the log, or a question in Postgres, written with the
//! mark or before it. What is above it is read again, and
//!
//! * if its answer is in the log by then, it is not called any more;
//! * if not, it is called once more, which acts once by its reference, whether the first call was
//!   not made, not answered, or its answer not taken down;
//! * if its question was planned already, it keeps it. A question whose answer has been heard
//!   without a look into Postgres is forgotten when it comes due.

mod beginning;
mod calls;
pub(crate) mod disputes;
mod for_staff;
mod in_hand;
mod lanes;
#[cfg(test)]
#[path = "providers/lanes_tests.rs"]
mod lanes_tests;
mod refunds;
pub(crate) mod twice;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use domain::event::Event;
use domain::ids::PaymentId;
use domain::payment::{self, Payment};
use futures::StreamExt as _;
use gateways::gateway::Callback;
use gateways::registry::Registry;
use sqlx::PgPool;
use store::command::ExecuteError;
use store::feed::Feeds;
use store::journal::Journal;
use store::leader::{self, Lead, Office};
use store::recorded::RecordedEvent;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

pub use self::in_hand::InHand;
use self::lanes::{Call, Lanes, Why};
use crate::bells::{every, told_to_stop};
use crate::derived::Cause;
use crate::marks::{self, Mark};
use crate::polls::{self, Full, Note, Poll, Subject};
pub use crate::polls::{BadPauses, Pauses, ask_soon};
use crate::reading;
use crate::routing::Routing;

/// Its name among the workers.
pub const NAME: &str = "providers";
/// Callbacks taken down at once.
const CALLBACKS_AT_ONCE: usize = 256;
/// How often questions and the mark are written down.
const KEEP_EVERY: Duration = Duration::from_millis(50);
/// How often silent providers are looked for.
const TICK: Duration = Duration::from_millis(500);
/// Pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Why the calls have to begin again from the mark.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Log(#[from] store::log::Error),
    #[error(transparent)]
    Journal(#[from] ExecuteError),
    #[error("the log has come to an end")]
    NoMoreLog,
    #[error("a call was broken off: {0}")]
    BrokenOff(#[from] JoinError),
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
    /// Who is asked instead of one that is not reached.
    pub routing: Routing,
    /// Refunds that are being asked for.
    pub in_hand: InHand,
}

impl Providers {
    /// Runs until told to stop. Failures are logged and tried again for ever.
    pub async fn run(self, feeds: Feeds, mut stop: watch::Receiver<bool>) {
        let providers = Arc::new(self);
        loop {
            // Whoever leads knows how it stands with providers.
            providers.routing.health().forget();
            let lead = tokio::select! {
                lead = leader::lead(&providers.pool, Office::Providers) => lead,
                () = told_to_stop(&mut stop) => return,
            };
            let done = match lead {
                Ok(lead) => act(&providers, &feeds, lead, &mut stop).await,
                Err(error) => Err(error.into()),
            };
            let Err(error) = done else { return };
            tracing::warn!(%error, "calls to providers are tried again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Takes down callbacks until there are no more.
    pub async fn take_callbacks(self, callbacks: mpsc::Receiver<Callback>) {
        let callbacks = futures::stream::unfold(callbacks, async |mut callbacks| {
            let callback = callbacks.recv().await?;
            Some((callback, callbacks))
        });
        callbacks
            .for_each_concurrent(CALLBACKS_AT_ONCE, |callback| self.take_callback(callback))
            .await;
    }
}

async fn act(
    providers: &Arc<Providers>,
    feeds: &Feeds,
    mut lead: Lead,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Error> {
    providers.routing.takes_over().await?;
    let mark = marks::of(&providers.pool, NAME).await?;
    let mut desk = Desk::new(Arc::clone(providers), &mark);
    let mut batches = pin!(reading::batches(feeds.subscribe(), mark.position));
    let mut calls = JoinSet::new();
    let (mut keep, mut tick) = (every(KEEP_EVERY), every(TICK));
    loop {
        while let Some(call) = desk.lanes.next() {
            calls.spawn(Arc::clone(providers).make(call));
        }
        tokio::select! {
            Some(ended) = calls.join_next() => desk.lanes.ended(ended?, Instant::now()),
            batch = batches.next() => desk.read(&batch.ok_or(Error::NoMoreLog)??).await?,
            _ = keep.tick(), if desk.has_news() => {
                let notes = desk.lanes.notes(Instant::now());
                desk.keep(&notes).await?;
                if desk.lanes.are_hungry() {
                    desk.look_for_the_silent().await?;
                }
            }
            _ = tick.tick() => {
                lead.still_ours().await?;
                desk.look_for_the_silent().await?;
            }
            () = told_to_stop(stop) => {
                // What is under way is called once more at the next start.
                let notes = desk.lanes.all_notes();
                return desk.keep(&notes).await;
            }
        }
    }
}

/// Where calls come in and notes go out.
struct Desk {
    providers: Arc<Providers>,
    lanes: Lanes,
    /// The mark that is kept.
    mark: i64,
    version_5_to: i64,
}

impl Desk {
    fn new(providers: Arc<Providers>, mark: &Mark) -> Self {
        let lanes = Lanes::after(mark.position);
        Self { providers, lanes, mark: mark.position, version_5_to: mark.version_5_to }
    }

    async fn read(&mut self, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
        let mut over = Vec::new();
        for event in batch {
            let Some((payment_id, payment_event)) = of_payment(event) else {
                continue;
            };
            if let Some(subject) = asked_for(payment_id, payment_event) {
                let gateway = self.gateway(payment_id, payment_event).await;
                let cause = Cause::event(event, self.version_5_to);
                let call = Call { subject, gateway, why: Why::Event { cause } };
                self.lanes.hear(call, event.position);
            } else if let Some(subject) = answered(payment_id, payment_event) {
                self.lanes.hear_answer(subject);
            }
            self.providers.call_staff(payment_id, payment_event).await?;
            // Also when the money came by another attempt, late: then a page may be open beside it.
            if let payment::Event::Voided | payment::Event::Captured { .. } = payment_event {
                over.push(event.aggregate_id.clone());
            }
        }
        self.end_what_is_open(&over).await?;
        if let Some(last) = batch.last() {
            self.lanes.have_read_to(last.position);
        }
        Ok(())
    }

    /// Nobody waits for the money of these payments any more: a provider that can be told so is told
    /// within moments, by a question that is brought forward. One that does not hear it then is told
    /// with its next question: nothing waits for that.
    async fn end_what_is_open(&mut self, over: &[String]) -> Result<(), Error> {
        let providers = Arc::clone(&self.providers);
        let cancels = |name: &str| {
            let gateway = providers.registry.get(name);
            gateway.is_some_and(|gateway| gateway.cancels())
        };
        // Every payment is over some day, and none of them is in memory by then.
        if over.is_empty() || !providers.registry.names().any(cancels) {
            return Ok(());
        }
        let mut open = Vec::new();
        for (id, (payment, _)) in providers.journal.fold_many::<Payment>(over).await? {
            let Ok(payment_id) = id.parse::<PaymentId>() else {
                continue;
            };
            let attempts = payment.open_attempts().map(|tried| &tried.attempt);
            let ended = attempts.filter(|attempt| cancels(&attempt.choice.gateway));
            open.extend(ended.map(|attempt| (payment_id, attempt.reference.clone())));
        }
        if open.is_empty() {
            return Ok(());
        }
        for (payment_id, reference) in open.iter().cloned() {
            self.lanes.plan(Subject::Attempt { payment_id, reference });
        }
        let notes = self.lanes.notes(Instant::now());
        self.keep(&notes).await?;
        for (payment_id, _) in open {
            polls::ask_soon(&providers.pool, payment_id).await?;
        }
        Ok(())
    }

    /// Whose lane an event's call takes.
    async fn gateway(&self, payment_id: PaymentId, event: &payment::Event) -> String {
        if let payment::Event::AttemptStarted(attempt) = event {
            return attempt.choice.gateway.clone();
        }
        let payment::Event::RefundRequested { refund_id, .. } = event else {
            return String::new();
        };
        let payment = payment_id.to_string();
        match self.providers.journal.decided::<Payment>(&payment).await {
            Ok((payment, _)) => payment
                .pending_refund(*refund_id)
                .map_or_else(String::new, |refund| refund.brought.gateway().to_owned()),
            Err(error) => {
                tracing::warn!(payment.id = payment, %error, "whose refund this is will be seen");
                String::new()
            }
        }
    }

    async fn look_for_the_silent(&mut self) -> Result<(), Error> {
        let Self { providers, lanes, .. } = self;
        let full = Full {
            of_calls: lanes.full(),
            of_questions: lanes.full_of_questions(),
            being_asked: lanes.being_asked(),
        };
        let due = polls::due(&providers.pool, Utc::now(), &full).await?;
        lanes.ask(
            due.into_iter()
                .map(|Poll { subject, gateway, called, asked }| {
                    let why = if called {
                        Why::Silence { asked }
                    } else {
                        Why::Late
                    };
                    Call { subject, gateway: gateway.unwrap_or_default(), why }
                }),
        );
        Ok(())
    }

    fn has_news(&self) -> bool {
        self.lanes.have_news() || self.mark != self.lanes.mark()
    }

    async fn keep(&mut self, notes: &HashMap<Subject, Note>) -> Result<(), Error> {
        let mark = self.lanes.mark();
        if notes.is_empty() && mark == self.mark {
            return Ok(());
        }
        polls::keep(&self.providers.pool, notes, &self.providers.pauses, mark).await?;
        self.mark = mark;
        Ok(())
    }
}

fn of_payment(event: &RecordedEvent) -> Option<(PaymentId, &payment::Event)> {
    match &event.event {
        Event::Payment(payment_event) => Some((event.aggregate_id.parse().ok()?, payment_event)),
        Event::Order(_)
        | Event::Inventory(_)
        | Event::Product(_)
        | Event::Person(_)
        | Event::Listing(_)
        | Event::Categories(_)
        | Event::Vendor(_)
        | Event::Promotion(_)
        | Event::Delivery(_) => None,
    }
}

/// What a provider is to be called for.
fn asked_for(payment_id: PaymentId, event: &payment::Event) -> Option<Subject> {
    match event {
        payment::Event::AttemptStarted(attempt) => {
            Some(Subject::Attempt { payment_id, reference: attempt.reference.clone() })
        }
        payment::Event::RefundRequested { refund_id, .. } => {
            Some(Subject::Refund { payment_id, refund_id: *refund_id })
        }
        _ => None,
    }
}

/// What an event answers for good.
fn answered(payment_id: PaymentId, event: &payment::Event) -> Option<Subject> {
    use payment::Event as E;
    match event {
        E::Captured { reference, .. }
        | E::CapturedAgain { reference, .. }
        | E::Mismatched { reference, .. }
        | E::Misnamed { reference, .. }
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
        | E::UnmatchedReceived(_)
        | E::RefundAccepted { .. }
        | E::RefundReturned { .. }
        | E::ChargedBack { .. }
        | E::ChargebackReversed { .. }
        | E::RefundRequested { .. } => None,
    }
}
