//! What an auditor does: walks through the whole log once, computes the tree anew, and compares it
//! with every signed head. Trusts a public key and heads kept elsewhere, and nothing else; in
//! memory is a root for each head, and of the trees what [`Tree`] keeps.
//!
//! | what somebody did | what gives it away | what is named |
//! | --- | --- | --- |
//! | changed an event | its hash is not the sealed leaf | the position |
//! | removed, inserted or swapped events | positions have a hole or go back; or, renumbered, as changed | the first position |
//! | cut the tail | a head covers more than there is | the first position that is gone |
//! | changed event and tiles | the next head's root | the positions since the head before |
//! | removed the newest heads, or all of them | more is without a head than ever is for long | the positions without a head |
//! | rewrote it all and signed with a new key | no head is signed by the auditor's key; roots differ from heads kept elsewhere | the first positions that differ |

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use tlog_tiles::tlog::Hash;

use crate::head::{BadHead, Signed, SignedHead};
use crate::keys::PublicKey;
use crate::leaf;
use crate::sealer::{EVENTS_MANY, EVENTS_MAX};
use crate::tree::Tree;

/// Events that may wait for a head: as many as a sealer lets wait beside a crowd, and a head's more for
/// the moment that it takes.
const UNSEALED_MAX: u64 = EVENTS_MANY + EVENTS_MAX;
/// How long an event may wait for a head: a minute, and then some for a machine under load and a
/// process that is started again.
const UNSEALED_FOR_MAX: TimeDelta = TimeDelta::minutes(5);

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The first position that is wrong, or may be.
    pub position: u64,
    /// The last one that may be the first that is wrong.
    pub until: u64,
    /// What is wrong, as a sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.position == self.until {
            write!(f, "position {}: {}", self.position, self.what)
        } else {
            write!(f, "positions {} to {}: {}", self.position, self.until, self.what)
        }
    }
}

impl Finding {
    fn at(position: u64, what: impl Into<String>) -> Self {
        Self { position, until: position, what: what.into() }
    }
}

/// A root that the log must lead to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mark {
    size: u64,
    root: Hash,
    kept_elsewhere: bool,
}

/// The heads of a log, as they come, in order of size.
///
/// Each names the one before it by its hash and says who may sign the next one. So the first head
/// that the auditor's key has signed vouches for all before it, and hands on to those after it.
#[derive(Debug, Default)]
pub struct Heads {
    marks: Vec<Mark>,
    /// Who may sign the next head; none before the first that the auditor's key has signed.
    heirs: Option<Vec<PublicKey>>,
    /// All that were named as heirs, for heads kept elsewhere.
    known: Vec<PublicKey>,
    given: Vec<PublicKey>,
    origin: Option<String>,
    before: Option<(u64, Hash)>,
    findings: Vec<Finding>,
}

impl Heads {
    /// Trusts these keys; without any, those that the first head names, which proves nothing
    /// against whoever could write all heads anew.
    pub fn trusting(keys: Vec<PublicKey>) -> Self {
        Self { known: keys.clone(), given: keys, ..Self::default() }
    }

    /// Which log it must be.
    #[must_use]
    pub fn of_log(self, origin: String) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// Takes the next head of the log. After the first that is wrong, none counts.
    pub fn take(&mut self, note: &str) {
        if !self.findings.is_empty() {
            return;
        }
        let after = self.before.map_or(0, |(size, _)| size);
        if let Err(what) = self.take_next(note, after) {
            self.findings.push(Finding::at(after + 1, what));
        }
    }

    fn take_next(&mut self, note: &str, after: u64) -> Result<(), String> {
        let next = SignedHead::read(note)
            .map_err(|error: BadHead| format!("the head after position {after}: {error}"))?;
        let size = next.head.size;
        if size <= after {
            return Err(format!("the head of {size} events comes after that of {after}"));
        }
        let origin = self.origin.get_or_insert_with(|| next.head.origin.clone());
        if *origin != next.head.origin {
            return Err(format!("the head of {size} events is of {}", next.head.origin));
        }
        if next.head.previous != self.before.map(|(_, hash)| hash) {
            return Err(format!(
                "the head of {size} events does not follow the one before it: a head between them \
                 was removed, or one of the two was rewritten"
            ));
        }
        let heirs = match &self.heirs {
            Some(heirs) => Some(heirs),
            None if self.given.is_empty() => Some(&next.head.keys),
            None => None,
        };
        let signed = next.signed_by(heirs.unwrap_or(&self.given));
        match (heirs, signed) {
            (_, Signed::Forged) => {
                return Err(format!("the signature of the head of {size} events is wrong"));
            }
            (Some(_), Signed::Unknown) => {
                return Err(format!(
                    "the head of {size} events is not signed by a key that the head before it \
                     names: from here on the history may be somebody else's"
                ));
            }
            // One from before the auditor's key; the chain vouches for it, once that begins.
            (None, Signed::Unknown) => {}
            (_, Signed::Known) => {
                self.known.extend(next.head.keys.iter().cloned());
                self.heirs = Some(next.head.keys.clone());
            }
        }
        self.before = Some((size, next.text_hash()));
        self.marks
            .push(Mark { size, root: next.head.root, kept_elsewhere: false });
        Ok(())
    }

