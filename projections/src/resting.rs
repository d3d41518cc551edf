//! How long a projector rests after a batch, so that what comes meanwhile is one batch: in it the
//! events of one order meet, and cost one row instead of several.
//!
//! An idle shop waits for nothing: the first event after a rest is taken at once.

use std::time::Duration;

use crate::live::Live;

/// How many times as long as a batch took: as there are some twenty read models, all of them
/// together keep no more than about one processor busy.
const REST: u32 = 20;
/// The same after a batch of few events, as a quiet shop has them: there is little to gather.
const REST_AFTER_FEW: u32 = 2;
/// So many are few.
const FEW_EVENTS: usize = 32;
/// Longest rest, however slow the database is.
const REST_MAX: Duration = Duration::from_millis(200);

/// Rests after a batch of so many events, which took so long; no longer than that while somebody
/// waits for this read model.
pub(crate) async fn rest(live: &Live, events: usize, took: Duration) {
    let times = if events <= FEW_EVENTS {
        REST_AFTER_FEW
    } else {
        REST
    };
    let rest = REST_MAX.min(took * times);
    let while_waited_for = rest.min(took);
    tokio::time::sleep(while_waited_for).await;
    let more = rest.saturating_sub(while_waited_for);
    let _whatever_comes_first = tokio::time::timeout(more, live.is_waited_for()).await;
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const TOOK: Duration = Duration::from_millis(5);

    async fn rested(live: &Live, events: usize, took: Duration) -> Duration {
        let began = Instant::now();
        rest(live, events, took).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn many_events_are_followed_by_a_long_rest_and_few_by_a_short_one() {
        let live = Live::new();
        assert_eq!(rested(&live, FEW_EVENTS + 1, TOOK).await, TOOK * REST);
        assert_eq!(rested(&live, FEW_EVENTS, TOOK).await, TOOK * REST_AFTER_FEW);
        assert_eq!(rested(&live, FEW_EVENTS + 1, REST_MAX / 2).await, REST_MAX);
        assert_eq!(rested(&live, 1, REST_MAX * 2).await, REST_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_cuts_a_rest_short() {
        let live = Live::new();
        let waiting = live.wait();
        assert_eq!(rested(&live, FEW_EVENTS + 1, TOOK).await, TOOK);
        drop(waiting);
        assert_eq!(rested(&live, FEW_EVENTS + 1, TOOK).await, TOOK * REST);

        let comes_later = async {
            tokio::time::sleep(TOOK * 3).await;
            live.wait()
        };
        let (rested, _waiting) = tokio::join!(rested(&live, FEW_EVENTS + 1, TOOK), comes_later);
        assert_eq!(rested, TOOK * 3);
    }
}
