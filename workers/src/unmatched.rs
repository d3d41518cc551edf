//! Money that came in and that no payment of ours asked for: found out about when staff want it to
//! go back.
//!
//! 1. A webhook is no truth, here neither: how much came in, and in which currency, is what the
//!    provider says when it is asked.
//! 2. The same money has the same payment, whichever of several webhooks tells of it: the payment is
//!    named after the provider and the provider's own name for the money. So it goes back once.
//! 3. That payment is correlated with itself. No order hears of it.

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::{OrderId, PaymentId};
use domain::money::{Currency, Money};
use domain::payment::{self, AttemptState, Outcome, Payment, Tried, Unmatched};
use domain::placing::PaymentMethod;
use gateways::gateway::{About, CALL_TIMEOUT, Charge, Delivery, Found, Gateway};
use gateways::registry::Registry;
use gateways::webhook::HeaderMap;
use sqlx::PgPool;
use store::command::ExecuteError;
use store::journal::Journal;
use store::recorded::RecordedEvent;
use uuid::{Uuid, uuid};

use crate::inbox::Webhook;
use crate::providers::twice::is_another;
use crate::references;

/// Of the names of such payments; changing it would let money go back a second time.
const NAMESPACE: Uuid = uuid!("3c1f7f0e-5a6b-5c55-9f0d-2b8f6f3a4d17");

/// Nobody's money, which may be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nobodys {
    /// Its payment; see invariant 2.
    pub payment_id: PaymentId,
    /// What came in.
    pub money: Unmatched,
}

/// Why the money of a webhook is not given back.
#[derive(Debug, thiserror::Error)]
pub enum Kept {
    /// It has not been worked on yet.
    #[error("this webhook is still being worked on; ask again in a moment")]
    TooEarly,
    /// Its provider cannot be asked.
    #[error("{gateway} is switched off, so that it cannot be asked; set its credentials")]
    Off {
        /// Which.
        gateway: String,
    },
    /// Staff have closed it.
    #[error(
        "this webhook is resolved; have it worked off again (retry) if its money is to go back \
         after all"
    )]
    Resolved,
    /// It tells of something else.
    #[error("this webhook does not tell of money that came in")]
    WithoutMoney,
    /// It is an order's.
    #[error("this money belongs to payment {payment_id}; refund its order instead")]
    Ours {
        /// Whose.
        payment_id: PaymentId,
    },
    /// The provider knows of no such money.
    #[error("{gateway} knows of no such payment")]
    NotFound {
        /// Which provider.
        gateway: String,
    },
    /// It has not come in, or is not there any more.
    #[error("{gateway} has not captured this money, or has given it back already: {what}")]
    NotCaptured {
        /// Which provider.
        gateway: String,
        /// What it says.
        what: String,
    },
    /// The provider gives no answer.
    #[error("{gateway} does not answer; try again later")]
    Silent {
        /// Which.
        gateway: String,
    },
    /// Our own database does not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Our own log does not answer.
    #[error(transparent)]
    Journal(#[from] ExecuteError),
}

/// Finds out about the money that a webhook tells of.
pub async fn look_into(
    pool: &PgPool,
    journal: &Journal,
    registry: &Registry,
    webhook: &Webhook,
) -> Result<Nobodys, Kept> {
    if webhook.state == "received" {
        return Err(Kept::TooEarly);
    }
    if webhook.state == "resolved" {
        return Err(Kept::Resolved);
    }
    let name = || webhook.gateway.clone();
    let gateway = registry.get(&webhook.gateway);
    let gateway = gateway.ok_or_else(|| Kept::Off { gateway: name() })?;
    let Told { charge, second } = told(pool, journal, gateway.as_ref(), webhook).await?;
    let call = match &second {
        None => gateway.verify(&charge),
        // Asked by its reference, the provider would speak of the order's own.
        Some(Second { name, payment_id }) => gateway
            .verify_one(&charge, name)
            .ok_or(Kept::Ours { payment_id: *payment_id })?,
    };
    let answer = tokio::time::timeout(CALL_TIMEOUT, call).await;
    let found = match answer {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(webhook.id = %webhook.webhook_id, %error, "whose money it is stays open");
            return Err(Kept::Silent { gateway: name() });
        }
        Err(_elapsed) => return Err(Kept::Silent { gateway: name() }),
    };
    let not_captured = |what: String| Kept::NotCaptured { gateway: name(), what };
    let (received, provider_reference) = match found {
        Found::NeverHeard => return Err(Kept::NotFound { gateway: name() }),
        Found::Said(Outcome::Captured { received, provider_reference, .. }) => {
            (received, provider_reference)
        }
        Found::Said(Outcome::Accepted { .. }) => return Err(not_captured("undecided".to_owned())),
        Found::Said(Outcome::Declined { reason }) => return Err(not_captured(reason)),
        Found::Said(Outcome::Misnamed { named, .. }) => {
            return Err(not_captured(format!("it speaks of {named:?}")));
        }
    };
    if let Some(Second { name, payment_id }) = second
        && name != provider_reference
    {
        return Err(Kept::Ours { payment_id });
    }
    if received.minor <= 0 || provider_reference.is_empty() {
        return Err(not_captured(format!("{received} under the name {provider_reference:?}")));
    }
    let money = Unmatched {
        gateway: webhook.gateway.clone(),
        reference: charge.reference,
        provider_reference,
        received,
        told_at: webhook.received_at,
    };
    Ok(Nobodys { payment_id: payment_of(&money.gateway, &money.provider_reference), money })
}

