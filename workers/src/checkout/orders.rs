//! The orders that are on their way: what each has still to hear, and how far the log may be
//! forgotten.
//!
//! ```text
//! at rest, in Postgres ── hears ─▶ waiting ──▶ carried ──▶ resting ── kept ─▶ at rest, in Postgres
//!                         ▲           ▲                      │
//!   just placed ─▶ queued ┘           └────── hears more ────┘
//! ```
//!
//! Of a rush, most orders are queued: little more than their place in the log is kept of them, so
//! that everything behind them can be read, and heard by those that are already on their way.
//!
//! What was begun is finished first: an order whose money has come goes before one that is new, and
//! while many are between the two, none is begun. So each of them is done sooner, and what belongs
//! to one order stands close together in the log, where a projector meets it in one batch.
//!
//! Invariants:
//! 1. One order hears its facts one after another, in the order of the log, and none twice.
//! 2. No fact at or below the mark is lost: whatever followed from it is kept.
//! 3. What is kept of an order answers to every fact up to the position kept with it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use domain::checkout::{Checkout, Fact};
use domain::ids::OrderId;

use super::Heard;
use crate::parked::ParkedFact;

/// Orders carried at once. Each has a command or two with the journal, whose batches of up to a
/// thousand this fills; more would only wait there, and clients' commands behind them.
pub(super) const CARRIED_MAX: usize = 256;
/// Orders begun and not settled, before no other is begun: enough to keep every payment provider
/// and every batch of the journal busy.
pub(super) const UNSETTLED_MAX: usize = 512;
/// How long an order counts as begun and not settled once it rests: longer than a prompt provider
/// takes, while orders that nobody pays keep nobody else waiting.
pub(super) const SETTLING_MAX: Duration = Duration::from_millis(250);
/// Placed orders that wait to be begun, before further ones are queued.
pub(super) const NEW_MAX: usize = 1_000;
/// Queued orders whose first event is read again at a time.
const TAKEN_UP_MAX: usize = 250;
/// Orders queued, before no more is read: some 40 MB.
const QUEUED_MAX: usize = 300_000;
/// Orders on their way, before no more is read: some 20 MB.
pub(super) const ON_THEIR_WAY_MAX: usize = 10_000;
/// How long an order that awaits its money is held back from being kept: most are paid by then, and
/// need to be kept once instead of twice. After a crash they hear again what they heard in it.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How an order was last kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) state: Checkout,
    /// The newest event that it has heard.
    pub(super) position: i64,
}

/// An order at rest, with all that has to be kept of it.
pub(super) struct Rested {
    pub(super) order_id: OrderId,
    pub(super) state: Checkout,
    pub(super) position: i64,
    pub(super) parked: Vec<ParkedFact>,
}

/// What became of one order's facts.
pub(super) struct Moved {
    pub(super) order_id: OrderId,
    pub(super) state: Checkout,
    pub(super) parked: Vec<ParkedFact>,
}

/// An order to be carried on by these facts.
pub(super) struct Journey {
    pub(super) order_id: OrderId,
    pub(super) state: Checkout,
    pub(super) heard: Vec<Heard>,
}

/// Every order that is on its way.
pub(super) struct Orders {
    /// Everything up to here has been handed to its order.
    read_to: i64,
    on_their_way: HashMap<OrderId, OnItsWay>,
    /// Orders to be carried on: those that have been before, and new ones.
    begun: VecDeque<OrderId>,
    new: VecDeque<OrderId>,
    /// Placed orders that nothing has been done for, by the position of their first event; and what
    /// each has to hear after it.
    queue: VecDeque<(i64, OrderId)>,
    queued: HashMap<OrderId, Vec<Heard>>,
    carried: usize,
    unsettled: usize,
    /// Of each order the first event that is not kept; an event belongs to one order.
    not_kept: BTreeMap<i64, OrderId>,
}

struct OnItsWay {
    /// Empty while it is carried.
    state: Option<Checkout>,
    has_still_to_hear: Vec<Heard>,
    position: i64,
    parked: Vec<ParkedFact>,
    first_not_kept: Option<i64>,
    since: Instant,
    /// When it was last carried on or came to rest, while it counts among the unsettled.
    unsettled_since: Option<Instant>,
}

