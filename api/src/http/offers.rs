//! The catalogue in memory: what articles are called and cost, so that an order asks no database.
//!
//! 1. A price that this process has acknowledged is the price of every order it takes from then on.
//! 2. A price that another process has acknowledged is heard with the log's feed, milliseconds
//!    later, and within [`KEPT`] even if the feed should fail.
//! 3. A newer description is never replaced by an older one: versions decide.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::event::Event;
use domain::product::{self, Description, Product};
use quick_cache::sync::Cache;
use store::command::ExecuteError;
use store::feed::Feeds;
use store::journal::Journal;
use store::recorded::RecordedEvent;

/// Articles in memory, the most wanted ones: some 30 MB, and 16 bytes for each further price.
const OFFERS_MAX: usize = 100_000;
/// How long a description is believed before it is read from the log again.
const KEPT: Duration = Duration::from_mins(1);

/// The descriptions of articles; clones share them.
#[derive(Debug, Clone)]
pub struct Offers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    by_sku: Cache<String, Arc<Offer>>,
    /// One change at a time: which description is newer is looked at before it is replaced.
    changing: Mutex<()>,
}

/// How an article is offered since a version of it.
#[derive(Debug)]
struct Offer {
    version: i64,
    description: Description,
    learnt_at: Instant,
}

impl Default for Offers {
    fn default() -> Self {
        let by_sku = Cache::new(OFFERS_MAX);
        Self(Arc::new(Shared { by_sku, changing: Mutex::default() }))
    }
}

impl Offers {
    /// How these articles are offered; those that nobody has described are absent.
    pub(crate) async fn of(
        &self,
        journal: &Journal,
        skus: &[&str],
    ) -> Result<HashMap<String, Description>, ExecuteError> {
        let mut found = HashMap::with_capacity(skus.len());
        let mut unknown = Vec::new();
        for sku in skus {
            match self.known(sku) {
                Some(offer) => _ = found.insert((*sku).to_owned(), offer.description.clone()),
                None => unknown.push((*sku).to_owned()),
            }
        }
        if unknown.is_empty() {
            return Ok(found);
        }
        for (sku, (product, version)) in journal.fold_many::<Product>(&unknown).await? {
            if let Some(description) = product.description() {
                self.described(&sku, version, description);
                found.insert(sku, description.clone());
            }
        }
        Ok(found)
    }

    /// An article is offered like this since a version of it.
    pub(crate) fn described(&self, sku: &str, version: i64, description: &Description) {
        let Shared { by_sku, changing } = &*self.0;
        let _alone = changing.lock().unwrap_or_else(PoisonError::into_inner);
        if by_sku
            .peek(sku)
            .is_some_and(|known| version < known.version)
        {
            return;
        }
        let (description, learnt_at) = (description.clone(), Instant::now());
        by_sku.insert(sku.to_owned(), Arc::new(Offer { version, description, learnt_at }));
    }

    fn known(&self, sku: &str) -> Option<Arc<Offer>> {
        let offer = self.0.by_sku.get(sku)?;
        (offer.learnt_at.elapsed() < KEPT).then_some(offer)
    }

    fn hear(&self, event: &RecordedEvent) {
        if let Event::Product(product::Event::Described(description)) = &event.event {
            self.described(&event.aggregate_id, event.sequence, description);
        }
    }

    /// Hears what other processes describe, from the end of the log at `mark` on, for ever.
    pub async fn keep_up(self, feeds: Feeds, mark: i64) {
        let late = "changes of the catalogue are heard late";
        feeds
            .follow(mark, late, |batch| batch.iter().for_each(|event| self.hear(event)))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use domain::money::Money;

    use super::*;

    fn described(minor: i64) -> Description {
        let price = Money { minor, currency: "GBP".parse().unwrap() };
        Description {
            name: "Cup".into(),
            price,
            active: true,
            prices: vec![],
            vendor: None,
            weight_grams: None,
        }
    }

    #[test]
    fn a_newer_description_is_never_replaced_by_an_older_one() {
        let offers = Offers::default();
        offers.described("cup", 2, &described(500));
        offers.described("cup", 1, &described(450));
        assert_eq!(offers.known("cup").unwrap().description, described(500));

        offers.described("cup", 3, &described(550));
        assert_eq!(offers.known("cup").unwrap().description, described(550));
    }

    #[test]
    fn what_was_learnt_too_long_ago_is_not_believed() {
        let offers = Offers::default();
        let learnt_at = Instant::now().checked_sub(KEPT);
        let learnt_at = learnt_at.expect("the machine has been up for a minute");
        let offer = Offer { version: 3, description: described(450), learnt_at };
        offers.0.by_sku.insert("cup".to_owned(), Arc::new(offer));
        assert!(offers.known("cup").is_none());

        offers.described("cup", 3, &described(450));
        assert!(offers.known("cup").is_some(), "the log says the same again");
    }
}
