//! `webhook-64` and `webhook-confirmed`: what payment providers say of their own accord.
//!
//! The first measures webhooks stored and answered over 64 connections: signed by the sandbox's
//! secret, each of its own, about attempts whose money is there, so that what is worked off behind
//! them is one look. The second measures how long it takes from a webhook that is stored until the
//! order that it is about is confirmed in the log, when a hundred such come in a second.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Stage;
use crate::daybook::Daybook;
use crate::error::Error;
use crate::figure::Figure;
use crate::http::Answer;
use crate::load::{self, Next, Outcome, Pace, Plan, Work};
use crate::meter::Meter;
use crate::numbers::{float, median};
use crate::pgbench::Script;
use crate::requests;
use crate::shop::{self, Answered, Basket, Orders, counted_if};

/// What the sandbox of these scenarios signs with; it is told when the Daybook starts.
pub(crate) const SECRET: (&str, &str) = ("SANDBOX_WEBHOOK_SECRET", "bench-webhook-secret");
/// As many as the references have clients.
const CONNECTIONS: usize = 64;
/// Attempts that webhooks are about.
const ATTEMPTS: u64 = 1_000;
/// A busy shop; what is measured is how long it takes, not how much can be done.
const PER_SECOND: f64 = 100.0;
/// Far more than an order needs.
const ORDERS_MIN: u64 = 200;

/// Webhooks about these attempts, each with a name of its own.
struct Webhooks {
    references: Vec<String>,
    /// Sets these apart from all others in this log.
    name: u64,
    sent: u64,
    /// How many; none for as many as there is time for.
    all: Option<u64>,
}

impl Work for Webhooks {
    fn next(&mut self, _: usize, request: &mut Vec<u8>) -> Next {
        if self.all.is_some_and(|all| all <= self.sent) {
            return Next::Finished;
        }
        let number = usize::try_from(self.sent).unwrap_or_default();
        let reference = &self.references[number % self.references.len()];
        let event = format!("evt_{:016x}{:016x}", self.name, self.sent);
        request.extend_from_slice(&webhook(&event, reference));
        self.sent += 1;
        Next::Paced
    }

    fn take(&mut self, _: usize, answer: &Answer<'_>) -> Outcome {
        counted_if(answer.status == 200)
    }
}