impl Orders {
    /// None, and the log read up to here.
    pub(super) fn after(mark: i64) -> Self {
        Self {
            read_to: mark,
            on_their_way: HashMap::new(),
            begun: VecDeque::new(),
            new: VecDeque::new(),
            queue: VecDeque::new(),
            queued: HashMap::new(),
            carried: 0,
            unsettled: 0,
            not_kept: BTreeMap::new(),
        }
    }

    pub(super) fn read_to(&self) -> i64 {
        self.read_to
    }

    /// Every order that was placed up to here has been begun.
    pub(super) fn begun_to(&self) -> i64 {
        let first = self.queue.front();
        first.map_or(self.read_to, |(position, _)| position - 1)
    }

    /// Whether more may be read.
    pub(super) fn have_room(&self) -> bool {
        self.on_their_way.len() < ON_THEIR_WAY_MAX && self.queue.len() < QUEUED_MAX
    }

    pub(super) fn are_all_at_rest(&self) -> bool {
        self.on_their_way.is_empty()
    }

    pub(super) fn is_on_its_way(&self, order_id: OrderId) -> bool {
        self.on_their_way.contains_key(&order_id) || self.queued.contains_key(&order_id)
    }

    /// Whose state has to be looked up before they can hear this.
    pub(super) fn unknown<'h>(&self, heard: impl Iterator<Item = &'h Heard>) -> Vec<OrderId> {
        let unknown: HashSet<OrderId> = heard
            .map(|heard| heard.order_id)
            .filter(|order_id| !self.is_on_its_way(*order_id))
            .collect();
        unknown.into_iter().collect()
    }

    /// Hands facts to their orders; `kept` is what was looked up.
    pub(super) fn hear(
        &mut self,
        heard: Vec<Heard>,
        mut kept: HashMap<OrderId, Kept>,
        now: Instant,
    ) {
        for heard in heard {
            let order_id = heard.order_id;
            if let Some(later) = self.queued.get_mut(&order_id) {
                later.push(heard);
                continue;
            }
            let heard_to = match self.on_their_way.get(&order_id) {
                Some(order) => order.position,
                None => kept.get(&order_id).map_or(0, |kept| kept.position),
            };
            if heard.position.is_some_and(|position| position <= heard_to) {
                continue;
            }
            if let (Fact::OrderPlaced(_), Some(position)) = (&heard.fact, heard.position)
                && !self.on_their_way.contains_key(&order_id)
                && (NEW_MAX <= self.new.len() || !self.queue.is_empty())
            {
                self.queue.push_back((position, order_id));
                self.queued.insert(order_id, Vec::new());
                self.not_kept.insert(position, order_id);
                continue;
            }
            let order = self.on_their_way.entry(order_id).or_insert_with(|| {
                let Kept { state, position } = kept.remove(&order_id).unwrap_or_default();
                OnItsWay {
                    state: Some(state),
                    has_still_to_hear: Vec::new(),
                    position,
                    parked: Vec::new(),
                    first_not_kept: None,
                    since: now,
                    unsettled_since: None,
                }
            });
            let is_new = order.position == 0;
            if let Some(position) = heard.position {
                order.position = position;
                if order.first_not_kept.is_none() {
                    order.first_not_kept = Some(position);
                    self.not_kept.insert(position, order_id);
                }
            }
            let is_resting = order.state.is_some() && order.has_still_to_hear.is_empty();
            order.has_still_to_hear.push(heard);
            if is_resting && is_new {
                self.new.push_back(order_id);
            } else if is_resting {
                self.begun.push_back(order_id);
            }
        }
    }

    /// Positions of the events by which queued orders are to be taken up, once few others are new.
    pub(super) fn to_take_up(&self) -> Vec<i64> {
        if NEW_MAX / 2 < self.new.len() {
            return Vec::new();
        }
        let queued = self.queue.iter().take(TAKEN_UP_MAX);
        queued.map(|(position, _)| *position).collect()
    }

    /// Puts queued orders on their way: the first ones, each with the fact that it was placed.
    pub(super) fn take_up(&mut self, placed: Vec<Heard>, now: Instant) {
        for placed in placed {
            let first = self.queue.pop_front();
            let Some((position, order_id)) = first else {
                return;
            };
            debug_assert_eq!(placed.position, Some(position));
            let mut heard = self.queued.remove(&order_id).unwrap_or_default();
            heard.insert(0, placed);
            let newest = heard.iter().filter_map(|heard| heard.position).max();
            let order = OnItsWay {
                state: Some(Checkout::default()),
                has_still_to_hear: heard,
                position: newest.unwrap_or(position),
                parked: Vec::new(),
                first_not_kept: Some(position),
                since: now,
                unsettled_since: None,
            };
            self.on_their_way.insert(order_id, order);
            self.new.push_back(order_id);
        }
    }

    /// Everything up to here has been handed to its order.
    pub(super) fn have_read_to(&mut self, position: i64) {
        self.read_to = position;
    }

    /// The next order that may be carried on.
    pub(super) fn next(&mut self, now: Instant) -> Option<Journey> {
        if CARRIED_MAX <= self.carried {
            return None;
        }
        // Where no more is read, what the unsettled ones await may not have been read either.
        let begins = self.unsettled < UNSETTLED_MAX || !self.have_room();
        let order_id = match self.begun.pop_front() {
            Some(order_id) => order_id,
            None if begins => self.new.pop_front()?,
            None => return None,
        };
        let order = self.on_their_way.get_mut(&order_id)?;
        let state = order.state.take()?;
        if order.unsettled_since.replace(now).is_none() {
            self.unsettled += 1;
        }
        self.carried += 1;
        Some(Journey { order_id, state, heard: std::mem::take(&mut order.has_still_to_hear) })
    }

    /// An order has come to rest.
    pub(super) fn moved(&mut self, moved: Moved, now: Instant) {
        self.carried -= 1;
        let order = self
            .on_their_way
            .get_mut(&moved.order_id)
            .expect("an order stays until it is kept, and it is not kept while it is carried");
        let is_settled = moved.state.deadline().is_none();
        order.state = Some(moved.state);
        order.parked.extend(moved.parked);
        order.unsettled_since = Some(now);
        if !order.has_still_to_hear.is_empty() {
            self.begun.push_back(moved.order_id);
        } else if is_settled {
            order.unsettled_since = None;
            self.unsettled -= 1;
        }
    }

    /// Takes out the orders at rest that have been held back long enough: those that await nothing
    /// at once. They have to be kept before anything else is.
    pub(super) fn rested(&mut self, now: Instant) -> Vec<Rested> {
        self.wait_no_longer(now);
        let is_crowded = ON_THEIR_WAY_MAX / 2 < self.on_their_way.len();
        self.take_rested(|state, since| {
            is_crowded || state.deadline().is_none() || PATIENCE <= now.duration_since(since)
        })
    }

    /// Orders that have rested long without being settled keep others waiting no longer.
    fn wait_no_longer(&mut self, now: Instant) {
        for order in self.on_their_way.values_mut() {
            let rests = order.state.is_some() && order.has_still_to_hear.is_empty();
            let since = order.unsettled_since;
            if rests && since.is_some_and(|since| SETTLING_MAX <= now.duration_since(since)) {
                order.unsettled_since = None;
                self.unsettled -= 1;
            }
        }
    }

    /// Takes out all orders at rest.
    pub(super) fn all_rested(&mut self) -> Vec<Rested> {
        self.take_rested(|_, _| true)
    }

    fn take_rested(&mut self, is_due: impl Fn(&Checkout, Instant) -> bool) -> Vec<Rested> {
        let (not_kept, unsettled) = (&mut self.not_kept, &mut self.unsettled);
        let rested = self.on_their_way.extract_if(|_, order| {
            order.has_still_to_hear.is_empty()
                && order
                    .state
                    .as_ref()
                    .is_some_and(|state| is_due(state, order.since))
        });
        rested
            .map(|(order_id, order)| {
                if let Some(position) = order.first_not_kept {
                    not_kept.remove(&position);
                }
                if order.unsettled_since.is_some() {
                    *unsettled -= 1;
                }
                let state = order.state.expect("only orders with a state were taken");
                Rested { order_id, state, position: order.position, parked: order.parked }
            })
            .collect()
    }

    /// Up to where everything is kept, once those that were taken out are.
    pub(super) fn mark(&self) -> i64 {
        self.not_kept
            .first_key_value()
            .map_or(self.read_to, |(position, _)| position - 1)
    }
}
