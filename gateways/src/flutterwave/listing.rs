//! What Flutterwave v3 lists: transactions (`GET /v3/transactions`), then refunds
//! (`GET /v3/refunds`), both by day and by numbered pages. Listed refunds say no currency.

use chrono::{DateTime, TimeDelta, Utc};
use domain::money::Currency;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Flutterwave, Status};
use crate::gateway::CallError;
use crate::listing::{Entry, Numbered, Page, Span, Standing, Transaction, What};

/// Its lists, one after another.
const LISTS: [&str; 2] = ["/v3/transactions", "/v3/refunds"];

#[derive(Deserialize)]
struct Paged<T> {
    data: Vec<T>,
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

#[derive(Deserialize)]
struct Payment {
    id: u64,
    tx_ref: String,
    /// Read as it is written, because floats round.
    amount: Box<RawValue>,
    currency: Currency,
    status: Status,
    created_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Refund {
    id: u64,
    amount_refunded: Box<RawValue>,
    status: String,
    comments: Option<String>,
    created_at: Option<DateTime<Utc>>,
}

impl Flutterwave {
    pub(super) async fn page(&self, span: &Span, cursor: Option<&str>) -> Result<Page, CallError> {
        let place = Numbered::at(cursor);
        let path = LISTS.get(place.list).copied().unwrap_or(LISTS[0]);
        // Both days are included there.
        let last = span.until - TimeDelta::microseconds(1);
        let request = self.get(path).query(&[
            ("from", span.from.date_naive().to_string()),
            ("to", last.date_naive().to_string()),
            ("page", place.page.to_string()),
        ]);
        let reply = self.http.send("list", request).await?.successful()?;
        let (entries, pages) = if place.list == 0 {
            let Paged::<Payment> { data, meta } = reply.json()?;
            (data.into_iter().map(Payment::entry).collect(), meta.page_info.total_pages)
        } else {
            let Paged::<Refund> { data, meta } = reply.json()?;
            (data.into_iter().map(Refund::entry).collect(), meta.page_info.total_pages)
        };
        Ok(Page { entries, next: place.next(pages, LISTS.len()) })
    }
}

fn number(amount: &RawValue) -> String {
    amount.get().trim_matches('"').to_owned()
}

impl Payment {
    fn entry(self) -> Entry {
        Entry::Transaction(Transaction {
            what: What::Payment,
            reference: Some(self.tx_ref),
            provider_reference: self.id.to_string(),
            amount: number(&self.amount),
            currency: Some(self.currency),
            standing: match self.status {
                Status::Successful => Standing::Succeeded,
                Status::Pending => Standing::Pending,
                Status::Failed => Standing::Failed,
                Status::Unknown => Standing::Unknown,
            },
            at: self.created_at,
        })
    }
}

impl Refund {
    fn entry(self) -> Entry {
        Entry::Transaction(Transaction {
            what: What::Refund,
            provider_reference: self.id.to_string(),
            amount: number(&self.amount_refunded),
            currency: None,
            // `completed` alone has been initiated; see invariant 2 of the adapter.
            standing: match self.status.as_str() {
                status if status.starts_with("completed-") => Standing::Succeeded,
                status if status.starts_with("failed") => Standing::Failed,
                _ => Standing::Pending,
            },
            at: self.created_at,
            reference: self.comments,
        })
    }
}
