//! What Paystack lists: transactions (`GET /transaction`), then refunds (`GET /refund`), both by
//! time and by numbered pages. Which fields a listed refund has is general knowledge, unconfirmed.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::money::{Currency, Money};
use serde::Deserialize;

use super::{DECIMALS, Paystack, RefundStatus, TransactionStatus};
use crate::amount;
use crate::gateway::CallError;
use crate::http::Reply;
use crate::listing::{Entry, Numbered, Page, Span, Standing, Transaction, What};

/// Its lists, one after another.
const LISTS: [&str; 2] = ["/transaction", "/refund"];
/// Entries of a page.
const PAGE_SIZE: &str = "100";

#[derive(Deserialize)]
struct Paged<T> {
    data: Vec<T>,
    meta: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    page_count: u64,
}

#[derive(Deserialize)]
struct Payment {
    id: u64,
    status: TransactionStatus,
    reference: String,
    amount: i64,
    currency: Currency,
    #[serde(alias = "createdAt")]
    created_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Refund {
    id: u64,
    status: RefundStatus,
    amount: i64,
    currency: Currency,
    merchant_note: Option<String>,
    #[serde(alias = "createdAt")]
    created_at: Option<DateTime<Utc>>,
}

impl Paystack {
    pub(super) async fn page(&self, span: &Span, cursor: Option<&str>) -> Result<Page, CallError> {
        let place = Numbered::at(cursor);
        let path = LISTS.get(place.list).copied().unwrap_or(LISTS[0]);
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let request = self.get(path).query(&[
            ("from", time(span.from)),
            ("to", time(span.until)),
            ("page", place.page.to_string()),
            ("perPage", PAGE_SIZE.to_owned()),
        ]);
        let reply = self.http.send("list", request).await?.successful()?;
        let (entries, pages) = if place.list == 0 {
            let Paged::<Payment> { data, meta } = reply.json()?;
            let entries = data.into_iter().map(|payment| payment.entry(&reply));
            (entries.collect::<Result<_, _>>()?, meta.page_count)
        } else {
            let Paged::<Refund> { data, meta } = reply.json()?;
            let entries = data.into_iter().map(|refund| refund.entry(&reply));
            (entries.collect::<Result<_, _>>()?, meta.page_count)
        };
        Ok(Page { entries, next: place.next(pages, LISTS.len()) })
    }
}

fn decimal(units: i64, currency: Currency, reply: &Reply) -> Result<String, CallError> {
    let amount = amount::from_units(units, DECIMALS, currency);
    amount.map(Money::decimal).ok_or_else(|| reply.unexpected())
}

impl Payment {
    fn entry(self, reply: &Reply) -> Result<Entry, CallError> {
        use TransactionStatus as S;
        Ok(Entry::Transaction(Transaction {
            what: What::Payment,
            provider_reference: self.id.to_string(),
            amount: decimal(self.amount, self.currency, reply)?,
            currency: Some(self.currency),
            standing: match self.status {
                S::Success => Standing::Succeeded,
                S::Failed => Standing::Failed,
                S::Reversed => Standing::Reversed,
                // Nobody has tried to pay yet.
                S::Abandoned | S::Ongoing | S::Pending | S::Processing | S::Queued => {
                    Standing::Pending
                }
                S::Unknown => Standing::Unknown,
            },
            at: self.created_at,
            reference: Some(self.reference),
        }))
    }
}

impl Refund {
    fn entry(self, reply: &Reply) -> Result<Entry, CallError> {
        use RefundStatus as S;
        Ok(Entry::Transaction(Transaction {
            what: What::Refund,
            provider_reference: self.id.to_string(),
            amount: decimal(self.amount, self.currency, reply)?,
            currency: Some(self.currency),
            standing: match self.status {
                S::Processed => Standing::Succeeded,
                S::Failed => Standing::Failed,
                S::Pending | S::Processing | S::NeedsAttention => Standing::Pending,
                S::Unknown => Standing::Unknown,
            },
            at: self.created_at,
            reference: self.merchant_note,
        }))
    }
}
