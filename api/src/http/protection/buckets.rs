//! Who has asked how often. Each caller has, for each class of routes, a bucket that fills up evenly
//! in time (GCRA) and holds as much as the window allows: whoever was quiet may ask that often at
//! once.
//!
//! What is told of it are the fields of draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy`
//! says what holds (`q` requests in `w` seconds), `RateLimit` what is left of it (`r`) and after how
//! many seconds all of it is there again (`t`).

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, Quota, RateLimiter};
use metrics::Counter;
use quick_cache::sync::Cache;

use super::addresses;
use super::classes::Class;
use super::rates::{Rate, Rates, Tier};
use crate::http::identity::Caller;
use crate::http::problem::Problem;

/// Buckets that are kept: some 15 MB. Beyond that the ones that were asked for least recently are
/// forgotten, which lets their callers in; whoever has so many addresses is not held up by this.
pub(crate) const CALLERS_MAX: usize = 100_000;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    tier: Tier,
    class: Class,
    /// An address or the id of an account or key; the tier says which.
    id: u128,
}

impl Who {
    /// Who has signed in is counted wherever they are; a guest by their address, and so is whoever
    /// signs in or guesses, because an account of one's own must not buy attempts.
    pub(crate) fn of(
        caller: Caller,
        class: Class,
        address: impl FnOnce() -> std::net::IpAddr,
    ) -> Self {
        use accounts::Role::{Customer, Vendor};
        let tier = Tier::of(caller);
        match caller {
            Caller::Account { role: Customer | Vendor, .. }
                if matches!(class, Class::SignIn | Class::Mail | Class::Guess) =>
            {
                Self { tier: Tier::GUEST, class, id: addresses::counted_as(address()) }
            }
            Caller::Account { id, .. } | Caller::Machine { id, .. } => {
                Self { tier, class, id: id.as_u128() }
            }
            Caller::Guest => Self { tier, class, id: addresses::counted_as(address()) },
            Caller::Staff => Self { tier, class, id: 0 },
        }
    }
}

/// The state of every bucket. A bounded store for governor, whose own grow with every caller.
#[derive(Clone)]
struct Kept(Arc<Cache<Who, Arc<InMemoryState>>>);

impl StateStore for Kept {
    type Key = Who;

