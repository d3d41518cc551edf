//! Calls that wait, calls that are under way, and how far the log may be forgotten.
//!
//! Each provider has a lane of its own, so that one that is slow keeps nobody waiting but its own.
//!
//! ```text
//! heard ──▶ waiting ──▶ under way ──▶ called ──▶ answered in the log: done, nothing is written
//!   │                                    └─ not within PATIENCE ─▶ planned as a question
//!   └─ the lane is full ─▶ planned as a question that is the call itself
//! ```
//!
//! Invariant: at or below the mark, whatever was to be called has been answered in the log, or is
//! planned as a question. No call that waits or is under way is passed by the mark.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::derived::Cause;
use crate::polls::{Note, Subject};

/// Calls under way at once, to all providers: a thousand small tasks.
const UNDER_WAY_MAX: usize = 1_024;
/// Calls under way to one provider; so three that do not answer still leave room for the others.
pub(super) const OF_ONE_UNDER_WAY_MAX: usize = 256;
/// Calls that wait for one provider: some 5 MB. Beyond it they are written down instead.
pub(super) const OF_ONE_WAITING_MAX: usize = 10_000;
/// Questions under way to one provider: some allow ten a second, and who has just come back from an
/// outage is not to be overrun by what was asked of it meanwhile.
pub(super) const OF_ONE_ASKED_MAX: usize = 8;
/// Questions that wait for one provider; the others stay where they are written.
const OF_ONE_TO_ASK_MAX: usize = 1_000;
/// How long an answer is waited for before its question is planned: most come within milliseconds,
/// and then nothing is written. After a crash, calls of this time are made once more.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Calls whose answers are waited for; with more, patience ends at once.
const CALLED_MAX: usize = 20_000;

/// What a provider is called for.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) subject: Subject,
    /// Whose lane it takes.
    pub(super) gateway: String,
    pub(super) why: Why,
}

#[derive(Debug, Clone)]
pub(super) enum Why {
    /// It has just been asked for.
    Event { cause: Cause },
    /// The same, but it had no room in memory then.
    Late,
    /// The provider has been called and has said nothing.
    Silence { asked: i32 },
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) call: Call,
    /// Whether the log holds no answer yet.
    pub(super) is_open: bool,
}

/// Everything that is to be called.
pub(super) struct Lanes {
    /// Everything up to here has been heard.
    read_to: i64,
    by_gateway: BTreeMap<String, Lane>,
    under_way: usize,
    /// What events asked for, until the log holds its answer or it is planned as a question.
    open: HashMap<Subject, Open>,
    /// The same by position.
    positions: BTreeMap<i64, Subject>,
    /// The same once it has been called, the longest called first; some may be answered by now.
    called: VecDeque<(Instant, Subject)>,
    /// Questions that wait or are under way.
    questions: HashSet<Subject>,
    notes: HashMap<Subject, Note>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Call>,
    /// The same for questions about silence.
    to_ask: VecDeque<Call>,
    under_way: usize,
    /// How many of them are questions about silence.
    asked: usize,
    /// Whether more calls may have been written down for want of room.
    has_late: bool,
}

impl Lane {
    /// Whether it has something that may be under way as well.
    fn may_go_on(&self) -> bool {
        let may_ask = !self.to_ask.is_empty() && self.asked < OF_ONE_ASKED_MAX;
        self.under_way < OF_ONE_UNDER_WAY_MAX && (may_ask || !self.waiting.is_empty())
    }

    /// Questions first: they are few at a time, and would otherwise wait for the end of all calls.
    fn take(&mut self) -> Option<Call> {
        if self.asked < OF_ONE_ASKED_MAX
            && let Some(question) = self.to_ask.pop_front()
        {
            self.asked += 1;
            return Some(question);
        }
        self.waiting.pop_front()
    }
}

struct Open {
    position: i64,
    gateway: String,
}

impl Lanes {
    /// Empty, and the log read up to here.
    pub(super) fn after(mark: i64) -> Self {
        Self {
            read_to: mark,
            by_gateway: BTreeMap::new(),
            under_way: 0,
            open: HashMap::new(),
            positions: BTreeMap::new(),
            called: VecDeque::new(),
            questions: HashSet::new(),
            notes: HashMap::new(),
        }
    }

    /// An event asks for a call.
    pub(super) fn hear(&mut self, call: Call, position: i64) {
        let lane = self.by_gateway.entry(call.gateway.clone()).or_default();
        if OF_ONE_WAITING_MAX <= lane.waiting.len() {
            lane.has_late = true;
            let Call { subject, gateway, .. } = call;
            self.note(subject, Note::Plan { gateway, called: false });
            return;
        }
        let open = Open { position, gateway: call.gateway.clone() };
        self.open.insert(call.subject.clone(), open);
        self.positions.insert(position, call.subject.clone());
        lane.waiting.push_back(call);
    }

    /// The log holds an answer.
    pub(super) fn hear_answer(&mut self, subject: Subject) {
        if self.take(&subject).is_none() {
            self.note(subject, Note::Forget);
        }
    }

    /// Everything up to here has been heard.
    pub(super) fn have_read_to(&mut self, position: i64) {
        self.read_to = position;
    }