    /// All heads of the log have been told; now those that the auditor kept. Each has to be signed
    /// by a key that is trusted, or it says nothing: the sentence says which.
    pub fn and_kept_elsewhere(mut self, kept: &[SignedHead]) -> Result<Walk, String> {
        if self.heirs.is_none() && !self.given.is_empty() && !self.marks.is_empty() {
            let mut keys: Vec<String> = self.given.iter().map(ToString::to_string).collect();
            keys.dedup();
            self.findings.push(Finding::at(
                1,
                format!(
                    "none of the log's {} heads is signed by the key you trust, {}: all of them may \
                     be rewritten",
                    self.marks.len(),
                    keys.join(", ")
                ),
            ));
            // What nobody vouches for says nothing about the log.
            self.marks.clear();
        }
        for head in kept {
            let size = head.head.size;
            if head.signed_by(&self.known) != Signed::Known {
                return Err(format!(
                    "the head of {size} events that you kept is not signed by a key you trust"
                ));
            }
            if self.origin.get_or_insert_with(|| head.head.origin.clone()) != &head.head.origin {
                return Err(format!(
                    "the head of {size} events that you kept is of another log, {}",
                    head.head.origin
                ));
            }
            self.marks
                .push(Mark { size, root: head.head.root, kept_elsewhere: true });
        }
        self.marks.sort_by_key(|mark| mark.size);
        Ok(Walk { marks: self.marks.into(), findings: self.findings, ..Walk::default() })
    }
}

/// What a walk has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Events seen.
    pub events: u64,
    /// Of them, those that a head covers.
    pub sealed: u64,
    /// Heads that they lead to.
    pub heads: u64,
    /// When the first that no head covers was recorded, as it says itself.
    pub unsealed_since: Option<DateTime<Utc>>,
    /// When the last one was.
    pub last_at: Option<DateTime<Utc>>,
}

impl Proved {
    /// What makes this no proof for whoever came with a key or a head: nothing is sealed, or more is
    /// without a head at `now` than a sealer that works ever leaves for long. Whoever removes the
    /// newest heads leaves such a tail.
    pub fn shortcoming(&self, now: DateTime<Utc>) -> Option<Finding> {
        let (position, until) = (self.sealed + 1, self.events.max(self.sealed + 1));
        let unsealed = self.events.saturating_sub(self.sealed);
        let short = |what: String| Some(Finding { position, until, what });
        if self.heads == 0 {
            return short(
                "there is no head at all: heads were removed, or nothing was ever sealed, and \
                 nothing is proved"
                    .to_owned(),
            );
        }
        if UNSEALED_MAX < unsealed {
            return short(format!(
                "no head covers these {unsealed} events: heads were removed, or nobody seals the log; \
                 {UNSEALED_MAX} may wait for one"
            ));
        }
        let since = self.unsealed_since?;
        (UNSEALED_FOR_MAX < now - since).then(|| Finding {
            position,
            until,
            what: format!(
                "no head covers what was recorded since {}: heads were removed, or nobody seals the \
                 log; an event waits for a minute",
                since.to_rfc3339_opts(SecondsFormat::Secs, true)
            ),
        })
    }
}

/// A walk through the log, event by event.
#[derive(Debug, Default)]
pub struct Walk {
    marks: std::collections::VecDeque<Mark>,
    /// Of the events as they are.
    found: Tree,
    /// Of the leaves that were stored when they were sealed.
    stored: Tree,
    /// Since the last head: the first event that is not the one that was sealed.
    differs: Option<u64>,
    /// The first event after the last head, and the last of all.
    unsealed_since: Option<DateTime<Utc>>,
    last_at: Option<DateTime<Utc>>,
    proved: u64,
    heads: u64,
    findings: Vec<Finding>,
    over: bool,
}

