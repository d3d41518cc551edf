//! Whether providers can be reached: a circuit breaker for each, in the memory of a process.
//!
//! ```text
//! closed ─ too many failures ─▶ open ─ its pause is over ─▶ half open ─ one trial ─▶ closed
//!                                ▲                              └ fails ─▶ open, twice as long
//! ```
//!
//! 1. Only calls that begin an attempt count: they are what is kept away from a provider, and its
//!    other addresses may work while that one does not. A decline is an answer, not a failure.
//! 2. An open breaker keeps attempts from being *routed* there. Questions about attempts, refunds,
//!    and attempts of customers who named the provider pass it; the latter count as trials.
//! 3. The time is passed in, so that what is judged here can be tested and told to other processes.
//!
//! No crate does this: those there are wrap calls, let any number through while half open, and do
//! not tell what they know; and a wrapped call could not be a refund that has to pass.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures one after another.
    pub in_a_row: usize,
    /// Calls that are looked back at: not older than this,
    pub window: TimeDelta,
    /// and at least so many of them before their share of failures means anything,
    pub window_calls_min: usize,
    /// of which so many in a hundred have failed.
    pub window_failed_percent: usize,
    /// How long nobody is routed there after the first time.
    pub pause: TimeDelta,
    /// The pause doubles with each trial that fails, up to this.
    pub pause_max: TimeDelta,
    /// A trial that has not ended by then never will.
    pub trial_max: TimeDelta,
}

impl Default for Thresholds {
    /// Five failures in a row are no accident; a provider that fails every other call is away, but
    /// that takes twenty calls to know. A trial is a customer's attempt, so few are spent: after
    /// half a minute at first, later every five. One takes 20 seconds at most.
    fn default() -> Self {
        Self {
            in_a_row: 5,
            window: TimeDelta::minutes(1),
            window_calls_min: 20,
            window_failed_percent: 50,
            pause: TimeDelta::seconds(30),
            pause_max: TimeDelta::minutes(5),
            trial_max: TimeDelta::seconds(40),
        }
    }
}

/// Calls that are remembered of one provider: what a window of a busy shop holds is as telling.
const REMEMBERED_MAX: usize = 100;
/// Characters of a failure's words that are kept.
const WORDS_CHARS_MAX: usize = 300;

/// How it stands with a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is routed to.
    Closed,
    /// It is not.
    Open,
    /// One attempt finds out whether it can be.
    HalfOpen,
}

impl Standing {
    /// Every standing with its name in answers and tables.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("closed", Self::Closed),
        ("open", Self::Open),
        ("half_open", Self::HalfOpen),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The last call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: DateTime<Utc>,
    /// What happened, without secrets: the words of a [`crate::gateway::CallError`].
    pub words: String,
}

/// What is known of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How it stands.
    pub standing: Standing,
    /// Since when it has been closed, or has not been.
    pub since: DateTime<Utc>,
    /// Until when nobody is routed there.
    pub away_until: Option<DateTime<Utc>>,
    /// What happened last.
    pub failure: Option<Failure>,
}

impl Condition {
    /// Whether nobody is routed there at this moment.
    pub fn is_away(&self, now: DateTime<Utc>) -> bool {
        self.away_until.is_some_and(|until| now < until)
    }

    /// The same condition at another moment: a pause may have come to its end.
    #[must_use]
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        if self.standing == Standing::Open && !self.is_away(now) {
            self.standing = Standing::HalfOpen;
        }
        self
    }
}

/// The breakers of all providers; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Health {
    thresholds: Thresholds,
    breakers: Arc<Mutex<BTreeMap<String, Breaker>>>,
}

impl Health {
    /// Nobody has been called yet.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, breakers: Arc::default() }
    }

    /// Whether an attempt that was routed there may be begun. Of those that ask while it is half
    /// open, one may: it is the trial, and what comes of it has to be taken down.
    pub fn admits(&self, gateway: &str, now: DateTime<Utc>) -> bool {
        let mut breakers = self.lock();
        let Some(breaker) = breakers.get_mut(gateway) else {
            return true;
        };
        let admitted = breaker.admits(&self.thresholds, now);
        count(gateway, breaker.standing(now));
        admitted
    }

    /// Takes down that a call was answered. What is to be told, if that changes anything.
    pub fn answered(&self, gateway: &str, now: DateTime<Utc>) -> Option<Condition> {
        let mut breakers = self.lock();
        let breaker = breakers
            .entry(gateway.to_owned())
            .or_insert_with(|| Breaker::new(now));
        let is_news = breaker.answered(now);
        count(gateway, breaker.standing(now));
        is_news.then(|| breaker.condition(now))
    }

    /// Takes down that a call failed, and in which words.
    pub fn failed(&self, gateway: &str, now: DateTime<Utc>, words: &str) -> Condition {
        let mut breakers = self.lock();
        let breaker = breakers
            .entry(gateway.to_owned())
            .or_insert_with(|| Breaker::new(now));
        let was_closed = breaker.standing(now) == Standing::Closed;
        breaker.failed(&self.thresholds, now, words);
        let condition = breaker.condition(now);
        if was_closed && condition.standing != Standing::Closed {
            tracing::warn!(gateway, words, "nobody is routed to a provider for a while");
            metrics::counter!("daybook_gateway_breakers_opened_total", "gateway" => gateway.to_owned())
                .increment(1);
        }
        count(gateway, condition.standing);
        condition
    }

    /// What is known of a provider; nothing if it has not been called.
    pub fn condition(&self, gateway: &str, now: DateTime<Utc>) -> Option<Condition> {
        self.lock()
            .get(gateway)
            .map(|breaker| breaker.condition(now))
    }

    /// Forgets everything: somebody else makes the calls from now on, or we do again.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Breaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(gateway: &str, standing: Standing) {
    let value = match standing {
        Standing::Closed => 0.0,
        Standing::HalfOpen => 1.0,
        Standing::Open => 2.0,
    };
    metrics::gauge!("daybook_gateway_breaker", "gateway" => gateway.to_owned()).set(value);
}