    /// Questions have come due, among them such as are being asked already.
    pub(super) fn ask(&mut self, due: impl Iterator<Item = Call>) {
        for lane in self.by_gateway.values_mut() {
            // Unless they were left out, all that are left are among these.
            lane.has_late &= OF_ONE_WAITING_MAX <= lane.waiting.len();
        }
        for call in due {
            let lane = self.by_gateway.entry(call.gateway.clone()).or_default();
            if !self.questions.insert(call.subject.clone()) {
                continue;
            }
            if let Why::Silence { .. } = call.why {
                lane.to_ask.push_back(call);
            } else {
                lane.has_late = true;
                lane.waiting.push_back(call);
            }
        }
    }

    /// Whether a provider has emptied its lane while there are calls for it that had no room.
    pub(super) fn are_hungry(&self) -> bool {
        let mut lanes = self.by_gateway.values();
        lanes.any(|lane| lane.has_late && lane.waiting.len() < OF_ONE_WAITING_MAX / 2)
    }

    /// How many questions wait or are under way.
    pub(super) fn being_asked(&self) -> usize {
        self.questions.len()
    }

    /// The providers that no more calls can wait for.
    pub(super) fn full(&self) -> Vec<&str> {
        self.names(|lane| OF_ONE_WAITING_MAX <= lane.waiting.len())
    }

    /// The providers that no more questions about silence can wait for.
    pub(super) fn full_of_questions(&self) -> Vec<&str> {
        self.names(|lane| OF_ONE_TO_ASK_MAX <= lane.to_ask.len())
    }

    fn names(&self, of: impl Fn(&Lane) -> bool) -> Vec<&str> {
        let lanes = self.by_gateway.iter();
        lanes
            .filter(|(_, lane)| of(lane))
            .map(|(gateway, _)| gateway.as_str())
            .collect()
    }

    /// The next call that may be made.
    pub(super) fn next(&mut self) -> Option<Call> {
        while self.under_way < UNDER_WAY_MAX {
            let lanes = self.by_gateway.values_mut();
            let lane = lanes
                .filter(|lane| lane.may_go_on())
                .min_by_key(|lane| lane.under_way)?;
            let call = lane.take()?;
            let is_event = matches!(call.why, Why::Event { .. });
            if is_event && !self.open.contains_key(&call.subject) {
                // Answered while it waited.
                continue;
            }
            lane.under_way += 1;
            self.under_way += 1;
            return Some(call);
        }
        None
    }

    /// A call has ended, with an answer or without.
    pub(super) fn ended(&mut self, ended: Ended, now: Instant) {
        let Ended { call: Call { subject, gateway, why }, is_open } = ended;
        self.under_way -= 1;
        let lane = self.by_gateway.entry(gateway).or_default();
        lane.under_way -= 1;
        lane.asked -= usize::from(matches!(why, Why::Silence { .. }));
        let asked = match why {
            Why::Event { .. } => {
                // Open until the log is read that far: a decision may still fail to be committed.
                self.called.push_back((now, subject));
                return;
            }
            Why::Late => 0,
            Why::Silence { asked } => asked + 1,
        };
        self.questions.remove(&subject);
        self.note(
            subject,
            if is_open {
                Note::PutOff { asked }
            } else {
                Note::Forget
            },
        );
    }

    /// Takes out what has to be written down, before the mark or with it.
    pub(super) fn notes(&mut self, now: Instant) -> HashMap<Subject, Note> {
        let is_due = |(called_at, _): &(Instant, Subject), others: usize| {
            CALLED_MAX < others || PATIENCE <= now.duration_since(*called_at)
        };
        while let Some(first) = self.called.front()
            && is_due(first, self.called.len())
            && let Some((_, subject)) = self.called.pop_front()
        {
            self.plan(subject);
        }
        std::mem::take(&mut self.notes)
    }

    /// The same without patience.
    pub(super) fn all_notes(&mut self) -> HashMap<Subject, Note> {
        while let Some((_, subject)) = self.called.pop_front() {
            self.plan(subject);
        }
        std::mem::take(&mut self.notes)
    }

    /// Whether there may be something to write down.
    pub(super) fn have_news(&self) -> bool {
        !self.open.is_empty() || !self.notes.is_empty() || self.are_hungry()
    }

    /// Up to where nothing is lost, once what was taken out is written down.
    pub(super) fn mark(&self) -> i64 {
        self.positions
            .first_key_value()
            .map_or(self.read_to, |(position, _)| position - 1)
    }

    /// Whether it is answered is asked later: nobody waits for it any longer.
    pub(super) fn plan(&mut self, subject: Subject) {
        if let Some(Open { gateway, .. }) = self.take(&subject) {
            self.note(subject, Note::Plan { gateway, called: true });
        }
    }

    fn take(&mut self, subject: &Subject) -> Option<Open> {
        let open = self.open.remove(subject)?;
        self.positions.remove(&open.position);
        Some(open)
    }

    /// What has been answered stays answered.
    fn note(&mut self, subject: Subject, note: Note) {
        if self.notes.get(&subject) != Some(&Note::Forget) {
            self.notes.insert(subject, note);
        }
    }
}
