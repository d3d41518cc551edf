//! Which vendors may sell, in memory, so that no order asks a database for it.
//!
//! 1. Whoever this process has deactivated sells nothing from then on; whoever another process has, as
//!    soon as the feed brings it, milliseconds later.
//! 2. What is newer is never replaced by what is older: versions decide.
//! 3. All of them are here: who is not has never registered.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use domain::event::Event;
use domain::ids::VendorId;
use domain::vendor;
use sqlx::PgPool;
use store::feed::Feeds;
use store::log;
use store::recorded::RecordedEvent;

/// All vendors; clones share them. Some 50 bytes each.
#[derive(Debug, Clone, Default)]
pub struct Sellers(Arc<RwLock<HashMap<VendorId, Seller>>>);

#[derive(Debug, Clone, Copy)]
struct Seller {
    version: i64,
    is_active: bool,
}

impl Sellers {
    /// Reads who there is; the log up to a position at least.
    pub async fn open(pool: &PgPool) -> Result<Self, log::Error> {
        let sellers = Self::default();
        // The primary key of the log begins with the type of the aggregate.
        let ids: Vec<String> = sqlx::query_scalar(
            "select aggregate_id from events where aggregate_type = 'vendor' and sequence = 1",
        )
        .fetch_all(pool)
        .await?;
        for event in log::of_aggregates(pool, "vendor", &ids).await? {
            sellers.hear(&event);
        }
        Ok(sellers)
    }

    /// Whether they may sell.
    pub(crate) fn is_active(&self, vendor: VendorId) -> bool {
        self.read(|all| all.get(&vendor).is_some_and(|seller| seller.is_active))
    }

    /// Whether there is such a vendor, active or not.
    pub(crate) fn knows(&self, vendor: VendorId) -> bool {
        self.read(|all| all.contains_key(&vendor))
    }

    /// Whether there are vendors at all: most shops have none.
    pub(crate) fn are_there(&self) -> bool {
        self.read(|all| !all.is_empty())
    }

    /// A vendor may or may not sell since a version of it.
    pub(crate) fn stands(&self, vendor: VendorId, version: i64, is_active: bool) {
        let mut all = self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let seller = all.entry(vendor).or_insert(Seller { version, is_active });
        if seller.version <= version {
            *seller = Seller { version, is_active };
        }
    }

    fn read<T>(&self, read: impl FnOnce(&HashMap<VendorId, Seller>) -> T) -> T {
        read(
            &self
                .0
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    fn hear(&self, recorded: &RecordedEvent) {
        let Event::Vendor(event) = &recorded.event else {
            return;
        };
        let Ok(vendor) = recorded.aggregate_id.parse() else {
            return;
        };
        let is_active = match event {
            vendor::Event::Registered(_) | vendor::Event::Deactivated { .. } => false,
            vendor::Event::Activated => true,
            vendor::Event::ProfileChanged(_) => return,
        };
        self.stands(vendor, recorded.sequence, is_active);
    }

    /// Hears what other processes decide, from a position of the log on, for ever.
    pub async fn keep_up(self, feeds: Feeds, mark: i64) {
        let late = "changes of vendors are heard late";
        feeds
            .follow(mark, late, |batch| batch.iter().for_each(|event| self.hear(event)))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_newer_word_is_never_replaced_by_an_older_one() {
        let (sellers, vendor) = (Sellers::default(), VendorId(Uuid::from_u128(1)));
        assert!(!sellers.are_there() && !sellers.is_active(vendor));
        sellers.stands(vendor, 1, false);
        assert!(sellers.are_there() && sellers.knows(vendor) && !sellers.is_active(vendor));
        sellers.stands(vendor, 3, false);
        sellers.stands(vendor, 2, true);
        assert!(!sellers.is_active(vendor));
        sellers.stands(vendor, 4, true);
        assert!(sellers.is_active(vendor));
        assert!(!sellers.knows(VendorId(Uuid::from_u128(2))));
    }
}
