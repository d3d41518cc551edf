//! What has arrived: the newest run of the log, in memory, for all feeds of a process.
//!
//! | who carries the log | how an event arrives here |
//! | --- | --- |
//! | this process's relay | as soon as it is committed, before it is published; if another process committed in between, with the stream's acknowledgement |
//! | another process's | from the stream, where [`crate::feed`] reads and parses it |
//!
//! Invariants:
//! 1. The run has no hole: position follows position.
//! 2. It holds nothing that is not committed.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::recorded::RecordedEvent;

/// Bytes of the run: some twenty thousand usual events, a second of a busy shop. A reader that is
/// further behind reads Postgres.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Shared by whoever brings events and whoever reads them.
#[derive(Debug)]
pub(crate) struct Arrivals {
    run: RwLock<Run>,
    /// The last position of the run; its changes wake the readers.
    last: watch::Sender<i64>,
    carried_here: watch::Sender<bool>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Run {
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
}

/// Where a reader stands.
#[derive(Debug)]
pub(crate) enum Next {
    /// The run goes on from the reader's mark.
    Events(Vec<Arc<RecordedEvent>>),
    /// The run begins after a hole behind the reader's mark.
    Beyond,
    /// The run has nothing after the reader's mark.
    Nothing,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::holding(BYTES_MAX)
    }
}

impl Arrivals {
    pub(crate) fn holding(bytes_max: usize) -> Self {
        Self {
            run: RwLock::default(),
            last: watch::Sender::new(0),
            carried_here: watch::Sender::new(false),
            bytes_max,
        }
    }

    /// Takes events just committed if they follow the run; where others are missing before them,
    /// the relay brings all of them later.
    pub(crate) fn take_next(&self, events: &[Arc<RecordedEvent>]) {
        if events
            .first()
            .is_some_and(|first| first.position == self.last() + 1)
        {
            self.take(events);
        }
    }

    /// Takes committed events whose positions follow one another, but for those that it has. If they
    /// leave a hole behind the run, they begin it anew.
    pub(crate) fn take(&self, events: &[Arc<RecordedEvent>]) {
        let events = &events[events.partition_point(|event| event.position <= self.last())..];
        let Some((first, last)) = events.first().zip(events.last()) else {
            return;
        };
        if self.last.receiver_count() == 0 {
            // A process without readers. One that comes later begins in Postgres.
            return;
        }
        {
            let mut run = self.run.write().unwrap_or_else(PoisonError::into_inner);
            if run.last().is_none_or(|last| last + 1 != first.position) {
                *run = Run::default();
            }
            for event in events {
                run.bytes += event.bytes();
                run.events.push_back(Arc::clone(event));
            }
            // The newest event stays however large it is: somebody waits for it.
            while self.bytes_max < run.bytes
                && 1 < run.events.len()
                && let Some(oldest) = run.events.pop_front()
            {
                run.bytes -= oldest.bytes();
            }
        }
        self.last.send_replace(last.position);
    }

    /// At most `max` events after a mark.
    pub(crate) fn after(&self, mark: i64, max: usize) -> Next {
        let run = self.run.read().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = run.events.front() else {
            return Next::Nothing;
        };
        let Ok(start) = usize::try_from(mark + 1 - first.position) else {
            return Next::Beyond;
        };
        let rest = run.events.range(start.min(run.events.len())..);
        let events: Vec<_> = rest.take(max).cloned().collect();
        if events.is_empty() {
            Next::Nothing
        } else {
            Next::Events(events)
        }
    }

    /// The last position that has arrived; 0 before the first.
    pub(crate) fn last(&self) -> i64 {
        *self.last.borrow()
    }

    /// Wakes whenever something has arrived.
    pub(crate) fn news(&self) -> watch::Receiver<i64> {
        self.last.subscribe()
    }

    /// Whether this process's relay carries the log.
    pub(crate) fn carried_here(&self) -> watch::Receiver<bool> {
        self.carried_here.subscribe()
    }

    /// This process's relay carries the log from now on, until what is returned is dropped.
    pub(crate) fn carry(self: &Arc<Self>) -> Carrying {
        self.carried_here.send_replace(true);
        Carrying(Arc::clone(self))
    }
}

impl Run {
    fn last(&self) -> Option<i64> {
        self.events.back().map(|event| event.position)
    }
}

