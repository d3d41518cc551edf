//! What a batch of events adds to the days.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::event::Event;
use domain::ids::RefundId;
use domain::money::{Currency, Money};
use domain::payment::{self, Unmatched};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use store::recorded::RecordedEvent;
use uuid::Uuid;

use crate::storable;

/// Where money is booked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) day: NaiveDate,
    pub(super) gateway: String,
    /// Its code.
    pub(super) currency: &'static str,
}

/// What is added under one key. What is pending is added when it is asked for and taken away when
/// it is decided, so that the sum of all days up to one is what was pending at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub(super) struct Added {
    pub(super) captures: i64,
    pub(super) captured_minor: i64,
    pub(super) repeated: i64,
    pub(super) repeated_minor: i64,
    pub(super) mismatched: i64,
    pub(super) mismatched_minor: i64,
    pub(super) other_currency: i64,
    pub(super) other_currency_minor: i64,
    pub(super) unmatched: i64,
    pub(super) unmatched_minor: i64,
    pub(super) refunds: i64,
    pub(super) refunded_minor: i64,
    pub(super) chargebacks: i64,
    pub(super) charged_back_minor: i64,
    pub(super) pending: i64,
    pub(super) pending_minor: i64,
}

/// What must be remembered of a payment to know where its money is booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payment {
    currency: Currency,
    /// By reference.
    gateways: BTreeMap<String, String>,
    /// The first attempt that brought money: refunds of older events go back through it.
    first: Option<String>,
    /// Refunds that are undecided, by the gateway they go back through.
    refunds: BTreeMap<RefundId, String>,
}

/// A batch, folded.
#[derive(Debug)]
pub(super) struct Batch {
    payments: BTreeMap<Uuid, Payment>,
    changed: BTreeSet<Uuid>,
    pub(super) days: BTreeMap<Key, Added>,
}

/// The payments that events are about.
pub(super) fn needed<'a>(events: impl Iterator<Item = &'a RecordedEvent>) -> BTreeSet<Uuid> {
    events
        .filter(|event| matches!(event.event, Event::Payment(_)))
        .filter_map(|event| event.aggregate_id.parse().ok())
        .collect()
}

impl Batch {
    pub(super) fn of(payments: BTreeMap<Uuid, Payment>) -> Self {
        Self { payments, changed: BTreeSet::new(), days: BTreeMap::new() }
    }

    /// Payments whose row is new or has changed.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Uuid, &Payment)> {
        self.changed
            .iter()
            .filter_map(|id| Some((*id, self.payments.get(id)?)))
    }

    /// What was remembered of a payment.
    pub(super) fn remembered(mut self, id: Uuid) -> Option<(Uuid, Payment)> {
        self.payments.remove_entry(&id)
    }

    pub(super) fn take(&mut self, recorded: &RecordedEvent) {
        use payment::Event as E;

        let (Event::Payment(event), Ok(id)) = (&recorded.event, recorded.aggregate_id.parse())
        else {
            return;
        };
        if let E::Opened(terms) = event {
            self.begin(id, Payment::of(terms.amount.currency));
        }
        if let E::UnmatchedReceived(money) = event {
            self.begin(id, Payment::of_nobody(money));
        }
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let (moved, is_changed) = payment.take(event);
        if is_changed {
            self.changed.insert(id);
        }
        if let Some((gateway, currency, added)) = moved {
            let day = storable::instant(recorded.recorded_at).date_naive();
            let key = Key { day, gateway, currency: currency.code() };
            self.days.entry(key).or_default().add(added);
        }
    }

    fn begin(&mut self, id: Uuid, payment: Payment) {
        self.payments.insert(id, payment);
        self.changed.insert(id);
    }
}

type Moved = Option<(String, Currency, Added)>;

impl Payment {
    /// One that somebody will be asked for.
    fn of(currency: Currency) -> Self {
        let (gateways, refunds) = (BTreeMap::new(), BTreeMap::new());
        Self { currency, gateways, first: None, refunds }
    }

    /// One that nobody was asked for: it is booked where it came in, and so is its way back.
    fn of_nobody(money: &Unmatched) -> Self {
        let mut payment = Self::of(money.received.currency);
        let gateway = storable::key(&money.gateway);
        payment.gateways.insert(money.reference.clone(), gateway);
        payment.has_brought(&money.reference);
        payment
    }

