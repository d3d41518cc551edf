//! Whoever shares a row with those who begin in a block: the other orders of a guest, and the other
//! listings that ever named the SKU of a variant.
//!
//! 1. Live tables say who they are, in the snapshot that the rows are seen in. Those tables are held
//!    against the log themselves, row by row, so nobody can be hidden by changing them.
//! 2. A guest is answered for by the block of the first order that is theirs, a variant by the block
//!    of every listing that ever named its SKU.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::STREAM_EVENTS_MAX;
use super::begun::Begun;
use crate::error::Error;
use crate::marks::LIVE;

/// Most orders of a guest that are folded again, some 5 MB; a guest of more has an account's habits,
/// and is compared by `daybook diff`.
const GUEST_ORDERS_MAX: usize = 500;

/// Who they are.
#[derive(Debug, Default)]
pub(super) struct Kin {
    /// Addresses of guests whose record is compared.
    pub(super) guests: Vec<String>,
    /// All orders of those guests.
    pub(super) guests_orders: Vec<String>,
    /// Listings that began in the block and are compared.
    pub(super) compared_listings: Vec<String>,
    /// SKUs whose variants are compared.
    pub(super) variants: Vec<String>,
    /// Listings that are folded: the former, and whoever ever named one of these SKUs.
    pub(super) listings: BTreeSet<String>,
    /// Rows that are made of too much to be folded again.
    pub(super) left_out: usize,
}

impl Kin {
    /// Looks in the caller's transaction.
    pub(super) async fn of(connection: &mut PgConnection, begun: &Begun) -> Result<Self, Error> {
        let mut kin = Self::default();
        kin.of_guests(connection, begun).await?;
        kin.of_listings(connection, &begun.listings).await?;
        Ok(kin)
    }

    async fn of_guests(
        &mut self,
        connection: &mut PgConnection,
        begun: &Begun,
    ) -> Result<(), Error> {
        let orders: Vec<Uuid> = begun.orders.iter().map(|(id, _)| *id).collect();
        let select = format!(
            "select email_key, array( \
                select order_id from {LIVE}.guest_orders \
                where email_key = guest.email_key order by position limit $2 \
             ) \
             from (select distinct email_key from {LIVE}.guest_orders where order_id = any($1)) \
                as guest"
        );
        let limit = i64::try_from(GUEST_ORDERS_MAX + 1).unwrap_or(i64::MAX);
        let guests: Vec<(String, Vec<Uuid>)> = sqlx::query_as(&select)
            .bind(&orders)
            .bind(limit)
            .fetch_all(connection)
            .await?;
        for (guest, theirs) in guests {
            if !theirs.first().is_some_and(|first| orders.contains(first)) {
                continue;
            }
            if GUEST_ORDERS_MAX < theirs.len() {
                self.left_out += 1;
                continue;
            }
            self.guests.push(guest);
            self.guests_orders
                .extend(theirs.iter().map(Uuid::to_string));
        }
        Ok(())
    }

    /// As many as make no more events than the longest stream that is folded.
    async fn of_listings(
        &mut self,
        connection: &mut PgConnection,
        begun: &[String],
    ) -> Result<(), Error> {
        let select = format!(
            "select sku, array(select handle from {LIVE}.listing_claims where sku = of.sku) \
             from (select distinct sku from {LIVE}.listing_claims where handle = any($1)) as of \
             order by sku"
        );
        let claims: Vec<(String, Vec<String>)> = sqlx::query_as(&select)
            .bind(begun)
            .fetch_all(&mut *connection)
            .await?;
        let handles: BTreeSet<&String> = begun
            .iter()
            .chain(claims.iter().flat_map(|(_, by)| by))
            .collect();
        let select = "select id, (select max(sequence) from public.events \
                          where aggregate_type = 'listing' and aggregate_id = id) \
                      from unnest($1::text[]) as id";
        let lengths: Vec<(String, Option<i64>)> = sqlx::query_as(select)
            .bind(Vec::from_iter(handles))
            .fetch_all(connection)
            .await?;
        let mut folding = Folding {
            lengths: lengths.into_iter().collect(),
            events: 0,
            listings: BTreeSet::new(),
        };
        for handle in begun {
            if folding.has_room_for(std::slice::from_ref(handle)) {
                self.compared_listings.push(handle.clone());
            } else {
                self.left_out += 1;
            }
        }
        for (sku, by) in claims {
            if folding.has_room_for(&by) {
                self.variants.push(sku);
            } else {
                self.left_out += 1;
            }
        }
        self.listings = folding.listings;
        Ok(())
    }
}

/// What is going to be folded.
struct Folding {
    lengths: BTreeMap<String, Option<i64>>,
    events: i64,
    listings: BTreeSet<String>,
}

impl Folding {
    /// Adds listings if there is room for all of them.
    fn has_room_for(&mut self, listings: &[String]) -> bool {
        let new = listings
            .iter()
            .filter(|handle| !self.listings.contains(*handle));
        let new: Vec<String> = new.cloned().collect();
        let length = |handle| self.lengths.get(handle).copied().flatten().unwrap_or(0);
        let events = self.events + new.iter().map(length).sum::<i64>();
        let has_room = events <= STREAM_EVENTS_MAX;
        if has_room {
            self.events = events;
            self.listings.extend(new);
        }
        has_room
    }
}
