//! Answers about the public catalogue, and reports, computed once and told to everybody who asks the
//! same.
//!
//! ```text
//! asked ─▶ is it kept, and does it stand? ── yes ─▶ told, as of the position that was heard last
//!              └── no ─▶ computed once, whoever else asks waits for it ─▶ kept
//! log ─▶ feed ─▶ what changed last, and where ──▶ does it stand?
//! ```
//!
//! 1. An answer stands as long as nothing that it was made of has changed since the position it was
//!    made at. So nobody has to find and drop what an event concerns, and an answer that was being
//!    computed while something changed does not stand from the beginning.
//! 2. It is told with the position up to which the log has been heard: up to there it is true.
//! 3. Of many who ask the same at the same time one computes.
//! 4. What begins or ends by the clock ends the answers that do not know of it yet.
//! 5. Answers, and what is known of changes, are bounded. What is forgotten is computed again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::{Handle, Sku};
use domain::{order, promotion, vendor};
use metrics::counter;
use moka::future::Cache;
use projections::availability::pieces_of;
use projections::listings::Onlooker;
use projections::stock::Levels;
use projections::{ReadModels, WaitError};
use serde::Serialize;
use store::feed::Feeds;
use store::recorded::RecordedEvent;
use tokio::sync::watch;

use super::caching::{self, for_staff};
use super::problem::Problem;
use super::queries::{self, Asking, CATCH_UP_MAX};

/// The metric that the hit rate of the catalogue is made of.
pub(crate) const TOLD: &str = "catalogue_answers_total";
/// The same of reports.
pub(crate) const REPORTED: &str = "report_answers_total";
/// Bytes of answers in memory: some thousand pages of lists, the most wanted ones.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of reports, of which one by SKU may have a megabyte; they are apart, or they would put the
/// catalogue out.
const REPORT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What an answer takes beside its body and its key, roughly.
const OVERHEAD_BYTES: usize = 512;
/// How long an answer is kept that nothing changes, so that what nobody asks for any more goes.
const KEPT: Duration = Duration::from_mins(10);
/// Articles and listings whose last change is remembered; beyond it every answer is computed again.
const CHANGES_MAX: usize = 100_000;
/// Pause before the feed is asked again after it failed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    /// Which products there are, and how each is described.
    Products,
    /// Which listings there are, what they and their products look like, and which are in stock.
    Listings,
    /// The categories.
    Categories,
    /// One listing.
    Listing(Handle),
    /// One product, and its stock.
    Product(Sku),
    /// Shipping methods and pick-up points.
    Delivery,
    /// How promotions are offered; not how often they were used.
    Promotions,
    /// What was sold and given back.
    Sales,
    /// Who bought, as far as they are not forgotten.
    Customers,
    /// What vendors say of themselves.
    Vendors,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Computed {
    body: Bytes,
    tag: Option<HeaderValue>,
    /// The read models that it was made of had reached this before they were read.
    position: i64,
    of: Vec<Of>,
    /// Until when it is true by the clock, if nothing is heard.
    until: Option<DateTime<Utc>>,
}

impl Computed {
    /// A list.
    pub(crate) fn new(position: i64, of: Vec<Of>, view: &impl Serialize) -> Self {
        let body: Bytes = queries::body(view).into();
        let tag = queries::tag_of(&body);
        Self { body, tag, position, of, until: None }
    }

    /// One thing, whose version is good for `If-Match`.
    pub(crate) fn versioned(
        position: i64,
        of: Vec<Of>,
        version: i64,
        view: &impl Serialize,
    ) -> Self {
        let body: Bytes = queries::body(view).into();
        let tag = queries::tag_at(version, &body);
        Self { body, tag, position, of, until: None }
    }

    /// The same, which is another from a moment on whatever happens.
    pub(crate) fn until(self, until: Option<DateTime<Utc>>) -> Self {
        Self { until, ..self }
    }

    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// The answer to somebody.
    pub(crate) fn shown(&self, position: i64) -> Response {
        let response = queries::shown_bytes(position, self.tag.clone(), self.body.clone());
        match self.until {
            Some(until) => caching::fresh_until(response, until),
            None => response,
        }
    }

    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    /// The answer to somebody for whom it was computed.
    pub(crate) fn told(&self) -> Response {
        self.shown(self.position)
    }
}

type Kept = Result<Arc<Computed>, Problem>;

/// Where answers of a kind are kept, and the metric that counts them.
#[derive(Clone)]
struct Shelf {
    kept: Cache<String, Kept>,
    metric: &'static str,
}

