//! What the rest of the process knows of a projector: its mark and how it is.

use std::fmt;

use serde::{Serialize, Serializer};
use tokio::sync::watch;

/// How a projector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// This process does not run it.
    Elsewhere,
    /// It applies what comes.
    Running,
    /// It could not apply what comes, and tries again.
    Failed(String),
    /// It was told to stop.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere => f.write_str("elsewhere"),
            Self::Running => f.write_str("running"),
            Self::Failed(sentence) => write!(f, "failed: {sentence}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a projector publishes.
#[derive(Debug)]
pub(crate) struct Live {
    /// The committed mark; `None` while no projector of this process has read it.
    mark: watch::Sender<Option<i64>>,
    state: watch::Sender<State>,
    /// How many wait for the mark to get somewhere.
    waiting: watch::Sender<usize>,
}

/// Somebody who waits, as long as it lives.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a watch::Sender<usize>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            mark: watch::Sender::new(None),
            state: watch::Sender::new(State::Elsewhere),
            waiting: watch::Sender::new(0),
        }
    }

    /// Counts whoever calls among those who wait, as long as what comes back lives.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        Waiting(&self.waiting)
    }

    /// Returns once somebody waits.
    pub(crate) async fn is_waited_for(&self) {
        let mut waiting = self.waiting.subscribe();
        // The sender lives as long as this does.
        let _never_closed = waiting.wait_for(|waiting| 0 < *waiting).await;
    }

    pub(crate) fn mark(&self) -> Option<i64> {
        *self.mark.borrow()
    }

    pub(crate) fn publish(&self, mark: i64) {
        self.mark.send_replace(Some(mark));
    }

    pub(crate) fn marks(&self) -> watch::Receiver<Option<i64>> {
        self.mark.subscribe()
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    #[cfg(test)]
    pub(crate) fn states(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn is_now(&self, state: State) {
        self.state.send_replace(state);
    }

    /// No mark is published any more: whoever waits asks the database instead.
    pub(crate) fn stopped(&self) {
        self.is_now(State::Stopped);
        self.mark.send_replace(None);
    }
}
