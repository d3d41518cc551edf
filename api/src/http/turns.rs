//! One request at a time for each command id: while the first still runs, its repetitions wait for
//! it, so that they are told what it was told.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::problem::Problem;

/// Outlasts the longest command, which waits 30 s for an outcome.
const WAIT_MAX: Duration = Duration::from_secs(35);

/// The commands that are running in this process.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    running: Arc<Mutex<HashMap<Uuid, Weak<tokio::sync::Mutex<()>>>>>,
}

/// While it lives, no other request runs the same command.
#[derive(Debug)]
pub(crate) struct Turn {
    command_id: Uuid,
    turns: Turns,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else runs this command.
    pub(crate) async fn take(&self, command_id: Uuid) -> Result<Turn, Problem> {
        let lock = self.lock_of(command_id);
        let held = match Arc::clone(&lock).try_lock_owned() {
            Ok(held) => held,
            Err(_running) => tokio::time::timeout(WAIT_MAX, lock.lock_owned())
                .await
                .map_err(|_| Problem::still_running())?,
        };
        Ok(Turn { command_id, turns: self.clone(), held: Some(held) })
    }

    fn lock_of(&self, command_id: Uuid) -> Arc<tokio::sync::Mutex<()>> {
        let mut running = self.running();
        if let Some(lock) = running.get(&command_id).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        running.insert(command_id, Arc::downgrade(&lock));
        lock
    }

    /// The map is whole after every line that holds it, so a panic elsewhere spoils nothing.
    fn running(&self) -> MutexGuard<'_, HashMap<Uuid, Weak<tokio::sync::Mutex<()>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.turns.running();
        drop(self.held.take());
        // Whoever waits holds the lock too; the last one tidies up.
        if let Entry::Occupied(entry) = running.entry(self.command_id)
            && entry.get().strong_count() == 0
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_repetition_waits_for_the_first_and_nothing_is_left_behind() {
        let turns = Turns::default();
        let first = turns.take(Uuid::nil()).await.unwrap();
        let other = turns.take(Uuid::max()).await.unwrap();

        let again = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(Uuid::nil()).await.map(drop).is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!again.is_finished());

        drop(first);
        assert!(again.await.unwrap());
        drop(other);
        assert!(turns.running().is_empty());
    }
}
