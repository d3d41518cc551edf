//! Who begins in a block, and what has happened to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::event::Event;
use domain::order;
use domain::placing::Placing;
use domain::{categories, delivery};
use sqlx::PgPool;
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use uuid::Uuid;

use super::kin::Kin;
use super::snapshot::Snapshot;
use super::{BLOCK_EVENTS, STREAM_EVENTS_MAX};
use crate::error::Error;
use crate::projection::By;

type Events = Vec<Arc<RecordedEvent>>;

/// The streams that an article has.
const TYPES_OF_SKUS: [&str; 2] = ["inventory", "product"];
/// The streams of which a shop has one each: all categories, and all ways of delivery.
const STREAMS_OF_SHOP: [(&str, &str); 2] = [
    ("categories", categories::SHOP),
    ("delivery", delivery::SHOP),
];

/// Who begins in a block.
#[derive(Default)]
pub(super) struct Begun {
    pub(super) block: Events,
    pub(super) orders: Vec<(Uuid, Placing)>,
    pub(super) payments: Vec<Uuid>,
    pub(super) skus: Vec<String>,
    pub(super) listings: Vec<String>,
    pub(super) vendors: Vec<Uuid>,
    pub(super) promotions: Vec<String>,
    /// Whether the streams are theirs of which the shop has one: the first block answers for these,
    /// wherever they begin.
    pub(super) of_shop: bool,
    /// Whether no block is before it: then it answers for whatever is before its rows as well.
    pub(super) is_first: bool,
    /// Streams that are too long to be folded again.
    pub(super) left_out: usize,
    /// What has happened, by whose rows it makes.
    events: BTreeMap<By, Events>,
}

impl Begun {
    /// Those of one block, without what has happened to them.
    pub(super) async fn of(log: &PgPool, block: i64) -> Result<Self, Error> {
        let slice = Slice {
            from: Some(block * BLOCK_EVENTS + 1),
            to: Some((block + 1) * BLOCK_EVENTS),
            ..Slice::default()
        };
        let is_first = block == 0;
        let block = log::page(log, &slice, BLOCK_EVENTS).await?.events;
        let mut begun = Self { is_first, of_shop: is_first, ..Self::default() };
        for recorded in &block {
            begun.take(recorded);
        }
        begun.block = block;
        begun.skus.sort();
        begun.skus.dedup();
        begun.leave_out_what_is_too_long(log).await?;
        Ok(begun)
    }

    fn take(&mut self, recorded: &RecordedEvent) {
        let id = &recorded.aggregate_id;
        if let Event::Order(order::Event::Placed(placing)) = &recorded.event {
            let id = id.parse().ok();
            self.orders
                .extend(id.map(|id| (id, placing.as_ref().clone())));
        }
        if recorded.sequence != 1 {
            return;
        }
        match &recorded.event {
            Event::Payment(_) => self.payments.extend(id.parse::<Uuid>()),
            Event::Inventory(_) | Event::Product(_) => self.skus.push(id.clone()),
            Event::Listing(_) => self.listings.push(id.clone()),
            Event::Vendor(_) => self.vendors.extend(id.parse::<Uuid>()),
            Event::Promotion(_) => self.promotions.push(id.clone()),
            // Orders begin when they are placed, and the others with the shop.
            Event::Order(_) | Event::Person(_) | Event::Categories(_) | Event::Delivery(_) => {}
        }
    }

    async fn leave_out_what_is_too_long(&mut self, log: &PgPool) -> Result<(), Error> {
        let mut streams: Vec<(&str, String)> = Vec::new();
        for of in TYPES_OF_SKUS {
            streams.extend(self.skus.iter().map(|sku| (of, sku.clone())));
        }
        streams.extend(self.vendors.iter().map(|id| ("vendor", id.to_string())));
        streams.extend(
            self.promotions
                .iter()
                .map(|code| ("promotion", code.clone())),
        );
        if self.of_shop {
            streams.extend(STREAMS_OF_SHOP.map(|(of, id)| (of, id.to_owned())));
        }
        let (types, ids): (Vec<&str>, Vec<String>) = streams.into_iter().unzip();
        let select = "select type, id from unnest($1::text[], $2::text[]) as stream (type, id) \
                      where exists (select from events where aggregate_type = type \
                      and aggregate_id = id and sequence = $3)";
        let too_long: Vec<(String, String)> = sqlx::query_as(select)
            .bind(types)
            .bind(ids)
            .bind(STREAM_EVENTS_MAX)
            .fetch_all(log)
            .await?;
        let is_short = |of: &str, id: &str| !too_long.iter().any(|it| it.0 == of && it.1 == id);
        self.skus
            .retain(|sku| TYPES_OF_SKUS.iter().all(|of| is_short(of, sku)));
        self.vendors
            .retain(|id| is_short("vendor", &id.to_string()));
        self.promotions.retain(|code| is_short("promotion", code));
        self.of_shop = self.of_shop && STREAMS_OF_SHOP.iter().all(|(of, id)| is_short(of, id));
        self.left_out = too_long.len();
        Ok(())
    }

