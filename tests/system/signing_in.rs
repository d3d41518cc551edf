//! Signing in: how long tokens live, how keys rotate, and what nobody can learn from it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::people::{PHRASE, ordered, said, signed_in};
use tests::telling::a_world_with_cups;
use tests::world::{Answer, STAFF, World, send};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Something about accounts, said by nobody in particular.
async fn say(world: &World, path: &str, body: Value) -> Answer {
    let path = format!("/api/v1/auth/{path}");
    send(world.guest(Method::POST, &path).json(&body)).await
}

async fn login(world: &World, email: &str, password: &str) -> Answer {
    say(world, "login", json!({"email": email, "password": password})).await
}

/// Whether somebody who has signed in is still known.
async fn is_known(world: &World, access: &str) -> bool {
    let profile = world.guest(Method::GET, "/api/v1/profile");
    send(profile.bearer_auth(access)).await.status == 200
}

async fn execute(world: &World, sql: &str) {
    sqlx::query(sql).execute(&world.pool).await.unwrap();
}

/// The part of a token that names the key.
fn header_of(access: &str) -> &str {
    access.split('.').next().unwrap()
}

#[tokio::test]
async fn an_access_token_lives_as_long_as_is_set_and_two_days_at_most() {
    for (set, told) in [(60, 60), (172_800, 172_800), (999_999, 172_800)] {
        let world = World::with(|settings| {
            settings.accounts.access_life = Duration::from_secs(set);
        })
        .await;
        let body = json!({"email": "ada@example.org", "password": PHRASE});
        let tokens = say(&world, "register", body).await.expect(201).json();
        assert_eq!(tokens["expires_in"], told);
        assert!(is_known(&world, tokens["access"].as_str().unwrap()).await);
    }
}

#[tokio::test]
async fn a_new_key_signs_once_everybody_knows_it_and_the_old_one_is_still_believed() {
    let mut world = World::new().await;
    let before = signed_in(&world, "ada@example.org", Role::Customer).await;
    execute(&world, "update signing_keys set created_at = created_at - interval '31 days'").await;
    world.restart().await;

    let at_once = login(&world, "ada@example.org", PHRASE)
        .await
        .expect(200)
        .json();
    let at_once = at_once["access"].as_str().unwrap().to_owned();
    assert_eq!(header_of(&at_once), header_of(&before), "others may not know the new one yet");
    // Time passes.
    execute(
        &world,
        "update signing_keys set created_at = created_at - interval '1 minute' \
         where now() - interval '1 day' < created_at",
    )
    .await;
    world.restart().await;
    let after = login(&world, "ada@example.org", PHRASE)
        .await
        .expect(200)
        .json();
    let after = after["access"].as_str().unwrap().to_owned();

    assert_ne!(header_of(&after), header_of(&before), "another kid");
    for access in [&before, &at_once, &after] {
        assert!(is_known(&world, access).await);
    }
    // A key that has been replaced for as long as it signed is gone, and with it what it signed.
    execute(
        &world,
        "update signing_keys set created_at = created_at - interval '30 days' \
         where created_at < now() - interval '1 day'",
    )
    .await;
    world.restart().await;
    assert!(!is_known(&world, &before).await && is_known(&world, &after).await);
}

