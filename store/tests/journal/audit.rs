//! What must hold of any database, whatever was done to it: DESIGN section 7, rows 1 to 3, checked by
//! a model of its own that knows nothing of the journal.

use std::collections::HashMap;
use std::sync::Arc;

use domain::event::Event;
use domain::inventory;
use sqlx::FromRow;
use store::command::Verdict;
use store::log;
use store::recorded::RecordedEvent;
use uuid::Uuid;

use crate::world::{StockReceipt, World};

#[derive(FromRow)]
struct Remembered {
    command_id: Uuid,
    refusal: Option<String>,
    aggregate_type: String,
    aggregate_id: String,
    version: i64,
    first_position: i64,
    last_position: i64,
}

/// Stock of one SKU, in numbers that can go wrong.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(crate) struct Stock {
    pub(crate) on_hand: i128,
    pub(crate) reserved: i128,
}

impl World {
    /// The whole log.
    pub(crate) async fn log(&self) -> Vec<Arc<RecordedEvent>> {
        let mut events: Vec<Arc<RecordedEvent>> = Vec::new();
        loop {
            let mark = events.last().map_or(0, |event| event.position);
            let page = log::after(&self.pool, mark, log::PAGE_MAX).await.unwrap();
            if page.is_empty() {
                return events;
            }
            events.extend(page);
        }
    }

    /// Checks every invariant, and gives back the stock that the log adds up to.
    pub(crate) async fn audit(&self) -> HashMap<String, Stock> {
        let events = self.log().await;
        assert_eq!(self.head().await, i64::try_from(events.len()).unwrap());
        let mut streams: HashMap<(&str, &str), Vec<&RecordedEvent>> = HashMap::new();
        for (event, position) in events.iter().zip(1..) {
            assert_eq!(event.position, position, "positions have no gap");
            let stream = streams
                .entry((&event.aggregate_type, &event.aggregate_id))
                .or_default();
            stream.push(event);
            let sequence = i64::try_from(stream.len()).unwrap();
            assert_eq!(event.sequence, sequence, "sequences have no gap");
        }
        let in_order = |pair: &[Arc<RecordedEvent>]| pair[0].recorded_at <= pair[1].recorded_at;
        assert!(events.windows(2).all(in_order), "time does not run against positions");

        let receipts: Vec<Remembered> = sqlx::query_as(
            "select command_id, refusal::text, aggregate_type, aggregate_id, version, \
                    first_position, last_position from receipts",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let mut explained = 0;
        for receipt in &receipts {
            let effect: Vec<_> = events
                .get(usize::try_from(receipt.first_position - 1).unwrap_or(usize::MAX)..)
                .unwrap_or_default()
                .iter()
                .take_while(|event| event.position <= receipt.last_position)
                .filter(|event| event.metadata.command_id == receipt.command_id)
                .collect();
            let whole = receipt.last_position - receipt.first_position + 1;
            assert!(effect.is_empty() || effect.len() == usize::try_from(whole).unwrap());
            explained += effect.len();
            if effect.is_empty() {
                let stream = (receipt.aggregate_type.as_str(), receipt.aggregate_id.as_str());
                let stream = streams.get(&stream).map_or(&[][..], Vec::as_slice);
                decided_on_what_was_there(receipt, stream);
            } else {
                assert_eq!(receipt.refusal, None);
                assert_eq!(effect.last().unwrap().sequence, receipt.version);
            }
        }
        assert_eq!(explained, events.len(), "every event has the receipt of its command");
        let stocks = streams
            .iter()
            .filter(|((of, _), _)| *of == "inventory")
            .map(|((_, sku), stream)| ((*sku).to_owned(), fold(stream)));
        stocks.collect()
    }

    /// Checks that an answer is in the log, and what it says.
    pub(crate) async fn audit_answers(&self, answers: &[(Uuid, StockReceipt)]) {
        let journal = self.journal();
        for (command_id, answered) in answers {
            let stored = journal.receipt(*command_id, &[7; 32]).await.unwrap();
            let stored: StockReceipt = stored.expect("an acknowledged command has a receipt");
            let replayed = answered.replayed;
            assert_eq!(&StockReceipt { replayed, ..stored }, answered);
        }
    }
}

/// A decision without an event stands at a position; there, the stream must be as it was decided on.
fn decided_on_what_was_there(receipt: &Remembered, stream: &[&RecordedEvent]) {
    let before = stream.partition_point(|event| event.position <= receipt.first_position);
    assert_eq!(i64::try_from(before).unwrap(), receipt.version, "decided on an outdated state");
    let Some(refusal) = &receipt.refusal else {
        return;
    };
    if receipt.aggregate_type != "inventory" {
        return;
    }
    let stock = fold(&stream[..before]);
    if let Verdict::Refused(inventory::Refusal::InsufficientStock { requested, available }) =
        serde_json::from_str(refusal).unwrap()
    {
        assert_eq!(i128::from(available), stock.on_hand - stock.reserved);
        assert!(available < requested);
    }
}

fn fold(stream: &[&RecordedEvent]) -> Stock {
    use inventory::Event as E;

    let mut stock = Stock::default();
    for event in stream {
        let Event::Inventory(event) = &event.event else {
            panic!("an event of another aggregate")
        };
        match event {
            E::Received { quantity, .. } | E::Restocked { quantity, .. } => {
                stock.on_hand += i128::from(*quantity);
            }
            E::Adjusted { quantity, .. } => stock.on_hand += i128::from(*quantity),
            E::Reserved { quantity, .. } => stock.reserved += i128::from(*quantity),
            E::Released { quantity, .. } => stock.reserved -= i128::from(*quantity),
            E::Issued { quantity, .. } => {
                stock.reserved -= i128::from(*quantity);
                stock.on_hand -= i128::from(*quantity);
            }
        }
        assert!(0 <= stock.reserved && stock.reserved <= stock.on_hand, "oversold: {stock:?}");
    }
    stock
}
