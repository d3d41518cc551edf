//! Master keys: without the right one nothing starts, and one is exchanged while everything goes on.

use api::node::{Node, NodeSettings, StartError};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Executor as _, PgPool};
use store::masters::MasterKeys;
use store::personal::{self, CannotBegin};
use tests::World;
use tests::log::a_pool;
use tests::looking::in_database;
use tests::telling::{id_in, keyed};
use tests::world::{Answer, an_order, new_database, send};

fn keys(text: &str) -> MasterKeys {
    text.parse().unwrap()
}

async fn place(world: &World) -> String {
    id_in(
        &world
            .post("/api/v1/orders", an_order(&[("cup", 1)]))
            .await
            .expect(201),
    )
}

async fn customer(world: &World, id: &str) -> Value {
    let order = world
        .get(&format!("/api/v1/orders/{id}?as_of=9999-01-01"))
        .await;
    order.expect(200).json()["customer"]["name"].clone()
}

async fn forget(world: &World) -> Answer {
    let path = "/api/v1/customers/ada@example.com/personal-data";
    let request = keyed(world.staff(Method::DELETE, path));
    send(request.json(&json!({"reason": "asked for it"}))).await
}

/// Why it does not start with these keys.
async fn refused(world: &World, masters: Option<MasterKeys>) -> String {
    let settings = NodeSettings { masters, ..world.settings.clone() };
    match Node::start(&settings, world.app().metrics.clone()).await {
        Err(error @ StartError::Personal(_)) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it started"),
    }
}

#[tokio::test]
async fn nothing_starts_without_the_key_that_opens_the_log() {
    let world = World::new().await;
    let sentence = refused(&world, None).await;
    assert!(sentence.contains("give DAYBOOK_MASTER_KEY the key"), "{sentence}");
    let other = keys(&MasterKeys::random_text());
    let sentence = refused(&world, Some(other)).await;
    assert!(sentence.contains("DAYBOOK_MASTER_KEY is not the key"), "{sentence}");
}

#[tokio::test]
async fn a_master_key_is_exchanged_and_the_old_one_thrown_away() {
    let (old, new) = (MasterKeys::random_text(), MasterKeys::random_text());
    let mut world = World::with(|settings| settings.masters = Some(keys(&old))).await;
    world.article("cup", "4.50", 10).await;
    let first = place(&world).await;
    world.settle().await;
    world.stop().await;
    world.settings.masters = Some(keys(&format!("{new},{old}")));
    world.start().await;
    let second = place(&world).await;
    world.settle().await;
    for id in [&first, &second] {
        assert_eq!(customer(&world, id).await, "Ada Byron");
    }
    assert!(
        refused(&world, Some(keys(&new)))
            .await
            .contains("is not the key"),
        "too early"
    );

    let rewrapped = personal::rewrap(&world.pool, &keys(&format!("{new},{old}")))
        .await
        .unwrap();

    assert_eq!(rewrapped, 1);
    assert!(
        refused(&world, Some(keys(&old)))
            .await
            .contains("is not the key")
    );
    world.stop().await;
    world.settings.masters = Some(keys(&new));
    world.start().await;
    for id in [&first, &second] {
        assert_eq!(customer(&world, id).await, "Ada Byron");
    }
    let wrapped: Vec<Vec<u8>> =
        sqlx::query_scalar("select distinct substring(wrapped for 8) from personal_keys")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(wrapped.len(), 1, "the old key opens nothing");
    // Once more there is nothing to do, and what is destroyed stays so.
    let _forgotten = forget(&world).await.expect(200);
    assert_eq!(personal::rewrap(&world.pool, &keys(&new)).await.unwrap(), 0);
    assert_eq!(customer(&world, &first).await, "[forgotten]");
}

