//! What a payment's events make of its row.

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::{OrderId, PaymentId};
use domain::money::Money;
use domain::payment::{self, Attempt, AttemptState, NextStep};
use domain::placing::PaymentMethod;
use domain::risk::Assessment;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use store::recorded::RecordedEvent;
use uuid::Uuid;

use super::{AttemptView, PaymentView};
use crate::error::Error;
use crate::history::Fold;
use crate::money::MoneyView;
use crate::paying::{Paying, PaymentStatus, Refunds};
use crate::storable;

/// One try, as remembered in the row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tried {
    reference: String,
    method: PaymentMethod,
    gateway: String,
    state: AttemptState,
    provider_reference: Option<String>,
    // Rows of older builds have none.
    #[serde(default)]
    next_step: Option<NextStep>,
    reason: Option<String>,
    // Rows of older builds have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assessment: Option<Assessment>,
    started_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routed_by: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instead_of: Option<String>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Payment {
    pub(super) order_id: OrderId,
    amount: Money,
    paying: Paying,
    attempts: Vec<Tried>,
    refunds: Refunds,
    // In columns of their own.
    #[serde(skip)]
    pub(super) opened_at: DateTime<Utc>,
    #[serde(skip)]
    pub(super) version: i64,
    #[serde(skip)]
    pub(super) updated_at: DateTime<Utc>,
}

/// One payment's events, in log order.
#[derive(Debug, Default)]
pub(crate) struct Folded(Option<(PaymentId, Payment)>);

impl Fold for Folded {
    type View = PaymentView;

    fn take(&mut self, recorded: &RecordedEvent) {
        if let Some((_, payment)) = &mut self.0 {
            payment.take(recorded);
        } else if let Some(payment) = Payment::opened(recorded) {
            let id = recorded.aggregate_id.parse().ok();
            self.0 = id.map(|id| (id, payment));
        }
    }

    fn view(&self) -> Result<Option<PaymentView>, Error> {
        Ok(self.0.clone().map(|(id, payment)| payment.view(id)))
    }
}

impl Payment {
    /// A payment from its first event; `None` for any other event.
    pub(super) fn opened(recorded: &RecordedEvent) -> Option<Self> {
        let Event::Payment(payment::Event::Opened(terms)) = &recorded.event else {
            return None;
        };
        let mut payment = Self {
            order_id: terms.order_id,
            amount: terms.amount,
            paying: Paying::default(),
            attempts: Vec::new(),
            refunds: Refunds::default(),
            opened_at: storable::instant(recorded.recorded_at),
            version: 0,
            updated_at: DateTime::UNIX_EPOCH,
        };
        payment.take(recorded);
        Some(payment)
    }

    /// Moves on by one event.
    pub(super) fn take(&mut self, recorded: &RecordedEvent) {
        use payment::Event as E;

        let Event::Payment(event) = &recorded.event else {
            return;
        };
        self.version = recorded.sequence;
        self.updated_at = storable::instant(recorded.recorded_at);
        self.paying.take(event);
        match event {
            E::Opened(_)
            | E::Voided
            | E::RefundAccepted { .. }
            | E::ChargedBack { .. }
            | E::ChargebackReversed { .. }
            | E::UnmatchedReceived(_) => {}
            E::AttemptStarted(attempt) => self.attempts.push(Tried::of(attempt)),
            E::AttemptAccepted { reference, provider_reference, next_step } => {
                self.answer(reference, AttemptState::Accepted, |tried| {
                    tried.provider_reference = Some(provider_reference.clone());
                    tried.next_step.clone_from(next_step);
                });
            }
            E::Captured { reference, provider_reference, assessment, .. } => {
                self.answer(reference, AttemptState::Captured, |tried| {
                    tried.provider_reference = Some(provider_reference.clone());
                    tried.assessment.clone_from(assessment);
                });
            }
            E::CapturedAgain { reference, provider_reference, .. } => {
                self.answer(reference, AttemptState::Captured, |tried| {
                    tried.provider_reference = Some(provider_reference.clone());
                });
            }
            E::Mismatched { reference, provider_reference, expected, received } => {
                self.answer(reference, AttemptState::Mismatched, |tried| {
                    tried.provider_reference = Some(provider_reference.clone());
                    tried.reason = Some(format!("{received} came in, not {expected}"));
                });
            }
            E::Misnamed { reference, named, .. } => {
                self.answer(reference, AttemptState::Mismatched, |tried| {
                    tried.reason = Some(format!("the provider spoke of {named}"));
                });
            }
            E::Declined { reference, reason } => {
                self.answer(reference, AttemptState::Declined, |tried| {
                    tried.reason = Some(reason.clone());
                });
            }
            E::RefundRequested { refund_id, amount_minor, reason, .. } => {
                self.refunds.ask(*refund_id, *amount_minor, reason);
            }
            E::Refunded { refund_id, .. } => self.refunds.settle(*refund_id),
            E::RefundFailed { refund_id, reason, .. }
            | E::RefundReturned { refund_id, reason, .. } => self.refunds.fail(*refund_id, reason),
        }
    }

