//! What Stripe answers, and what it means.

use domain::attempt::{NextStep, Outcome};
use domain::ids::RefundId;
use domain::money::{Currency, Money};
use domain::risk::{Assessment, Risk};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decimals;
use crate::amount;
use crate::gateway::{CallError, Charge, PaybackOutcome};
use crate::http::Reply;
use crate::reason::Reason;

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
}

/// What we wrote onto an object.
#[derive(Default, Deserialize)]
pub(super) struct Metadata {
    pub(super) reference: Option<String>,
    pub(super) refund_id: Option<String>,
}

/// A `PaymentIntent`.
#[derive(Deserialize)]
pub(super) struct Intent {
    id: String,
    status: IntentStatus,
    amount_received: i64,
    currency: String,
    #[serde(default)]
    metadata: Metadata,
    last_payment_error: Option<Failure>,
    next_action: Option<NextAction>,
    latest_charge: Option<Expanded<Settled>>,
}

/// A charge, as far as it tells of risk.
#[derive(Deserialize)]
struct Settled {
    outcome: Option<Judged>,
    payment_method_details: Option<Details>,
}

#[derive(Deserialize)]
struct Judged {
    risk_level: Option<String>,
}

#[derive(Deserialize)]
struct Details {
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    country: Option<String>,
    fingerprint: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Canceled,
    Succeeded,
    /// A status that did not exist when this was written.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct NextAction {
    redirect_to_url: Option<Redirect>,
}

#[derive(Deserialize)]
struct Redirect {
    url: Option<String>,
}

/// A Checkout Session.
#[derive(Deserialize)]
pub(super) struct Session {
    id: String,
    status: SessionStatus,
    url: Option<String>,
    client_reference_id: Option<String>,
    payment_intent: Option<Expanded<Intent>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SessionStatus {
    Open,
    Complete,
    Expired,
    #[serde(other)]
    Unknown,
}

/// An object, or just its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expanded<T> {
    Whole(Box<T>),
    Name(IgnoredAny),
}

/// A refund.
#[derive(Deserialize)]
pub(super) struct Refund {
    id: String,
    status: Option<RefundStatus>,
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RefundStatus {
    Pending,
    RequiresAction,
    Succeeded,
    Failed,
    Canceled,
    #[serde(other)]
    Unknown,
}

/// An answer that is no success.
#[derive(Deserialize)]
pub(super) struct Problem {
    error: Failure,
}

/// Why something failed.
#[derive(Deserialize)]
pub(super) struct Failure {
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
}

impl Intent {
    /// What it says about an attempt that names it by itself.
    pub(super) fn outcome(self, charge: &Charge, reply: &Reply) -> Result<Outcome, CallError> {
        let named = self.metadata.reference.clone().unwrap_or_default();
        if named != charge.reference {
            let received = self.received().ok_or_else(|| reply.unexpected())?;
            return Ok(Outcome::Misnamed { named, received, provider_reference: self.id });
        }
        match self.status {
            IntentStatus::Succeeded => {
                let received = self.received().ok_or_else(|| reply.unexpected())?;
                let assessment = self.assessment();
                Ok(Outcome::Captured { received, provider_reference: self.id, assessment })
            }
            IntentStatus::RequiresPaymentMethod => {
                // It was confirmed with the only payment method there was.
                let failure = self.last_payment_error.as_ref();
                Ok(failure
                    .map_or(Reason::Unspecified, Failure::reason)
                    .declines())
            }
            IntentStatus::Canceled => Ok(Reason::CustomerCancelled.declines()),
            IntentStatus::RequiresAction
            | IntentStatus::RequiresConfirmation
            | IntentStatus::Processing
            | IntentStatus::RequiresCapture => Ok(self.accepted()),
            IntentStatus::Unknown => Err(reply.unexpected()),
        }
    }