impl Shelf {
    fn new(metric: &'static str, bytes_max: u64) -> Self {
        let kept = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|key: &String, kept: &Kept| {
                let body = kept.as_ref().map_or(0, |computed| computed.body.len());
                u32::try_from(key.len() + body + OVERHEAD_BYTES).unwrap_or(u32::MAX)
            })
            .time_to_live(KEPT)
            .build();
        Self { kept, metric }
    }
}

/// The answers of this process; clones share them.
#[derive(Clone)]
pub struct Answers {
    catalogue: Shelf,
    reports: Shelf,
    changes: Arc<Mutex<Changes>>,
    heard: Arc<watch::Sender<i64>>,
}

/// When what an answer can be made of changed last.
#[derive(Debug)]
struct Changes {
    heard: i64,
    /// Nothing is known of changes up to here, so no answer from before stands.
    floor: i64,
    products: i64,
    listings: i64,
    categories: i64,
    delivery: i64,
    promotions: i64,
    sales: i64,
    customers: i64,
    vendors: i64,
    by_listing: HashMap<String, i64>,
    by_product: HashMap<String, i64>,
    levels: Levels,
}

impl Answers {
    /// Keeps nothing yet, and nothing from before this position ever; nothing stands until
    /// [`Self::keep_up`] has begun to listen.
    pub fn new(head: i64) -> Self {
        let changes = Changes {
            heard: 0,
            floor: head,
            products: head,
            listings: head,
            categories: head,
            delivery: head,
            promotions: head,
            sales: head,
            customers: head,
            vendors: head,
            by_listing: HashMap::new(),
            by_product: HashMap::new(),
            levels: Levels::default(),
        };
        Self {
            catalogue: Shelf::new(TOLD, BYTES_MAX),
            reports: Shelf::new(REPORTED, REPORT_BYTES_MAX),
            changes: Arc::new(Mutex::new(changes)),
            heard: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Tells customers what is kept for all of them, and whoever may see more what there is.
    pub(crate) async fn tell_to<F>(
        &self,
        onlooker: Onlooker,
        asking: &Asking,
        key: String,
        compute: impl Fn() -> F + Sync,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Computed, Problem>> + Send,
    {
        match onlooker {
            Onlooker::Staff => Ok(for_staff(asking.show_computed(&compute().await?))),
            Onlooker::Customer => self.tell(asking, key, compute).await,
        }
    }

    /// Tells the answer under this key, computed if there is none that stands. The key says all that
    /// makes one question another than the next; whoever may see more than others must not ask here.
    pub(crate) async fn tell<F>(
        &self,
        asking: &Asking,
        key: String,
        compute: impl Fn() -> F + Sync,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Computed, Problem>> + Send,
    {
        self.tell_from(&self.catalogue, asking, key, compute).await
    }

    /// Tells a report likewise. Whoever may read reports may read all of them.
    pub(crate) async fn report<F>(
        &self,
        asking: &Asking,
        key: String,
        compute: impl Fn() -> F + Sync,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Computed, Problem>> + Send,
    {
        self.tell_from(&self.reports, asking, key, compute).await
    }

    async fn tell_from<F>(
        &self,
        kind: &Shelf,
        asking: &Asking,
        key: String,
        compute: impl Fn() -> F + Sync,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Computed, Problem>> + Send,
    {
        let wanted = asking.min_position();
        self.wait_for(wanted).await?;
        let is_own = AtomicBool::new(false);
        let computed = async {
            is_own.store(true, Ordering::Relaxed);
            compute().await.map(Arc::new)
        };
        let entry = kind
            .kept
            .entry(key)
            .or_insert_with_if(computed, |kept| !self.stands(kept))
            .await;
        // Whoever waited for somebody else's computation has cost none.
        let is_own = is_own.load(Ordering::Relaxed);
        let from = if is_own { "computation" } else { "memory" };
        counter!(kind.metric, "from" => from).increment(1);
        let kept = match entry.into_value() {
            Ok(kept) => kept,
            Err(problem) if is_own || wanted == 0 => return Err(problem),
            // It was somebody's who wanted less: what was not there for them may be there by now.
            Err(_) => return Ok(compute().await?.told()),
        };
        let position = self.holds_at(&kept).unwrap_or(kept.position);
        if wanted <= position {
            return Ok(kept.shown(position));
        }
        Ok(compute().await?.told())
    }

    fn stands(&self, kept: &Kept) -> bool {
        let now = Utc::now();
        kept.as_ref()
            .is_ok_and(|computed| !computed.is_over(now) && self.holds_at(computed).is_some())
    }

    /// Up to which position it is true, if it still is.
    fn holds_at(&self, computed: &Computed) -> Option<i64> {
        let changes = self.changes();
        let stands = changes.floor <= changes.heard.min(computed.position)
            && computed
                .of
                .iter()
                .all(|of| changes.last(of) <= computed.position);
        stands.then(|| changes.heard.max(computed.position))
    }

    async fn wait_for(&self, position: i64) -> Result<(), WaitError> {
        if position <= *self.heard.borrow() {
            return Ok(());
        }
        let mut heard = self.heard.subscribe();
        let until_then = heard.wait_for(|heard| position <= *heard);
        if let Ok(Ok(_)) = tokio::time::timeout(CATCH_UP_MAX, until_then).await {
            return Ok(());
        }
        let reached = *self.heard.borrow();
        Err(WaitError::Behind { name: "catalogue", reached, wanted: position })
    }

    /// Hears what changes, for ever.
    pub async fn keep_up(self, feeds: Feeds, read_models: ReadModels) {
        let mark = self.begin(&read_models).await;
        let late = "changes of the catalogue are heard late";
        feeds.follow(mark, late, |batch| self.hear(batch)).await;
    }

    /// What is in stock, so that only what runs out or comes in again changes lists; the position as
    /// of which that is so.
    async fn begin(&self, read_models: &ReadModels) -> i64 {
        loop {
            match Levels::read(read_models.reads()).await {
                Ok((levels, position)) => {
                    let mut changes = self.changes();
                    changes.levels = levels;
                    let ahead = changes.floor < position;
                    if ahead {
                        // Nobody has heard what happened in between.
                        changes.forget(position);
                    }
                    changes.heard = position;
                    drop(changes);
                    self.heard.send_replace(position);
                    return position;
                }
                Err(error) => {
                    tracing::warn!(%error, "the catalogue's answers are computed each time");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    fn hear(&self, batch: &[Arc<RecordedEvent>]) {
        let Some(last) = batch.last() else { return };
        let mut changes = self.changes();
        for event in batch {
            changes.take(event);
        }
        changes.heard = last.position;
        if CHANGES_MAX < changes.by_listing.len() + changes.by_product.len() {
            changes.forget(last.position);
        }
        drop(changes);
        self.heard.send_replace(last.position);
    }

    /// Whole after every line that holds it.
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    fn last(&self, of: &Of) -> i64 {
        let known = match of {
            Of::Products => Some(&self.products),
            Of::Listings => Some(&self.listings),
            Of::Categories => Some(&self.categories),
            Of::Promotions => Some(&self.promotions),
            Of::Listing(handle) => self.by_listing.get(handle.as_str()),
            Of::Product(sku) => self.by_product.get(sku.as_str()),
            Of::Delivery => Some(&self.delivery),
            Of::Sales => Some(&self.sales),
            Of::Customers => Some(&self.customers),
            Of::Vendors => Some(&self.vendors),
        };
        known.copied().unwrap_or(self.floor)
    }

    fn take(&mut self, recorded: &RecordedEvent) {
        let (id, position) = (&recorded.aggregate_id, recorded.position);
        match &recorded.event {
            Event::Product(_) => {
                self.by_product.insert(id.clone(), position);
                self.products = position;
                self.listings = position;
            }
            Event::Listing(_) => {
                self.by_listing.insert(id.clone(), position);
                self.listings = position;
            }
            // Lists name them, and look below them.
            Event::Categories(_) => {
                self.categories = position;
                self.listings = position;
            }
            Event::Inventory(event) => {
                self.by_product.insert(id.clone(), position);
                if self.levels.runs_out_or_comes_in(id, pieces_of(event)) {
                    self.listings = position;
                }
            }
            // Whether vendors may sell decides on all that they offer; it is rare that this changes.
            Event::Vendor(vendor::Event::Activated | vendor::Event::Deactivated { .. }) => {
                self.forget(position);
            }
            // What they say of themselves is on their own page alone.
            Event::Vendor(vendor::Event::Registered(_) | vendor::Event::ProfileChanged(_)) => {
                self.vendors = position;
            }
            Event::Delivery(_) => self.delivery = position,
            Event::Promotion(promotion::Event::Described(_)) => self.promotions = position,
            // An order counts once it is paid.
            Event::Order(order::Event::Confirmed { .. } | order::Event::Refunded(_)) => {
                self.sales = position;
                self.customers = position;
            }
            Event::Person(_) => self.customers = position,
            // Nobody is told how often a promotion is used.
            Event::Promotion(_) | Event::Order(_) | Event::Payment(_) => {}
        }
    }

    fn forget(&mut self, position: i64) {
        self.floor = position;
        self.by_listing.clear();
        self.by_product.clear();
    }
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
