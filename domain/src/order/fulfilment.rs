//! How the lines of an order leave the house, or that of their vendor.
//!
//! A vendor says which of their own lines they have shipped; staff may say it of any line. Lines of
//! the house need no such word: staff complete an order when they have sent them, as ever.
//!
//! 1. Only lines of a confirmed order are shipped, each once, and none whose money goes back.
//! 2. An order is not completed while a line of a vendor has neither been shipped nor refunded.
//! 3. The shipment after which no line is left completes the order in the same decision: whoever
//!    pressed a button for it would know no more than the log does. Its stock is then issued as ever.
//! 4. What is on its way cannot be withdrawn: a refund is what is left to ask for.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{Event, Order, Refusal, Stage};
use crate::ids::{Sku, VendorId};
use crate::placing::Placing;

/// Longest name of a carrier, in characters.
pub const CARRIER_CHARS_MAX: usize = 100;
/// Longest number under which a carrier knows a parcel, in characters: theirs have some 40 at most.
pub const TRACKING_NUMBER_CHARS_MAX: usize = 100;

/// What a line takes in memory.
const LINE_BYTES: usize = 24;

/// Who ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipper {
    /// Staff, whosever lines they are.
    Staff,
    /// A vendor, for whom only their own lines exist.
    Vendor(VendorId),
}

/// Which lines are shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of the shipper's that are left.
    Left,
    /// These, counted from 1 in the order in which they were submitted.
    These(Vec<u16>),
}

/// What is handed to a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// By whom.
    pub by: Shipper,
    /// What.
    pub which: Which,
    /// Who carries it.
    pub carrier: Option<String>,
    /// What the carrier calls it.
    pub tracking_number: Option<String>,
}

/// Lines that have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// The vendor who sent them; `None` where staff did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<VendorId>,
    /// Which, counted from 1, in ascending order.
    pub lines: Vec<u16>,
    /// Who carries them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// What the carrier calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
}

/// The lines of an order, as far as shipping them goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fulfilment {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    /// Its article's place in the tally.
    good: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<VendorId>,
    shipped: bool,
}

impl Fulfilment {
    pub(super) fn of(placing: &Placing) -> Self {
        let mut goods: HashMap<&Sku, u16> = HashMap::with_capacity(placing.lines.len());
        let lines = placing.lines.iter().map(|line| {
            let next = u16::try_from(goods.len()).unwrap_or(u16::MAX);
            let good = *goods.entry(&line.sku).or_insert(next);
            Line { good, vendor: line.vendor, shipped: false }
        });
        Self { lines: lines.collect() }
    }

    pub(super) fn ship(&mut self, shipment: &Shipment) {
        for number in &shipment.lines {
            let index = usize::from(*number).saturating_sub(1);
            if let Some(line) = self.lines.get_mut(index) {
                line.shipped = true;
            }
        }
    }

    /// Whether anything is on its way.
    pub(super) fn has_begun(&self) -> bool {
        self.lines.iter().any(|line| line.shipped)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.lines.len().saturating_mul(LINE_BYTES)
    }

    /// The lines with their numbers.
    fn numbered(&self) -> impl Iterator<Item = (u16, &Line)> {
        (1..).zip(&self.lines)
    }
}

impl Line {
    fn is_of(&self, shipper: Shipper) -> bool {
        match shipper {
            Shipper::Staff => true,
            Shipper::Vendor(vendor) => self.vendor == Some(vendor),
        }
    }
}

impl Order {
    /// Whether any line is this vendor's.
    pub fn holds_lines_of(&self, vendor: VendorId) -> bool {
        let mut lines = self.fulfilment.lines.iter();
        lines.any(|line| line.vendor == Some(vendor))
    }

    pub(super) fn ship(&self, dispatch: Dispatch) -> Result<Vec<Event>, Refusal> {
        let Dispatch { by, which, carrier, tracking_number } = dispatch;
        let theirs = || {
            let lines = self.fulfilment.numbered();
            lines.filter(|(_, line)| line.is_of(by))
        };
        // First, so that whoever it does not concern learns nothing of the order.
        if theirs().next().is_none() {
            return Err(Refusal::NoLinesOfVendor);
        }
        let named: Option<BTreeSet<u16>> = match which {
            Which::Left => None,
            Which::These(numbers) => {
                let there: BTreeSet<u16> = theirs().map(|(number, _)| number).collect();
                let named: BTreeSet<u16> = numbers.into_iter().collect();
                if let Some(line) = named.difference(&there).next() {
                    return Err(Refusal::NoSuchLine { line: *line });
                }
                Some(named)
            }
        };
        let is_meant = |number| {
            let named = named.as_ref();
            named.is_none_or(|named| named.contains(&number))
        };
        let left: Vec<(u16, &Line)> = theirs()
            .filter(|(number, line)| !line.shipped && is_meant(*number))
            .collect();
        // What has left needs no second fact.
        if left.is_empty() {
            return Ok(vec![]);
        }
        self.may_ship()?;
        let is_refunded = |(_, line): &&(u16, &Line)| self.is_refunded(line);
        if named.is_some()
            && let Some((line, _)) = left.iter().find(is_refunded)
        {
            return Err(Refusal::LineRefunded { line: *line });
        }
        let lines: Vec<u16> = left
            .iter()
            .filter(|line| !is_refunded(line))
            .map(|(number, _)| *number)
            .collect();
        if lines.is_empty() {
            return Err(Refusal::BeingRefunded);
        }
        let vendor = match by {
            Shipper::Staff => None,
            Shipper::Vendor(vendor) => Some(vendor),
        };
        let shipment = Shipment { vendor, lines, carrier, tracking_number };
        let is_last = self.fulfilment.numbered().all(|(number, line)| {
            line.shipped || self.is_refunded(line) || shipment.lines.contains(&number)
        });
        let mut events = vec![Event::LinesShipped(shipment)];
        events.extend(is_last.then_some(Event::Completed));
        Ok(events)
    }

    /// Whether goods of it may leave.
    fn may_ship(&self) -> Result<(), Refusal> {
        match self.stage {
            Stage::Unplaced => Err(Refusal::NotPlaced),
            Stage::Pending => Err(Refusal::StillPending),
            Stage::Processing => Err(Refusal::NotPaid),
            Stage::Confirmed if self.tally.left_minor() == 0 => Err(Refusal::BeingRefunded),
            Stage::Confirmed => Ok(()),
            Stage::Completed => Err(Refusal::AlreadyCompleted),
            Stage::Cancelled => Err(Refusal::AlreadyCancelled),
            Stage::Failed => Err(Refusal::AlreadyFailed),
            Stage::Refunded => Err(Refusal::AlreadyRefunded),
        }
    }

    /// Of a confirmed order.
    pub(super) fn complete(&self) -> Result<Vec<Event>, Refusal> {
        if self.tally.left_minor() == 0 {
            return Err(Refusal::BeingRefunded);
        }
        let waits =
            |line: &&Line| line.vendor.is_some() && !line.shipped && !self.is_refunded(line);
        match self.fulfilment.lines.iter().filter(waits).count() {
            0 => Ok(vec![Event::Completed]),
            lines => Err(Refusal::NotShipped { lines }),
        }
    }

    fn is_refunded(&self, line: &Line) -> bool {
        self.tally.has_gone_back(usize::from(line.good))
    }
}

#[cfg(test)]
#[path = "fulfilment_tests.rs"]
mod tests;
