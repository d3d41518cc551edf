//! What every provider that has lists is held to: whole lists, empty lists, no lists.

use chrono::{TimeDelta, Utc};
use domain::money::Money;
use gateways::gateway::CallError;
use gateways::listing::{Entry, Page, Span, Standing, Transaction, What};
use tests::simulators::Fault;

use super::{Pair, payback};

impl Pair {
    fn has_lists(&self) -> bool {
        self.gateway.list(&lately(), None).is_some()
    }

    async fn page(&self, span: &Span, cursor: Option<&str>) -> Result<Page, CallError> {
        self.gateway.list(span, cursor).expect("it has lists").await
    }

    /// Everything that it lists, and on how many pages.
    async fn listed(&self, span: &Span) -> (Vec<Transaction>, usize) {
        let (mut all, mut pages, mut cursor) = (Vec::new(), 0, None::<String>);
        loop {
            let page = self.page(span, cursor.as_deref()).await.unwrap();
            all.extend(page.entries.into_iter().filter_map(|entry| match entry {
                Entry::Transaction(transaction) => Some(transaction),
                Entry::Undelivered { .. } => None,
            }));
            pages += 1;
            assert!(pages < 100, "it ends");
            cursor = page.next;
            if cursor.is_none() {
                return (all, pages);
            }
        }
    }
}

/// An hour ago until in an hour.
fn lately() -> Span {
    let now = Utc::now();
    Span { from: now - TimeDelta::hours(1), until: now + TimeDelta::hours(1) }
}

pub(super) async fn everything_is_listed_once_page_by_page(pair: Pair) {
    if !pair.has_lists() {
        return;
    }
    pair.simulator.pages_of(2);
    let mut expected = Vec::new();
    let mut last = None;
    for _ in 0..5 {
        let charge = pair.paid().await;
        expected.push((What::Payment, charge.reference.clone(), Standing::Succeeded));
        last = Some(charge);
    }
    let failed = pair.begun().await;
    pair.simulator.customer_cannot_pay(&failed.reference);
    let last = last.unwrap();
    let mut parts = Vec::new();
    for minor in [100, 200, 300] {
        let mut payback = payback(&last, minor);
        pair.refund(&mut payback).await;
        parts.push(payback);
    }
    let (before, pages) = pair.listed(&lately()).await;
    assert!(4 < pages, "two entries a page: {pages}");
    let pending = |transaction: &&Transaction| {
        transaction.what == What::Refund && transaction.standing == Standing::Pending
    };
    assert_eq!(before.iter().filter(pending).count(), 3);

    pair.simulator.works_off_refunds();
    for part in &parts {
        expected.push((What::Refund, part.refund_id.to_string(), Standing::Succeeded));
    }
    let (listed, _) = pair.listed(&lately()).await;
    for (what, reference, standing) in &expected {
        let named =
            |it: &&Transaction| it.reference.as_ref() == Some(reference) && it.what == *what;
        let found: Vec<&Transaction> = listed.iter().filter(named).collect();
        assert_eq!(found.len(), 1, "{what:?} {reference}: {listed:#?}");
        assert_eq!(found[0].standing, *standing);
        assert!(!found[0].provider_reference.is_empty() && found[0].at.is_some());
    }
    let amount = |reference: &str| {
        let named = |it: &&Transaction| it.reference.as_deref() == Some(reference);
        let found = listed.iter().find(named).unwrap();
        let currency = found.currency.unwrap_or(last.amount.currency);
        assert_eq!(currency, last.amount.currency);
        Money::parse(&padded(&found.amount, currency.decimals()), currency).unwrap()
    };
    assert_eq!(amount(&last.reference), last.amount);
    for part in &parts {
        assert_eq!(amount(&part.refund_id.to_string()), part.amount);
    }
    let failure = listed
        .iter()
        .find(|it| it.reference.as_ref() == Some(&failed.reference));
    assert!(failure.is_none_or(|it| it.standing != Standing::Succeeded));
}

/// A number as JSON writes it has no zeros at its end.
fn padded(amount: &str, decimals: u32) -> String {
    let decimals = usize::try_from(decimals).unwrap();
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if decimals == 0 {
        return whole.to_owned();
    }
    format!("{whole}.{fraction:0<decimals$}")
}

pub(super) async fn another_time_has_an_empty_list(pair: Pair) {
    if !pair.has_lists() {
        return;
    }
    pair.paid().await;
    let day = Utc::now() - TimeDelta::days(9);
    let span = Span { from: day, until: day + TimeDelta::days(1) };

    let (listed, _) = pair.listed(&span).await;

    assert_eq!(listed, []);
}

pub(super) async fn a_list_that_cannot_be_read_is_no_empty_list(pair: Pair) {
    if !pair.has_lists() {
        return;
    }
    pair.paid().await;
    for fault in [
        Fault::Fails,
        Fault::Babbles,
        Fault::ActsThenBreaksOff,
        Fault::ActsThenHangs,
        Fault::TurnsAway,
        Fault::KnowsNoKey,
    ] {
        pair.simulator.faults().next(fault);
        let error = pair.page(&lately(), None).await.err();
        let error = error.unwrap_or_else(|| panic!("{fault:?} is no list"));
        for secret in pair.simulator.secrets() {
            assert!(!format!("{error} {error:?}").contains(&secret), "{fault:?}: {error}");
        }
    }
    assert_eq!(pair.listed(&lately()).await.0.len(), 1, "it goes on afterwards");
}
