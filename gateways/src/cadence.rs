//! Calls at no more than a rate that a provider asks for: each waits for its turn.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Turns that are at least so far apart, whoever takes them.
pub(crate) struct Cadence {
    apart: Duration,
    next: Mutex<Option<Instant>>,
}

impl Cadence {
    /// At most so many turns in a second.
    pub(crate) fn per_second(turns: u32) -> Self {
        Self { apart: Duration::from_secs(1) / turns, next: Mutex::new(None) }
    }

    /// Returns when it is the caller's turn. Those who wait are let through in the order in which
    /// they came; one who gives up leaves a turn unused.
    pub(crate) async fn turn(&self) {
        sleep_until(self.taken(Instant::now())).await;
    }

    /// When the turn is that somebody takes now.
    fn taken(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + self.apart);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_apart_however_many_want_one_and_none_is_saved_up() {
        let cadence = Cadence::per_second(10);
        let now = Instant::now();
        for number in 0..25 {
            assert_eq!(cadence.taken(now) - now, Duration::from_millis(100) * number);
        }
        let later = now + Duration::from_mins(1);
        assert_eq!(cadence.taken(later), later);
        assert_eq!(cadence.taken(later), later + Duration::from_millis(100));
    }
}
