//! Pages of the log that readers behind it share. When clients go first, all readers fall behind
//! together, and then come to the same events one after another: each page is read from Postgres,
//! opened and parsed once, and not once for each of them.
//!
//! Invariants:
//! 1. What is handed out comes from pages that hold all of their positions, all of them committed.
//! 2. What was read stays for a moment ([`KEPT`]) and within a bound; nothing is taken for new that
//!    was read longer ago.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::log;
use crate::recorded::RecordedEvent;

/// Positions of one page; the first page begins with position 1.
pub(crate) const EVENTS: i64 = 1_000;
/// All pages together, in bytes: some eight thousand usual events. Readers that are further apart
/// than that read for themselves.
const BYTES_MAX: u64 = 24 * 1024 * 1024;
/// Pages of usual events that this is.
const USUAL: usize = 8;
/// How long a page may be handed out: readers that fell behind together come by within that time.
const KEPT: Duration = Duration::from_secs(10);

/// The pages that were read last.
#[derive(Debug)]
pub(crate) struct Pages {
    read: Cache<i64, Arc<Page>, InBytes>,
    kept: Duration,
}

#[derive(Debug)]
struct Page {
    events: Vec<Arc<RecordedEvent>>,
    read_at: Instant,
}

#[derive(Debug, Clone)]
struct InBytes;

impl Weighter<i64, Arc<Page>> for InBytes {
    fn weight(&self, _: &i64, page: &Arc<Page>) -> u64 {
        page.events.iter().map(|event| event.bytes() as u64).sum()
    }
}

/// The page on which the event after a mark is.
pub(crate) fn number_after(mark: i64) -> i64 {
    mark.max(0) / EVENTS
}

/// The last position of a page.
pub(crate) fn end_of(number: i64) -> i64 {
    (number + 1).saturating_mul(EVENTS)
}

impl Default for Pages {
    fn default() -> Self {
        Self::keeping(KEPT)
    }
}

impl Pages {
    fn keeping(kept: Duration) -> Self {
        let options = OptionsBuilder::new()
            .weight_capacity(BYTES_MAX)
            .estimated_items_capacity(USUAL)
            // In parts, a page would not fit into any.
            .shards(1)
            .build()
            .expect("both capacities are given");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { read: Cache::with_options(options, InBytes, hasher, lifecycle), kept }
    }

    /// At most `max` events after a mark from the page where they are, which is known to be
    /// committed as a whole. `read` reads all of it; of those who want it at a time, one does.
    /// Nothing where it is too large to be read at once.
    pub(crate) async fn after(
        &self,
        mark: i64,
        max: usize,
        read: impl Future<Output = Result<Vec<Arc<RecordedEvent>>, log::Error>>,
    ) -> Result<Option<Vec<Arc<RecordedEvent>>>, log::Error> {
        let number = number_after(mark);
        self.read
            .remove_if(&number, |page| self.kept <= page.read_at.elapsed());
        let read = async {
            let (read_at, events) = (Instant::now(), read.await?);
            Ok::<_, log::Error>(Arc::new(Page { events, read_at }))
        };
        let page = self.read.get_or_insert_async(&number, read).await?;
        if page.events.last().map(|last| last.position) != Some(end_of(number)) {
            return Ok(None);
        }
        let from = page.events.partition_point(|event| event.position <= mark);
        let events = page.events[from..].iter().take(max);
        Ok(Some(events.cloned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::recorded::tests::received;

    fn page(number: i64) -> Vec<Arc<RecordedEvent>> {
        let positions = number * EVENTS + 1..=end_of(number);
        positions
            .map(|position| Arc::new(received(position, "")))
            .collect()
    }

    /// Reads a page, and counts that.
    async fn counted(
        reads: &AtomicUsize,
        number: i64,
    ) -> Result<Vec<Arc<RecordedEvent>>, log::Error> {
        reads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        Ok(page(number))
    }

    fn positions(events: Option<Vec<Arc<RecordedEvent>>>) -> Vec<i64> {
        let events = events.expect("the page is whole");
        events.iter().map(|event| event.position).collect()
    }

    #[tokio::test]
    async fn of_those_who_come_to_the_same_page_one_reads_it() {
        let (pages, reads) = (Pages::default(), AtomicUsize::new(0));
        let after = async |mark, max| {
            let read = counted(&reads, number_after(mark));
            positions(pages.after(mark, max, read).await.unwrap())
        };
        let (one, other) = tokio::join!(after(0, 2), after(998, 9));
        assert_eq!((one, other), (vec![1, 2], vec![999, 1_000]));
        assert_eq!(after(500, 1).await, [501]);
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        assert_eq!(after(1_000, 1).await, [1_001], "the next page begins behind the last");
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_was_read_too_long_ago_is_read_again() {
        for (kept, times) in [(KEPT, 1), (Duration::ZERO, 2)] {
            let (pages, reads) = (Pages::keeping(kept), AtomicUsize::new(0));
            for _ in 0..2 {
                let read = pages.after(0, 1, counted(&reads, 0)).await.unwrap();
                assert_eq!(positions(read), [1]);
            }
            assert_eq!(reads.load(Ordering::Relaxed), times, "{kept:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_kept_and_half_a_page_is_none() {
        let pages = Pages::default();
        let failed = async { Err(sqlx::Error::PoolTimedOut.into()) };
        assert!(pages.after(0, 9, failed).await.is_err());
        let half = async { Ok(page(0)[..500].to_vec()) };
        assert!(pages.after(0, 9, half).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn pages_take_no_more_than_their_bound() {
        let (pages, reads) = (Pages::default(), AtomicUsize::new(0));
        for number in 0..40 {
            let read = counted(&reads, number);
            pages.after(number * EVENTS, 1, read).await.unwrap();
            assert!(pages.read.weight() <= BYTES_MAX);
        }
        assert_eq!(reads.load(Ordering::Relaxed), 40);
    }
}