    fn measure_and_replace<T, F, E>(&self, who: &Who, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let made = self
            .0
            .get_or_insert_with(who, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let Ok(state) = made;
        state.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

type Limiter<C> = RateLimiter<Who, Kept, C, StateInformationMiddleware>;

/// One rate, with what is told of it.
struct Bucket<C: Clock> {
    limiter: Limiter<C>,
    rate: Rate,
    interval: Duration,
    /// What is counted.
    what: &'static str,
    name: String,
    policy: HeaderValue,
    denied: Counter,
}

/// All buckets.
pub(crate) struct Buckets<C: Clock = DefaultClock> {
    /// By tier and class; none where there is no limit.
    of: Vec<[Option<Box<Bucket<C>>>; Class::ALL.len()]>,
    kept: Kept,
}

/// What is told to whoever was let in.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    policy: HeaderValue,
    left: HeaderValue,
}

impl Admitted {
    /// Writes it down.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        headers.insert(POLICY, self.policy);
        headers.insert(LIMIT, self.left);
    }
}

impl Buckets {
    pub(crate) fn new(rates: &Rates) -> Self {
        Self::with(rates, CALLERS_MAX, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Buckets<C> {
    fn with(rates: &Rates, callers_max: usize, clock: &C) -> Self {
        let kept = Kept(Arc::new(Cache::new(callers_max)));
        let bucket = |tier, class| {
            let rate = rates.of(tier, class)?;
            Some(Box::new(Bucket::new(rate, tier, class, kept.clone(), clock.clone())))
        };
        let of = Tier::all().map(|tier| Class::ALL.map(|class| bucket(tier, class)));
        Self { of: of.collect(), kept: kept.clone() }
    }

    /// Counts a request, or says when the next one is let in.
    pub(crate) fn take(&self, who: Who, class: Class) -> Result<Option<Admitted>, Problem> {
        let Some(bucket) = self.bucket(who, class) else {
            return Ok(None);
        };
        match bucket.limiter.check_key(&who) {
            Ok(snapshot) => Ok(Some(bucket.admit(&snapshot))),
            Err(until) => Err(bucket.deny(&until)),
        }
    }

    /// Takes back that a request was counted: it turned out to be none of its class.
    pub(crate) fn give_back(&self, who: Who, class: Class) {
        let Some(bucket) = self.bucket(who, class) else {
            return;
        };
        let one = Nanos::from(bucket.interval);
        if let Some(state) = self.kept.0.get(&who) {
            // The time at which all is there again comes earlier by what one request put it off.
            let earlier = |full_at: Option<Nanos>| Ok(((), full_at.ok_or(())?.saturating_sub(one)));
            // Where nothing was counted, there is nothing to take back.
            let _nothing: Result<(), ()> = state.measure_and_replace(&NotKeyed::NonKey, earlier);
        }
    }

    fn bucket(&self, who: Who, class: Class) -> Option<&Bucket<C>> {
        self.of.get(who.tier.place())?[class as usize].as_deref()
    }
}

impl<C: Clock> Bucket<C> {
    fn new(rate: Rate, tier: Tier, class: Class, kept: Kept, clock: C) -> Self {
        let (tier, class, what) = (tier.name(), class.name(), class.in_words());
        let interval = rate.window / rate.count.get();
        let quota = Quota::with_period(interval)
            .expect("a window is a second or more, and no rate so high")
            .allow_burst(rate.count);
        let name = format!("{tier}.{class}");
        let policy = format!("\"{name}\";q={};w={}", rate.count, rate.window.as_secs());
        Self {
            limiter: RateLimiter::new(quota, kept, clock),
            rate,
            interval,
            what,
            policy: HeaderValue::from_str(&policy).expect("names and numbers are visible"),
            name,
            denied: metrics::counter!(
                "http_requests_limited_total", "role" => tier, "class" => class
            ),
        }
    }

    fn admit(&self, snapshot: &StateSnapshot) -> Admitted {
        let left = snapshot.remaining_burst_capacity();
        let taken = self.rate.count.get().saturating_sub(left);
        let full = self.interval.saturating_mul(taken);
        Admitted { policy: self.policy.clone(), left: self.left(left, full) }
    }

    fn deny(&self, until: &NotUntil<C::Instant>) -> Problem {
        self.denied.increment(1);
        let clock = self.limiter.clock();
        let wait = until.wait_time_from(clock.now());
        let seconds = seconds(wait).max(1);
        let Rate { count, window } = self.rate;
        let detail = format!(
            "no more than {count} {} in {} s; the next is taken in {seconds} s",
            self.what,
            window.as_secs()
        );
        Problem::too_many_requests(&self.name, detail)
            .with_value(POLICY, self.policy.clone())
            .with_value(LIMIT, self.left(0, wait))
            .with_value(header::RETRY_AFTER, seconds.into())
    }

    fn left(&self, left: u32, after: Duration) -> HeaderValue {
        let text = format!("\"{}\";r={left};t={}", self.name, seconds(after));
        HeaderValue::from_str(&text).expect("names and numbers are visible")
    }
}

/// Whole seconds, and no fewer.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(0 < duration.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use uuid::Uuid;

    use super::*;

    fn guest(address: &str) -> Who {
        Who::of(Caller::Guest, Class::Query, || address.parse().unwrap())
    }

    fn buckets(rates: &str, callers_max: usize) -> (Buckets<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rates = Rates::default().changed_by(&rates.parse().unwrap());
        (Buckets::with(&rates, callers_max, &clock), clock)
    }

    fn told(admitted: Result<Option<Admitted>, Problem>) -> String {
        let admitted = admitted.unwrap().unwrap();
        format!("{} {}", admitted.policy.to_str().unwrap(), admitted.left.to_str().unwrap())
    }

    #[test]
    fn whoever_asks_too_often_is_told_when_to_come_again_and_then_let_in() {
        let (buckets, clock) = buckets("guest.query=3/m", 100);
        let ada = guest("192.0.2.1");
        let policy = "\"guest.query\";q=3;w=60 \"guest.query\"";
        assert_eq!(told(buckets.take(ada, Class::Query)), format!("{policy};r=2;t=20"));
        assert_eq!(told(buckets.take(ada, Class::Query)), format!("{policy};r=1;t=40"));
        assert_eq!(told(buckets.take(ada, Class::Query)), format!("{policy};r=0;t=60"));

        for _ in 0..5 {
            // Asking on does not make it longer.
            let problem = buckets.take(ada, Class::Query).unwrap_err();
            assert_eq!(problem.status().as_u16(), 429);
            assert_eq!(problem.header_text("retry-after"), "20");
            assert_eq!(problem.header_text("ratelimit"), "\"guest.query\";r=0;t=20");
        }
        // Somebody else is somebody else.
        assert!(buckets.take(guest("192.0.2.2"), Class::Query).is_ok());

        clock.advance(Duration::from_secs(20));
        assert_eq!(told(buckets.take(ada, Class::Query)), format!("{policy};r=0;t=60"));
        assert!(buckets.take(ada, Class::Query).is_err());
        clock.advance(Duration::from_hours(1));
        assert_eq!(told(buckets.take(ada, Class::Query)), format!("{policy};r=2;t=20"));
    }

    #[test]
    fn what_is_given_back_was_never_taken() {
        let (buckets, clock) = buckets("guest.guess=3/m", 100);
        let ada = Who::of(Caller::Guest, Class::Guess, || "192.0.2.1".parse().unwrap());
        for _ in 0..20 {
            let _taken = buckets.take(ada, Class::Guess).unwrap();
            buckets.give_back(ada, Class::Guess);
        }
        // At the same time as others as well.
        for left in [2, 1, 0] {
            let told = told(buckets.take(ada, Class::Guess));
            assert!(told.contains(&format!("r={left};")), "{told}");
        }
        assert!(buckets.take(ada, Class::Guess).is_err());
        buckets.give_back(ada, Class::Guess);
        assert!(told(buckets.take(ada, Class::Guess)).contains("r=0;t=60"));

        clock.advance(Duration::from_mins(5));
        // Long over, or never counted: it makes nobody richer.
        for _ in 0..9 {
            buckets.give_back(ada, Class::Guess);
        }
        assert!(told(buckets.take(ada, Class::Guess)).contains("r=2;t=20"));
        buckets.give_back(guest("192.0.2.9"), Class::Guess);
    }

    #[test]
    fn memory_is_bounded_and_who_asks_on_is_remembered() {
        let (buckets, _clock) = buckets("guest.query=10/h", 1_000);
        let busy = guest("192.0.2.1");
        let mut let_in = 0;
        for number in 0..100_000_u32 {
            if number % 100 == 0 {
                let_in += u32::from(buckets.take(busy, Class::Query).is_ok());
            }
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string();
            assert!(buckets.take(guest(&address), Class::Query).is_ok());
        }
        assert_eq!(let_in, 10, "of a thousand times");
        assert!(buckets.kept.0.len() <= 1_000);
    }

    #[test]
    fn accounts_are_counted_wherever_they_are_but_sign_in_from_an_address() {
        let id = Uuid::from_u128(7);
        let nowhere = || unreachable!("the address does not count");
        let customer = Caller::Account { id, role: accounts::Role::Customer };
        let query = Who::of(customer, Class::Query, nowhere);
        assert_eq!((query.tier.name(), query.id), ("customer", 7));
        let login = Who::of(customer, Class::SignIn, || "192.0.2.1".parse().unwrap());
        let guests = Who::of(Caller::Guest, Class::SignIn, || "192.0.2.1".parse().unwrap());
        assert_eq!(login, guests);
        let importer = Caller::Machine { id, role: accounts::Role::Importer };
        assert_eq!(Who::of(importer, Class::Mail, nowhere).tier.name(), "importer");
    }

    #[test]
    fn nobody_is_limited_where_there_is_no_limit() {
        let (buckets, _clock) = buckets("none", 100);
        for _ in 0..10_000 {
            assert!(
                buckets
                    .take(guest("192.0.2.1"), Class::Query)
                    .unwrap()
                    .is_none()
            );
        }
    }
}
