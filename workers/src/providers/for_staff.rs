//! What the log has of a payment, or a provider says of a refund, that only a person can settle.
//!
//! It is parked among the webhooks, where money can be given back, before the mark moves on or the
//! answer is taken down; so it is there whatever crashes, and whether a webhook, a poll or somebody who
//! looked brought it.

use domain::ids::PaymentId;
use domain::payment::{self, Payment};
use gateways::gateway::PaybackOutcome;
use serde_json::json;
use store::command::ExecuteError;

use super::Providers;
use super::refunds::Owed;
use crate::inbox::{ForStaff, Inbox, Names};
use crate::unmatched;

impl Providers {
    /// Parks money that an attempt brought and that its payment will never count, unless a webhook
    /// that told of it has brought it to staff, or will.
    pub(super) async fn call_staff(
        &self,
        payment_id: PaymentId,
        event: &payment::Event,
    ) -> Result<(), ExecuteError> {
        use payment::Event as E;
        if let E::RefundReturned { reason, .. } = event {
            // Of an order's money the checkout process calls them.
            let inbox = Inbox::new(self.pool.clone());
            let told = inbox.came_back(payment_id.0, reason).await;
            return told.map_err(|error| ExecuteError::Unavailable(error.to_string()));
        }
        let (E::Mismatched { reference, provider_reference, received, .. }
        | E::Misnamed { reference, provider_reference, received, .. }) = event
        else {
            return Ok(());
        };
        let (payment, _) = self
            .journal
            .load::<Payment>(&payment_id.to_string())
            .await?;
        let Some(tried) = payment
            .attempt(reference)
            .filter(|tried| unmatched::is_uncounted(tried))
        else {
            return Ok(());
        };
        let gateway = tried.attempt.choice.gateway.as_str();
        // Nobody can be asked there: staff themselves have said what came in.
        let takes_webhooks = |name: &str| {
            let gateway = self.registry.get(name);
            gateway.is_some_and(|gateway| gateway.takes_webhooks())
        };
        let inbox = Inbox::new(self.pool.clone());
        let unavailable = |error: sqlx::Error| ExecuteError::Unavailable(error.to_string());
        if !takes_webhooks(gateway)
            || inbox
                .is_with_staff(gateway, (reference, tried.provider_reference.as_deref()), None)
                .await
                .map_err(unavailable)?
        {
            return Ok(());
        }
        let body = json!({
            "kind": "not_counted", "reference": reference,
            "provider_reference": provider_reference,
            "amount": received.decimal(), "currency": received.currency.code(),
        });
        let names = Names {
            reference: Some(reference),
            provider_reference: tried.provider_reference.as_deref(),
        };
        let what = ForStaff {
            gateway,
            event_key: &format!("not counted {reference}"),
            body: &body,
            payment_id: Some(payment_id),
            names,
            reason: &unmatched::uncounted(reference),
        };
        inbox.park(&what).await.map_err(unavailable)
    }

    /// Parks a refund that goes no further without a person, once, whoever has asked and however often;
    /// when its provider has gone on, it waits for nobody any more.
    pub(super) async fn call_staff_about_refund(
        &self,
        owed: &Owed,
        answer: &PaybackOutcome,
    ) -> Result<(), ExecuteError> {
        let Owed { gateway, what: payback, .. } = owed;
        let (gateway, refund_id) = (gateway.name(), payback.refund_id);
        let event_key = format!("needs attention {refund_id}");
        let inbox = Inbox::new(self.pool.clone());
        let told = match answer {
            PaybackOutcome::NeedsStaff { provider_reference, what } => {
                let body = json!({
                    "kind": "refund_needs_attention", "refund_id": refund_id,
                    "provider_reference": provider_reference,
                    "amount": payback.amount.decimal(), "currency": payback.amount.currency.code(),
                });
                let waiting = ForStaff {
                    gateway,
                    event_key: &event_key,
                    body: &body,
                    payment_id: Some(payback.charge.payment_id),
                    // It goes already: giving it back as well would pay it out twice.
                    names: Names::default(),
                    reason: what,
                };
                inbox.park(&waiting).await
            }
            PaybackOutcome::Pending { .. }
            | PaybackOutcome::Settled { .. }
            | PaybackOutcome::Failed { .. } => inbox.waits_for_nobody(gateway, &event_key).await,
        };
        told.map_err(|error| ExecuteError::Unavailable(error.to_string()))
    }
}
