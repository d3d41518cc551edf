//! What the file tells, once read: orders with their lines in time order, kept small enough that a
//! year of business fits in a few tens of megabytes.
//!
//! 1. An order is all accepted lines of one invoice, as they are: equal lines stay two lines.
//! 2. The first line of an invoice decides on its time, customer and country.
//! 3. Orders are sorted by time, then by number of the invoice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDateTime;

use super::rules::OrderLine;

/// The server's bound on one order.
pub(super) const LINES_MAX: usize = 2_000;

/// A text kept once, however many lines repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Text(u32);

/// Orders of the past.
#[derive(Debug)]
pub(super) struct History {
    texts: Vec<Arc<str>>,
    /// In time order.
    pub(super) orders: Vec<Order>,
}

/// One invoice.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) invoice: Box<str>,
    pub(super) number: u64,
    pub(super) placed_at: NaiveDateTime,
    pub(super) customer: Option<Text>,
    pub(super) country: &'static str,
    pub(super) lines: Vec<Line>,
}

/// One line of an invoice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) sku: Text,
    pub(super) name: Text,
    pub(super) quantity: u32,
    pub(super) price_pence: i64,
}

/// An article as the last order in time knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Product<'h> {
    pub(super) sku: &'h str,
    pub(super) name: &'h str,
    pub(super) price_pence: i64,
}

/// Collects lines in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    texts: Vec<Arc<str>>,
    known_texts: HashMap<Arc<str>, Text>,
    orders: Vec<Order>,
    order_by_invoice: HashMap<Box<str>, usize>,
    /// Lines beyond the bound, by index of their order.
    surplus: HashMap<usize, usize>,
}

/// Invoices with more lines than an order may have, and how many.
pub(super) type Oversized = BTreeMap<String, usize>;

impl Gathering {
    /// Adds one line to its invoice.
    pub(super) fn add(&mut self, line: &OrderLine<'_>) {
        let index = match self.order_by_invoice.get(line.invoice) {
            Some(index) => *index,
            None => self.open(line),
        };
        let kept = Line {
            sku: self.text(line.sku),
            name: self.text(&line.name),
            quantity: line.quantity,
            price_pence: line.price_pence,
        };
        let lines = &mut self.orders[index].lines;
        if lines.len() < LINES_MAX {
            lines.push(kept);
        } else {
            *self.surplus.entry(index).or_default() += 1;
        }
    }

    /// Sorts, and sets aside the invoices that are too long: part of an order would be another
    /// order than the one that was placed.
    pub(super) fn finish(self) -> (History, Oversized) {
        let mut oversized = Oversized::new();
        let mut orders = Vec::with_capacity(self.orders.len());
        for (index, order) in self.orders.into_iter().enumerate() {
            match self.surplus.get(&index) {
                Some(surplus) => {
                    oversized.insert(order.invoice.into_string(), LINES_MAX + surplus);
                }
                None => orders.push(order),
            }
        }
        orders.sort_by(|a, b| {
            (a.placed_at, a.number, &a.invoice).cmp(&(b.placed_at, b.number, &b.invoice))
        });
        (History { texts: self.texts, orders }, oversized)
    }

    fn open(&mut self, line: &OrderLine<'_>) -> usize {
        let index = self.orders.len();
        let customer = line.customer.map(|number| self.text(number));
        self.orders.push(Order {
            invoice: line.invoice.into(),
            number: line.number,
            placed_at: line.placed_at,
            customer,
            country: line.country,
            lines: Vec::new(),
        });
        self.order_by_invoice.insert(line.invoice.into(), index);
        index
    }

    fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.known_texts.get(text) {
            return *known;
        }
        let index = u32::try_from(self.texts.len()).expect("a file has fewer than 4 billion texts");
        let kept: Arc<str> = text.into();
        self.texts.push(Arc::clone(&kept));
        self.known_texts.insert(kept, Text(index));
        Text(index)
    }
}

impl History {
    pub(super) fn text(&self, text: Text) -> &str {
        &self.texts[text.0 as usize]
    }

    /// The articles of the first `orders` orders, ordered by code, with the last name and price
    /// that the whole file knows: the same for every number of orders.
    pub(super) fn products(&self, orders: usize) -> Vec<Product<'_>> {
        let mut products = BTreeMap::new();
        for line in self
            .orders
            .iter()
            .take(orders)
            .flat_map(|order| &order.lines)
        {
            let sku = self.text(line.sku);
            products
                .entry(sku)
                .or_insert(Product { sku, name: sku, price_pence: 0 });
        }
        for line in self.orders.iter().flat_map(|order| &order.lines) {
            if let Some(product) = products.get_mut(self.text(line.sku)) {
                product.price_pence = line.price_pence;
                let name = self.text(line.name);
                product.name = if name.is_empty() { product.name } else { name };
            }
        }
        products.into_values().collect()
    }
}

impl Order {
    pub(super) fn units(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity)).sum()
    }

    /// Cannot overflow: 2,000 lines of a million units at 10^12 pence stay below 2^127.
    pub(super) fn total_pence(&self) -> i128 {
        self.lines
            .iter()
            .map(|line| i128::from(line.price_pence) * i128::from(line.quantity))
            .sum()
    }
}
