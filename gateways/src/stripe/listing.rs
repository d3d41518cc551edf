//! What Stripe lists: payment intents, then refunds, then events whose webhook it could not deliver
//! (docs.stripe.com/api: lists, pagination; docs.stripe.com/webhooks/process-undelivered-events).
//! Stripe keeps events for 30 days.

use chrono::{DateTime, Utc};
use domain::money::Currency;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::answers::{IntentStatus, Metadata, RefundStatus};
use super::{Stripe, decimals};
use crate::amount;
use crate::gateway::CallError;
use crate::http::Reply;
use crate::listing::{Entry, Page, Span, Standing, Transaction, What};

/// Its lists, one after another. A cursor is one of them and the last object that was seen of it.
const LISTS: [&str; 3] = ["payment_intents", "refunds", "events"];
/// Entries of a page: as many as Stripe gives at a time.
const PAGE_SIZE: &str = "100";

#[derive(Deserialize)]
struct Paged<T> {
    data: Vec<T>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Intent {
    id: String,
    status: IntentStatus,
    amount: i64,
    amount_received: i64,
    currency: String,
    created: i64,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    status: Option<RefundStatus>,
    amount: i64,
    currency: String,
    created: i64,
    #[serde(default)]
    metadata: Metadata,
}

/// An event as it stands, because it is to be taken in as it would have come.
#[derive(Deserialize)]
struct Raw(Box<RawValue>);

#[derive(Deserialize)]
struct Named {
    id: String,
}

impl Stripe {
    pub(super) async fn page(&self, span: &Span, cursor: Option<&str>) -> Result<Page, CallError> {
        let (of, after) = cursor
            .and_then(|cursor| cursor.split_once(' '))
            .unwrap_or((LISTS[0], ""));
        let mut query = vec![
            ("limit", PAGE_SIZE.to_owned()),
            ("created[gte]", span.from.timestamp().to_string()),
            ("created[lt]", span.until.timestamp().to_string()),
        ];
        if !after.is_empty() {
            query.push(("starting_after", after.to_owned()));
        }
        if of == "events" {
            query.push(("delivery_success", "false".to_owned()));
        }
        let request = self.get(&format!("/v1/{of}")).query(&query);
        let reply = self.http.send("list", request).await?.successful()?;
        match of {
            "payment_intents" => read(&reply, of, |intent: &Intent| intent.entry(&reply)),
            "refunds" => read(&reply, of, |refund: &Refund| refund.entry(&reply)),
            _ => read(&reply, of, |Raw(event): &Raw| {
                let named: Named =
                    serde_json::from_str(event.get()).map_err(|_| reply.unexpected())?;
                let body = event.get().as_bytes().to_vec();
                Ok((named.id, Entry::Undelivered { body }))
            }),
        }
    }
}

fn read<T: DeserializeOwned>(
    reply: &Reply,
    of: &str,
    entry: impl Fn(&T) -> Result<(String, Entry), CallError>,
) -> Result<Page, CallError> {
    let Paged { data, has_more } = reply.json()?;
    let (mut newest, mut entries) = (None, Vec::with_capacity(data.len()));
    for object in &data {
        let (name, entry) = entry(object)?;
        entries.push(entry);
        newest = Some(name);
    }
    let next_list = || {
        let after = LISTS.iter().skip_while(|name| **name != of).nth(1);
        after.map(|name| format!("{name} "))
    };
    let next = match newest {
        Some(name) if has_more => Some(format!("{of} {name}")),
        _ => next_list(),
    };
    Ok(Page { entries, next })
}

fn money(units: i64, code: &str, reply: &Reply) -> Result<(String, Currency), CallError> {
    let code = code.to_uppercase();
    let read = || {
        let currency: Currency = code.parse().ok()?;
        let amount = amount::from_units(units, decimals(&code), currency)?;
        Some((amount.decimal(), currency))
    };
    read().ok_or_else(|| reply.unexpected())
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

impl Intent {
    fn entry(&self, reply: &Reply) -> Result<(String, Entry), CallError> {
        use IntentStatus as S;
        let (standing, units) = match self.status {
            S::Succeeded => (Standing::Succeeded, self.amount_received),
            S::Canceled => (Standing::Failed, self.amount),
            // While the page is open, a card that was declined is no end.
            S::RequiresPaymentMethod
            | S::RequiresConfirmation
            | S::RequiresAction
            | S::Processing
            | S::RequiresCapture => (Standing::Pending, self.amount),
            S::Unknown => (Standing::Unknown, self.amount),
        };
        let (amount, currency) = money(units, &self.currency, reply)?;
        let transaction = Transaction {
            what: What::Payment,
            reference: self.metadata.reference.clone(),
            provider_reference: self.id.clone(),
            amount,
            currency: Some(currency),
            standing,
            at: time(self.created),
        };
        Ok((self.id.clone(), Entry::Transaction(transaction)))
    }
}

impl Refund {
    fn entry(&self, reply: &Reply) -> Result<(String, Entry), CallError> {
        let (amount, currency) = money(self.amount, &self.currency, reply)?;
        let transaction = Transaction {
            what: What::Refund,
            reference: self.metadata.refund_id.clone(),
            provider_reference: self.id.clone(),
            amount,
            currency: Some(currency),
            standing: match self.status {
                Some(RefundStatus::Succeeded) => Standing::Succeeded,
                Some(RefundStatus::Failed | RefundStatus::Canceled) => Standing::Failed,
                Some(RefundStatus::Pending | RefundStatus::RequiresAction) => Standing::Pending,
                Some(RefundStatus::Unknown) | None => Standing::Unknown,
            },
            at: time(self.created),
        };
        Ok((self.id.clone(), Entry::Transaction(transaction)))
    }
}