    /// What Radar makes of it (docs.stripe.com/radar/risk-evaluation).
    fn assessment(&self) -> Option<Assessment> {
        let Some(Expanded::Whole(charge)) = &self.latest_charge else {
            return None;
        };
        let judged = charge.outcome.as_ref();
        let level = judged.and_then(|judged| judged.risk_level.as_deref());
        let risk = match level {
            Some("normal") => Some(Risk::Normal),
            Some("elevated") => Some(Risk::Elevated),
            Some("highest") => Some(Risk::Highest),
            // `not_assessed`, `unknown`, and what there may be one day.
            _ => None,
        };
        let details = charge.payment_method_details.as_ref();
        let card = details.and_then(|details| details.card.as_ref());
        let card_country = card.and_then(|card| card.country.clone());
        let fingerprint = card.and_then(|card| card.fingerprint.clone());
        Assessment { risk, card_country, fingerprint, hold: false }.if_any()
    }

    fn accepted(self) -> Outcome {
        let redirect = self.next_action.and_then(|next| next.redirect_to_url);
        let next_step = redirect
            .and_then(|redirect| redirect.url)
            .map(|url| NextStep::Redirect { url });
        Outcome::Accepted { provider_reference: self.id, next_step }
    }

    fn received(&self) -> Option<Money> {
        let code = self.currency.to_uppercase();
        let currency: Currency = code.parse().ok()?;
        amount::from_units(self.amount_received, decimals(&code), currency)
    }
}

impl Session {
    /// What it says about an attempt. While it is open, a card that was declined is no end: the
    /// customer may take another one on the same page.
    pub(super) fn outcome(self, charge: &Charge, reply: &Reply) -> Result<Outcome, CallError> {
        let named = self.client_reference_id.as_deref().unwrap_or_default();
        if named != charge.reference {
            // Not even the page is ours, so that nothing on it can be ours either.
            return Err(reply.unexpected());
        }
        let accepted = |url: Option<String>| Outcome::Accepted {
            provider_reference: self.id.clone(),
            next_step: url.map(|url| NextStep::Redirect { url }),
        };
        match (self.status, self.payment_intent) {
            (SessionStatus::Open, _) => Ok(accepted(self.url)),
            (SessionStatus::Expired, _) => Ok(Reason::Expired.declines()),
            (SessionStatus::Complete, Some(Expanded::Whole(intent))) => {
                intent.outcome(charge, reply)
            }
            // Only a session that has just been made is not expanded.
            (SessionStatus::Complete, Some(Expanded::Name(_)) | None) => Ok(accepted(None)),
            (SessionStatus::Unknown, _) => Err(reply.unexpected()),
        }
    }
}

impl Refund {
    pub(super) fn outcome(&self) -> PaybackOutcome {
        let provider_reference = self.id.clone();
        let failed = |status: &str| PaybackOutcome::Failed {
            reason: self
                .failure_reason
                .clone()
                .unwrap_or_else(|| status.to_owned()),
        };
        match self.status {
            Some(RefundStatus::Succeeded) => PaybackOutcome::Settled { provider_reference },
            Some(RefundStatus::Failed) => failed("failed"),
            Some(RefundStatus::Canceled) => failed("canceled"),
            Some(RefundStatus::RequiresAction) => {
                let what = "Stripe waits for the customer (requires_action) before it pays a \
                            refund out"
                    .to_owned();
                PaybackOutcome::NeedsStaff { provider_reference, what }
            }
            Some(RefundStatus::Pending | RefundStatus::Unknown) | None => {
                PaybackOutcome::Pending { provider_reference: Some(provider_reference) }
            }
        }
    }

