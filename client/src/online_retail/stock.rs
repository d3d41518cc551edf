//! Opening stock: exactly the units that the orders will sell, received before they are placed.
//!
//! Goods are received in blocks of orders in time order: for the first 10, for those up to 100,
//! to 1,000, and so on. A block is always received as a whole, and its key depends on the file and
//! not on `--orders`. So:
//!
//! 1. The same file again, whole or after being killed, repeats keys, and receives nothing twice.
//! 2. `--orders N` and later the full file: blocks that are there are repeated keys, the others
//!    are received now, and in the end each SKU has received what it sells and stands at zero.
//! 3. Until then, the rest of the block that holds order N is on the shelf; none is when N is 10,
//!    100, 1,000 and so on.
//! 4. Another file has other prints, and receives its own goods; a file that has grown receives
//!    its last block anew, which leaves too much on the shelf and never too little.
//!
//! Blocks of equal size would be exact for more N, but each costs a receipt per SKU: ten times as
//! many commands for a year of orders.

use std::collections::BTreeMap;

use super::history::{History, Order};
use super::keys::{self, Print};

/// The server's bound on one receipt.
const QUANTITY_MAX: u64 = 1_000_000;
const FIRST_BLOCK_ORDERS: usize = 10;
const BLOCK_GROWTH: usize = 10;

/// Goods of one SKU that come in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Receipt<'h> {
    pub(super) sku: &'h str,
    pub(super) quantity: u64,
    pub(super) reference: String,
    pub(super) key: String,
}

#[derive(Default)]
struct Sold {
    units: u64,
    print: Print,
}

/// The receipts that the first `orders` orders need, and the rest of their last block.
pub(super) fn receipts(history: &History, orders: usize) -> Vec<Receipt<'_>> {
    let wanted = orders.min(history.orders.len());
    let mut receipts = Vec::new();
    let (mut start, mut end) = (0, FIRST_BLOCK_ORDERS);
    while start < wanted {
        let block = &history.orders[start..end.min(history.orders.len())];
        let reference = format!("online-retail orders {}-{end}", start + 1);
        for (sku, sold) in sold_in(history, block) {
            receive(&mut receipts, end, sku, &sold, &reference);
        }
        (start, end) = (end, end.saturating_mul(BLOCK_GROWTH));
    }
    receipts
}

/// Units by SKU, with a print of who ordered how many: what the receipt stands for.
fn sold_in<'h>(history: &'h History, block: &[Order]) -> BTreeMap<&'h str, Sold> {
    let mut sold = BTreeMap::<_, Sold>::new();
    for order in block {
        for line in &order.lines {
            let sku = history.text(line.sku);
            let sold = sold.entry(sku).or_default();
            sold.units += u64::from(line.quantity);
            sold.print.add(order.invoice.as_bytes());
            sold.print.add(&line.quantity.to_be_bytes());
        }
    }
    for (sku, sold) in &mut sold {
        sold.print.add(sku.as_bytes());
    }
    sold
}

fn receive<'h>(
    receipts: &mut Vec<Receipt<'h>>,
    block: usize,
    sku: &'h str,
    sold: &Sold,
    reference: &str,
) {
    let (mut left, mut part) = (sold.units, 1);
    while 0 < left {
        let quantity = left.min(QUANTITY_MAX);
        let key = keys::stock(block, part, sku, sold.print.clone());
        receipts.push(Receipt { sku, quantity, reference: reference.to_owned(), key });
        (left, part) = (left - quantity, part + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use chrono::DateTime;

    use super::*;
    use crate::online_retail::history::Gathering;
    use crate::online_retail::rules::OrderLine;

    /// Orders with a growing number of units of two SKUs.
    fn history(orders: u32, quantity: u32) -> History {
        let mut gathering = Gathering::default();
        for number in 1..=orders {
            let invoice = number.to_string();
            let sku = if number % 3 == 0 { "a" } else { "A" };
            let line = OrderLine {
                invoice: &invoice,
                number: u64::from(number),
                sku,
                name: "".into(),
                quantity: quantity + number,
                placed_at: DateTime::UNIX_EPOCH.naive_utc(),
                price_pence: 1,
                customer: None,
                country: "GB",
            };
            gathering.add(&line);
            gathering.add(&line);
        }
        gathering.finish().0
    }

    fn sold(history: &History, orders: usize) -> HashMap<&str, u64> {
        let mut sold = HashMap::new();
        for line in history
            .orders
            .iter()
            .take(orders)
            .flat_map(|order| &order.lines)
        {
            *sold.entry(history.text(line.sku)).or_default() += u64::from(line.quantity);
        }
        sold
    }

    fn received<'h>(receipts: &[Receipt<'h>]) -> HashMap<&'h str, u64> {
        let mut received = HashMap::new();
        for receipt in receipts {
            *received.entry(receipt.sku).or_default() += receipt.quantity;
        }
        received
    }

    #[test]
    fn the_full_file_receives_what_it_sells() {
        for orders in [1, 9, 10, 11, 100, 1_234] {
            let history = history(orders, 1);
            let receipts = receipts(&history, usize::MAX);

            assert_eq!(received(&receipts), sold(&history, usize::MAX), "{orders} orders");
        }
    }

    #[test]
    fn any_number_of_orders_first_then_all_receives_nothing_twice() {
        let history = history(1_234, 1);
        let all = receipts(&history, usize::MAX);
        let by_key: HashMap<_, _> = all.iter().map(|receipt| (&receipt.key, receipt)).collect();
        assert_eq!(by_key.len(), all.len(), "every receipt has a key of its own");

        for orders in [1, 10, 99, 100, 500, 1_001, 1_233] {
            let first = receipts(&history, orders);

            for (sku, units) in sold(&history, orders) {
                assert!(units <= received(&first)[sku], "{orders} orders can be served");
            }
            for receipt in &first {
                assert_eq!(by_key[&receipt.key], receipt, "the same key asks for the same");
            }
        }
    }

    #[test]
    fn a_round_number_of_orders_leaves_nothing_on_the_shelf() {
        let history = history(1_234, 1);

        for orders in [10, 100, 1_000] {
            assert_eq!(received(&receipts(&history, orders)), sold(&history, orders));
        }
    }

    #[test]
    fn another_file_receives_its_own_goods() {
        let (one, other) = (history(50, 1), history(50, 2));
        let keys: HashSet<_> = receipts(&one, 50)
            .into_iter()
            .map(|receipt| receipt.key)
            .collect();

        assert!(
            receipts(&other, 50)
                .iter()
                .all(|receipt| !keys.contains(&receipt.key))
        );
    }

    #[test]
    fn goods_beyond_one_receipts_bound_come_in_several() {
        let history = history(2, 700_000);

        let receipts = receipts(&history, 2);

        let quantities: Vec<_> = receipts.iter().map(|receipt| receipt.quantity).collect();
        assert_eq!(quantities, [1_000_000, 1_000_000, 800_006]);
        assert_ne!(receipts[0].key, receipts[1].key);
    }
}