    /// Where the money stands.
    pub(super) fn status(&self) -> PaymentStatus {
        self.paying.status()
    }

    /// The provider that was tried last, as an index holds it; none before the first try.
    pub(super) fn gateway(&self) -> Option<String> {
        let last = self.attempts.last();
        last.map(|tried| storable::key(&tried.gateway))
    }

    /// How it was tried last.
    pub(super) fn method(&self) -> Option<&'static str> {
        self.attempts.last().map(|tried| name_of(tried.method))
    }

    pub(super) fn from_row(row: &PgRow) -> Result<Self, Error> {
        let payment: Self = serde_json::from_str(row.try_get("payment")?)?;
        Ok(Self {
            opened_at: row.try_get("opened_at")?,
            version: row.try_get("version")?,
            updated_at: row.try_get("updated_at")?,
            ..payment
        })
    }

    pub(super) fn view(self, id: PaymentId) -> PaymentView {
        let money = |minor| MoneyView::of(minor, self.amount.currency);
        PaymentView {
            payment_id: id,
            order_id: self.order_id,
            amount: self.amount.into(),
            status: self.status(),
            captured: money(self.paying.captured_minor),
            refunded: money(self.paying.refunded_minor),
            pending_refunds: money(self.refunds.pending_minor()),
            charged_back: self.paying.charged_back(self.amount.currency),
            refunds: self.refunds.view(self.amount.currency),
            attempts: self.attempts.into_iter().map(Tried::view).collect(),
            version: self.version,
            opened_at: self.opened_at,
            updated_at: self.updated_at,
        }
    }

    fn answer(&mut self, reference: &str, state: AttemptState, with: impl Fn(&mut Tried)) {
        for tried in &mut self.attempts {
            if tried.reference == reference {
                tried.state = state;
                // What an earlier answer gave as its reason or asked for is overtaken.
                tried.reason = None;
                tried.next_step = None;
                with(tried);
            }
        }
    }
}

/// The name in answers and rows.
pub(super) fn name_of(method: PaymentMethod) -> &'static str {
    let named = PaymentMethod::NAMES.iter().find(|(_, it)| *it == method);
    named.expect("every method is in the list").0
}

impl Tried {
    fn of(attempt: &Attempt) -> Self {
        Self {
            reference: attempt.reference.clone(),
            method: attempt.choice.method,
            gateway: attempt.choice.gateway.clone(),
            state: AttemptState::Awaited,
            provider_reference: None,
            next_step: None,
            reason: None,
            assessment: None,
            started_at: attempt.started_at,
            routed_by: attempt.choice.routed_by,
            instead_of: attempt.instead_of.clone(),
        }
    }

    fn view(self) -> AttemptView {
        let Assessment { risk, card_country, fingerprint, .. } =
            self.assessment.unwrap_or_default();
        AttemptView {
            risk,
            card_country,
            fingerprint,
            reference: self.reference,
            method: self.method,
            gateway: self.gateway,
            status: self.state,
            provider_reference: self.provider_reference,
            next_step: self.next_step.map(Into::into),
            reason: self.reason,
            started_at: self.started_at,
            routed_by: self.routed_by,
            instead_of: self.instead_of,
        }
    }
}