/// The relay of this process is at work.
#[derive(Debug)]
pub(crate) struct Carrying(Arc<Arrivals>);

impl Drop for Carrying {
    fn drop(&mut self) {
        self.0.carried_here.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::tests::received;

    #[test]
    fn a_reader_gets_what_follows_its_mark_and_no_more_than_it_asks_for() {
        let arrivals = Arrivals::default();
        let _reader = arrivals.news();
        assert!(matches!(arrivals.after(0, 9), Next::Nothing), "nothing has arrived");
        arrivals.take(&run(11..=15));
        arrivals.take(&run(16..=20));

        assert_eq!(positions(&arrivals, 12, 4), [13, 14, 15, 16]);
        assert_eq!(positions(&arrivals, 18, 4), [19, 20]);
        assert!(matches!(arrivals.after(9, 4), Next::Beyond), "event 10 is missing");
        assert_eq!(positions(&arrivals, 10, 1), [11]);
        assert!(matches!(arrivals.after(20, 4), Next::Nothing));
        assert!(matches!(arrivals.after(99, 4), Next::Nothing), "it has read on in Postgres");
    }

    #[test]
    fn a_hole_begins_the_run_anew() {
        let arrivals = Arrivals::default();
        let _reader = arrivals.news();
        arrivals.take(&run(1..=5));
        arrivals.take(&run(7..=8));
        assert!(matches!(arrivals.after(5, 9), Next::Beyond));
        assert_eq!(positions(&arrivals, 6, 9), [7, 8]);
    }

    #[test]
    fn what_has_arrived_does_not_arrive_again() {
        let arrivals = Arrivals::default();
        let _reader = arrivals.news();
        arrivals.take(&run(1..=5));
        arrivals.take(&run(3..=7));
        assert_eq!(positions(&arrivals, 0, 9), [1, 2, 3, 4, 5, 6, 7]);
        arrivals.take(&run(2..=4));
        assert_eq!(positions(&arrivals, 5, 9), [6, 7], "a stream is filled up again");
    }

    #[test]
    fn what_is_just_committed_is_taken_only_where_nothing_is_missing_before_it() {
        let arrivals = Arrivals::default();
        let _reader = arrivals.news();
        arrivals.take_next(&run(1..=2));
        arrivals.take_next(&run(4..=5));
        assert_eq!(positions(&arrivals, 0, 9), [1, 2], "another process has written 3");
        arrivals.take(&run(3..=5));
        arrivals.take_next(&run(6..=6));
        assert_eq!(positions(&arrivals, 0, 9), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room_and_the_newest_stays_whatever_its_size() {
        let each = received(1, "").bytes();
        let arrivals = Arrivals::holding(3 * each);
        let _reader = arrivals.news();
        arrivals.take(&run(1..=10));
        assert!(matches!(arrivals.after(6, 9), Next::Beyond));
        assert_eq!(positions(&arrivals, 7, 9), [8, 9, 10]);
        arrivals.take(&[Arc::new(received(11, &"x".repeat(4 * each)))]);
        assert_eq!(positions(&arrivals, 10, 9), [11]);
        assert!(matches!(arrivals.after(9, 9), Next::Beyond));
    }

    #[test]
    fn nothing_is_kept_while_nobody_reads() {
        let arrivals = Arrivals::default();
        arrivals.take(&run(1..=5));
        assert!(matches!(arrivals.after(0, 9), Next::Nothing));
    }

    #[test]
    fn the_log_is_carried_here_as_long_as_somebody_says_so() {
        let arrivals = Arc::new(Arrivals::default());
        let carried_here = arrivals.carried_here();
        let carrying = arrivals.carry();
        assert!(*carried_here.borrow());
        drop(carrying);
        assert!(!*carried_here.borrow());
    }

    fn run(positions: std::ops::RangeInclusive<i64>) -> Vec<Arc<RecordedEvent>> {
        positions
            .map(|position| Arc::new(received(position, "")))
            .collect()
    }

    fn positions(arrivals: &Arrivals, mark: i64, max: usize) -> Vec<i64> {
        match arrivals.after(mark, max) {
            Next::Events(events) => events.iter().map(|event| event.position).collect(),
            none => panic!("{none:?}"),
        }
    }
}
