//! Command ids that this process has seen lately: whoever sends one of them again is looked up
//! before anything is decided. All others are decided at once, without a query; should one of them
//! be a repetition after all (of a command from before a start, or of another process's), the
//! log's constraint says so. This spares work and promises nothing.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

/// Ids of one generation; two are kept. At ten thousand commands a second that is the last minute,
/// in which clients repeat what they got no answer to; both take ten megabytes.
const GENERATION_MAX: usize = 300_000;

#[derive(Default)]
pub(crate) struct Recent {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    /// Half an id each: two that share it cost a query.
    newer: HashSet<u64>,
    older: HashSet<u64>,
}

impl Recent {
    /// Whether the id was seen lately; from now on it was.
    pub(crate) fn has_seen(&self, command_id: Uuid) -> bool {
        // The half that is all chance in every version that has any.
        let (_, half) = command_id.as_u64_pair();
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if GENERATION_MAX <= generations.newer.len() {
            generations.older = std::mem::take(&mut generations.newer);
        }
        generations.older.contains(&half) || !generations.newer.insert(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_forgotten_late() {
        let recent = Recent::default();
        let first = Uuid::now_v7();
        assert!(!recent.has_seen(first));
        assert!(recent.has_seen(first));
        for _ in 0..GENERATION_MAX {
            recent.has_seen(Uuid::now_v7());
        }
        assert!(recent.has_seen(first), "the generation before is still known");
        for _ in 0..2 * GENERATION_MAX {
            recent.has_seen(Uuid::now_v7());
        }
        assert!(!recent.has_seen(first), "what is long ago is looked for in the log");
    }
}