#[tokio::test]
async fn refresh_tokens_live_a_week_and_mailed_ones_a_day_or_an_hour() {
    let world = World::new().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let _sent = say(&world, "password/forgot", json!({"email": "ada@example.org"})).await;
    let lives: Vec<(String, f64)> = sqlx::query_as(
        "select 'refresh', extract(epoch from expires_at - now())::float8 from refresh_tokens \
         union all \
         select purpose, extract(epoch from expires_at - now())::float8 from mailed_tokens \
         order by 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let hours: Vec<(&str, f64)> = lives
        .iter()
        .map(|(what, seconds)| (what.as_str(), (seconds / 3_600.0).ceil()))
        .collect();
    assert_eq!(
        hours,
        [
            ("refresh", 168.0),
            ("reset_password", 1.0),
            ("verify_email", 24.0)
        ]
    );

    let token: String = sqlx::query_scalar(
        "select payload->>'token' from notifications where kind = 'verify_email'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    execute(&world, "update mailed_tokens set expires_at = now()").await;
    let shown = async || {
        let body = json!({"token": token});
        said(&world, Some(&ada), Method::POST, "/api/v1/auth/verify-email", body).await
    };
    assert_eq!(shown().await.problem(401), "invalid_token", "late");
    // A token is good for what it was mailed for, and for nothing else.
    execute(&world, "update mailed_tokens set expires_at = now() + interval '1 hour'").await;
    let reset = json!({"token": token, "password": "another phrase"});
    assert_eq!(say(&world, "password/reset", reset).await.problem(401), "invalid_token");
    let _proved = shown().await.expect(204);
}

/// Milliseconds that a refusal took.
async fn refused_in(world: &World, email: &str) -> f64 {
    let begun = Instant::now();
    let refused = login(world, email, "not the phrase").await;
    let took = begun.elapsed();
    assert_eq!(refused.problem(401), "wrong_credentials");
    took.as_secs_f64() * 1_000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test]
async fn a_refusal_takes_as_long_whether_or_not_the_address_is_known() {
    const ADDRESSES: usize = 9;
    let world = World::new().await;
    for number in 0..ADDRESSES {
        let email = format!("known-{number}@example.org");
        let _token = signed_in(&world, &email, Role::Customer).await;
    }
    // Invited, and without a password so far.
    let path = "/api/v1/customers";
    let body = json!({"email": "invited@example.org"});
    let _invited = said(&world, Some(STAFF), Method::POST, path, body)
        .await
        .expect(201);

    // In turns, so that what else the machine does befalls both.
    let (mut known, mut unknown, mut invited) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..ADDRESSES {
        known.push(refused_in(&world, &format!("known-{number}@example.org")).await);
        unknown.push(refused_in(&world, &format!("unknown-{number}@example.org")).await);
        if number < 3 {
            invited.push(refused_in(&world, "invited@example.org").await);
        }
    }

    let (known, unknown, invited) = (median(known), median(unknown), median(invited));
    // One hash is twenty times what is left without it; what the machine does besides is less.
    for other in [unknown, invited] {
        let ratio = other / known;
        assert!((0.4..2.5).contains(&ratio), "{known} ms, {unknown} ms, {invited} ms");
    }
}

#[tokio::test]
async fn every_event_names_its_actor() {
    let world = a_world_with_cups().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let hers = ordered(&world, Some(&ada), "ada@example.org", "cup").await;
    let guests = ordered(&world, None, "bob@example.org", "cup").await;
    for order in [&hers, &guests] {
        world
            .order_when(order["id"].as_str().unwrap(), "confirmed")
            .await;
    }
    let path = format!("/api/v1/orders/{}", guests["id"].as_str().unwrap());
    let refund = json!({"reason": "chipped"});
    let _refunded = world
        .post(&format!("{path}/refunds"), refund)
        .await
        .expect(201);
    let key = json!({"name": "import", "role": "importer"});
    let made = said(&world, Some(STAFF), Method::POST, "/api/v1/api-keys", key).await;
    let key = made.expect(201).json()["key"].as_str().unwrap().to_owned();
    let price = json!({"amount": "5.00", "currency": "GBP"});
    let cup = json!({"name": "The cup", "price": price, "active": true});
    let path = "/api/v1/products/cup";
    let _described = said(&world, Some(&key), Method::PUT, path, cup)
        .await
        .expect(200);
    let whom = "/api/v1/customers/bob@example.org/personal-data";
    world.settle().await;
    let body = json!({"reason": "asked for it"});
    let _forgotten = said(&world, Some(STAFF), Method::DELETE, whom, body)
        .await
        .expect(200);
    world.settle().await;

    let actors: Vec<Option<String>> = sqlx::query_scalar(
        "select distinct split_part(metadata->>'actor', ':', 1) from events order by 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();

    let named: Vec<&str> = actors
        .iter()
        .map(|actor| actor.as_deref().unwrap_or(""))
        .collect();
    assert!(!named.contains(&""), "{named:?}");
    for actor in ["customer", "guest", "staff", "importer-key"] {
        assert!(named.contains(&actor), "{actor} is not among {named:?}");
    }
}

/// What a Daybook logs on this thread, on which all of it runs.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn text(&self) -> String {
        let logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&logged).into_owned()
    }
}

#[tokio::test]
async fn failed_attempts_are_logged_and_counted_without_address_or_password() {
    let world = World::new().await;
    let logged = Logged::default();
    let writer = logged.clone();
    let _listening = tracing_subscriber::fmt()
        .with_env_filter("warn")
        .with_writer(move || writer.clone())
        .set_default();

    for _ in 0..5 {
        let refused = login(&world, "nobody@example.org", "not the phrase").await;
        assert_eq!(refused.problem(401), "wrong_credentials");
    }

    let text = logged.text();
    assert_eq!(text.matches("email or password are wrong").count(), 5, "{text}");
    assert!(text.contains("the next has to wait"), "{text}");
    // Whoever does not wait is counted as well.
    let counted = async || {
        let metrics = send(world.guest(Method::GET, "/metrics")).await.expect(200);
        let lines = metrics.text.lines();
        let mut counts = lines.filter_map(|line| line.strip_prefix("daybook_auth_failed_total "));
        counts
            .next()
            .map_or(0.0, |count| count.parse::<f64>().unwrap())
    };
    let before = counted().await;
    execute(&world, "update attempts set blocked_until = now() + interval '1 hour'").await;
    for _ in 0..3 {
        let refused = login(&world, "nobody@example.org", "not the phrase").await;
        assert_eq!(refused.problem(429), "too_many_attempts");
    }
    let text = logged.text();
    assert_eq!(text.matches("an attempt was refused").count(), 3, "{text}");
    assert!(before + 3.0 <= counted().await, "{before}");
    assert!(!text.contains("nobody@") && !text.contains("not the phrase"), "{text}");
}
