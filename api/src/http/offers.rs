//! The catalogue in memory: what articles are called and cost, so that an order asks no database.
//!
//! 1. A price that this process has acknowledged is the price of every order it takes from then on.
//! 2. A price that another process has acknowledged is heard with the log's feed, milliseconds
//!    later, and within [`KEPT`] even if the feed should fail.
//! 3. A newer description is never replaced by an older one: versions decide.

use std::collections::HashMap;
use std::time::Duration;

use domain::event::Event;
use domain::product::{self, Description, Product};
use moka::ops::compute::Op;
use moka::sync::Cache;
use store::command::ExecuteError;
use store::feed::Feeds;
use store::journal::Journal;
use store::recorded::RecordedEvent;

/// Articles in memory, the most wanted ones: some 30 MB, and 16 bytes for each further price.
const OFFERS_MAX: u64 = 100_000;
/// How long a description is believed before it is read from the log again.
const KEPT: Duration = Duration::from_mins(1);
/// Events that are looked through at a time for new descriptions.
const BATCH_MAX: usize = 2_000;
/// Pause before the feed is asked again after it failed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The descriptions of articles; clones share them.
#[derive(Debug, Clone)]
pub struct Offers {
    by_sku: Cache<String, Offer>,
}

/// How an article is offered since a version of it.
#[derive(Debug, Clone)]
struct Offer {
    version: i64,
    description: Description,
}

impl Default for Offers {
    fn default() -> Self {
        let by_sku = Cache::builder()
            .max_capacity(OFFERS_MAX)
            .time_to_live(KEPT)
            .build();
        Self { by_sku }
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
            match self.by_sku.get(*sku) {
                Some(offer) => _ = found.insert((*sku).to_owned(), offer.description),
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
        self.by_sku
            .entry(sku.to_owned())
            .and_compute_with(|known| match known {
                Some(known) if version < known.value().version => Op::Nop,
                _ => Op::Put(Offer { version, description: description.clone() }),
            });
    }

    fn hear(&self, event: &RecordedEvent) {
        if let Event::Product(product::Event::Described(description)) = &event.event {
            self.described(&event.aggregate_id, event.sequence, description);
        }
    }

    /// Hears what other processes describe, from the end of the log at `mark` on, for ever.
    pub async fn keep_up(self, feeds: Feeds, mut mark: i64) {
        let mut feed = feeds.subscribe_promptly();
        loop {
            match feed.next(mark, BATCH_MAX).await {
                Ok(batch) => {
                    mark = batch.last().map_or(mark, |event| event.position);
                    for event in &batch {
                        self.hear(event);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "changes of the catalogue are heard late");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
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
        assert_eq!(offers.by_sku.get("cup").unwrap().description, described(500));

        offers.described("cup", 3, &described(550));
        assert_eq!(offers.by_sku.get("cup").unwrap().description, described(550));
    }
}
