//! Whether the log and a provider say the same, as tables of how something stands there and here.

use domain::attempt::{AttemptState, Outcome, Tried};
use domain::ids::{PaymentId, RefundId};
use domain::money::{Currency, Money};
use domain::payment::{Brought, Payment, RefundState};
use gateways::gateway::{Found, PaybackOutcome};
use gateways::listing::{Standing, Transaction, What};
use store::command::ExecuteError;

use super::{Kind, refund_named};
use crate::providers::Providers;
use crate::providers::twice::is_another;

/// A name of ours that a provider has for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Attempt(String),
    Refund(RefundId),
}

impl Name {
    /// The name in what is listed, if it can be one of ours.
    pub(super) fn of(listed: &Transaction) -> Option<Self> {
        let reference = listed.reference.as_deref()?;
        match listed.what {
            What::Payment => Some(Self::Attempt(reference.to_owned())),
            What::Refund => refund_named(reference).map(Self::Refund),
        }
    }

    pub(super) fn what(&self) -> What {
        match self {
            Self::Attempt(_) => What::Payment,
            Self::Refund(_) => What::Refund,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Attempt(reference) => reference.clone(),
            Self::Refund(refund_id) => refund_id.to_string(),
        }
    }

    /// The name beside those of the other kind.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.what().name(), self.text())
    }

    /// The attempt that the money takes.
    pub(super) fn through<'p>(&self, payment: &'p Payment) -> Option<&'p Tried> {
        match self {
            Self::Attempt(reference) => payment.attempt(reference),
            Self::Refund(refund_id) => match payment.refund_of(*refund_id)?.brought {
                Brought::Attempt(tried) => Some(tried),
                Brought::Unmatched(_) => None,
            },
        }
    }

    pub(super) fn provider_reference(&self, payment: &Payment) -> Option<String> {
        match self {
            Self::Attempt(reference) => payment.attempt(reference)?.provider_reference.clone(),
            Self::Refund(refund_id) => {
                let refund = payment.refund_of(*refund_id)?;
                refund.provider_reference.map(ToOwned::to_owned)
            }
        }
    }
}

/// Whether they say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Agrees,
    /// The log's payment says something else.
    Differs {
        kind: Kind,
        here: String,
    },
    /// The money is nobody's.
    Nobodys {
        kind: Kind,
        here: String,
    },
}

/// Something that the provider lists, and the payment of ours that it names.
pub(super) fn judge(
    listed: &Transaction,
    name: &Name,
    payment: &Payment,
    has_provider_names: bool,
) -> Verdict {
    // Nobody asked for it, and staff are giving it back: the log has it from the provider itself.
    if payment.unmatched().is_some() {
        return Verdict::Agrees;
    }
    let Some(terms) = payment.terms() else {
        return judge_unknown(listed);
    };
    match name {
        Name::Attempt(reference) => match payment.attempt(reference) {
            Some(tried)
                if has_provider_names
                    && listed.standing == Standing::Succeeded
                    && is_another(tried, &listed.provider_reference) =>
            {
                Verdict::Nobodys {
                    kind: Kind::UnknownMoney,
                    here: "another payment under the same reference".to_owned(),
                }
            }
            Some(tried) => judge_attempt(listed, tried, payment, terms.amount),
            None => judge_unknown(listed),
        },
        Name::Refund(refund_id) => judge_refund(listed, *refund_id, payment, terms.amount.currency),
    }
}