impl Walk {
    /// Whether a finding has made the rest meaningless.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Takes the next event: the position that it claims, its line, and the leaf that was stored.
    pub fn take(&mut self, position: u64, line: &[u8], stored: Option<Hash>) {
        let expected = self.found.size() + 1;
        if self.over {
            return;
        }
        if position != expected {
            let what = if expected < position {
                format!("this event is missing; the next one is at {position}")
            } else {
                format!("an event at {position} stands here: inserted, repeated or out of order")
            };
            return self.end(Finding::at(expected, what));
        }
        // Behind the last head; how old what is under one is, needs no saying.
        if self.marks.is_empty() {
            self.last_at = recorded_at(line);
            self.unsealed_since = self.unsealed_since.or(self.last_at);
        }
        let hash = leaf(line);
        self.found.push(hash, &mut Vec::new());
        if let Some(stored) = stored {
            self.stored.push(stored, &mut Vec::new());
            if stored != hash && self.differs.is_none() {
                self.differs = Some(position);
            }
        }
        while let Some(mark) = self.marks.front().filter(|mark| mark.size == position) {
            let mark = *mark;
            self.marks.pop_front();
            self.compare(mark);
        }
    }

    /// What comes next is no event at all.
    pub fn take_unreadable(&mut self, why: &str) {
        let expected = self.found.size() + 1;
        if !self.over {
            self.end(Finding::at(expected, format!("what stands here is no event: {why}")));
        }
    }

    fn compare(&mut self, mark: Mark) {
        let Mark { size, root, kept_elsewhere } = mark;
        let whose = if kept_elsewhere {
            "that you kept"
        } else {
            "of the log"
        };
        if self.found.root() == root {
            if let Some(position) = self.differs.take() {
                let what = "the event is the one that was sealed, but the stored tree was changed";
                self.findings.push(Finding::at(position, what));
            }
            self.proved = size;
            self.heads += 1;
            return;
        }
        let stored_is_sealed = self.stored.size() == size && self.stored.root() == root;
        match self.differs.filter(|_| stored_is_sealed) {
            Some(position) => {
                let what = format!(
                    "this is not the event that was sealed; the head of {size} events {whose} says so"
                );
                self.end(Finding::at(position, what));
            }
            None => self.end(Finding {
                position: self.proved + 1,
                until: size,
                what: format!(
                    "this is not the history that was sealed; the head of {size} events {whose} \
                     has another root"
                ),
            }),
        }
    }

    fn end(&mut self, finding: Finding) {
        self.findings.push(finding);
        self.over = true;
    }

    /// The log has ended. What is wrong, in order of position, or what has been shown.
    pub fn finish(mut self) -> Result<Proved, Vec<Finding>> {
        let events = self.found.size();
        if let Some(mark) = self.marks.iter().max_by_key(|mark| mark.size)
            && !self.over
        {
            let whose = if mark.kept_elsewhere {
                "a head that you kept"
            } else {
                "a head"
            };
            let what = format!("cut off: the log ends at {events}, {whose} covers {}", mark.size);
            self.findings
                .push(Finding { position: events + 1, until: mark.size, what });
        }
        if self.findings.is_empty() {
            let Self { proved: sealed, heads, unsealed_since, last_at, .. } = self;
            return Ok(Proved { events, sealed, heads, unsealed_since, last_at });
        }
        self.findings.sort_by_key(|finding| finding.position);
        Err(self.findings)
    }
}

/// When an event says that it was recorded.
fn recorded_at(line: &[u8]) -> Option<DateTime<Utc>> {
    #[derive(Deserialize)]
    struct Event {
        at: DateTime<Utc>,
    }
    let event: Option<Event> = serde_json::from_slice(line).ok();
    event.map(|event| event.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_falls_short_without_heads_or_with_much_or_old_behind_them() {
        let now: DateTime<Utc> = "2026-11-28T08:00:00Z".parse().unwrap();
        let proved = |events, sealed, heads, minutes| Proved {
            events,
            sealed,
            heads,
            unsealed_since: (sealed < events).then(|| now - TimeDelta::minutes(minutes)),
            last_at: None,
        };
        for (proved, named) in [
            (proved(0, 0, 0, 0), Some((1, 1))),
            (proved(9, 0, 0, 0), Some((1, 9))),
            (proved(9, 9, 1, 0), None),
            (proved(30_009, 9, 1, 4), None),
            (proved(30_010, 9, 1, 0), Some((10, 30_010))),
            (proved(12, 9, 1, 6), Some((10, 12))),
        ] {
            let finding = proved.shortcoming(now);
            assert_eq!(finding.map(|it| (it.position, it.until)), named, "{proved:?}");
        }
    }
}