/// As the sandbox takes it.
fn webhook(event: &str, reference: &str) -> Vec<u8> {
    let body = format!(r#"{{"id":"{event}","reference":"{reference}"}}"#);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.1.as_bytes()).expect("a key of any length");
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    requests::webhook("sandbox", ("sandbox-signature", &signature), &body)
}

/// Measures webhooks stored and answered per second.
pub(crate) async fn accepted(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("webhook-64", "webhooks/s");
    let placing = stage
        .placing(Some(ATTEMPTS), Basket::TwoOfMany, Answered::Accepted)
        .await?;
    let (loaded, _) =
        load::run(stage.daybook.address, Plan::all(CONNECTIONS), Orders::new(placing)).await?;
    loaded.must_be_clean("orders cannot be placed")?;
    stage.daybook.settle().await?;
    let mut drained = Vec::new();
    for _ in 0..stage.settings.rounds {
        stage
            .refer(&mut figure, Script::SingleRow, CONNECTIONS)
            .await?;
        let (references, name) = (references(&stage.daybook).await?, stage.named().await?);
        let before = stored(&stage.daybook).await?;
        let work = Webhooks { references, name, sent: 0, all: None };
        let meter = Meter::start(&stage.daybook);
        let (loaded, _) = load::run(stage.daybook.address, stage.closed(CONNECTIONS), work).await?;
        loaded.must_be_clean("webhooks are not taken")?;
        let began = std::time::Instant::now();
        worked_off(&stage.daybook).await?;
        drained.push(began.elapsed().as_secs_f64());
        meter.stop(&mut figure, loaded.acknowledged);
        let there = stored(&stage.daybook).await? - before;
        if there.unsigned_abs() != loaded.acknowledged {
            let acknowledged = loaded.acknowledged;
            let what = format!("{acknowledged} webhooks were answered, {there} are stored");
            return Err(Error::Check(what));
        }
        figure.values.push(loaded.rate());
        figure.latency.add(&loaded.latency);
        stage.tell(&figure);
    }
    figure.detail("seconds until all were worked off", median(&drained).unwrap_or_default());
    Ok(figure)
}

/// Measures how long it takes from a webhook to its order's confirmation.
pub(crate) async fn confirmed(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("webhook-confirmed", "ms (p99)");
    for _ in 0..stage.settings.rounds {
        let seconds = stage.settings.lasting.as_secs_f64();
        let orders = crate::numbers::whole(PER_SECOND * seconds).max(ORDERS_MIN);
        let name = stage.named().await?;
        let before = stage.daybook.standing().await?.head;
        place_unpaid(&stage.daybook, name, orders).await?;
        let references = unpaid(&stage.daybook, before, orders).await?;
        stage.daybook.settle().await?;
        let since = now(&stage.daybook).await?;
        let work = Webhooks { references, name, sent: 0, all: Some(orders) };
        let plan = Plan {
            connections: CONNECTIONS,
            pace: Pace::Open(PER_SECOND),
            warm_up: Duration::ZERO,
            measured: Some(Duration::from_secs_f64(float(orders) / PER_SECOND + 5.0)),
        };
        let meter = Meter::start(&stage.daybook);
        let (loaded, _) = load::run(stage.daybook.address, plan, work).await?;
        loaded.must_be_clean("webhooks are not taken")?;
        worked_off(&stage.daybook).await?;
        stage.daybook.settle().await?;
        meter.stop(&mut figure, orders);
        let waits = waits(&stage.daybook, since).await?;
        if waits.len() as u64 != orders {
            let confirmed = waits.len();
            let what = format!("of {orders} orders that were paid, {confirmed} are confirmed");
            return Err(Error::Check(what));
        }
        let mut round = crate::latency::Latency::default();
        for micros in waits {
            round.record(Duration::from_micros(micros.unsigned_abs()));
        }
        let millis = round.percentiles();
        figure.values.push(millis.map_or(0.0, |millis| millis.p99));
        figure.latency.add(&round);
        stage.tell(&figure);
    }
    figure.detail("webhooks per second", PER_SECOND);
    Ok(figure)
}

/// Orders whose money is there, but whose provider says so only when it is asked.
async fn place_unpaid(daybook: &Daybook, name: u64, orders: u64) -> Result<(), Error> {
    let requests = (0..orders).map(|number| {
        let key = format!("{name:016x}{number:016x}");
        let article = u32::try_from(number % u64::from(shop::ARTICLES)).unwrap_or_default();
        let body = shop::body(&[(&shop::sku(article), 1)]).replace(r#""ok""#, r#""poll_only""#);
        requests::order(&[("idempotency-key", &key)], &body)
    });
    let work = shop::Each { requests: requests.collect() };
    let (loaded, _) = load::run(daybook.address, Plan::all(CONNECTIONS), work).await?;
    loaded.must_be_clean("orders cannot be placed")
}

/// The names of attempts begun since then, once there are so many.
async fn unpaid(daybook: &Daybook, since: i64, attempts: u64) -> Result<Vec<String>, Error> {
    let select = "select r.reference from events as e \
                  join provider_references as r on r.payment_id = e.aggregate_id::uuid \
                  where $1 < e.position and e.event_type = 'payment.attempt_accepted'";
    daybook
        .until("attempts to be accepted", async |_| {
            let found: Vec<String> = sqlx::query_scalar(select)
                .bind(since)
                .fetch_all(&daybook.database)
                .await?;
            Ok((attempts <= found.len() as u64).then_some(found))
        })
        .await
}

/// The names of attempts whose money is there.
async fn references(daybook: &Daybook) -> Result<Vec<String>, Error> {
    let select = "select reference from provider_references where gateway = 'sandbox' limit $1";
    Ok(sqlx::query_scalar(select)
        .bind(i64::try_from(ATTEMPTS).unwrap_or(i64::MAX))
        .fetch_all(&daybook.database)
        .await?)
}

async fn stored(daybook: &Daybook) -> Result<i64, Error> {
    let count = sqlx::query_scalar("select count(*) from webhooks");
    Ok(count.fetch_one(&daybook.database).await?)
}

/// Waits until none is left that nobody has worked on.
async fn worked_off(daybook: &Daybook) -> Result<(), Error> {
    let mut least = i64::MAX;
    let mut moved = std::time::Instant::now();
    loop {
        let left: i64 =
            sqlx::query_scalar("select count(*) from webhooks where state = 'received'")
                .fetch_one(&daybook.database)
                .await?;
        if left == 0 {
            return Ok(());
        }
        if left < least {
            (least, moved) = (left, std::time::Instant::now());
        }
        if STUCK_AFTER < moved.elapsed() {
            let what = format!("{left} webhooks to be worked on");
            return Err(Error::Stuck { what, seconds: STUCK_AFTER.as_secs() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Between two counts, which cost an index scan each.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long none may be worked on before waiting is pointless.
const STUCK_AFTER: Duration = Duration::from_mins(2);

async fn now(daybook: &Daybook) -> Result<chrono::DateTime<chrono::Utc>, Error> {
    let now = sqlx::query_scalar("select clock_timestamp()");
    Ok(now.fetch_one(&daybook.database).await?)
}

/// Microseconds from each webhook since then to its order's confirmation in the log: both times are
/// of one machine's clock.
async fn waits(daybook: &Daybook, since: chrono::DateTime<chrono::Utc>) -> Result<Vec<i64>, Error> {
    Ok(sqlx::query_scalar(include_str!("../../sql/webhook-waits.sql"))
        .bind(since)
        .fetch_all(&daybook.database)
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_signed_over_its_own_body() {
        let request = String::from_utf8(webhook("evt_1", "A1")).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();

        assert!(head.starts_with("POST /api/v1/webhooks/sandbox HTTP/1.1\r\n"), "{head}");
        assert_eq!(body, r#"{"id":"evt_1","reference":"A1"}"#);
        // python3: hmac.new(b"bench-webhook-secret", body, "sha256").hexdigest()
        let signature = "1e624e79281ae81c8ad4f1ef0fd7cb2bdc1cd1848370342e1daba7c15175ede8";
        assert!(head.contains(&format!("sandbox-signature: {signature}\r\n")), "{head}");
    }

    #[test]
    fn every_webhook_has_a_name_of_its_own() {
        let references = vec!["A1".to_owned(), "A2".to_owned()];
        let mut work = Webhooks { references, name: 7, sent: 0, all: Some(3) };
        let mut sent = Vec::new();
        loop {
            let mut request = Vec::new();
            if work.next(0, &mut request) == Next::Finished {
                break;
            }
            sent.push(request);
        }
        assert_eq!(sent.len(), 3);
        assert!(sent[0] != sent[1] && sent[0] != sent[2] && sent[1] != sent[2]);
    }
}
