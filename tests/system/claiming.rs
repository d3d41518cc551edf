//! Claims: several accounts have one address until somebody proves it, and none of them is a way into
//! another, or around what slows guesses.

use accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::people::{PHRASE, asked, ordered, prove, said, signed_in};
use tests::telling::a_world_with_cups;
use tests::world::{Answer, World};

const ADA: &str = "ada@example.org";
const STRANGERS: &str = "a stranger's own phrase";
/// [`PHRASE`], hashed at lower costs than are asked for today.
const CHEAP: &str = "$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA\
                     $qKXHjnVm/bkXoMzNhth31mz46gQGGRvn5xaWaK/FOcI";

async fn say(world: &World, path: &str, body: Value) -> Answer {
    said(world, None, Method::POST, &format!("/api/v1/auth/{path}"), body).await
}

async fn login(world: &World, password: &str) -> Answer {
    say(world, "login", json!({"email": ADA, "password": password})).await
}

/// The access token of a stranger who claims Ada's address.
async fn claimed(world: &World) -> String {
    let body = json!({"email": ADA, "password": STRANGERS});
    let tokens = say(world, "register", body).await.expect(201).json();
    tokens["access"].as_str().unwrap().to_owned()
}

async fn execute(world: &World, sql: &str) {
    sqlx::query(sql).execute(&world.pool).await.unwrap();
}

async fn time_passes(world: &World) {
    execute(world, "update attempts set blocked_until = last_at").await;
}

/// Failed attempts in a row at what was attempted most, and whether the next has to wait.
async fn counted(world: &World) -> (i32, bool) {
    sqlx::query_as(
        "select tried, last_at < blocked_until from attempts order by tried desc limit 1",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

/// The newest token of a kind that was mailed to Ada.
async fn mailed(world: &World, kind: &str) -> String {
    sqlx::query_scalar(
        "select payload->>'token' from notifications where kind = $1 \
         order by notification_id desc limit 1",
    )
    .bind(kind)
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn whoever_claims_an_address_resets_nothing_of_what_slows_guesses_at_its_owner() {
    let world = World::new().await;
    let _ada = signed_in(&world, ADA, Role::Customer).await;
    prove(&world, ADA).await;
    let stranger = claimed(&world).await;

    for failed in 1..=8 {
        assert_eq!(login(&world, "a guess").await.problem(401), "wrong_credentials");
        assert_eq!(counted(&world).await, (failed, 5 <= failed));
        time_passes(&world).await;
        let _in = login(&world, STRANGERS).await.expect(200);
        assert_eq!(counted(&world).await, (failed, false), "as many as before, and no new pause");
    }
    // Nor by changing the password of the claim.
    let path = "/api/v1/auth/password";
    let change = json!({"current_password": STRANGERS, "new_password": "one more phrase"});
    let _changed = said(&world, Some(&stranger), Method::POST, path, change)
        .await
        .expect(200);
    assert_eq!(counted(&world).await.0, 8);

    let _in = login(&world, PHRASE).await.expect(200);
    assert!(counted(&world).await.0 < 5, "she has begun anew");
}

#[tokio::test]
async fn a_claim_slows_nobody_who_knows_their_password() {
    let world = World::new().await;
    let _ada = signed_in(&world, ADA, Role::Customer).await;
    let _stranger = claimed(&world).await;
    for _ in 0..8 {
        let _in = login(&world, PHRASE).await.expect(200);
    }
}

#[tokio::test]
async fn later_claims_crowd_nobody_out() {
    let world = World::new().await;
    let _ada = signed_in(&world, ADA, Role::Customer).await;
    for _ in 0..6 {
        let _stranger = claimed(&world).await;
        execute(&world, "delete from attempts").await;
    }
    let _in = login(&world, PHRASE).await.expect(200);
    let _in = login(&world, STRANGERS).await.expect(200);
}

#[tokio::test]
async fn a_mail_proves_nothing_for_a_stranger_who_had_it_sent() {
    let world = a_world_with_cups().await;
    let order = ordered(&world, None, ADA, "cup").await;
    let order = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
    world.settle().await;
    let stranger = claimed(&world).await;
    let token = mailed(&world, "verify_email").await;
    let path = "/api/v1/auth/verify-email";
    let shows = async |access: Option<&str>| {
        said(&world, access, Method::POST, path, json!({"token": token})).await
    };

    // Ada opens the mail: as nobody, and then with the account that she has opened herself.
    assert_eq!(shows(None).await.problem(401), "unauthenticated");
    let ada = signed_in(&world, ADA, Role::Customer).await;
    assert_eq!(shows(Some(&ada)).await.problem(401), "invalid_token");

    let profile = asked(&world, Some(&stranger), "/api/v1/profile").await;
    assert_eq!(profile.expect(200).json()["email_verified"], false);
    assert_eq!(asked(&world, Some(&stranger), &order).await.problem(404), "not_found");

    // By resetting the password she takes all claims over, with a password that is hers.
    let _sent = say(&world, "password/forgot", json!({"email": ADA}))
        .await
        .expect(202);
    let reset = mailed(&world, "reset_password").await;
    let _set = say(&world, "password/reset", json!({"token": reset, "password": "hers alone"}))
        .await
        .expect(204);
    assert_eq!(login(&world, STRANGERS).await.problem(401), "wrong_credentials");
    assert_eq!(shows(Some(&stranger)).await.problem(401), "unauthenticated");
    let tokens = login(&world, "hers alone").await.expect(200).json();
    let _hers = asked(&world, tokens["access"].as_str(), &order)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_hash_is_renewed_at_todays_costs_by_whoever_signs_in_alone() {
    let world = World::new().await;
    let stored = async || -> Vec<String> {
        let select = "select password_hash from accounts order by created_at";
        let hashes = sqlx::query_scalar(select).fetch_all(&world.pool).await;
        hashes.unwrap()
    };
    let _ada = signed_in(&world, ADA, Role::Customer).await;
    let cheap = format!("update accounts set password_hash = '{CHEAP}'");
    execute(&world, &cheap).await;
    assert_eq!(login(&world, "not the phrase").await.problem(401), "wrong_credentials");
    assert_eq!(stored().await, [CHEAP], "only by whoever knows the password");

    let _in = login(&world, PHRASE).await.expect(200);

    let renewed = stored().await;
    assert!(renewed[0].starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed:?}");
    let _in = login(&world, PHRASE).await.expect(200);
    assert_eq!(stored().await, renewed, "once");

    // Another claim has the same salt and costs: renewing one would shut the other out.
    execute(&world, &cheap).await;
    let _stranger = claimed(&world).await;
    let _in = login(&world, PHRASE).await.expect(200);
    assert_eq!(stored().await[0], CHEAP);
    let _in = login(&world, STRANGERS).await.expect(200);
}