/// How the provider is to be asked about the money of a webhook.
struct Told {
    charge: Charge,
    /// Where it came in beside what an attempt of ours has brought.
    second: Option<Second>,
}

struct Second {
    /// The provider's name for it.
    name: String,
    payment_id: PaymentId,
}

/// How the provider is to be asked about the money that a webhook tells of.
async fn told(
    pool: &PgPool,
    journal: &Journal,
    gateway: &dyn Gateway,
    webhook: &Webhook,
) -> Result<Told, Kept> {
    let received_at = webhook.received_at;
    let (reference, provider_reference) =
        match (webhook.reference.clone(), webhook.provider_reference.clone()) {
            (None, None) => in_body(gateway, webhook)?,
            (reference, provider_reference) => (reference.unwrap_or_default(), provider_reference),
        };
    let charge = Charge { provider_reference, ..asking(&reference, received_at) };
    let Some(payment_id) = references::payment_of(pool, gateway.name(), &reference).await? else {
        return Ok(Told { charge, second: None });
    };
    let (payment, _) = journal.load::<Payment>(&payment_id.to_string()).await?;
    if payment.unmatched().is_some() {
        return Ok(Told { charge, second: None });
    }
    let Some(tried) = payment.attempt(&reference) else {
        return Err(Kept::Ours { payment_id });
    };
    let second = charge.provider_reference.clone();
    let second = second.filter(|name| is_another(tried, name));
    let second = second.map(|name| Second { name, payment_id });
    if second.is_none() && !is_uncounted(tried) {
        return Err(Kept::Ours { payment_id });
    }
    let provider_reference = match &second {
        Some(Second { name, .. }) => Some(name.clone()),
        None => tried.provider_reference.clone(),
    };
    let started_at = tried.attempt.started_at;
    Ok(Told { charge: Charge { provider_reference, started_at, ..charge }, second })
}

/// What the money is called in a webhook that came in before its names were kept beside it.
fn in_body(gateway: &dyn Gateway, webhook: &Webhook) -> Result<(String, Option<String>), Kept> {
    let (headers, received_at) = (HeaderMap::new(), webhook.received_at);
    let delivery = Delivery { headers: &headers, body: &webhook.body, received_at };
    let notice = gateway.parse_webhook_event(&delivery);
    // A refund or a dispute tells of money too, but of such as goes: giving that back as well would
    // pay it out twice.
    match notice.map(|notice| notice.about) {
        Ok(About::Attempt { reference, provider_reference }) => Ok((reference, provider_reference)),
        Ok(About::Unnamed { provider_reference, .. }) => {
            Ok((String::new(), Some(provider_reference)))
        }
        Ok(
            About::Refund { .. }
            | About::RefundsOf { .. }
            | About::Staff { .. }
            | About::Dispute(_)
            | About::Nothing,
        )
        | Err(_) => Err(Kept::WithoutMoney),
    }
}