fn judge_attempt(
    listed: &Transaction,
    tried: &Tried,
    payment: &Payment,
    expected: Money,
) -> Verdict {
    use AttemptState as A;
    use Standing as S;

    let there = listed.money(expected.currency);
    let here = Money { minor: tried.received_minor, ..expected };
    let differs = |kind| Verdict::Differs { kind, here: here_of(tried, expected) };
    match (listed.standing, tried.state) {
        // That it is another currency is what the log says as well; it cannot say how much.
        (S::Succeeded, A::Mismatched)
            if there.is_some_and(|there| there.currency != expected.currency) =>
        {
            Verdict::Agrees
        }
        (S::Succeeded, A::Captured | A::Mismatched) => match unequal(there, here) {
            Some(kind) => differs(kind),
            None => Verdict::Agrees,
        },
        (S::Succeeded, A::Awaited | A::Accepted | A::Declined) => {
            differs(unequal(there, expected).unwrap_or(Kind::MissingInLog))
        }
        (S::Reversed, A::Captured | A::Mismatched) => {
            if payment.refundable_minor() < payment.captured_minor() {
                // What goes back through us is reversed there.
                Verdict::Agrees
            } else {
                differs(Kind::StateDiffers)
            }
        }
        (S::Failed | S::Reversed, A::Awaited | A::Accepted) => differs(Kind::StateDiffers),
        // A try that came to nothing beside one that brought money; if there is none such, the log's
        // money is missed there in the end.
        (S::Failed, A::Captured | A::Mismatched)
        | (S::Failed | S::Reversed, A::Declined)
        | (S::Pending | S::Unknown, _) => Verdict::Agrees,
    }
}

fn judge_refund(
    listed: &Transaction,
    refund_id: RefundId,
    payment: &Payment,
    currency: Currency,
) -> Verdict {
    use RefundState as R;
    use Standing as S;

    let Some(refund) = payment.refund_of(refund_id) else {
        return judge_unknown(listed);
    };
    let (there, expected) =
        (listed.money(currency), Money { minor: refund.amount_minor, currency });
    let here = here(&Name::Refund(refund_id), payment);
    let differs = |kind| Verdict::Differs { kind, here };
    match (listed.standing, refund.state) {
        (S::Succeeded, R::Settled) => match unequal(there, expected) {
            Some(kind) => differs(kind),
            None => Verdict::Agrees,
        },
        (S::Succeeded, R::Pending) => {
            differs(unequal(there, expected).unwrap_or(Kind::MissingInLog))
        }
        (S::Succeeded, R::Failed) | (S::Failed | S::Reversed, R::Pending) => {
            differs(Kind::StateDiffers)
        }
        (S::Failed | S::Reversed, R::Settled | R::Failed) | (S::Pending | S::Unknown, _) => {
            Verdict::Agrees
        }
    }
}

/// Something that names nothing of ours: money that has moved is somebody's.
pub(super) fn judge_unknown(listed: &Transaction) -> Verdict {
    match listed.standing {
        Standing::Succeeded => Verdict::Nobodys {
            kind: match listed.what {
                What::Payment => Kind::UnknownMoney,
                What::Refund => Kind::UnknownRefund,
            },
            here: "nothing".to_owned(),
        },
        Standing::Pending | Standing::Failed | Standing::Reversed | Standing::Unknown => {
            Verdict::Agrees
        }
    }
}

fn unequal(there: Option<Money>, here: Money) -> Option<Kind> {
    match there {
        Some(there) if there == here => None,
        Some(there) if there.currency != here.currency => Some(Kind::CurrencyDiffers),
        Some(_) | None => Some(Kind::AmountDiffers),
    }
}

/// What a provider says about money of the log that it did not list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    OfAttempt(Found<Outcome>),
    OfRefund(Found<PaybackOutcome>),
    Nothing,
}

/// Asks, and changes nothing.
pub(super) async fn ask(
    providers: &Providers,
    payment_id: PaymentId,
    name: &Name,
) -> Result<Said, ExecuteError> {
    Ok(match name {
        Name::Attempt(reference) => {
            let said = providers.hear_of_attempt(payment_id, reference).await?;
            said.map_or(Said::Nothing, Said::OfAttempt)
        }
        Name::Refund(refund_id) => {
            let said = providers.hear_of_refund(payment_id, *refund_id).await?;
            said.map_or(Said::Nothing, Said::OfRefund)
        }
    })
}

