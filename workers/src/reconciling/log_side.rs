//! The other way round: what the log has of those days has to be known at the provider.

use std::collections::HashSet;

use domain::event::Event;
use domain::ids::PaymentId;
use domain::payment::{self, Payment, RefundState};
use futures::{StreamExt as _, stream};
use gateways::gateway::{Found, PaybackOutcome};
use store::log::{self, Slice};

use super::judging::{self, Name, Said};
use super::{Difference, Error, Fate, Line, Mode, Run};

/// Events of the log that are read at a time.
const LOG_PAGE_EVENTS: i64 = 1_000;
/// Positions are in the order of time but for the clocks of several writers, which differ by less
/// than it takes to write this many events.
const CLOCKS_DIFFER_EVENTS: i64 = 10_000;
/// Questions to a provider at a time: below every provider's limit of requests that we know of.
const QUESTIONS_AT_ONCE: usize = 4;
impl Run<'_> {
    /// What is not among what was listed is asked about.
    pub(super) async fn read_log(&mut self) -> Result<(), Error> {
        let (pool, span) = (self.of.pool(), self.of.span);
        let first = log::position_before(pool, span.from).await?;
        let last = log::position_before(pool, span.until).await?;
        let mut slice = Slice {
            from: Some(first.saturating_sub(CLOCKS_DIFFER_EVENTS).max(1)),
            to: Some(last.saturating_add(CLOCKS_DIFFER_EVENTS)),
            since: Some(span.from),
            until: Some(span.until),
            aggregate: Some("payment".to_owned()),
            ..Slice::default()
        };
        loop {
            let page = log::page(pool, &slice, LOG_PAGE_EVENTS).await?;
            let claims = page.events.iter();
            let claims: Vec<(PaymentId, Name)> = claims
                .filter_map(|recorded| match &recorded.event {
                    Event::Payment(event) => {
                        Some((recorded.aggregate_id.parse().ok()?, claim(event)?))
                    }
                    _ => None,
                })
                .collect();
            self.compare_claims(claims).await?;
            let Some(last) = page.events.last().filter(|_| page.more) else {
                return Ok(());
            };
            slice.from = Some(last.position.saturating_add(1));
        }
    }

    async fn compare_claims(&mut self, claims: Vec<(PaymentId, Name)>) -> Result<(), Error> {
        let payments = self.payments(claims.iter().map(|(id, _)| *id)).await?;
        let gateway = self.of.gateway.name();
        let is_here = |(id, name): &(PaymentId, Name)| {
            let payment = payments.get(&id.to_string());
            let through = payment.and_then(|payment| name.through(payment));
            through.is_some_and(|tried| tried.attempt.choice.gateway == gateway)
        };
        let claims: Vec<(PaymentId, Name)> = claims.into_iter().filter(is_here).collect();
        self.sum.in_log += u64::try_from(claims.len()).unwrap_or(u64::MAX);
        let keys: Vec<String> = claims.iter().map(|(_, name)| name.key()).collect();
        let lacking: HashSet<String> = self.listed.lacking(&keys).await?.into_iter().collect();
        let of = self.of;
        let lacking = claims
            .into_iter()
            .filter(|(_, name)| lacking.contains(&name.key()));
        let said: Vec<Result<_, Error>> = stream::iter(lacking)
            .map(|(id, name)| async move {
                let said = judging::ask(&of.providers, id, &name).await?;
                Ok((id, name, said))
            })
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .collect()
            .await;
        for said in said {
            let (id, name, said) = said?;
            let Some(payment) = payments.get(&id.to_string()) else {
                continue;
            };
            let found = judging::judge_missing(&said, &name, payment, self.is_of_lists());
            if let Some((kind, there)) = found {
                let fate = match self.of.mode {
                    Mode::Report => Fate::Reported,
                    Mode::Repair => self.repair_missing(id, &name, &said).await?,
                };
                self.left_over(Difference {
                    kind,
                    what: name.what(),
                    reference: Some(name.text()),
                    provider_reference: name.provider_reference(payment),
                    payment_id: Some(id),
                    there,
                    here: judging::here(&name, payment),
                    fate,
                })
                .await?;
            }
        }
        self.tell(Line::Progress(self.sum)).await
    }
}

impl Run<'_> {
    /// What was paid out and did not arrive is taken down; what else is missing there takes a person.
    async fn repair_missing(
        &self,
        payment_id: PaymentId,
        name: &Name,
        said: &Said,
    ) -> Result<Fate, Error> {
        let (Name::Refund(refund_id), Said::OfRefund(Found::Said(PaybackOutcome::Failed { .. }))) =
            (name, said)
        else {
            return Ok(Fate::Left);
        };
        let (providers, key) = (&self.of.providers, format!("reconciliation {}", self.id));
        let _answered = providers
            .ask_again_about_refund(payment_id, *refund_id, &key)
            .await?;
        let (payment, _) = providers
            .journal
            .load::<Payment>(&payment_id.to_string())
            .await?;
        let refund = payment.refund_of(*refund_id);
        Ok(match refund.map(|refund| refund.state) {
            Some(RefundState::Failed) => Fate::Repaired,
            Some(RefundState::Pending | RefundState::Settled) | None => Fate::Left,
        })
    }
}

/// Money that an event says has moved at a provider.
fn claim(event: &payment::Event) -> Option<Name> {
    use payment::Event as E;
    match event {
        E::Captured { reference, .. }
        | E::CapturedAgain { reference, .. }
        | E::Mismatched { reference, .. } => Some(Name::Attempt(reference.clone())),
        E::Refunded { refund_id, .. } => Some(Name::Refund(*refund_id)),
        // What came under another reference, or unasked, is not counted as ours.
        E::Misnamed { .. }
        | E::UnmatchedReceived(_)
        | E::Opened(_)
        | E::AttemptStarted(_)
        | E::AttemptAccepted { .. }
        | E::Declined { .. }
        | E::Voided
        | E::RefundRequested { .. }
        | E::RefundAccepted { .. }
        | E::RefundFailed { .. }
        | E::RefundReturned { .. }
        | E::ChargedBack { .. }
        | E::ChargebackReversed { .. } => None,
    }
}