#[tokio::test]
async fn two_processes_cannot_both_be_the_first_with_different_keys() {
    let (_, url) = new_database("").await;
    let pool = a_pool(&url);
    store::migrate(&pool).await.unwrap();
    let (one, two) = (keys(&MasterKeys::random_text()), keys(&MasterKeys::random_text()));
    let (first, second) =
        tokio::join!(personal::begin(&pool, Some(&one)), personal::begin(&pool, Some(&two)));
    let refused = [first, second]
        .iter()
        .filter(|begun| matches!(begun, Err(CannotBegin::WrongMasterKey(_))))
        .count();
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn a_shop_without_a_key_goes_on_in_clear_and_may_begin_to_seal() {
    let mut world = World::with(|settings| settings.masters = None).await;
    world.article("cup", "4.50", 10).await;
    let clear = place(&world).await;
    world.order_when(&clear, "confirmed").await;
    assert_eq!(forget(&world).await.problem(409), "personal_data_in_clear");
    assert_eq!(customer(&world, &clear).await, "Ada Byron");
    let held = in_database(&world.pool, &["Ada Byron"]).await;
    assert!(held.contains(&"public.events.payload".to_owned()), "{held:?}");

    world.stop().await;
    world.settings.masters = Some(keys(&MasterKeys::random_text()));
    world.start().await;
    let sealed = place(&world).await;
    world.settle().await;
    for id in [&clear, &sealed] {
        assert_eq!(customer(&world, id).await, "Ada Byron");
    }
    let then = store::log::head(&world.pool).await.unwrap();
    let told = forget(&world).await.expect(200).json();

    assert_eq!((&told["orders"], &told["in_clear"]), (&2.into(), &1.into()));
    world.settle().await;
    for id in [&clear, &sealed] {
        let shown = world.get(&format!("/api/v1/orders/{id}")).await.json();
        assert_eq!(shown["customer"]["name"], "[forgotten]");
        // Nor is the past asked for what the present does not tell.
        let path = format!("/api/v1/orders/{id}?as_of={then}");
        let was = world.get(&path).await.expect(200);
        assert_eq!(was.json()["customer"]["name"], "[forgotten]", "{}", was.text);
        let path = format!("/api/v1/orders/{id}?diff_from=1&as_of={then}");
        let changes = world.get(&path).await.expect(200).text;
        assert!(changes.contains("[forgotten]") && !changes.contains("Ada"), "{changes}");
    }
    // What cannot be changed is not: the log of those days is as it was.
    assert_eq!(in_database(&world.pool, &["Ada Byron"]).await, ["public.events.payload"]);
    assert_eq!(customer(&world, &sealed).await, "[forgotten]");
    world.verify().await;
}

async fn tamper(pool: &PgPool, sql: &str) {
    pool.execute("alter table events disable trigger user")
        .await
        .unwrap();
    let changed = pool.execute(sql).await.unwrap();
    assert_eq!(changed.rows_affected(), 1, "{sql}");
}

#[tokio::test]
async fn personal_data_that_was_tampered_with_is_named_by_its_position() {
    for (sql, why) in [
        (
            "update events set payload = replace(payload::text, '\"sealed\":\"', \
             '\"sealed\":\"AAAA')::json where event_type = 'order.placed'",
            "its personal data was changed",
        ),
        (
            "update personal_keys set wrapped = set_byte(wrapped, 30, 255 - get_byte(wrapped, 30))",
            "its key was changed",
        ),
        (
            "update personal_keys set wrapped = set_byte(wrapped, 0, 255 - get_byte(wrapped, 0))",
            "does not hold",
        ),
        ("delete from personal_keys", "is not among personal_keys"),
    ] {
        let world = World::new().await;
        world.article("cup", "4.50", 10).await;
        let placed = world
            .post("/api/v1/orders", an_order(&[("cup", 1)]))
            .await
            .expect(201);
        let position = placed.position();
        world.settle().await;
        tamper(&world.pool, sql).await;

        let found = api::verify::verify(&world.pool, |_, _| ())
            .await
            .unwrap_err()
            .to_string();

        assert!(
            found.contains(&format!("position {position}")) && found.contains(why),
            "{found}"
        );
        let page = world
            .get(&format!("/api/v1/events?from={position}&to={position}"))
            .await;
        assert!(500 <= page.status.as_u16() && !page.text.contains("Ada"), "{}", page.text);
    }
}

/// As docs/PRIVACY.md has it: the log without the keys and without what is made from it, and the
/// keys by themselves, of which only the newest copy is kept.
#[tokio::test]
async fn a_restored_backup_brings_nobody_back_who_was_forgotten_since() {
    let mut world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let id = place(&world).await;
    world.settle().await;
    // The backup of the log.
    world.stop().await;
    world.pool.close().await;
    let (backup, backup_url) = new_database(&format!("template {}", name(&world))).await;
    world.pool = a_pool(&world.settings.database_url);
    let restored = a_pool(&backup_url);
    restored
        .execute("truncate personal_keys; drop schema read cascade")
        .await
        .unwrap();
    assert!(!backup.is_empty());
    world.start().await;
    let _forgotten = forget(&world).await.expect(200);
    world.settle().await;
    // The newest copy of the keys, which the backup is restored with.
    let keys: Vec<String> = sqlx::query_scalar("select row_to_json(k)::text from personal_keys k")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    for key in keys {
        sqlx::query(
            "insert into personal_keys \
             select * from json_populate_record(null::personal_keys, $1::json)",
        )
        .bind(key)
        .execute(&restored)
        .await
        .unwrap();
    }
    world.stop().await;
    world.settings.database_url = backup_url;
    world.pool = restored;
    world.start().await;

    world.settle().await;
    let shown = world
        .get(&format!("/api/v1/orders/{id}"))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["customer"]["name"], "[forgotten]");
    assert_eq!(in_database(&world.pool, &["Ada Byron", "St James"]).await, Vec::<String>::new());
}

fn name(world: &World) -> &str {
    world.settings.database_url.rsplit_once('/').unwrap().1
}
