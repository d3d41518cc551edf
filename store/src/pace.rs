//! Who goes first when there is more to do than the machine can: clients' commands before what
//! follows from them, and both within bounds.
//!
//! 1. Clients' commands under way are counted, and HTTP takes so many and no more. Beyond the bound
//!    its answer is "later", at once, so that overload costs the surplus a moment and not everybody
//!    their patience.
//! 2. While many are under way, readers of the log pause between batches, for a bounded time. What
//!    they do is not lost, only later; and the batches that gather cost less for each event.
//! 3. A reader that is far behind pauses no more: then it and the clients share the machine.
//! 4. Where the checkout process falls behind all the same, new orders are told to come later
//!    ([`Pace::orders_wait`]): the shop then takes as many as it carries through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Clients' commands under way, at most: a twentieth of a second's work for a small machine, and
/// more than enough to fill every batch.
pub const COMMANDS_MAX: usize = 1_000;
/// From so many on, whoever follows the log gives way: a client alone, or a few dozen of them, are
/// answered just as fast beside running readers.
const COMMANDS_MANY: usize = 32;
/// How long many commands count as many: a commit answers all of them at once, and the next come a
/// moment later.
const MANY_FOR: Duration = Duration::from_millis(30);
/// Longest pause between two batches of one reader.
pub const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a pausing reader looks whether there are still as many.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Events behind which a reader no longer gives way: a rush of some ten seconds is taken at full
/// speed, a longer one shares the machine with what follows from it.
const BEHIND_MAX: i64 = 100_000;

/// Clients' commands under way in this process; clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Pace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    begun: Instant,
    commands: AtomicUsize,
    /// Until when many commands count as under way, in milliseconds since the beginning.
    many_until: AtomicU64,
    orders_wait: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            commands: AtomicUsize::new(0),
            many_until: AtomicU64::new(0),
            orders_wait: AtomicBool::new(false),
        }
    }
}

/// One command under way.
#[derive(Debug)]
pub struct UnderWay(Arc<Shared>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.commands.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace {
    /// Whether another command would be one too many.
    pub fn is_full(&self) -> bool {
        COMMANDS_MAX <= self.under_way()
    }

    /// Whether new orders are to come later, because so many placed ones have not begun.
    pub fn orders_wait(&self) -> bool {
        self.0.orders_wait.load(Ordering::Relaxed)
    }

    /// Says so, or takes it back.
    pub fn let_orders_wait(&self, wait: bool) {
        self.0.orders_wait.store(wait, Ordering::Relaxed);
    }

    /// Counts a command as long as what comes back lives.
    pub fn enter(&self) -> UnderWay {
        let shared = &self.0;
        if COMMANDS_MANY <= shared.commands.fetch_add(1, Ordering::Relaxed) + 1 {
            let until = millis(shared.begun.elapsed() + MANY_FOR);
            shared.many_until.store(until, Ordering::Relaxed);
        }
        UnderWay(Arc::clone(shared))
    }

    /// Lets clients go first, before a reader takes up what it is behind with. `until` is when it
    /// has waited long enough, and is kept for the next call should this one be dropped.
    pub async fn give_way(&self, events_behind: i64, until: &mut Option<Instant>) {
        let until = *until.get_or_insert_with(|| Instant::now() + PAUSE_MAX);
        while self.are_many() && events_behind < BEHIND_MAX && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How many there are.
    pub(crate) fn under_way(&self) -> usize {
        self.0.commands.load(Ordering::Relaxed)
    }

    fn are_many(&self) -> bool {
        let until = self.0.many_until.load(Ordering::Relaxed);
        COMMANDS_MANY <= self.under_way() || millis(self.0.begun.elapsed()) < until
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_told_at_once_and_leaves_no_trace() {
        let pace = Pace::default();
        let mut under_way: Vec<_> = (1..COMMANDS_MAX).map(|_| pace.enter()).collect();
        assert!(!pace.is_full());
        under_way.push(pace.enter());
        assert!(pace.is_full());

        drop(under_way);
        assert!(!pace.is_full());
        assert_eq!(pace.under_way(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn readers_pause_for_a_crowd_and_not_for_long() {
        let pace = Pace::default();
        let begun = Instant::now();
        pace.give_way(1, &mut None).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody is there");

        let crowd: Vec<_> = (0..COMMANDS_MANY).map(|_| pace.enter()).collect();
        pace.give_way(1, &mut None).await;
        assert!(PAUSE_MAX <= begun.elapsed(), "a crowd goes first");

        let mut until = None;
        for _ in 0..3 {
            let _dropped = tokio::time::timeout(PAUSE_MAX / 2, pace.give_way(1, &mut until)).await;
        }
        assert_eq!(begun.elapsed(), 2 * PAUSE_MAX, "a pause that is dropped is not begun anew");

        let far_behind = Instant::now();
        pace.give_way(BEHIND_MAX, &mut None).await;
        assert_eq!(far_behind.elapsed(), Duration::ZERO, "a reader far behind does not wait");
        drop(crowd);
        pace.give_way(1, &mut None).await;
        assert_eq!(far_behind.elapsed(), Duration::ZERO, "the crowd has gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_is_answered_all_at_once_is_still_one_for_a_moment() {
        let pace = Pace::default();
        drop((0..COMMANDS_MANY).map(|_| pace.enter()).collect::<Vec<_>>());
        assert_eq!(pace.under_way(), 0);
        let begun = Instant::now();
        pace.give_way(1, &mut None).await;
        assert_eq!(begun.elapsed(), MANY_FOR);
        pace.give_way(1, &mut None).await;
        assert_eq!(begun.elapsed(), MANY_FOR, "the moment is over");
    }
}
