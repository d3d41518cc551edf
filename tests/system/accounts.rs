//! Accounts: signing in, what is told to whom, and how tokens end.

use accounts::Password;
use api::database::{self, AdminArgs};
use reqwest::Method;
use serde_json::{Value, json};
use tests::world::{Answer, World, send};

const PHRASE: &str = "a phrase of some words";
const ADA: &str = "ada@example.org";

/// Something about accounts, said by nobody in particular.
async fn say(world: &World, path: &str, body: Value) -> Answer {
    send(
        world
            .guest(Method::POST, &format!("/api/v1/auth/{path}"))
            .json(&body),
    )
    .await
}

async fn register(world: &World, email: &str) -> Value {
    let body = json!({"email": email, "password": PHRASE, "name": "Ada"});
    say(world, "register", body).await.expect(201).json()
}

async fn login(world: &World, email: &str, password: &str) -> Answer {
    say(world, "login", json!({"email": email, "password": password})).await
}

/// Asks for something that anybody may who has signed in.
async fn is_let_in(world: &World, tokens: &Value) -> bool {
    let access = tokens["access"].as_str().unwrap();
    let asked = world.guest(Method::POST, "/api/v1/auth/verify-email/mail");
    let answer = send(asked.bearer_auth(access)).await;
    assert!([202, 401].contains(&answer.status.as_u16()), "{}", answer.text);
    answer.status.is_success()
}

