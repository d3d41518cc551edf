//! What of an order is on its way before all of it is, for the case that all of it is refunded then:
//! what has left is not on the shelf, whoever has its money.
//!
//! 1. Pieces that have left are issued, the others released.
//! 2. What staff have put back on the shelf under a refund is there. Of pieces that had not left, that
//!    is because they never do; others have come back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Checkout, Hold};
use crate::checkout::Intent;
use crate::ids::{RefundId, Sku};
use crate::placing::Placing;
use crate::refunding::RestockPart;

/// The lines of an order until it is completed or given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parcels {
    /// Of each line: the place of its article among the order's, and the pieces that are to leave.
    /// Empty for what was begun by a build that did not keep them.
    lines: Vec<(u16, u32)>,
    /// Lines that have left, counted from 1.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    shipped: BTreeSet<u16>,
    /// Pieces that had left, and are back on the shelf by a refund.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    came_back: Vec<(RefundId, RestockPart)>,
}

impl Parcels {
    pub(super) fn of(placing: &Placing) -> Self {
        let skus: BTreeSet<&Sku> = placing.lines.iter().map(|line| &line.sku).collect();
        let places: BTreeMap<&Sku, u16> = skus.into_iter().zip(0..).collect();
        let lines = placing.lines.iter();
        let lines = lines.filter_map(|line| Some((*places.get(&line.sku)?, line.quantity)));
        Self { lines: lines.collect(), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn ship(&mut self, lines: Vec<u16>) {
        self.shipped.extend(lines);
    }

    /// Puts refunded pieces of the article in this place back on the shelf: first those that have not
    /// left, and never will.
    fn restock(&mut self, place: u16, refund_id: RefundId, part: &RestockPart) {
        let mut left = part.quantity;
        for (number, (of, pieces)) in (1..).zip(&mut self.lines) {
            if *of == place && !self.shipped.contains(&number) {
                let kept = left.min(*pieces);
                *pieces = pieces.saturating_sub(kept);
                left = left.saturating_sub(kept);
            }
        }
        if 0 < left && !self.shipped.is_empty() {
            let part = RestockPart { sku: part.sku.clone(), quantity: left };
            self.came_back.push((refund_id, part));
        }
    }

    /// Pieces that have left, by the place of their article.
    fn away(&self) -> BTreeMap<u16, u64> {
        let mut away = BTreeMap::new();
        for (number, (place, pieces)) in (1..).zip(&self.lines) {
            if self.shipped.contains(&number) {
                let sum: &mut u64 = away.entry(*place).or_default();
                *sum = sum.saturating_add(u64::from(*pieces));
            }
        }
        away
    }
}

impl Checkout {
    /// Counts what a refund puts back on the shelf before the order is completed.
    pub(super) fn count_restocked(&mut self, refund_id: RefundId, part: &RestockPart) {
        let place = (0..).zip(self.pieces.keys());
        let place = place.into_iter().find(|(_, sku)| **sku == part.sku);
        if let Some((place, _)) = place {
            self.parcels.restock(place, refund_id, part);
        }
    }

    /// Nothing more will leave: invariant 1.
    pub(super) fn end_shipping(&mut self) -> Vec<Intent> {
        let parcels = std::mem::take(&mut self.parcels);
        if parcels.shipped.is_empty() {
            return self.release_all();
        }
        let away = parcels.away();
        let mut intents = Vec::new();
        for (place, (sku, (quantity, hold))) in (0..).zip(&mut self.pieces) {
            let sent = away.get(&place).copied().unwrap_or(0);
            if *hold != Hold::Held || sent == 0 {
                continue;
            }
            *hold = Hold::Gone;
            let sku = sku.clone();
            intents.push(if sent < *quantity {
                Intent::IssuePart { sku, quantity: sent }
            } else {
                Intent::IssueStock { sku }
            });
        }
        // What has not left at all.
        intents.extend(self.release_all());
        let back = parcels.came_back.into_iter();
        intents.extend(back.map(|(refund_id, part)| Intent::RestockStock { refund_id, part }));
        let lines: Vec<String> = parcels.shipped.iter().map(u16::to_string).collect();
        let lines = lines.join(", ");
        let reason = if parcels.lines.is_empty() {
            format!(
                "refunded in full after lines {lines} had left; they count as on hand: adjust it"
            )
        } else {
            format!("refunded in full after lines {lines} had left; receive what comes back")
        };
        intents.push(Intent::CallStaff { reason });
        intents
    }
}
