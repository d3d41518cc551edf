//! When a breaker opens, whom it lets through, and when it closes again.

use super::*;

const SHOP: &str = "piggybank";

/// A health with short numbers, and a clock that moves when it is told to.
struct Clock {
    health: Health,
    now: DateTime<Utc>,
}

impl Clock {
    fn start() -> Self {
        let thresholds = Thresholds { in_a_row: 3, window_calls_min: 10, ..Thresholds::default() };
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        Self { health: Health::new(thresholds), now }
    }

    fn seconds(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    fn fails(&mut self, times: usize) {
        for _ in 0..times {
            self.health.failed(SHOP, self.now, "no route to host");
        }
    }

    fn answers(&mut self) -> bool {
        self.health.answered(SHOP, self.now).is_some()
    }

    fn admits(&self) -> bool {
        self.health.admits(SHOP, self.now)
    }

    fn standing(&self) -> Option<Standing> {
        let condition = self.health.condition(SHOP, self.now)?;
        assert_eq!(condition.clone().at(self.now), condition, "at this moment it is what it is");
        Some(condition.standing)
    }

    /// Whether nobody is routed there.
    fn is_away(&self) -> bool {
        let condition = self.health.condition(SHOP, self.now);
        condition.is_some_and(|condition| condition.is_away(self.now))
    }
}

#[test]
fn who_has_not_been_called_is_let_through_and_nothing_is_known_of_them() {
    let clock = Clock::start();
    assert!(clock.admits() && !clock.is_away());
    assert_eq!(clock.standing(), None);
}

#[test]
fn it_opens_after_failures_in_a_row_and_not_before() {
    let mut clock = Clock::start();
    clock.fails(2);
    assert_eq!((clock.standing(), clock.admits()), (Some(Standing::Closed), true));
    assert!(!clock.answers(), "an answer is no news while it is closed");
    clock.fails(2);
    assert_eq!(clock.standing(), Some(Standing::Closed), "the row was broken");
    clock.fails(1);
    assert_eq!((clock.standing(), clock.admits()), (Some(Standing::Open), false));
    assert!(clock.is_away());
}

#[test]
fn it_opens_when_too_large_a_share_of_recent_calls_has_failed() {
    let mut clock = Clock::start();
    for _ in 0..4 {
        clock.answers();
        clock.fails(1);
    }
    clock.answers();
    assert_eq!(clock.standing(), Some(Standing::Closed), "nine calls tell nothing");
    clock.fails(1);
    assert_eq!(clock.standing(), Some(Standing::Open), "five of ten have failed");
}

#[test]
fn what_was_long_ago_does_not_count_in_the_share() {
    let mut clock = Clock::start();
    for _ in 0..4 {
        clock.answers();
        clock.fails(1);
    }
    clock.seconds(61);
    for _ in 0..4 {
        clock.answers();
        clock.fails(1);
    }
    assert_eq!(clock.standing(), Some(Standing::Closed));
}

#[test]
fn after_its_pause_one_trial_is_let_through_and_closes_it() {
    let mut clock = Clock::start();
    clock.fails(3);
    clock.seconds(29);
    assert_eq!((clock.standing(), clock.admits()), (Some(Standing::Open), false));
    clock.seconds(1);
    assert_eq!(clock.standing(), Some(Standing::HalfOpen));
    assert!(!clock.is_away(), "somebody has to be the trial");
    assert_eq!((clock.admits(), clock.admits()), (true, false), "one is");
    assert!(clock.is_away(), "and nobody else while it is under way");
    assert!(clock.answers(), "it is news that it is back");
    assert_eq!((clock.standing(), clock.admits()), (Some(Standing::Closed), true));
    clock.fails(2);
    assert_eq!(clock.standing(), Some(Standing::Closed), "it begins with a clean slate");
}

#[test]
fn a_trial_that_fails_opens_it_for_twice_as_long_up_to_a_bound() {
    let mut clock = Clock::start();
    clock.fails(3);
    for pause in [30, 60, 120, 240, 300, 300] {
        clock.seconds(pause - 1);
        assert!(!clock.admits(), "{pause}");
        clock.seconds(1);
        assert!(clock.admits(), "{pause}");
        clock.fails(1);
    }
}

#[test]
fn a_trial_of_which_nothing_is_heard_is_followed_by_another() {
    let mut clock = Clock::start();
    clock.fails(3);
    clock.seconds(30);
    assert!(clock.admits());
    clock.seconds(39);
    assert!(!clock.admits());
    clock.seconds(1);
    assert!(clock.admits());
}

#[test]
fn who_named_the_provider_passes_and_closes_it_if_answered() {
    let mut clock = Clock::start();
    clock.fails(3);
    clock.seconds(10);
    clock.fails(1);
    clock.seconds(20);
    assert!(clock.admits(), "a failure that was expected prolongs nothing");
    assert!(clock.answers());
    assert_eq!(clock.standing(), Some(Standing::Closed));
}

#[test]
fn it_tells_since_when_until_when_and_why() {
    let mut clock = Clock::start();
    let began = clock.now;
    clock.fails(3);
    let told = clock.health.condition(SHOP, clock.now).unwrap();
    assert_eq!((told.since, told.away_until), (began, Some(began + TimeDelta::seconds(30))));
    assert_eq!(told.failure.as_ref().unwrap().words, "no route to host");
    assert_eq!(told.clone().at(began).standing, Standing::Open);
    let later = began + TimeDelta::seconds(30);
    assert_eq!(
        told.at(later).standing,
        Standing::HalfOpen,
        "told elsewhere, it goes on by itself"
    );
    clock.health.forget();
    assert_eq!(clock.standing(), None);
}

#[test]
fn every_provider_has_a_breaker_of_its_own() {
    let mut clock = Clock::start();
    clock.fails(3);
    assert!(clock.health.admits("another", clock.now));
}
