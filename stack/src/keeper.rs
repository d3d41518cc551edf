//! Keeps one server running until it is told not to.
//!
//! ```text
//! start ──▶ Up ── it dies ──▶ Down ── back-off, start again ──▶ Up
//!            └──── close ──────┴──────▶ Closed
//! ```
//!
//! A thread rather than a task: tests share a stack across runtimes, each of which would take its
//! tasks with it.

use std::path::Path;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::supervise::{STOP_SECONDS_MAX, log_end, log_length};
use crate::until::until;

/// How long a server may take until it answers. Postgres that was killed first replays its log,
/// of which `max_wal_size` allows gigabytes.
const READY_SECONDS_MAX: u64 = 120;

/// The first pause before a new start; doubled up to the maximum. Short, because a server that was
/// merely killed comes back at once; bounded, because people wait for it.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// A server that ran this long died of something new, so its back-off begins anew.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// Beyond the time that the supervisor grants its server, for the supervisor itself.
const JOIN_SECONDS_MAX: u64 = STOP_SECONDS_MAX + 5;

/// A server that can be started again and again, each time on the same port and data.
pub(crate) trait Server: Send + 'static {
    const NAME: &'static str;

    /// Stops what an earlier start left, so that no two servers share their files.
    fn clear(&self) -> Result<(), Error>;

    /// Starts it; the child's `stdin` is its lifeline.
    fn spawn(&self) -> Result<Child, Error>;

    /// Whether the server that was just started answers.
    fn is_ready(&self) -> bool;

    fn log(&self) -> &Path;
}

/// A server that is up, and will be again.
#[derive(Debug)]
pub(crate) struct Keeper {
    name: &'static str,
    lifeline: Arc<Lifeline>,
    /// Nothing is sent; it disconnects when the thread is done.
    done: Receiver<()>,
}

impl Keeper {
    /// Returns once the server answers.
    pub(crate) fn start<S: Server>(server: S) -> Result<Self, Error> {
        let lifeline = Arc::new(Lifeline::default());
        let child = launch(&server, &lifeline)?;
        let (running, done) = channel();
        let held = Arc::clone(&lifeline);
        thread::spawn(move || {
            keep(&server, child, &held);
            drop(running);
        });
        Ok(Self { name: S::NAME, lifeline, done })
    }

    /// Tells the server to stop, without waiting for it.
    pub(crate) fn close(&self) {
        self.lifeline.close();
    }

    /// Waits until a closed server is gone.
    pub(crate) fn join(self) {
        let wait = self
            .done
            .recv_timeout(Duration::from_secs(JOIN_SECONDS_MAX));
        if wait == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("{} does not stop, and is left to its supervisor", self.name);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.lifeline.close();
    }
}

/// The pipe whose closing stops the server, shared by who keeps it up and who ends it.
#[derive(Debug, Default)]
struct Lifeline {
    state: Mutex<Hold>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum Hold {
    #[default]
    Down,
    Up {
        _pipe: Option<ChildStdin>,
    },
    Closed,
}

impl Lifeline {
    /// Lets the child live, unless we are closed already: then its pipe is dropped here.
    fn hold(&self, child: &mut Child) {
        let mut state = self.state();
        if !matches!(*state, Hold::Closed) {
            *state = Hold::Up { _pipe: child.stdin.take() };
        }
        child.stdin = None;
    }

    /// Lets go of a child that ended, or of one that does not answer.
    fn let_go(&self) {
        let mut state = self.state();
        if matches!(*state, Hold::Up { .. }) {
            *state = Hold::Down;
        }
    }

    fn close(&self) {
        *self.state() = Hold::Closed;
        self.changed.notify_all();
    }

    fn is_closed(&self) -> bool {
        matches!(*self.state(), Hold::Closed)
    }

    /// Sleeps, but not beyond a close.
    fn pause(&self, at_most: Duration) {
        let open = |state: &mut Hold| !matches!(state, Hold::Closed);
        let wait = self.changed.wait_timeout_while(self.state(), at_most, open);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    /// Each change is one assignment, so a panic elsewhere cannot leave half of one.
    fn state(&self) -> MutexGuard<'_, Hold> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep<S: Server>(server: &S, mut child: Child, lifeline: &Lifeline) {
    let mut back_off = BACK_OFF_MIN;
    loop {
        let since = Instant::now();
        let start_of_log = log_length(server.log());
        let ended = child.wait();
        if lifeline.is_closed() {
            return;
        }
        lifeline.let_go();
        let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        let log_end = log_end(server.log(), start_of_log);
        let error = Error::failed(S::NAME, format!("died ({status})"), server.log(), &log_end);
        tracing::warn!(%error, "starting {} again", S::NAME);
        if SETTLED_AFTER < since.elapsed() {
            back_off = BACK_OFF_MIN;
        }
        child = loop {
            lifeline.pause(back_off);
            if lifeline.is_closed() {
                return;
            }
            back_off = (back_off * 2).min(BACK_OFF_MAX);
            match launch(server, lifeline) {
                Ok(child) => break child,
                Err(_) if lifeline.is_closed() => return,
                Err(error) => {
                    let again_in_ms = back_off.as_millis();
                    tracing::warn!(%error, again_in_ms, "{} does not start", S::NAME);
                }
            }
        };
        tracing::info!("{} is back", S::NAME);
    }
}

fn launch<S: Server>(server: &S, lifeline: &Lifeline) -> Result<Child, Error> {
    server.clear()?;
    let start_of_log = log_length(server.log());
    let failed =
        |what| Error::failed(S::NAME, what, server.log(), &log_end(server.log(), start_of_log));

    let mut child = server.spawn()?;
    lifeline.hold(&mut child);
    let started = until(Duration::from_secs(READY_SECONDS_MAX), || match child.try_wait() {
        Ok(Some(status)) => Some(Err(status)),
        Ok(None) | Err(_) => server.is_ready().then_some(Ok(())),
    });
    match started {
        Some(Ok(())) => Ok(child),
        Some(Err(status)) => {
            lifeline.let_go();
            Err(failed(format!("ended while starting ({status})")))
        }
        None => {
            lifeline.let_go();
            // The pipe is closed, so this ends: the supervisor grants its server a bounded time.
            let _ = child.wait();
            Err(failed(format!("did not answer in {READY_SECONDS_MAX} seconds")))
        }
    }
}