/// What money is called by whoever asked for it that the provider calls by a name of its own; `None` if
/// it knows no such money, or no name for it. Asked by no name, it speaks of whichever it has.
pub(crate) async fn named(
    gateway: &dyn Gateway,
    provider_reference: &str,
    told_at: DateTime<Utc>,
) -> Result<Option<String>, Kept> {
    let silent = || Kept::Silent { gateway: gateway.name().to_owned() };
    let provider_reference = Some(provider_reference.to_owned());
    let charge = Charge { provider_reference, ..asking("", told_at) };
    let answer = tokio::time::timeout(CALL_TIMEOUT, gateway.verify(&charge)).await;
    match answer {
        Ok(Ok(Found::Said(Outcome::Misnamed { named, .. }))) => Ok(Some(named)),
        Ok(Ok(Found::Said(_) | Found::NeverHeard)) => Ok(None),
        Ok(Err(error)) => {
            tracing::warn!(%error, "whose money a dispute is about stays open");
            Err(silent())
        }
        Err(_elapsed) => Err(silent()),
    }
}

/// Why staff see money that an attempt brought and that no order counts.
pub(crate) fn uncounted(reference: &str) -> String {
    format!(
        "what came in for {reference} is in another currency than was asked for, or under another \
         name: no order counts it"
    )
}

/// Whether what it brought was another currency or another's, so that its order has failed and its
/// payment will never count it: nobody else gives it back.
pub(crate) fn is_uncounted(tried: &Tried) -> bool {
    tried.state == AttemptState::Mismatched && tried.received_minor == 0
}

/// Why the last refund of such a payment failed.
pub(crate) async fn failure(
    pool: &PgPool,
    payment_id: Uuid,
) -> Result<Option<String>, ExecuteError> {
    let events = store::log::of_aggregate(pool, "payment", &payment_id.to_string()).await;
    let events = events.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    Ok(events
        .iter()
        .rev()
        .find_map(|recorded| match &recorded.event {
            Event::Payment(
                payment::Event::RefundFailed { reason, .. }
                | payment::Event::RefundReturned { reason, .. },
            ) => Some(reason.clone()),
            _ => None,
        }))
}

/// Whether the payment of this event is no order's; see invariant 3.
pub(crate) fn is_no_orders(event: &RecordedEvent) -> bool {
    event.aggregate_id.parse() == Ok(event.metadata.correlation_id)
}

/// See invariant 2.
fn payment_of(gateway: &str, provider_reference: &str) -> PaymentId {
    let name = format!("{gateway}\n{provider_reference}");
    PaymentId(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

/// How a provider needs to know such money.
pub(crate) fn charge(payment_id: PaymentId, money: &Unmatched) -> Charge {
    let provider_reference = Some(money.provider_reference.clone());
    Charge {
        payment_id,
        order_id: OrderId(payment_id.0),
        provider_reference,
        amount: money.received,
        ..asking(&money.reference, money.told_at)
    }
}

/// What nobody's money is called there; `None` if it is an order's, or has no name.
pub(crate) fn name_of(charge: &Charge) -> Option<String> {
    let is_nobodys = charge.order_id.0 == charge.payment_id.0;
    (is_nobodys && !charge.reference.is_empty()).then(|| charge.reference.clone())
}

/// The same while nothing is known of it but a name. How and how much was to be paid is asked for
/// by whoever asks for money, and nobody does here.
fn asking(reference: &str, told_at: DateTime<Utc>) -> Charge {
    let currency: Currency = "XXX".parse().expect("ISO 4217 has a code for no currency");
    Charge {
        payment_id: PaymentId(Uuid::nil()),
        order_id: OrderId(Uuid::nil()),
        reference: reference.to_owned(),
        provider_reference: None,
        amount: Money { minor: 0, currency },
        method: PaymentMethod::CreditCard,
        token: None,
        payer: None,
        started_at: told_at,
        pay_by: told_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_money_has_the_same_payment_for_ever() {
        let id = payment_of("paystack", "4099260001");
        assert_eq!(id.to_string(), "71c1b19b-8d1f-5aac-9408-05c79bcb488a");
        assert_ne!(payment_of("paystack", "4099260002"), id);
        assert_ne!(payment_of("stripe", "4099260001"), id);
    }

    #[test]
    fn whoever_asks_about_it_asks_for_no_money() {
        let charge = asking("theirs", DateTime::UNIX_EPOCH);
        assert_eq!((charge.amount.minor, charge.amount.currency.code()), (0, "XXX"));
    }
}