    /// What has happened to those whose rows are of this kind.
    pub(super) fn events(&self, by: By) -> &[Arc<RecordedEvent>] {
        self.events.get(&by).map_or(&[], Vec::as_slice)
    }

    /// Reads what has happened to them, and to whoever shares their rows.
    pub(super) async fn read(
        &mut self,
        log: &PgPool,
        kin: &Kin,
        live: &Snapshot,
    ) -> Result<(), Error> {
        let orders: Vec<String> = self.orders.iter().map(|(id, _)| id.to_string()).collect();
        let theirs: BTreeSet<String> = self
            .orders
            .iter()
            .map(|(_, placing)| placing.payment_id.to_string())
            .collect();
        let begun: BTreeSet<String> = self.payments.iter().map(Uuid::to_string).collect();
        let payments: Vec<String> = theirs.union(&begun).cloned().collect();
        let payments = log::of_aggregates(log, "payment", &payments).await?;
        let of = |ids: &BTreeSet<String>| {
            let events = payments.iter();
            let events = events.filter(|event| ids.contains(&event.aggregate_id));
            events.cloned().collect::<Events>()
        };
        let mut of_orders = log::of_aggregates(log, "order", &orders).await?;
        of_orders.extend(of(&theirs));
        let of_timelines = of_timelines(log, &of_orders, live).await?;
        // Whose personal data is gone is said by no event of the order itself.
        let forgets = |event: &&Arc<RecordedEvent>| matches!(event.event, Event::Person(_));
        of_orders.extend(of_timelines.iter().filter(forgets).cloned());

        let mut of_skus = Vec::new();
        for sku in &self.skus {
            for of in TYPES_OF_SKUS {
                of_skus.extend(stream(log, of, sku).await?);
            }
        }
        let mut of_vendors = Vec::new();
        for id in &self.vendors {
            of_vendors.extend(stream(log, "vendor", &id.to_string()).await?);
        }
        let mut of_promotions = Vec::new();
        for code in &self.promotions {
            of_promotions.extend(stream(log, "promotion", code).await?);
        }
        let mut of_listings = Vec::new();
        for handle in &kin.listings {
            of_listings.extend(stream(log, "listing", handle).await?);
        }
        let mut of_shop = Vec::new();
        if self.of_shop {
            for (of, id) in STREAMS_OF_SHOP {
                of_shop.extend(stream(log, of, id).await?);
            }
        }
        let of_guests = log::of_aggregates(log, "order", &kin.guests_orders).await?;
        self.events = BTreeMap::from([
            (By::Order, of_orders),
            (By::Event, of_timelines),
            (By::Payment, of(&begun)),
            (By::Sku, of_skus),
            (By::Vendor, of_vendors),
            (By::Promotion, of_promotions),
            (By::Variant, of_listings.clone()),
            (By::Listing, of_listings),
            (By::Shop, of_shop),
            (By::Guest, of_guests),
        ]);
        for events in self.events.values_mut() {
            events.sort_by_key(|event| event.position);
        }
        Ok(())
    }

    /// The events of each order with its payment, and of each SKU, in log order.
    pub(super) fn histories(&self) -> Vec<Events> {
        let mut histories: BTreeMap<String, Events> = BTreeMap::new();
        for event in self.events(By::Order) {
            let order = event.metadata.correlation_id.to_string();
            histories.entry(order).or_default().push(Arc::clone(event));
        }
        for event in self.events(By::Sku) {
            let sku = event.aggregate_id.clone();
            histories.entry(sku).or_default().push(Arc::clone(event));
        }
        histories.into_values().collect()
    }
}

/// The events of orders, and what else the timeline says is theirs: those of stock are found in no
/// other way.
async fn of_timelines(log: &PgPool, of_orders: &Events, live: &Snapshot) -> Result<Events, Error> {
    let mut of_timelines = of_orders.clone();
    let page = usize::try_from(log::PAGE_MAX).unwrap_or(usize::MAX);
    for positions in live.positions.chunks(page) {
        let mut slice = Slice {
            from: positions.first().copied(),
            to: positions.last().copied(),
            positions: Some(positions.to_vec()),
            ..Slice::default()
        };
        let mut more = true;
        while more {
            let page = log::page(log, &slice, log::PAGE_MAX).await?;
            slice.from = page.events.last().map(|last| last.position + 1);
            more = page.more && slice.from.is_some();
            of_timelines.extend(page.events);
        }
    }
    of_timelines.sort_by_key(|event| event.position);
    of_timelines.dedup_by_key(|event| event.position);
    Ok(of_timelines)
}

/// A stream from its first event.
async fn stream(log: &PgPool, aggregate_type: &str, id: &str) -> Result<Events, Error> {
    let mut events = Events::new();
    loop {
        let last = events.last().map_or(0, |last| last.sequence);
        let page = log::PAGE_MAX;
        let next = log::of_aggregate_after(log, aggregate_type, id, last, page).await?;
        events.extend(next.events);
        if !next.more {
            return Ok(events);
        }
    }
}