    /// What an event moves, and whether it has to be remembered.
    fn take(&mut self, event: &payment::Event) -> (Moved, bool) {
        use payment::Event as E;

        let moved = |gateway: Option<String>, added| {
            // Whatever the log holds is booked somewhere.
            let gateway = gateway.unwrap_or_default();
            Some((gateway, self.currency, added))
        };
        match event {
            E::AttemptStarted(attempt) => {
                let gateway = storable::key(&attempt.choice.gateway);
                self.gateways.insert(attempt.reference.clone(), gateway);
                (None, true)
            }
            E::Captured { reference, received, .. } => {
                let (captures, captured_minor) = (1, received.minor);
                let added = Added { captures, captured_minor, ..Added::default() };
                let moved = moved(self.gateway(reference), added);
                (moved, self.has_brought(reference))
            }
            E::CapturedAgain { reference, received, .. } => {
                let (repeated, repeated_minor) = (1, received.minor);
                let added = Added { repeated, repeated_minor, ..Added::default() };
                let moved = moved(self.gateway(reference), added);
                (moved, self.has_brought(reference))
            }
            E::Mismatched { reference, expected, received, .. } => {
                let gateway = self.gateway(reference).unwrap_or_default();
                let added = mismatched(*expected, *received);
                let is_ours = expected.currency == received.currency && 0 < received.minor;
                let is_changed = is_ours && self.has_brought(reference);
                (Some((gateway, received.currency, added)), is_changed)
            }
            E::RefundRequested { refund_id, amount_minor, reference, .. } => {
                let through = reference.as_ref().or(self.first.as_ref());
                let gateway = through.and_then(|through| self.gateway(through));
                let (pending, pending_minor) = (1, *amount_minor);
                let added = Added { pending, pending_minor, ..Added::default() };
                let moved = moved(gateway.clone(), added);
                self.refunds.insert(*refund_id, gateway.unwrap_or_default());
                (moved, true)
            }
            E::Refunded { refund_id, amount_minor, .. } => {
                let gateway = self.refunds.get(refund_id).cloned();
                let added = Added {
                    refunds: 1,
                    refunded_minor: *amount_minor,
                    ..Added::decided(*amount_minor)
                };
                let moved = moved(gateway, added);
                (moved, self.refunds.remove(refund_id).is_some())
            }
            // Taken off where it was counted, on the day on which it is known.
            E::RefundReturned { amount_minor, reference, .. } => {
                let gateway = reference
                    .as_ref()
                    .and_then(|reference| self.gateway(reference));
                let refunded_minor = amount_minor.saturating_neg();
                let added = Added { refunds: -1, refunded_minor, ..Added::default() };
                (moved(gateway, added), false)
            }
            E::ChargedBack { reference, amount_minor, .. } => {
                let (chargebacks, charged_back_minor) = (1, *amount_minor);
                let added = Added { chargebacks, charged_back_minor, ..Added::default() };
                (moved(self.gateway(reference), added), false)
            }
            // Taken off in the same way.
            E::ChargebackReversed { reference, amount_minor, .. } => {
                let (chargebacks, charged_back_minor) = (-1, amount_minor.saturating_neg());
                let added = Added { chargebacks, charged_back_minor, ..Added::default() };
                (moved(self.gateway(reference), added), false)
            }
            E::RefundFailed { refund_id, amount_minor, .. } => {
                let gateway = self.refunds.get(refund_id).cloned();
                let moved = moved(gateway, Added::decided(*amount_minor));
                (moved, self.refunds.remove(refund_id).is_some())
            }
            E::UnmatchedReceived(money) => {
                let (unmatched, unmatched_minor) = (1, money.received.minor);
                let added = Added { unmatched, unmatched_minor, ..Added::default() };
                (moved(self.gateway(&money.reference), added), false)
            }
            // What came in under another reference is not counted as ours.
            E::Misnamed { .. }
            | E::Opened(_)
            | E::AttemptAccepted { .. }
            | E::Declined { .. }
            | E::Voided
            | E::RefundAccepted { .. } => (None, false),
        }
    }

    fn gateway(&self, reference: &str) -> Option<String> {
        self.gateways.get(reference).cloned()
    }

    /// Whether that is news.
    fn has_brought(&mut self, reference: &str) -> bool {
        let is_first = self.first.is_none();
        if is_first {
            self.first = Some(reference.to_owned());
        }
        is_first
    }
}

fn mismatched(expected: Money, received: Money) -> Added {
    if expected.currency == received.currency {
        let mismatched_minor = received.minor;
        return Added { mismatched: 1, mismatched_minor, ..Added::default() };
    }
    let other_currency_minor = received.minor;
    Added { other_currency: 1, other_currency_minor, ..Added::default() }
}

impl Added {
    /// One refund less is undecided.
    fn decided(amount_minor: i64) -> Self {
        let (pending, pending_minor) = (-1, amount_minor.saturating_neg());
        Self { pending, pending_minor, ..Self::default() }
    }

    pub(super) fn add(&mut self, other: Self) {
        let Self {
            captures,
            captured_minor,
            repeated,
            repeated_minor,
            mismatched,
            mismatched_minor,
            other_currency,
            other_currency_minor,
            unmatched,
            unmatched_minor,
            refunds,
            refunded_minor,
            chargebacks,
            charged_back_minor,
            pending,
            pending_minor,
        } = self;
        for (sum, more) in [
            (captures, other.captures),
            (captured_minor, other.captured_minor),
            (repeated, other.repeated),
            (repeated_minor, other.repeated_minor),
            (mismatched, other.mismatched),
            (mismatched_minor, other.mismatched_minor),
            (other_currency, other.other_currency),
            (other_currency_minor, other.other_currency_minor),
            (unmatched, other.unmatched),
            (unmatched_minor, other.unmatched_minor),
            (refunds, other.refunds),
            (refunded_minor, other.refunded_minor),
            (chargebacks, other.chargebacks),
            (charged_back_minor, other.charged_back_minor),
            (pending, other.pending),
            (pending_minor, other.pending_minor),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}