/// What was mailed to somebody, the newest first: kind and token.
async fn mail(world: &World, recipient: &str) -> Vec<(String, String)> {
    sqlx::query_as(
        "select kind, payload->>'token' from notifications where recipient = $1 \
         order by notification_id desc",
    )
    .bind(recipient)
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// Proves that somebody who has signed in reads what is sent to this address.
async fn shows(world: &World, tokens: &Value, token: &str) -> Answer {
    let proof = world.guest(Method::POST, "/api/v1/auth/verify-email");
    let proof = proof.bearer_auth(tokens["access"].as_str().unwrap());
    send(proof.json(&json!({"token": token}))).await
}

async fn verify(world: &World, tokens: &Value, email: &str) {
    let mails = mail(world, email).await;
    let (_, token) = mails
        .iter()
        .find(|(kind, _)| kind == "verify_email")
        .unwrap();
    let _done = shows(world, tokens, token).await.expect(204);
}

#[tokio::test]
async fn a_refresh_token_works_once_and_shown_twice_ends_its_session() {
    let world = World::new().await;
    let first = register(&world, ADA).await;
    assert_eq!(first["expires_in"], 900);
    assert!(is_let_in(&world, &first).await);

    let refresh =
        async |tokens: &Value| say(&world, "refresh", json!({"refresh": tokens["refresh"]})).await;
    let second = refresh(&first).await.expect(200);
    assert_eq!(second.header("cache-control").as_deref(), Some("no-store"));
    let second = second.json();
    assert_ne!(first["refresh"], second["refresh"]);
    assert!(is_let_in(&world, &second).await);

    assert_eq!(refresh(&first).await.problem(401), "refresh_token_reused");
    assert_eq!(refresh(&second).await.problem(401), "invalid_token");
    assert!(!is_let_in(&world, &second).await, "the access token has ended with its session");
    // Another session of the same account goes on.
    let third = login(&world, ADA, PHRASE).await.expect(200).json();
    assert!(is_let_in(&world, &third).await);
    assert_eq!(
        refresh(&json!({"refresh": "dbr_nonsense"}))
            .await
            .problem(401),
        "invalid_token"
    );
}

#[tokio::test]
async fn of_two_who_show_a_refresh_token_at_once_one_comes_second() {
    let world = World::new().await;
    let tokens = register(&world, ADA).await;
    let body = json!({"refresh": tokens["refresh"]});

    let (one, other) =
        tokio::join!(say(&world, "refresh", body.clone()), say(&world, "refresh", body));

    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn an_expired_refresh_token_and_a_closed_door_stay_closed() {
    let world = World::new().await;
    let tokens = register(&world, ADA).await;
    sqlx::query("update refresh_tokens set expires_at = now() - interval '1 second'")
        .execute(&world.pool)
        .await
        .unwrap();
    let refreshed = say(&world, "refresh", json!({"refresh": tokens["refresh"]})).await;
    assert_eq!(refreshed.problem(401), "invalid_token");

    let tokens = login(&world, ADA, PHRASE).await.expect(200).json();
    let logout = json!({"refresh": tokens["refresh"]});
    let _out = say(&world, "logout", logout.clone()).await.expect(204);
    let _again = say(&world, "logout", logout).await.expect(204);
    assert!(!is_let_in(&world, &tokens).await);
}

#[tokio::test]
async fn nobody_learns_whether_an_address_has_an_account_and_attempts_are_slowed() {
    let world = World::new().await;
    let ada = register(&world, ADA).await;
    verify(&world, &ada, ADA).await;

    let told = |answer: &Answer| {
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        body
    };
    let known = login(&world, ADA, "not the phrase").await;
    let unknown = login(&world, "nobody@example.org", "not the phrase").await;
    assert_eq!(known.problem(401), "wrong_credentials");
    assert_eq!(told(&known), told(&unknown));

    for email in [ADA, "nobody@example.org"] {
        for _ in 0..4 {
            assert_eq!(
                login(&world, email, "nor this one").await.problem(401),
                "wrong_credentials"
            );
        }
    }
    // The clock of a busy machine may have passed the first pause already.
    let slowed: i64 =
        sqlx::query_scalar("select count(*) from attempts where last_at < blocked_until")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(slowed, 2, "the sixth has to wait");
    sqlx::query("update attempts set blocked_until = now() + interval '1 hour'")
        .execute(&world.pool)
        .await
        .unwrap();
    for email in [ADA, "nobody@example.org"] {
        let slowed = login(&world, email, PHRASE).await;
        assert_eq!(slowed.problem(429), "too_many_attempts", "{email}");
        let pause: u64 = slowed.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3_601).contains(&pause), "{pause}");
    }
    // Time passes.
    sqlx::query("update attempts set blocked_until = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    let _in = login(&world, ADA, PHRASE).await.expect(200);

    for email in [ADA, "nobody@example.org"] {
        let forgot = say(&world, "password/forgot", json!({"email": email})).await;
        assert_eq!(forgot.expect(202).text, "", "{email}");
    }
    assert!(mail(&world, "nobody@example.org").await.is_empty());
}

#[tokio::test]
async fn whoever_proves_an_address_takes_over_what_others_claimed() {
    let world = World::new().await;
    let claimed = register(&world, ADA).await;
    // How an address is written does not tell accounts apart.
    let body = json!({"email": "ADA@Example.org", "password": "another phrase", "name": null});
    let owned = say(&world, "register", body).await.expect(201).json();
    assert!(is_let_in(&world, &claimed).await && is_let_in(&world, &owned).await);

    let mails = mail(&world, "ADA@Example.org").await;
    let (_, proof) = mails
        .iter()
        .find(|(kind, _)| kind == "verify_email")
        .unwrap();
    assert_eq!(shows(&world, &claimed, proof).await.problem(401), "invalid_token");
    let _proved = shows(&world, &owned, proof).await.expect(204);

    assert!(!is_let_in(&world, &claimed).await && is_let_in(&world, &owned).await);
    assert_eq!(login(&world, ADA, PHRASE).await.problem(401), "wrong_credentials");
    let _in = login(&world, ADA, "another phrase").await.expect(200);
    assert_eq!(shows(&world, &owned, proof).await.problem(401), "invalid_token");

    // From now on the owner is told of claims, and whoever claims is told nothing.
    let _again = register(&world, ADA).await;
    assert_eq!(mail(&world, "ADA@Example.org").await[0].0, "already_registered");
}

#[tokio::test]
async fn a_forgotten_password_is_reset_once_by_mail_and_ends_every_session() {
    let world = World::new().await;
    let tokens = register(&world, ADA).await;
    let _sent = say(&world, "password/forgot", json!({"email": ADA}))
        .await
        .expect(202);
    let (kind, token) = mail(&world, ADA).await.remove(0);
    assert_eq!(kind, "reset_password");

    let weak = json!({"token": token, "password": "short"});
    assert_eq!(say(&world, "password/reset", weak).await.problem(422), "invalid_fields");
    let reset = json!({"token": token, "password": "another phrase"});
    let _set = say(&world, "password/reset", reset.clone())
        .await
        .expect(204);

    assert_eq!(say(&world, "password/reset", reset).await.problem(401), "invalid_token");
    assert!(!is_let_in(&world, &tokens).await);
    assert_eq!(login(&world, ADA, PHRASE).await.problem(401), "wrong_credentials");
    let _in = login(&world, ADA, "another phrase").await.expect(200);

    let _sent = say(&world, "password/forgot", json!({"email": ADA}))
        .await
        .expect(202);
    sqlx::query("update mailed_tokens set expires_at = now() where used_at is null")
        .execute(&world.pool)
        .await
        .unwrap();
    let late = json!({"token": mail(&world, ADA).await[0].1, "password": "a third phrase"});
    assert_eq!(say(&world, "password/reset", late).await.problem(401), "invalid_token");
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it() {
    let world = World::new().await;
    let tokens = register(&world, ADA).await;
    let change = async |current: &str| {
        let body = json!({"current_password": current, "new_password": "another phrase"});
        let request = world.guest(Method::POST, "/api/v1/auth/password");
        send(
            request
                .bearer_auth(tokens["access"].as_str().unwrap())
                .json(&body),
        )
        .await
    };
    assert_eq!(change("not the phrase").await.problem(401), "wrong_credentials");
    let fresh = change(PHRASE).await.expect(200).json();

    assert!(!is_let_in(&world, &tokens).await && is_let_in(&world, &fresh).await);
    let _in = login(&world, ADA, "another phrase").await.expect(200);
}

#[tokio::test]
async fn what_cannot_be_registered_is_told_field_by_field() {
    let world = World::new().await;
    for (body, pointers) in [
        (json!({}), vec!["/email", "/password"]),
        (
            json!({"email": "ada", "password": "short", "role": "admin"}),
            vec!["/email", "/password", "/role"],
        ),
        (json!({"email": ADA, "password": "aaaaaaaaaaaa"}), vec!["/password"]),
        (json!({"email": ADA, "password": ADA}), vec!["/password"]),
        (
            json!({"email": ADA, "password": 12_345_678, "name": "a\u{0}b"}),
            vec!["/password", "/name"],
        ),
    ] {
        let answer = say(&world, "register", body.clone()).await;
        assert_eq!(answer.problem(422), "invalid_fields", "{body}");
        let errors = answer.json()["errors"].clone();
        let mut told: Vec<&str> = errors
            .as_array()
            .unwrap()
            .iter()
            .map(|flaw| flaw["pointer"].as_str().unwrap())
            .collect();
        told.sort_unstable();
        let mut pointers = pointers;
        pointers.sort_unstable();
        assert_eq!(told, pointers, "{body}");
    }
    let body = json!({"email": "jürgen@bücher.example", "password": "ein Satz aus Wörtern"});
    let _in = say(&world, "register", body).await.expect(201);
}

#[tokio::test]
async fn an_api_key_is_shown_once_reads_what_its_role_may_and_can_be_revoked() {
    let world = World::new().await;
    let request = world.staff(Method::POST, "/api/v1/api-keys");
    let made = send(request.json(&json!({"name": "figures", "role": "analyst"}))).await;
    let made = made.expect(201).json();
    let key = made["key"].as_str().unwrap();
    let ask = async |path: &str| send(world.guest(Method::GET, path).bearer_auth(key)).await;

    let _events = ask("/api/v1/events").await.expect(200);
    assert_eq!(ask("/api/v1/api-keys").await.problem(403), "forbidden");
    let listed = world.get("/api/v1/api-keys").await.expect(200);
    assert_eq!(listed.json()["items"][0]["name"], "figures");
    assert!(!listed.text.contains(key));

    let path = format!("/api/v1/api-keys/{}", made["id"].as_str().unwrap());
    let _gone = send(world.staff(Method::DELETE, &path)).await.expect(204);
    assert_eq!(ask("/api/v1/events").await.problem(401), "unauthenticated");
    let expired = json!({"name": "old", "role": "importer", "expires_at": "2020-01-01T00:00:00Z"});
    let request = world.staff(Method::POST, "/api/v1/api-keys").json(&expired);
    let old = send(request).await.expect(201).json();
    let asked = world.guest(Method::GET, "/api/v1/products");
    let _open = send(asked.bearer_auth(old["key"].as_str().unwrap()))
        .await
        .expect(200);
    let asked = world.guest(Method::GET, "/api/v1/events");
    let answer = send(asked.bearer_auth(old["key"].as_str().unwrap())).await;
    assert_eq!(answer.problem(401), "unauthenticated");
    let admin = json!({"name": "too much", "role": "admin"});
    let request = world.staff(Method::POST, "/api/v1/api-keys").json(&admin);
    assert_eq!(send(request).await.problem(422), "invalid_fields");
}

#[tokio::test]
async fn nothing_that_opens_a_door_is_stored_as_it_is() {
    let world = World::new().await;
    let tokens = register(&world, ADA).await;
    let request = world.staff(Method::POST, "/api/v1/api-keys");
    let made = send(request.json(&json!({"name": "figures", "role": "analyst"})))
        .await
        .json();

    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables \
         where schemaname in ('public', 'read') and tablename <> 'notifications'",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table == "public.accounts"));
    for table in tables {
        let select = format!("select coalesce(string_agg(t::text, ' '), '') from {table} t");
        let rows: String = sqlx::query_scalar(&select)
            .fetch_one(&world.pool)
            .await
            .unwrap();
        for secret in [
            PHRASE,
            tokens["refresh"].as_str().unwrap(),
            made["key"].as_str().unwrap(),
        ] {
            assert!(!rows.contains(secret), "{table} holds a secret");
        }
    }
    let head: i64 = sqlx::query_scalar("select position from log_head")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(head, 0, "nothing of accounts is in the log");
}

#[tokio::test]
async fn a_new_key_signs_after_a_month_and_the_old_one_is_believed_until_its_tokens_end() {
    let mut world = World::new().await;
    let before = register(&world, ADA).await;
    sqlx::query("update signing_keys set created_at = created_at - interval '31 days'")
        .execute(&world.pool)
        .await
        .unwrap();
    world.restart().await;

    let keys: i64 = sqlx::query_scalar("select count(*) from signing_keys")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(keys, 2);
    assert!(is_let_in(&world, &before).await);
    sqlx::query("delete from signing_keys where created_at < now() - interval '1 day'")
        .execute(&world.pool)
        .await
        .unwrap();
    world.restart().await;
    assert!(!is_let_in(&world, &before).await);
    let after = login(&world, ADA, PHRASE).await.expect(200).json();
    assert!(is_let_in(&world, &after).await);
}

#[tokio::test]
async fn the_first_administrator_comes_from_the_command_line() {
    let world = World::new().await;
    let args = |email: &str, password: &str| AdminArgs {
        email: email.to_owned(),
        name: None,
        password: Some(password.to_owned()),
        database: database::Args {
            database_url: Some(world.settings.database_url.clone()),
            data_dir: ".".into(),
        },
    };
    database::create_admin(args(ADA, PHRASE)).await.unwrap();
    for (email, password) in [(ADA, PHRASE), ("ada", PHRASE), ("b@example.org", "short")] {
        assert!(
            database::create_admin(args(email, password)).await.is_err(),
            "{email} {password}"
        );
    }
    let tokens = login(&world, ADA, PHRASE).await.expect(200).json();
    let asked = world.guest(Method::GET, "/api/v1/api-keys");
    let _list = send(asked.bearer_auth(tokens["access"].as_str().unwrap()))
        .await
        .expect(200);
    assert!(Password::chosen(PHRASE).is_ok());
}