    pub(super) fn is_named(&self, refund_id: RefundId) -> bool {
        self.metadata.refund_id.as_deref() == Some(refund_id.to_string().as_str())
    }
}

impl Problem {
    pub(super) fn reason(&self) -> Reason {
        self.error.reason()
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let Failure { code, message, .. } = &self.error;
        let said = message.as_deref().or(code.as_deref());
        said.unwrap_or("Stripe said no more").to_owned()
    }
}

impl Failure {
    /// Decline codes of docs.stripe.com/declines/codes, error codes of docs.stripe.com/error-codes.
    fn reason(&self) -> Reason {
        let code = self.decline_code.as_deref().or(self.code.as_deref());
        match code.unwrap_or_default() {
            "insufficient_funds" => Reason::InsufficientFunds,
            "expired_card" => Reason::CardExpired,
            "incorrect_cvc"
            | "invalid_cvc"
            | "incorrect_number"
            | "invalid_number"
            | "incorrect_zip"
            | "incorrect_address"
            | "invalid_expiry_month"
            | "invalid_expiry_year"
            | "resource_missing"
            | "incorrect_pin" => Reason::IncorrectDetails,
            "authentication_required"
            | "payment_intent_authentication_failure"
            | "authentication_not_handled" => Reason::AuthenticationFailed,
            "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" | "pin_try_exceeded" => {
                Reason::LimitExceeded
            }
            "fraudulent" | "lost_card" | "stolen_card" | "merchant_blacklist" | "pickup_card"
            | "restricted_card" | "security_violation" => Reason::SuspectedFraud,
            "transaction_not_allowed" | "not_permitted" | "service_not_allowed" => {
                Reason::NotPermitted
            }
            "currency_not_supported"
            | "card_not_supported"
            | "invalid_amount"
            | "amount_too_small"
            | "amount_too_large" => Reason::NotSupported,
            "processing_error"
            | "issuer_not_available"
            | "try_again_later"
            | "reenter_transaction" => Reason::ProviderError,
            "card_declined"
            | "generic_decline"
            | "do_not_honor"
            | "call_issuer"
            | "no_action_taken"
            | "revocation_of_authorization"
            | "stop_payment_order" => Reason::Declined,
            _ => Reason::Unspecified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decline_code_has_a_reason_of_ours() {
        for (code, reason) in [
            ("insufficient_funds", Reason::InsufficientFunds),
            ("expired_card", Reason::CardExpired),
            ("incorrect_cvc", Reason::IncorrectDetails),
            ("resource_missing", Reason::IncorrectDetails),
            ("authentication_required", Reason::AuthenticationFailed),
            ("card_velocity_exceeded", Reason::LimitExceeded),
            ("stolen_card", Reason::SuspectedFraud),
            ("transaction_not_allowed", Reason::NotPermitted),
            ("currency_not_supported", Reason::NotSupported),
            ("try_again_later", Reason::ProviderError),
            ("do_not_honor", Reason::Declined),
            ("of_another_year", Reason::Unspecified),
        ] {
            let said = |of: &str| {
                let error = format!(r#"{{"error": {of}}}"#);
                serde_json::from_str::<Problem>(&error).unwrap().reason()
            };
            let finer = format!(r#"{{"code": "card_declined", "decline_code": "{code}"}}"#);
            assert_eq!(said(&finer), reason, "{code}");
            assert_eq!(said(&format!(r#"{{"code": "{code}"}}"#)), reason, "{code}");
        }
    }

    #[test]
    fn a_problem_says_something_to_people_in_any_case() {
        let words = |error: &str| serde_json::from_str::<Problem>(error).unwrap().words();
        assert_eq!(
            words(r#"{"error": {"code": "a", "message": "No such charge"}}"#),
            "No such charge"
        );
        assert_eq!(
            words(r#"{"error": {"code": "charge_already_refunded"}}"#),
            "charge_already_refunded"
        );
        assert_eq!(words(r#"{"error": {}}"#), "Stripe said no more");
    }

    #[test]
    fn only_a_refund_that_succeeded_is_paid_out() {
        let outcome = |status: &str| {
            let refund = format!(r#"{{"id": "re_1", "status": {status}}}"#);
            serde_json::from_str::<Refund>(&refund).unwrap().outcome()
        };
        let pending = PaybackOutcome::Pending { provider_reference: Some("re_1".to_owned()) };
        for undecided in ["null", r#""pending""#, r#""of_another_year""#] {
            assert_eq!(outcome(undecided), pending, "{undecided}");
        }
        let waiting = outcome(r#""requires_action""#);
        assert!(matches!(waiting, PaybackOutcome::NeedsStaff { .. }), "{waiting:?}");
        let settled = PaybackOutcome::Settled { provider_reference: "re_1".to_owned() };
        assert_eq!(outcome(r#""succeeded""#), settled);
        for failed in ["failed", "canceled"] {
            let reason = failed.to_owned();
            assert_eq!(outcome(&format!("{failed:?}")), PaybackOutcome::Failed { reason });
        }
    }
}
