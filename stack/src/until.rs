//! Waiting for what has no way to tell us: that another process lets go of a lock, that a server
//! answers, that what is no child of ours is gone.
//!
//! The one place here that sleeps: between two looks, for a bounded time, on threads that have nothing
//! else to do. What can tell us (a pipe that closes, a channel) is waited for where it is.

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to be seen; `None` if there was nothing at the last look, which is
/// taken when the time is over.
pub(crate) fn until<T>(at_most: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + at_most;
    loop {
        let seen = look();
        if seen.is_some() || deadline <= Instant::now() {
            return seen;
        }
        thread::sleep(PAUSE);
    }
}