#[derive(Debug, Clone)]
struct Breaker {
    state: State,
    since: DateTime<Utc>,
    /// Of the last calls, when they ended and whether they failed; the newest last.
    calls: VecDeque<(DateTime<Utc>, bool)>,
    failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// Half open as soon as its time has come.
    Open {
        until: DateTime<Utc>,
        pause: TimeDelta,
    },
    /// A trial is under way; should it have been lost, another may begin then.
    Trial {
        until: DateTime<Utc>,
        pause: TimeDelta,
    },
}

impl Breaker {
    fn new(now: DateTime<Utc>) -> Self {
        Self { state: State::Closed, since: now, calls: VecDeque::new(), failure: None }
    }

    fn standing(&self, now: DateTime<Utc>) -> Standing {
        match self.state {
            State::Closed => Standing::Closed,
            State::Open { until, .. } if now < until => Standing::Open,
            State::Open { .. } | State::Trial { .. } => Standing::HalfOpen,
        }
    }

    fn condition(&self, now: DateTime<Utc>) -> Condition {
        let away_until = match self.state {
            State::Closed => None,
            State::Open { until, .. } | State::Trial { until, .. } => Some(until),
        };
        let (standing, failure) = (self.standing(now), self.failure.clone());
        Condition { standing, since: self.since, away_until, failure }
    }

    fn admits(&mut self, thresholds: &Thresholds, now: DateTime<Utc>) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until, .. } | State::Trial { until, .. } if now < until => false,
            State::Open { pause, .. } | State::Trial { pause, .. } => {
                self.state = State::Trial { until: now + thresholds.trial_max, pause };
                true
            }
        }
    }

    /// Whether that changes how it stands.
    fn answered(&mut self, now: DateTime<Utc>) -> bool {
        let was_closed = self.state == State::Closed;
        if !was_closed {
            // What happened before is no measure of what happens now.
            self.calls.clear();
            self.state = State::Closed;
            self.since = now;
        }
        self.remember(now, false);
        !was_closed
    }

    fn failed(&mut self, thresholds: &Thresholds, now: DateTime<Utc>, words: &str) {
        let words = words.chars().take(WORDS_CHARS_MAX).collect();
        self.failure = Some(Failure { at: now, words });
        self.remember(now, true);
        match self.state {
            State::Closed if self.is_too_much(thresholds, now) => {
                let pause = thresholds.pause;
                self.state = State::Open { until: now + pause, pause };
                self.since = now;
            }
            // Somebody who had named it, or whose call began before it was opened.
            State::Closed => {}
            State::Open { until, .. } if now < until => {}
            State::Open { pause, .. } | State::Trial { pause, .. } => {
                let pause = (pause + pause).min(thresholds.pause_max);
                self.state = State::Open { until: now + pause, pause };
            }
        }
    }

    fn is_too_much(&self, thresholds: &Thresholds, now: DateTime<Utc>) -> bool {
        let last = self.calls.iter().rev();
        let in_a_row = last.take_while(|(_, failed)| *failed).count();
        let began = now - thresholds.window;
        let recent = || self.calls.iter().filter(|(at, _)| began <= *at);
        let (calls, failed) = (recent().count(), recent().filter(|(_, failed)| *failed).count());
        let share_is_too_large = thresholds.window_calls_min <= calls
            && calls * thresholds.window_failed_percent <= failed * 100;
        thresholds.in_a_row <= in_a_row || share_is_too_large
    }

    fn remember(&mut self, now: DateTime<Utc>, failed: bool) {
        if REMEMBERED_MAX <= self.calls.len() {
            self.calls.pop_front();
        }
        self.calls.push_back((now, failed));
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
