//! How long to wait before the same request is sent again, and when to stop trying.

use std::time::{Duration, Instant};

/// First pause, doubled with every further failure.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// A server that has come back is noticed within this time.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A server may ask for more than our own longest pause, but not for an open end.
const ASKED_PAUSE_MAX: Duration = Duration::from_secs(30);

/// The failures of one request in a row.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    failing_since: Option<Instant>,
    pause: Duration,
}

impl Patience {
    /// Gives up when everything has failed for `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, failing_since: None, pause: PAUSE_MIN }
    }

    /// The pause after one more failure, or none when it is time to give up.
    pub(crate) fn after_failure(
        &mut self,
        now: Instant,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        if self.limit <= now.duration_since(since) {
            return None;
        }
        let own = self.pause;
        self.pause = (own * 2).min(PAUSE_MAX);
        Some(asked.map_or(own, |asked| asked.clamp(PAUSE_MIN, ASKED_PAUSE_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end() {
        let start = Instant::now();
        let mut patience = Patience::new(Duration::from_mins(2));
        let mut failure =
            |second| patience.after_failure(start + Duration::from_secs(second), None);

        assert_eq!(failure(0), Some(Duration::from_millis(100)));
        assert_eq!(failure(1), Some(Duration::from_millis(200)));
        for second in 2..119 {
            assert!(failure(second).unwrap() <= PAUSE_MAX);
        }
        assert_eq!(failure(119), Some(PAUSE_MAX));
        assert_eq!(failure(120), None);
    }

    #[test]
    fn the_server_may_ask_for_a_pause_within_bounds() {
        let now = Instant::now();
        let mut patience = Patience::new(Duration::from_mins(2));
        let mut asked = |seconds| patience.after_failure(now, Some(Duration::from_secs(seconds)));

        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(0), Some(PAUSE_MIN));
        assert_eq!(asked(86_400), Some(ASKED_PAUSE_MAX));
    }
}
