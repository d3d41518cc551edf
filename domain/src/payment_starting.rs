//! Whether an attempt may be started, by itself or in place of one whose provider was not reached.

use super::{ATTEMPTS_MAX, Attempt, AttemptState, Event, Payment, Refusal, Terms, Tried};

impl Payment {
    /// The attempt of this reference and those that it stands in for, the newest first.
    pub fn stands_in_for(&self, reference: &str) -> impl Iterator<Item = &Tried> {
        // An attempt stands in for an earlier one only, so the list is as short as the attempts.
        std::iter::successors(self.attempt(reference), |tried| {
            self.attempt(tried.attempt.instead_of.as_deref()?)
        })
        .take(ATTEMPTS_MAX)
    }

    /// Whether money is still asked for. Where it is not, nobody waits for what is open.
    pub fn wants_money(&self) -> bool {
        !self.voided && !self.is_captured()
    }

    /// Attempts that their providers have not answered for good.
    pub fn open_attempts(&self) -> impl Iterator<Item = &Tried> {
        self.attempts.iter().filter(|tried| tried.state.is_open())
    }

    pub(super) fn start(&self, attempt: Attempt) -> Result<Vec<Event>, Refusal> {
        self.may_start(&attempt, None)?;
        Ok(vec![Event::AttemptStarted(attempt)])
    }

    /// Invariants 2 and 5; one attempt may be about to end.
    fn may_start(&self, attempt: &Attempt, ending: Option<&str>) -> Result<(), Refusal> {
        if self.is_captured() {
            return Err(Refusal::AlreadyCaptured);
        }
        if self.voided {
            return Err(Refusal::AlreadyVoided);
        }
        let is_awaited =
            |tried: &&Tried| tried.state.is_open() && ending != Some(&tried.attempt.reference);
        if let Some(other) = self.attempts.iter().find(is_awaited) {
            return Err(Refusal::AttemptAwaited { reference: other.attempt.reference.clone() });
        }
        if self.attempt(&attempt.reference).is_some() {
            return Err(Refusal::ReferenceUsed { reference: attempt.reference.clone() });
        }
        if ATTEMPTS_MAX <= self.attempts.len() {
            return Err(Refusal::TooManyAttempts);
        }
        Ok(())
    }

    /// Invariant 7. One row per state of the attempt.
    pub(super) fn fall_back(
        &self,
        terms: &Terms,
        reference: String,
        reason: String,
        attempt: Attempt,
    ) -> Result<Vec<Event>, Refusal> {
        use AttemptState as S;

        match self.attempt(&reference).map(|tried| tried.state) {
            None => Err(Refusal::UnknownAttempt { reference }),
            Some(S::Awaited) => {
                self.may_start(&attempt, Some(&reference))?;
                if terms.pay_by < attempt.started_at {
                    return Err(Refusal::TooLate);
                }
                Ok(vec![
                    Event::Declined { reference, reason },
                    Event::AttemptStarted(attempt),
                ])
            }
            // It was reached after all, or is over already: nothing is to be tried in its place.
            Some(S::Accepted | S::Captured | S::Declined | S::Mismatched) => Ok(vec![]),
        }
    }
}
