//! How an attempt begins: its provider is called; and, where that certainly did nothing, another is
//! asked instead.
//!
//! Nobody else is asked unless
//!
//! 1. a rule of routing chose the provider: whom the customer named is not exchanged for another;
//! 2. the provider has certainly not heard of the attempt. It is the first call under this
//!    reference, which is written down before it is made, and it was not sent, or turned away for
//!    our credentials; or the breaker is open, and no call was made. After a crash between a call
//!    and its answer nobody knows, so nobody else is asked; nor after a timeout, a broken connection
//!    or a 5xx: money may have moved;
//! 3. there is somebody who has not been tried for it, and time to pay.
//!
//! Whom is computed anew from rules and providers as they are by then: what an order was placed
//! under may be switched off, or away, when it is needed.

use std::sync::Arc;

use chrono::Utc;
use domain::attempt::Outcome;
use domain::ids::{PaymentId, attempt_reference};
use domain::payment::Attempt;
use domain::placing::PaymentChoice;
use gateways::gateway::{CallError, Gateway};
use gateways::routing::Wish;
use store::command::ExecuteError;

use super::Providers;
use super::calls::{Errand, timed};
use crate::derived;
use crate::references::{self, Heard};

/// What comes of it.
pub(super) enum Begun {
    /// The provider has answered.
    Said(Outcome),
    /// It did nothing, and this is to be tried in its place.
    Instead(Attempt),
    /// Nobody knows. It will be asked.
    Silence,
}

impl Providers {
    pub(super) async fn begin(&self, errand: &Errand) -> Result<Begun, ExecuteError> {
        let Errand { gateway, what: charge, .. } = errand;
        let name = gateway.name();
        let Some(heard) = self
            .make_known(gateway, charge.payment_id, &charge.reference)
            .await
        else {
            return Ok(Begun::Silence);
        };
        let now = Utc::now();
        let is_routed = !errand.tried_at.is_empty();
        let may_fall_back = is_routed && heard == Heard::Never && now <= charge.pay_by;
        let health = self.routing.health();
        if may_fall_back && !health.admits(name, now) {
            let instead = self.instead(errand).await?;
            // Where nobody else is left, it is tried all the same.
            if instead.is_some() {
                return Ok(self.not_heard(errand, instead).await);
            }
        }
        match timed(name, gateway.initialize(charge)).await {
            Ok(outcome) => {
                if let Some(condition) = health.answered(name, Utc::now()) {
                    self.routing.report(name, &condition).await;
                }
                Ok(Begun::Said(outcome))
            }
            Err(error) => {
                let condition = health.failed(name, Utc::now(), &error.to_string());
                self.routing.report(name, &condition).await;
                let did_nothing = match error {
                    CallError::NotSent { .. } | CallError::Unauthorised { .. } => true,
                    CallError::OutcomeUnknown { .. } => false,
                };
                if !may_fall_back || !did_nothing {
                    return Ok(Begun::Silence);
                }
                let instead = self.instead(errand).await?;
                Ok(self.not_heard(errand, instead).await)
            }
        }
    }

    /// Before a provider hears a name of ours it is written down whose it is, so that it is known
    /// by the time the provider speaks of it. `None` if that cannot be done now.
    pub(super) async fn make_known(
        &self,
        gateway: &Arc<dyn Gateway>,
        payment_id: PaymentId,
        reference: &str,
    ) -> Option<Heard> {
        if !gateway.takes_webhooks() {
            return Some(Heard::Perhaps);
        }
        let kept = references::keep(&self.pool, gateway.name(), reference, payment_id).await;
        if let Err(error) = &kept {
            tracing::warn!(payment.id = %payment_id, %error, "a provider is called later");
        }
        kept.ok()
    }

    /// Remembers that the provider did nothing, for whoever goes on after a crash.
    async fn not_heard(&self, errand: &Errand, instead: Option<Attempt>) -> Begun {
        let Errand { gateway, what: charge, .. } = errand;
        let (name, reference) = (gateway.name(), &charge.reference);
        if let Err(error) = references::was_not_heard(&self.pool, name, reference).await {
            tracing::warn!(gateway = name, %error, "that a provider was not reached is forgotten");
        }
        let Some(attempt) = instead else {
            return Begun::Silence;
        };
        let to = attempt.choice.gateway.clone();
        tracing::info!(payment.id = %charge.payment_id, from = name, to, "another provider is asked");
        metrics::counter!("daybook_gateway_fallbacks_total", "from" => name, "to" => to)
            .increment(1);
        Begun::Instead(attempt)
    }

    /// What is to be tried in place of an attempt, if there is anything left to try.
    async fn instead(&self, errand: &Errand) -> Result<Option<Attempt>, ExecuteError> {
        let charge = &errand.what;
        let country = self.routing.country_of(charge.order_id).await;
        let country = country.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
        let Some(country) = country else {
            return Ok(None);
        };
        let (amount, method) = (charge.amount, charge.method);
        // The token of one provider is not shown to another.
        let wish = Wish { amount, country: &country, method, token: None };
        let route = self.routing.route(&wish);
        // Without a rule there is nobody whom anybody chose.
        let Some(rule_id) = route.rule_id else {
            return Ok(None);
        };
        let is_left = |gateway: &&str| !errand.tried_at.iter().any(|tried| tried == gateway);
        let Some(gateway) = route.gateways.into_iter().find(is_left) else {
            return Ok(None);
        };
        // The same whoever decides it, and however often.
        let name = derived::id(charge.payment_id.0, &format!("instead of {}", charge.reference));
        Ok(Some(Attempt {
            reference: attempt_reference(name),
            choice: PaymentChoice {
                method,
                gateway: gateway.to_owned(),
                token: None,
                routed_by: Some(rule_id),
            },
            started_at: Utc::now(),
            instead_of: Some(charge.reference.clone()),
        }))
    }
}
