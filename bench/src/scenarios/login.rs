//! `login`: people sign in, each with one Argon2id hash, beside as many bare hashes as the processors
//! compute.
//!
//! What signing in costs beyond the hash is the ratio's distance from one: HTTP, counting the attempt,
//! a session, two tokens. Whether somebody can tell from the wait that an address has no account is
//! shown beside it: people and strangers at the same time.

use std::num::NonZero;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::json;

use super::{REFERENCE_MAX, Stage};
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::http::{Answer, Connection};
use crate::load::{self, Next, Outcome, Work};
use crate::meter::Meter;
use crate::numbers::float;
use crate::requests;
use crate::runner::say;
use crate::shop::counted_if;

/// More than there are processors, so that none of them waits for a request.
const CONNECTIONS: usize = 16;
/// Accounts that sign in, again and again; each costs a hash to open.
const ACCOUNTS: usize = 32;
const PASSWORD: &str = "a phrase of some words";
/// What `accounts` hashes with: OWASP's parameters, 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;

/// Measures sign-ins per second.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("login", "sign-ins/s");
    // A tenth is for everything else.
    figure.target = Some(Target::RatioMin(0.9));
    "bare Argon2id hashes on all processors".clone_into(&mut figure.against);
    let accounts = open_accounts(stage).await?;
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        refer(stage, &mut figure).await?;
        let meter = Meter::start(&stage.daybook);
        let known = People { accounts: accounts.clone(), next: 0 };
        let (loaded, _) =
            load::run(stage.daybook.address, stage.closed(CONNECTIONS), known).await?;
        loaded.must_be_clean("sign-ins are not answered")?;
        meter.stop(&mut figure, loaded.acknowledged);
        figure.values.push(loaded.rate());
        figure.latency.add(&loaded.latency);
        stage.tell(&figure);
    }
    tell_apart(stage, &mut figure, &accounts).await?;
    Ok(figure)
}

/// Hashes per second that this machine computes when it does nothing else.
async fn refer(stage: &Stage, figure: &mut Figure) -> Result<(), Error> {
    let lasting = stage.settings.lasting.min(REFERENCE_MAX);
    let hashing = tokio::task::spawn_blocking(move || hashes(lasting)).await;
    let rate = hashing.ok().flatten();
    let rate = rate.ok_or_else(|| Error::Check("a password cannot be hashed".to_owned()))?;
    say(&format!("  {}: {rate:.1}/s", figure.against));
    figure.references.push(rate);
    Ok(())
}

fn hashes(lasting: Duration) -> Option<f64> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let begun = Instant::now();
    let counts = std::thread::scope(|scope| {
        let hashing: Vec<_> = (0..processors)
            .map(|_| scope.spawn(|| hash_until(begun + lasting)))
            .collect();
        let counts = hashing.into_iter().map(|thread| thread.join().ok()?);
        counts.collect::<Option<Vec<u64>>>()
    })?;
    Some(float(counts.iter().sum()) / begun.elapsed().as_secs_f64())
}

/// How many one processor computes.
fn hash_until(ends: Instant) -> Option<u64> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (mut hash, mut count) = ([0; HASH_BYTES], 0);
    while Instant::now() < ends {
        argon2
            .hash_password_into(PASSWORD.as_bytes(), b"sixteen bytes of", &mut hash)
            .ok()?;
        count += 1;
    }
    Some(count)
}

fn credentials(email: &str) -> String {
    json!({"email": email, "password": PASSWORD}).to_string()
}

/// Accounts of their own; the requests by which they sign in.
async fn open_accounts(stage: &mut Stage) -> Result<Vec<Vec<u8>>, Error> {
    let name = stage.named().await?;
    let mut connection = Connection::open(stage.daybook.address)
        .await
        .map_err(Error::Load)?;
    let mut logins = Vec::with_capacity(ACCOUNTS);
    for number in 0..ACCOUNTS {
        let body = credentials(&format!("bench-{name}-{number}@example.org"));
        let register = requests::said("/api/v1/auth/register", &body);
        let answer = connection.exchange(&register).await.map_err(Error::Load)?;
        if answer.status != 201 {
            return Err(Error::Check(format!("nobody can register: {}", answer.text())));
        }
        logins.push(requests::said("/api/v1/auth/login", &body));
    }
    Ok(logins)
}

/// How long people wait and how long strangers do, at the same time: whatever else the machine does
/// befalls both. Each stranger's address is asked for once, or it would be slowed.
async fn tell_apart(
    stage: &mut Stage,
    figure: &mut Figure,
    accounts: &[Vec<u8>],
) -> Result<(), Error> {
    let strangers = Strangers { name: stage.named().await?, next: 0 };
    let people = People { accounts: accounts.to_vec(), next: 0 };
    let (address, plan) = (stage.daybook.address, stage.closed(CONNECTIONS / 2));
    let both =
        tokio::try_join!(load::run(address, plan, people), load::run(address, plan, strangers));
    let ((people, _), (strangers, _)) = both?;
    for (name, loaded) in [("with an account", people), ("without", strangers)] {
        loaded.must_be_clean("sign-ins are not answered")?;
        if let Some(waits) = loaded.latency.percentiles() {
            figure.detail(format!("p50 ms of addresses {name}"), waits.p50);
            figure.detail(format!("p95 ms of addresses {name}"), waits.p95);
        }
    }
    Ok(())
}

/// People who sign in, in turn.
struct People {
    accounts: Vec<Vec<u8>>,
    next: usize,
}

impl Work for People {
    fn next(&mut self, _: usize, request: &mut Vec<u8>) -> Next {
        request.extend_from_slice(&self.accounts[self.next % self.accounts.len()]);
        self.next += 1;
        Next::Paced
    }

    fn take(&mut self, _: usize, answer: &Answer<'_>) -> Outcome {
        counted_if(answer.status == 200)
    }
}

/// People whom nobody knows.
struct Strangers {
    name: u64,
    next: u64,
}

impl Work for Strangers {
    fn next(&mut self, _: usize, request: &mut Vec<u8>) -> Next {
        let body = credentials(&format!("stranger-{}-{}@example.org", self.name, self.next));
        request.extend_from_slice(&requests::said("/api/v1/auth/login", &body));
        self.next += 1;
        Next::Paced
    }

    fn take(&mut self, _: usize, answer: &Answer<'_>) -> Outcome {
        counted_if(answer.status == 401)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_computes_hashes() {
        assert!(0.0 < hashes(Duration::from_millis(200)).unwrap());
    }
}
