//! Reconciliation: what a provider lists, or a statement of it, held against the log, both ways.
//!
//! ```text
//! lists, or a statement ──page──▶ judged against the log's payments ─────────────────▶ differences
//!             └── what has succeeded there ──▶ a temporary table
//! the log's money of those days ──page──▶ what the table lacks is asked about ──▶ differences
//! ```
//!
//! 1. Nothing is kept in memory but a page: names that were seen are in a temporary table, which
//!    ends with its connection.
//! 2. A repair does what a webhook would have done: the provider is asked, and its answer becomes a
//!    command. What the list itself says changes nothing.
//! 3. What was repaired, or is with staff, is no difference the next time.

mod judging;
mod listed;
mod log_side;
pub mod statement;
mod told;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use domain::ids::{PaymentId, RefundId};
use domain::money::Currency;
use domain::payment::Payment;
use gateways::gateway::{About, CALL_TIMEOUT, CallError, Delivery, Dispute, Gateway};
use gateways::listing::{Entry, Page, Span, Standing, Transaction, What};
use gateways::webhook::HeaderMap;
use serde_json::json;
use sqlx::PgPool;
use store::command::ExecuteError;
use store::log;
use tokio::sync::mpsc;
use uuid::Uuid;

use self::judging::{Name, Verdict};
use self::listed::Listed;
use self::statement::Statement;
pub use self::told::{Difference, Fate, Kind, Line, Summary};
use crate::inbox::{ForStaff, Inbox, Names};
use crate::providers::Providers;
use crate::references;

/// Tries to read a page, and the pause before the second, which doubles.
const PAGE_TRIES_MAX: u32 = 3;
const PAGE_PAUSE: Duration = Duration::from_secs(1);
/// Pages of one run: a provider whose list never ends must not be read for ever.
const PAGES_MAX: u64 = 100_000;

/// One reconciliation.
pub struct Reconciliation {
    /// Who asks providers and takes down their answers.
    pub providers: Providers,
    /// Where staff find what nobody claims.
    pub inbox: Inbox,
    /// Which provider.
    pub gateway: Arc<dyn Gateway>,
    /// Which days.
    pub span: Span,
    /// What the log is held against.
    pub source: Source,
    /// What is done about differences.
    pub mode: Mode,
}

/// What the log is held against.
#[derive(Debug)]
pub enum Source {
    /// The provider's own lists.
    Lists,
    /// A file that somebody got from the provider.
    Statement(Statement),
}

