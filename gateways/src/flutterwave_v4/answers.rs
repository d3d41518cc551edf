//! What Flutterwave v4 answers, and what it means.

use chrono::{DateTime, Utc};
use domain::attempt::{NextStep, Outcome};
use domain::ids::RefundId;
use domain::money::{Currency, Money};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::amount;
use crate::gateway::{CallError, Charge, PaybackOutcome};
use crate::http::Reply;
use crate::listing::{Entry, Standing, Transaction, What};
use crate::reason::Reason;

/// Every answer that is a success.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) data: T,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Paged<T> {
    pub(super) data: Vec<T>,
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct PageInfo {
    total_pages: u64,
}

impl<T> Paged<T> {
    pub(super) fn pages(&self) -> u64 {
        self.meta.page_info.total_pages
    }
}

/// Every answer that is no success.
#[derive(Deserialize)]
pub(super) struct Refusal {
    error: Failure,
}

#[derive(Deserialize)]
struct Failure {
    r#type: Option<String>,
    message: Option<String>,
}

impl Refusal {
    pub(super) fn is_duplicate(&self) -> bool {
        let said = self.words().to_lowercase();
        said.contains("duplicate") || said.contains("already exists")
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let Failure { r#type, message } = &self.error;
        let said = message.as_deref().or(r#type.as_deref());
        said.unwrap_or("Flutterwave said no more").to_owned()
    }
}

/// A charge.
#[derive(Deserialize)]
pub(super) struct Charged {
    id: String,
    #[serde(default)]
    reference: String,
    /// A number in units of the currency; read as it is written, because floats round.
    amount: Box<RawValue>,
    currency: Currency,
    status: Status,
    next_action: Option<NextAction>,
    processor_response: Option<Processor>,
    created_datetime: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Succeeded,
    Pending,
    Failed,
    /// A status that did not exist when this was written.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum NextAction {
    RedirectUrl {
        redirect_url: Redirect,
    },
    PaymentInstruction,
    /// Such as a PIN, which nobody here may ask for.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Redirect {
    url: String,
}

#[derive(Deserialize)]
struct Processor {
    r#type: Option<String>,
}

impl Charged {
    pub(super) fn is_named(&self, reference: &str) -> bool {
        self.reference == reference
    }

    pub(super) fn outcome(self, charge: &Charge, reply: &Reply) -> Result<Outcome, CallError> {
        let received = amount::from_decimal(number(&self.amount), self.currency);
        let received: Money = received.ok_or_else(|| reply.unexpected())?;
        let provider_reference = self.id;
        if self.reference != charge.reference {
            return Ok(Outcome::Misnamed { named: self.reference, received, provider_reference });
        }
        match self.status {
            Status::Succeeded => {
                Ok(Outcome::Captured { received, provider_reference, assessment: None })
            }
            Status::Pending => {
                let next_step = match self.next_action {
                    Some(NextAction::RedirectUrl { redirect_url: Redirect { url } }) => {
                        Some(NextStep::Redirect { url })
                    }
                    Some(NextAction::PaymentInstruction) => Some(NextStep::ApproveOnPhone),
                    Some(NextAction::Other) | None => None,
                };
                Ok(Outcome::Accepted { provider_reference, next_step })
            }
            Status::Failed => {
                let said = self.processor_response.and_then(|response| response.r#type);
                let said = said.map(|said| said.replace('_', " "));
                Ok(Reason::of_words(said.as_deref()).declines())
            }
            Status::Unknown => Err(reply.unexpected()),
        }
    }

    pub(super) fn entry(self) -> Entry {
        Entry::Transaction(Transaction {
            what: What::Payment,
            reference: Some(self.reference).filter(|reference| !reference.is_empty()),
            provider_reference: self.id,
            amount: number(&self.amount).to_owned(),
            currency: Some(self.currency),
            standing: match self.status {
                Status::Succeeded => Standing::Succeeded,
                Status::Pending => Standing::Pending,
                Status::Failed => Standing::Failed,
                Status::Unknown => Standing::Unknown,
            },
            at: self.created_datetime,
        })
    }
}

/// A refund; it says no currency.
#[derive(Deserialize)]
pub(super) struct Refund {
    id: String,
    status: RefundStatus,
    amount_refunded: Option<Box<RawValue>>,
    meta: Option<RefundMeta>,
    created_datetime: Option<DateTime<Utc>>,
}

#[derive(Default, Deserialize)]
pub(super) struct RefundMeta {
    pub(super) refund_id: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefundStatus {
    New,
    Pending,
    RequiresAction,
    Succeeded,
    /// Beside `new` and `pending` this is the end of the way here, unlike in v3; unconfirmed.
    Completed,
    Failed,
    Cancelled,
    #[serde(other)]
    Unknown,
}

impl Refund {
    pub(super) fn outcome(&self) -> PaybackOutcome {
        use RefundStatus as S;
        let provider_reference = self.id.clone();
        match self.status {
            S::Succeeded | S::Completed => PaybackOutcome::Settled { provider_reference },
            S::Failed => PaybackOutcome::Failed { reason: "failed at Flutterwave".to_owned() },
            S::Cancelled => {
                PaybackOutcome::Failed { reason: "cancelled at Flutterwave".to_owned() }
            }
            S::RequiresAction => PaybackOutcome::NeedsStaff {
                provider_reference,
                what:
                    "Flutterwave waits for somebody (requires_action) before it pays a refund out"
                        .to_owned(),
            },
            S::New | S::Pending | S::Unknown => {
                PaybackOutcome::Pending { provider_reference: Some(provider_reference) }
            }
        }
    }

    pub(super) fn is_named(&self, refund_id: RefundId) -> bool {
        let named = self
            .meta
            .as_ref()
            .and_then(|meta| meta.refund_id.as_deref());
        named == Some(refund_id.to_string().as_str())
    }

    pub(super) fn entry(self) -> Entry {
        use RefundStatus as S;
        let amount = self.amount_refunded.as_deref();
        Entry::Transaction(Transaction {
            what: What::Refund,
            reference: self.meta.and_then(|meta| meta.refund_id),
            provider_reference: self.id,
            amount: amount.map_or("", number).to_owned(),
            currency: None,
            standing: match self.status {
                S::Succeeded | S::Completed => Standing::Succeeded,
                S::Failed | S::Cancelled => Standing::Failed,
                S::New | S::Pending | S::RequiresAction => Standing::Pending,
                S::Unknown => Standing::Unknown,
            },
            at: self.created_datetime,
        })
    }
}

fn number(amount: &RawValue) -> &str {
    amount.get().trim_matches('"')
}
