//! The load generator: many connections on one thread, which do nothing but send and wait.
//!
//! ```text
//! Closed  each connection sends its next request as soon as it has been answered
//! Open    requests are due at a fixed rate, whether or not earlier ones have been answered; a
//!         late one has been waiting since it was due, so that a stall is seen by all it delays
//! ```
//!
//! What is sent during the warm-up is not counted. A request that is under way in the end is waited
//! for: every command is known to have been acknowledged or not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::error::Error;
use crate::http::{Answer, Connection};
use crate::latency::Latency;

/// Connections broken in a row before one gives up: more than a restart would break.
const BROKEN_IN_A_ROW_MAX: u32 = 3;
/// Beyond the time it is given, for what is under way in the end: longer than `Prefer: wait`.
const GRACE: Duration = Duration::from_secs(90);

/// What is to be sent, and what is made of the answers.
pub(crate) trait Work: Send + 'static {
    /// Writes the next request of a connection into the empty buffer.
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> Next;

    /// Looks at the answer to it.
    fn take(&mut self, connection: usize, answer: &Answer<'_>) -> Outcome;
}

/// When the request that was written is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// When the pace allows it.
    Paced,
    /// At once: it belongs to the one before.
    AtOnce,
    /// Never: there is nothing more to do.
    Finished,
}

/// What an answer counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// One of what is measured.
    Counted,
    /// A step on the way, or a refusal that the work expects.
    Passed,
    /// What should not have been.
    Failed,
}

/// How requests follow one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// As answers come.
    Closed,
    /// As many per second.
    Open(f64),
}

/// How to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    pub(crate) warm_up: Duration,
    /// Until when requests are begun; none if the work itself ends.
    pub(crate) measured: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Answers that counted within the measured time.
    pub(crate) counted: u64,
    /// Answers that counted at any time.
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    /// Requests whose answer never came.
    pub(crate) broken: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) latency: Latency,
    /// The measured time.
    pub(crate) within: Duration,
    /// The first answer that should not have been.
    pub(crate) complaint: Option<String>,
}

impl Plan {
    /// A number of requests, as fast as so many connections get answers.
    pub(crate) fn all(connections: usize) -> Self {
        Self { connections, pace: Pace::Closed, warm_up: Duration::ZERO, measured: None }
    }
}

impl Loaded {
    /// Per second.
    pub(crate) fn rate(&self) -> f64 {
        crate::numbers::float(self.counted) / self.within.as_secs_f64().max(1e-6)
    }

    /// Requests that were answered at all.
    pub(crate) fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Requests that the server had no room for.
    pub(crate) fn told_to_come_back(&self) -> u64 {
        self.statuses.get(&503).copied().unwrap_or(0)
    }

    /// Fails unless all went as it should.
    pub(crate) fn must_be_clean(&self, what: &str) -> Result<(), Error> {
        if self.failed == 0 && self.broken == 0 {
            return Ok(());
        }
        let complaint = self.complaint.clone().unwrap_or_default();
        let (failed, broken) = (self.failed, self.broken);
        Err(Error::Check(format!(
            "{what}: {failed} requests failed and {broken} were not answered; the first: {complaint}"
        )))
    }
}

/// What the connections share. All are on one thread, so borrowing is never contended.
struct Shared<W> {
    work: W,
    loaded: Loaded,
    begun: Instant,
    counts_from: Instant,
    ends: Option<Instant>,
    last_answer: Instant,
    /// Requests that have been due so far.
    due: u32,
}

/// Sends until the time is over or the work is done. The work comes back with what it has learnt.
pub(crate) async fn run<W: Work>(
    address: SocketAddr,
    plan: Plan,
    work: W,
) -> Result<(Loaded, W), Error> {
    let (done, result) = oneshot::channel();
    // A thread of its own with nothing else on it: no work is stolen, no lock is taken, and what
    // it costs is the load's.
    thread::spawn(move || {
        // Nobody waits any more if this fails.
        let _unheard = done.send(on_this_thread(address, plan, work));
    });
    let result = result
        .await
        .map_err(|_| Error::Load(io::Error::other("the load generator broke down")))?;
    result.map_err(Error::Load)
}

fn on_this_thread<W: Work>(address: SocketAddr, plan: Plan, work: W) -> io::Result<(Loaded, W)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, all_connections(address, plan, work))
}

