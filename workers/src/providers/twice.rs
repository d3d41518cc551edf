//! A second payment under a name that has brought money once: whoever comes back to a provider's page
//! may pay again, and the provider then has two payments under one reference of ours.
//!
//! The attempt has brought its money, so that nothing which is said of its reference changes it. What
//! came in beside it is nobody's, and goes back like any other unmatched money ([`crate::unmatched`]).

use domain::ids::PaymentId;
use domain::payment::{AttemptState, Outcome, Tried};
use gateways::gateway::Found;
use store::command::ExecuteError;

use super::Providers;
use super::calls::in_time;

/// Whether a payment that a provider calls by this name is another than the attempt has brought, be that
/// counted or not.
pub(crate) fn is_another(tried: &Tried, provider_reference: &str) -> bool {
    let is_over = match tried.state {
        AttemptState::Captured | AttemptState::Mismatched => true,
        AttemptState::Awaited | AttemptState::Accepted | AttemptState::Declined => false,
    };
    let named = tried.provider_reference.as_deref();
    is_over && named.is_some_and(|named| named != provider_reference)
}

impl Providers {
    /// Why staff have to look at what a webhook tells of an attempt: money has come in by it a second
    /// time. Nothing if it has not; `Err` in the answer if the provider says nothing.
    pub(crate) async fn second_payment(
        &self,
        payment_id: PaymentId,
        reference: &str,
        provider_reference: &str,
    ) -> Result<Result<Option<String>, Silence>, ExecuteError> {
        let attempt = self.attempt_like(payment_id, reference, provider_reference);
        let Some((errand, has_counted)) = attempt.await? else {
            return Ok(Ok(None));
        };
        let Some(call) = errand.gateway.verify_one(&errand.what, provider_reference) else {
            return Ok(Ok(None));
        };
        Ok(match in_time(errand.gateway.name(), call).await {
            Some(Found::Said(Outcome::Captured {
                received, provider_reference: named, ..
            })) if named == provider_reference => {
                let beside = if has_counted {
                    "beside what it had brought: it was paid twice"
                } else {
                    "under another name than the attempt's own money has, which no order counts"
                };
                Ok(Some(format!("{received} came in for {reference} {beside}")))
            }
            Some(Found::Said(_) | Found::NeverHeard) => Ok(None),
            None => Err(Silence),
        })
    }
}

/// The provider does not answer.
pub(crate) struct Silence;