/// What is done about differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are reported.
    Report,
    /// They are repaired, or parked for staff, where that can be done.
    Repair,
}

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Log(#[from] log::Error),
    #[error(transparent)]
    Journal(#[from] ExecuteError),
    #[error("the list cannot be read: {0}")]
    Provider(#[from] CallError),
    #[error("the list does not end")]
    Endless,
    #[error("nobody listens any more")]
    NobodyListens,
}

impl Error {
    /// For whoever asked: causes of ours go to the log only.
    fn told(&self) -> String {
        match self {
            Self::Provider(_) | Self::Endless => self.to_string(),
            Self::Database(_) | Self::Log(_) | Self::Journal(_) | Self::NobodyListens => {
                "the database did not answer; run it again".to_owned()
            }
        }
    }
}

/// A run under way.
struct Run<'a> {
    of: &'a Reconciliation,
    /// Its name, so that another run asks anew.
    id: Uuid,
    listed: Listed,
    tell: &'a mpsc::Sender<Line>,
    sum: Summary,
}

impl Reconciliation {
    /// Compares, repairs if that is asked for, and tells what it finds; what is to be told last is left
    /// to the caller, who may have to make room for another run before. Ends early if nobody listens.
    pub async fn run(self, tell: &mpsc::Sender<Line>) -> Option<Line> {
        match self.compare(tell).await {
            Ok(sum) => Some(Line::Done(sum)),
            Err(Error::NobodyListens) => None,
            Err(error) => {
                let gateway = self.gateway.name();
                tracing::warn!(gateway, %error, "a reconciliation is broken off");
                Some(Line::Failed(error.told()))
            }
        }
    }

    async fn compare(&self, tell: &mpsc::Sender<Line>) -> Result<Summary, Error> {
        let listed = Listed::open(&self.providers.pool).await?;
        let (id, sum) = (Uuid::now_v7(), Summary::default());
        let mut run = Run { of: self, id, listed, tell, sum };
        match &self.source {
            Source::Lists => run.read_lists().await?,
            Source::Statement(statement) => run.read_statement(statement).await?,
        }
        run.read_log().await?;
        Ok(run.sum)
    }

    fn pool(&self) -> &PgPool {
        &self.providers.pool
    }

    /// A page of the lists; an outage of a few seconds is no reason to begin again.
    async fn page(&self, cursor: Option<&str>) -> Result<Page, Error> {
        let mut pause = PAGE_PAUSE;
        for tries in 1.. {
            let Some(call) = self.gateway.list(&self.span, cursor) else {
                return Ok(Page::default());
            };
            let silence = || CallError::OutcomeUnknown {
                gateway: self.gateway.name(),
                cause: "it does not answer".to_owned(),
            };
            let page = tokio::time::timeout(CALL_TIMEOUT, call)
                .await
                .unwrap_or_else(|_| Err(silence()));
            match page {
                Ok(page) => return Ok(page),
                Err(error @ CallError::Unauthorised { .. }) => return Err(error.into()),
                Err(error) if PAGE_TRIES_MAX <= tries => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "a page of a list is asked for again"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(Error::Endless)
    }
}

impl Run<'_> {
    async fn read_lists(&mut self) -> Result<(), Error> {
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.of.page(cursor.as_deref()).await?;
            self.compare(page.entries).await?;
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
        Err(Error::Endless)
    }

    async fn read_statement(&mut self, statement: &Statement) -> Result<(), Error> {
        for (rows, rejected) in statement.pages(&self.of.span) {
            for rejected in rejected {
                self.sum.rejected += 1;
                self.tell(Line::Rejected(rejected)).await?;
            }
            self.compare(rows.into_iter().map(Entry::Transaction).collect())
                .await?;
        }
        Ok(())
    }

    /// Holds a page against the log.
    async fn compare(&mut self, entries: Vec<Entry>) -> Result<(), Error> {
        let mut transactions = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry {
                Entry::Transaction(transaction) => transactions.push(transaction),
                Entry::Undelivered { body } => self.undelivered(&body).await?,
            }
        }
        let names: Vec<Option<Name>> = transactions.iter().map(Name::of).collect();
        let known = self.known(names.iter().flatten()).await?;
        // What has succeeded says more than a try under the same name that has not.
        let settled: HashSet<String> = names
            .iter()
            .zip(&transactions)
            .filter(|(_, listed)| is_settled(listed.standing))
            .filter_map(|(name, _)| Some(name.as_ref()?.key()))
            .collect();
        for (name, listed) in names.iter().zip(&transactions) {
            self.sum.listed += 1;
            let owner = name.as_ref().and_then(|name| known.get(&name.text()));
            let is_overtaken = !is_settled(listed.standing)
                && name
                    .as_ref()
                    .is_some_and(|name| settled.contains(&name.key()));
            let verdict = match (name, owner) {
                _ if is_overtaken => Verdict::Agrees,
                (Some(name), Some((_, payment))) => {
                    judging::judge(listed, name, payment, self.is_of_lists())
                }
                (Some(_), None) | (None, _) => judging::judge_unknown(listed),
            };
            let payment_id = owner.map(|(payment_id, _)| *payment_id);
            match verdict {
                Verdict::Agrees => self.sum.agree += 1,
                Verdict::Differs { kind, here } => {
                    let difference = difference_of(listed, kind, here, payment_id);
                    self.differs(difference, listed, name.as_ref()).await?;
                }
                Verdict::Nobodys { kind, here } => {
                    let difference = difference_of(listed, kind, here, payment_id);
                    self.nobodys(difference, listed).await?;
                }
            }
        }
        let settled: Vec<String> = settled.into_iter().collect();
        self.listed.add(&settled).await?;
        self.tell(Line::Progress(self.sum)).await
    }

    /// Whose the names are, and how their payments stand.
    async fn known(
        &self,
        names: impl Iterator<Item = &Name>,
    ) -> Result<HashMap<String, (PaymentId, Payment)>, Error> {
        let names: Vec<String> = names.map(Name::text).collect();
        let gateway = self.of.gateway.name();
        let owners = references::payments_of(self.of.pool(), gateway, &names).await?;
        let payments = self.payments(owners.values().copied()).await?;
        let known = |(name, id): (String, PaymentId)| {
            let payment = payments.get(&id.to_string())?;
            Some((name, (id, payment.clone())))
        };
        Ok(owners.into_iter().filter_map(known).collect())
    }

    async fn payments(
        &self,
        ids: impl Iterator<Item = PaymentId>,
    ) -> Result<HashMap<String, Payment>, Error> {
        let ids: HashSet<String> = ids.map(|id| id.to_string()).collect();
        let ids: Vec<String> = ids.into_iter().collect();
        let folded = self.of.providers.journal.fold_many::<Payment>(&ids).await?;
        let payment = |(id, (payment, _))| (id, payment);
        Ok(folded.into_iter().map(payment).collect())
    }

    fn is_of_lists(&self) -> bool {
        matches!(self.of.source, Source::Lists)
    }

    /// A difference about a payment of ours: the provider is asked, as a webhook would make us.
    async fn differs(
        &mut self,
        mut difference: Difference,
        listed: &Transaction,
        name: Option<&Name>,
    ) -> Result<(), Error> {
        if let (Mode::Repair, Some(name), Some(payment_id)) =
            (self.of.mode, name, difference.payment_id)
        {
            let (providers, key) = (&self.of.providers, format!("reconciliation {}", self.id));
            let _answered = match name {
                Name::Attempt(reference) => {
                    providers
                        .ask_again(payment_id, reference, None, &key)
                        .await?
                }
                Name::Refund(refund_id) => {
                    providers
                        .ask_again_about_refund(payment_id, *refund_id, &key)
                        .await?
                }
            };
            let payment = payment_id.to_string();
            let (payment, _) = providers.journal.load::<Payment>(&payment).await?;
            difference.fate = match judging::judge(listed, name, &payment, self.is_of_lists()) {
                Verdict::Agrees => Fate::Repaired,
                Verdict::Differs { .. } | Verdict::Nobodys { .. } => Fate::Left,
            };
        }
        self.left_over(difference).await
    }

    /// A difference that a repair has left: that it came to something else there, such as money that
    /// was taken back, is brought to staff, once. What is with them already is none.
    pub(super) async fn left_over(&mut self, mut difference: Difference) -> Result<(), Error> {
        let is_for_staff = difference.kind == Kind::StateDiffers
            && matches!(difference.fate, Fate::Left | Fate::Reported);
        let (what, reference) = (difference.what.name(), difference.reference.as_deref());
        let Some(reference) = reference.filter(|_| is_for_staff) else {
            return self.found(difference).await;
        };
        let (inbox, gateway) = (&self.of.inbox, self.of.gateway.name());
        // Its first word is the state; a provider's own words may follow, and change.
        let state = difference.there.split([':', ' ']).next();
        let key = format!("state differs {what} {reference}: {}", state.unwrap_or_default());
        if inbox.knows(gateway, &key, None, None).await? {
            self.sum.agree += 1;
            return Ok(());
        }
        if difference.fate == Fate::Left {
            let body = json!({
                "kind": difference.kind.name(), "what": what, "reference": reference,
                "provider_reference": difference.provider_reference,
                "there": difference.there, "here": difference.here,
            });
            let (there, here) = (&difference.there, &difference.here);
            let reason = format!("{what} {reference} is {there} at the provider; here: {here}");
            // It goes, or is gone: there is nothing to give back by.
            let names = Names::default();
            let (body, payment_id, event_key) = (&body, difference.payment_id, key.as_str());
            let what = ForStaff { gateway, event_key, body, payment_id, names, reason: &reason };
            inbox.park(&what).await?;
            difference.fate = Fate::Parked;
        }
        self.found(difference).await
    }

    /// A difference that takes a person. What is with staff already is none.
    async fn nobodys(
        &mut self,
        mut difference: Difference,
        listed: &Transaction,
    ) -> Result<(), Error> {
        let (inbox, gateway) = (&self.of.inbox, self.of.gateway.name());
        let key = format!("listed {} {}", listed.what.name(), listed.provider_reference);
        // A second payment under a name of ours is not what a webhook was parked for.
        let reference = listed.reference.as_deref();
        let reference = reference.filter(|_| difference.payment_id.is_none());
        let paid_as = match listed.what {
            What::Payment => difference.provider_reference.as_deref(),
            What::Refund => None,
        };
        if inbox.knows(gateway, &key, reference, paid_as).await? {
            self.sum.agree += 1;
            return Ok(());
        }
        if self.of.mode == Mode::Repair {
            let body = json!({
                "kind": difference.kind.name(), "what": listed.what.name(),
                "reference": listed.reference, "provider_reference": listed.provider_reference,
                "amount": listed.amount, "currency": listed.currency.map(Currency::code),
                "status": listed.standing.name(), "at": listed.at,
            });
            let reason =
                format!("the provider lists {}; here: {}", difference.there, difference.here);
            // What has gone cannot be given back.
            let names = match listed.what {
                What::Payment => Names {
                    reference: listed.reference.as_deref(),
                    provider_reference: difference.provider_reference.as_deref(),
                },
                What::Refund => Names::default(),
            };
            let (body, payment_id) = (&body, difference.payment_id);
            let event_key = key.as_str();
            let what = ForStaff { gateway, event_key, body, payment_id, names, reason: &reason };
            inbox.park(&what).await?;
            difference.fate = Fate::Parked;
        }
        self.found(difference).await
    }

    /// A webhook that was not delivered: it is taken in as if it had been.
    async fn undelivered(&mut self, body: &[u8]) -> Result<(), Error> {
        let (inbox, gateway) = (&self.of.inbox, self.of.gateway.as_ref());
        let (headers, received_at) = (HeaderMap::new(), Utc::now());
        let delivery = Delivery { headers: &headers, body, received_at };
        let Ok(notice) = gateway.parse_webhook_event(&delivery) else {
            return Ok(());
        };
        self.sum.listed += 1;
        let (what, reference) = match notice.about {
            About::Nothing | About::Unnamed { .. } => (What::Payment, None),
            About::Attempt { reference, .. } => (What::Payment, Some(reference)),
            About::Refund { refund_id } => (What::Refund, Some(refund_id.to_string())),
            About::RefundsOf { reference } => (What::Refund, Some(reference)),
            About::Staff { reference, .. } | About::Dispute(Dispute { reference, .. }) => {
                (What::Payment, reference)
            }
        };
        if inbox.knows(gateway.name(), &notice.key, None, None).await? {
            self.sum.agree += 1;
            return Ok(());
        }
        let fate = match self.of.mode {
            Mode::Report => Fate::Reported,
            Mode::Repair => {
                inbox.store(gateway, &delivery).await?;
                Fate::Repaired
            }
        };
        let difference = Difference {
            kind: Kind::WebhookUndelivered,
            what,
            reference,
            provider_reference: Some(notice.key),
            payment_id: None,
            there: "not delivered".to_owned(),
            here: "nothing".to_owned(),
            fate,
        };
        self.found(difference).await
    }

    async fn found(&mut self, difference: Difference) -> Result<(), Error> {
        self.sum.differences += 1;
        match difference.fate {
            Fate::Repaired => self.sum.repaired += 1,
            Fate::Parked => self.sum.parked += 1,
            Fate::Reported | Fate::Left => {}
        }
        metrics::counter!(
            "daybook_reconciliation_differences_total",
            "gateway" => self.of.gateway.name(),
            "kind" => difference.kind.name(), "fate" => difference.fate.name()
        )
        .increment(1);
        self.tell(Line::Difference(difference)).await
    }

    async fn tell(&self, line: Line) -> Result<(), Error> {
        self.tell
            .send(line)
            .await
            .map_err(|_gone| Error::NobodyListens)
    }
}

fn is_settled(standing: Standing) -> bool {
    match standing {
        Standing::Succeeded | Standing::Reversed => true,
        Standing::Pending | Standing::Failed | Standing::Unknown => false,
    }
}

fn difference_of(
    listed: &Transaction,
    kind: Kind,
    here: String,
    payment_id: Option<PaymentId>,
) -> Difference {
    let named = Some(listed.provider_reference.clone());
    Difference {
        kind,
        what: listed.what,
        reference: listed.reference.clone(),
        provider_reference: named.filter(|name| !name.is_empty()),
        payment_id,
        there: judging::there(listed),
        here,
        fate: Fate::Reported,
    }
}

/// A refund's name as providers write it: its id, or the id as a reference.
fn refund_named(text: &str) -> Option<RefundId> {
    let id = text.parse().ok();
    id.or_else(|| domain::ids::id_of_reference(text).map(RefundId))
}
