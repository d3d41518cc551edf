//! What a worker listens to beside its work: the clock, and the word to stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// A tick at most this often: whoever was kept from one gets it late, and no bunch of them.
pub(crate) fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for the word to stop. Whoever could have said it may also just have gone away.
pub(crate) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await;
}
