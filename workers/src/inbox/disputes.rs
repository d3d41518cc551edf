//! Webhooks about disputes: where the money is, the provider is asked; the rest is for people.

use domain::ids::PaymentId;
use domain::payment::Payment;
use gateways::gateway::{Dispute, Gateway};
use store::command::ExecuteError;

use super::{Inbox, Taken, Worked};
use crate::providers::Providers;
use crate::providers::disputes::Asked;
use crate::unmatched::Kept;
use crate::{references, unmatched};

/// Tries before a person is told without the provider's answer where the bank waits for one: about half
/// a minute, because it has to be given within days, and some providers count in hours.
const TRIES_MAX: i32 = 5;

pub(super) async fn work_on(
    inbox: &Inbox,
    providers: &Providers,
    gateway: &dyn Gateway,
    taken: &Taken,
    (key, dispute): (&str, Dispute),
) -> Worked {
    let (payment_id, reference) = match whose(inbox, gateway, taken, &dispute).await {
        Ok(Some(found)) => found,
        Ok(None) => return Worked::Parked(None, dispute.what),
        Err(why) => return later(taken, None, &dispute, &why.to_string()),
    };
    let Some(name) = &dispute.name else {
        return Worked::Parked(Some(payment_id), dispute.what);
    };
    let asked = providers
        .ask_about_dispute(payment_id, &reference, name, key)
        .await;
    // Of an order's money its process calls staff; of nobody's, only this webhook tells them.
    let is_told = match &asked {
        Ok(Asked::TakenDown) => is_an_orders(providers, payment_id).await,
        Ok(Asked::Untouched | Asked::Uncounted(_) | Asked::Silence) | Err(_) => Ok(true),
    };
    match (asked, is_told) {
        (Ok(Asked::TakenDown | Asked::Untouched), Ok(true)) if !dispute.is_for_staff => {
            Worked::Done(Some(payment_id))
        }
        (Ok(Asked::TakenDown | Asked::Untouched), Ok(_)) => {
            Worked::Parked(Some(payment_id), dispute.what)
        }
        (Ok(Asked::Uncounted(why)), _) => {
            Worked::Parked(Some(payment_id), format!("{}; {why}", dispute.what))
        }
        (Ok(Asked::Silence), _) => {
            later(taken, Some(payment_id), &dispute, "the provider does not answer")
        }
        (Err(error), _) | (_, Err(error)) => Worked::Later(error.to_string()),
    }
}

/// Whose the money is, and what it is called: some providers name it in their own way only.
async fn whose(
    inbox: &Inbox,
    gateway: &dyn Gateway,
    taken: &Taken,
    dispute: &Dispute,
) -> Result<Option<(PaymentId, String)>, Kept> {
    let reference = match (&dispute.reference, &dispute.provider_reference) {
        (Some(reference), _) => Some(reference.clone()),
        (None, Some(named)) => unmatched::named(gateway, named, taken.received_at).await?,
        (None, None) => None,
    };
    let Some(reference) = reference else {
        return Ok(None);
    };
    let payment_id = references::payment_of(&inbox.pool, gateway.name(), &reference).await?;
    Ok(payment_id.map(|payment_id| (payment_id, reference)))
}

async fn is_an_orders(providers: &Providers, payment_id: PaymentId) -> Result<bool, ExecuteError> {
    let (payment, _) = providers
        .journal
        .load::<Payment>(&payment_id.to_string())
        .await?;
    Ok(payment.unmatched().is_none())
}

fn later(taken: &Taken, payment_id: Option<PaymentId>, dispute: &Dispute, why: &str) -> Worked {
    if dispute.is_urgent && TRIES_MAX <= taken.tries_now() {
        return Worked::Parked(payment_id, format!("{}; {why}", dispute.what));
    }
    Worked::Later(why.to_owned())
}
