//! Money that is to go back: asked for, asked about, and asked about once more when somebody says that
//! something has become of it.
//!
//! What the call that asks for it says is about that call: once the refund is paid out, a late no is no
//! news. That what was paid out has come back is believed only of a provider that was asked afterwards.

use std::sync::Arc;

use domain::ids::{OrderId, PaymentId, RefundId};
use domain::money::Money;
use domain::payment::{self, Brought, Payment, RefundState};
use gateways::gateway::{Found, Gateway, Payback, PaybackOutcome};
use store::command::ExecuteError;

use super::Providers;
use super::calls::{Errand, Step, in_time};
use super::lanes::Why;
use crate::derived::{self, Cause};
use crate::unmatched;

/// A refund, as its provider knows it and as the log has it.
pub(super) struct Owed {
    pub(super) order_id: OrderId,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) what: Payback,
    pub(super) state: RefundState,
}

impl Providers {
    /// Asks for a refund, or what became of it. Whether it stays open.
    pub(super) async fn ask_for_refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        why: &Why,
    ) -> Result<bool, ExecuteError> {
        if let Some(owed) = self.payback(payment_id, refund_id, is_pending).await? {
            let answer = match why {
                Why::Event { .. } | Why::Late => self.refund(&owed).await,
                Why::Silence { .. } => self.refund_status(&owed).await,
            };
            if let Some(answer) = &answer {
                self.call_staff_about_refund(&owed, answer).await?;
            }
            if let Some(command) = answer.and_then(|answer| said_of_refund(refund_id, answer)) {
                let said = format!("{command:?}");
                let (cause, name) = why.step("refunded", refund_id.0, &said);
                let order_id = owed.order_id;
                let step = Step { payment_id, order_id, cause: &cause, name: &name };
                self.tell(step, command).await?;
            }
        }
        self.is_open(payment_id, why, |payment| payment.pending_refund(refund_id).is_some())
            .await
    }

    /// Asks what became of a refund because somebody said that something had. Whether there is an answer
    /// in the log now, or none is needed.
    pub(crate) async fn ask_again_about_refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        key: &str,
    ) -> Result<bool, ExecuteError> {
        // What has been paid out may come back from the customer's bank, days later.
        let is_open = |state| state != RefundState::Failed;
        let Some(owed) = self.payback(payment_id, refund_id, is_open).await? else {
            return Ok(true);
        };
        let answer =
            match in_time(owed.gateway.name(), owed.gateway.refund_status(&owed.what)).await {
                Some(Found::Said(answer)) => answer,
                // Nothing begins here either: its own call is on its way, or planned as a question.
                Some(Found::NeverHeard) => return Ok(true),
                None => return Ok(false),
            };
        self.call_staff_about_refund(&owed, &answer).await?;
        let now = self.payback(payment_id, refund_id, |_| true).await?;
        let command = match (now.map(|owed| owed.state), answer) {
            (Some(RefundState::Pending), answer) => said_of_refund(refund_id, answer),
            // It was paid out before its provider was asked: this is no late word of the call.
            (Some(RefundState::Settled), PaybackOutcome::Failed { reason })
                if owed.state == RefundState::Settled =>
            {
                Some(payment::Command::ReturnRefund { refund_id, reason })
            }
            // Meanwhile something else was said; whoever asks once more finds out which is newer.
            (Some(RefundState::Settled), PaybackOutcome::Failed { .. }) => return Ok(false),
            (Some(RefundState::Settled | RefundState::Failed) | None, _) => None,
        };
        if let Some(command) = command {
            let cause = Cause::named(derived::id(refund_id.0, key));
            let (order_id, name) = (owed.order_id, format!("{command:?}"));
            let step = Step { payment_id, order_id, cause: &cause, name: &name };
            self.tell(step, command).await?;
        }
        Ok(true)
    }

    /// Refunds through this attempt of which the provider may still say something else.
    pub(crate) async fn open_refunds(
        &self,
        payment_id: PaymentId,
        reference: &str,
    ) -> Result<Vec<RefundId>, ExecuteError> {
        let (payment, _) = self
            .journal
            .decided::<Payment>(&payment_id.to_string())
            .await?;
        let is_through = |refund_id: &RefundId| {
            let refund = payment.refund_of(*refund_id);
            refund.is_some_and(|refund| {
                refund.state != RefundState::Failed && refund.brought.reference() == reference
            })
        };
        Ok(payment.refunds().filter(is_through).collect())
    }

    /// What a provider says of a refund, whatever became of it, for whoever only wants to know; `None` if
    /// it says nothing.
    pub(crate) async fn hear_of_refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
    ) -> Result<Option<Found<PaybackOutcome>>, ExecuteError> {
        let Some(owed) = self.payback(payment_id, refund_id, |_| true).await? else {
            return Ok(None);
        };
        Ok(in_time(owed.gateway.name(), owed.gateway.refund_status(&owed.what)).await)
    }

    async fn refund(&self, owed: &Owed) -> Option<PaybackOutcome> {
        let Owed { gateway, what: payback, .. } = owed;
        // Whoever comes second asks again later.
        let _held = self.in_hand.take(payback.refund_id)?;
        let mut names = vec![payback.refund_id.to_string()];
        // Nobody's name until now: some providers tell of refunds by it.
        names.extend(unmatched::name_of(&payback.charge));
        for name in &names {
            self.make_known(gateway, payback.charge.payment_id, name)
                .await?;
        }
        in_time(gateway.name(), gateway.refund(payback)).await
    }

    async fn refund_status(&self, owed: &Owed) -> Option<PaybackOutcome> {
        match in_time(owed.gateway.name(), owed.gateway.refund_status(&owed.what)).await? {
            Found::Said(outcome) => Some(outcome),
            Found::NeverHeard => self.refund(owed).await,
        }
    }

    /// The refund as its provider knows it; `None` if nothing is to be asked any more.
    async fn payback(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        is_asked: impl Fn(RefundState) -> bool + Send,
    ) -> Result<Option<Owed>, ExecuteError> {
        let (payment, _) = self
            .journal
            .decided::<Payment>(&payment_id.to_string())
            .await?;
        let refund = payment.refund_of(refund_id);
        let Some(refund) = refund.filter(|refund| is_asked(refund.state)) else {
            return Ok(None);
        };
        let errand = match refund.brought {
            Brought::Attempt(tried) => self.charge_of(payment_id, &payment, tried).await?,
            Brought::Unmatched(money) => self.nobodys(payment_id, money),
        };
        Ok(errand.map(|Errand { order_id, gateway, what: charge, .. }| {
            let payback = Payback {
                refund_id,
                provider_reference: refund.provider_reference.map(ToOwned::to_owned),
                amount: Money { minor: refund.amount_minor, currency: charge.amount.currency },
                charge,
            };
            Owed { order_id, gateway, what: payback, state: refund.state }
        }))
    }
}

fn is_pending(state: RefundState) -> bool {
    state == RefundState::Pending
}

/// What there is to take down; nothing while the provider is undecided and has no name for it.
fn said_of_refund(refund_id: RefundId, answer: PaybackOutcome) -> Option<payment::Command> {
    match answer {
        PaybackOutcome::Pending { provider_reference } => {
            let provider_reference = provider_reference?;
            Some(payment::Command::AcceptRefund { refund_id, provider_reference })
        }
        PaybackOutcome::NeedsStaff { provider_reference, .. } => {
            Some(payment::Command::AcceptRefund { refund_id, provider_reference })
        }
        PaybackOutcome::Settled { provider_reference } => {
            Some(payment::Command::SettleRefund { refund_id, provider_reference })
        }
        PaybackOutcome::Failed { reason } => {
            Some(payment::Command::FailRefund { refund_id, reason })
        }
    }
}