async fn all_connections<W: Work>(
    address: SocketAddr,
    plan: Plan,
    work: W,
) -> io::Result<(Loaded, W)> {
    let mut connections = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        connections.push(Connection::open(address).await?);
    }
    let begun = Instant::now();
    let counts_from = begun + plan.warm_up;
    let shared = Rc::new(RefCell::new(Shared {
        work,
        loaded: Loaded::default(),
        begun,
        counts_from,
        ends: plan.measured.map(|measured| counts_from + measured),
        last_answer: begun,
        due: 0,
    }));
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(index, connection)| {
            let drive = drive(index, address, connection, plan.pace, Rc::clone(&shared));
            tokio::task::spawn_local(drive)
        })
        .collect();
    let all = async {
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        Ok::<(), io::Error>(())
    };
    match plan.measured {
        Some(measured) => {
            tokio::time::timeout(plan.warm_up + measured + GRACE, all)
                .await
                .map_err(|_| io::Error::other("an answer did not come for too long"))??;
        }
        None => all.await?,
    }
    let shared = Rc::into_inner(shared).expect("all connections are done");
    let Shared { work, mut loaded, counts_from, last_answer, .. } = shared.into_inner();
    loaded.within = plan
        .measured
        .unwrap_or_else(|| last_answer.saturating_duration_since(counts_from));
    Ok((loaded, work))
}

/// One connection, from its first request to its last.
async fn drive<W: Work>(
    index: usize,
    address: SocketAddr,
    mut connection: Connection,
    pace: Pace,
    shared: Rc<RefCell<Shared<W>>>,
) -> io::Result<()> {
    let mut request = Vec::with_capacity(2048);
    let mut broken_in_a_row = 0;
    loop {
        request.clear();
        let (next, due) = shared.borrow_mut().next(index, &mut request, pace);
        if next == Next::Finished {
            return Ok(());
        }
        let mut since = Instant::now();
        if let Some(due) = due {
            if since < due {
                tokio::time::sleep_until(due.into()).await;
                since = Instant::now();
            } else {
                since = due;
            }
        }
        match connection.exchange(&request).await {
            Ok(answer) => {
                broken_in_a_row = 0;
                shared.borrow_mut().take(index, &answer, since);
            }
            Err(error) => {
                broken_in_a_row += 1;
                shared.borrow_mut().broken(&error);
                if broken_in_a_row == BROKEN_IN_A_ROW_MAX {
                    return Err(error);
                }
                connection = Connection::open(address).await?;
            }
        }
    }
}

impl<W: Work> Shared<W> {
    fn next(&mut self, index: usize, request: &mut Vec<u8>, pace: Pace) -> (Next, Option<Instant>) {
        let next = self.work.next(index, request);
        let over = |at: Instant| self.ends.is_some_and(|ends| ends <= at);
        match (next, pace) {
            (Next::Paced, Pace::Closed) if over(Instant::now()) => (Next::Finished, None),
            (Next::Finished | Next::AtOnce, _) | (Next::Paced, Pace::Closed) => (next, None),
            (Next::Paced, Pace::Open(rate)) => {
                let due = self.begun + Duration::from_secs_f64(f64::from(self.due) / rate);
                self.due += 1;
                if over(due.max(Instant::now())) {
                    (Next::Finished, None)
                } else {
                    (next, Some(due))
                }
            }
        }
    }

    fn take(&mut self, index: usize, answer: &Answer<'_>, since: Instant) {
        let now = Instant::now();
        let loaded = &mut self.loaded;
        *loaded.statuses.entry(answer.status).or_default() += 1;
        match self.work.take(index, answer) {
            Outcome::Counted => {
                loaded.acknowledged += 1;
                self.last_answer = now;
                if self.counts_from <= now && self.ends.is_none_or(|ends| now < ends) {
                    loaded.counted += 1;
                    loaded.latency.record(now.saturating_duration_since(since));
                }
            }
            Outcome::Passed => {}
            Outcome::Failed => {
                loaded.failed += 1;
                loaded
                    .complaint
                    .get_or_insert_with(|| format!("{} {}", answer.status, answer.text()));
            }
        }
    }

    fn broken(&mut self, error: &io::Error) {
        self.loaded.broken += 1;
        self.loaded
            .complaint
            .get_or_insert_with(|| error.to_string());
    }
}
