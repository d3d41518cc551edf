//! Room for queries: so many are under way, so many wait, and whoever comes beyond that is told so
//! at once. Writers and projectors share the database and its processor; queries must leave them
//! their part, however many people look.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Queries under way at once: some of seconds, a report, leave room for those of milliseconds.
pub(crate) const SEATS: usize = 8;
/// Most who wait for one: at milliseconds each, some tenths of a second for the last of them.
const WAITING_MAX: usize = 256;

/// Too many are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many queries are waiting")]
pub struct Overloaded;

/// The right to ask one query, while it lives.
#[derive(Debug)]
pub struct Seat {
    _seat: OwnedSemaphorePermit,
    _admission: OwnedSemaphorePermit,
}

/// All seats; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    seats: Arc<Semaphore>,
    /// Everybody who sits or waits.
    admissions: Arc<Semaphore>,
}

impl Seats {
    pub(crate) fn new() -> Self {
        Self {
            seats: Arc::new(Semaphore::new(SEATS)),
            admissions: Arc::new(Semaphore::new(SEATS + WAITING_MAX)),
        }
    }

    /// Waits for a seat, in turn, unless too many do.
    pub(crate) async fn take(&self) -> Result<Seat, Overloaded> {
        let admission = Arc::clone(&self.admissions)
            .try_acquire_owned()
            .map_err(|_| Overloaded)?;
        let seat = Arc::clone(&self.seats)
            .acquire_owned()
            .await
            .map_err(|_| Overloaded)?;
        Ok(Seat { _seat: seat, _admission: admission })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn whoever_comes_when_all_seats_and_places_are_taken_is_told_at_once() {
        let seats = Seats::new();
        let mut sitting = Vec::new();
        for _ in 0..SEATS {
            sitting.push(seats.take().await.unwrap());
        }
        let mut waiting: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let mut waiting = Box::pin(seats.take());
                assert!(waiting.as_mut().now_or_never().is_none());
                waiting
            })
            .collect();

        assert_eq!(seats.take().await.unwrap_err(), Overloaded);

        // Somebody gets up, somebody goes away, somebody else may come.
        sitting.pop();
        assert!(waiting.remove(0).await.is_ok());
        drop(waiting.pop());
        assert!(seats.take().now_or_never().is_none());
        assert_eq!(waiting.len(), WAITING_MAX - 2);
    }
}