/// Money of the log that was not listed; `None` if the provider has it all the same, as what was
/// made before the first day and paid on it. A statement has to have it.
pub(super) fn judge_missing(
    said: &Said,
    name: &Name,
    payment: &Payment,
    is_of_lists: bool,
) -> Option<(Kind, String)> {
    let expected = payment.terms()?.amount;
    let tried = name.through(payment)?;
    if let Name::Refund(refund_id) = name
        && payment.refund_of(*refund_id)?.state == RefundState::Failed
    {
        // It was paid out, and the log has it that it came back.
        return None;
    }
    let missing = |there: &str| Some((Kind::MissingAtProvider, there.to_owned()));
    let only_in_statement = || {
        (!is_of_lists).then(|| {
            let there = "not in the statement; the provider has it".to_owned();
            (Kind::MissingAtProvider, there)
        })
    };
    match said {
        Said::Nothing => missing("not listed, and no answer"),
        Said::OfAttempt(Found::NeverHeard) | Said::OfRefund(Found::NeverHeard) => {
            missing("never heard of it")
        }
        Said::OfAttempt(Found::Said(Outcome::Captured { received, .. })) => {
            let here = Money { minor: tried.received_minor, ..expected };
            let is_known_to_differ =
                tried.state == AttemptState::Mismatched && received.currency != expected.currency;
            match unequal(Some(*received), here) {
                Some(kind) if !is_known_to_differ => Some((kind, format!("captured {received}"))),
                Some(_) | None => only_in_statement(),
            }
        }
        Said::OfAttempt(Found::Said(Outcome::Accepted { .. }))
        | Said::OfRefund(Found::Said(
            PaybackOutcome::Pending { .. } | PaybackOutcome::NeedsStaff { .. },
        )) => Some((Kind::StateDiffers, "pending".to_owned())),
        Said::OfAttempt(Found::Said(Outcome::Declined { reason })) => {
            Some((Kind::StateDiffers, format!("declined: {reason}")))
        }
        Said::OfAttempt(Found::Said(Outcome::Misnamed { named, received, .. })) => {
            Some((Kind::StateDiffers, format!("misnamed: {received} for {named}")))
        }
        Said::OfRefund(Found::Said(PaybackOutcome::Settled { .. })) => only_in_statement(),
        Said::OfRefund(Found::Said(PaybackOutcome::Failed { reason })) => {
            Some((Kind::StateDiffers, format!("failed: {reason}")))
        }
    }
}

/// What the provider lists, in a few words.
pub(super) fn there(listed: &Transaction) -> String {
    let currency = listed.currency.map(Currency::code).unwrap_or_default();
    let words = [listed.standing.name(), &listed.amount, currency];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// What the log has, in a few words.
pub(super) fn here(name: &Name, payment: &Payment) -> String {
    let Some(expected) = payment.terms().map(|terms| terms.amount) else {
        return "nothing".to_owned();
    };
    match name {
        Name::Attempt(reference) => payment
            .attempt(reference)
            .map_or_else(|| "nothing".to_owned(), |tried| here_of(tried, expected)),
        Name::Refund(refund_id) => match payment.refund_of(*refund_id) {
            Some(refund) => {
                let state = match refund.state {
                    RefundState::Pending => "pending",
                    RefundState::Settled => "paid out",
                    RefundState::Failed => "failed",
                };
                let amount = Money { minor: refund.amount_minor, ..expected };
                format!("{state} {amount}")
            }
            None => "nothing".to_owned(),
        },
    }
}

fn here_of(tried: &Tried, expected: Money) -> String {
    let received = Money { minor: tried.received_minor, ..expected };
    match tried.state {
        AttemptState::Awaited => format!("awaited {expected}"),
        AttemptState::Accepted => format!("accepted {expected}"),
        AttemptState::Declined => format!("declined {expected}"),
        AttemptState::Captured => format!("captured {received}"),
        AttemptState::Mismatched => format!("mismatched {received}"),
    }
}

#[cfg(test)]
#[path = "judging_tests.rs"]
mod tests;
