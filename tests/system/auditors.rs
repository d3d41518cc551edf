//! Auditors at the command line: keys, what falls short of a proof, and the history of one order.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reqwest::Method;
use sealing::keys::{self, SealKey};
use serde_json::{Value, json};
use sqlx::Executor as _;
use tests::World;
use tests::command::{Ran, daybook, ran};
use tests::log::{all_sealed, receive, sealing_with};
use tests::telling::{id_in, items, keyed};
use tests::world::{MASTER_KEY, STAFF, an_order, send};
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_daybook-under-test");

async fn a_sealed_world(key: &SealKey) -> World {
    World::with(|settings| settings.sealing = Some(sealing_with(&[key]))).await
}

/// The whole log with its seals.
async fn exported(world: &World, path: &Path) {
    let out = path.display().to_string();
    let url = &world.settings.database_url;
    let words = [
        "export",
        "--format",
        "ndjson",
        "--out",
        &out,
        "--database-url",
        url,
    ];
    let ran = ran(daybook(PROGRAM, &[&words[..], &["--master-key", &MASTER_KEY]].concat())).await;
    assert!(ran.is_well, "{ran:?}");
}

#[tokio::test]
async fn a_seal_key_is_made_once_kept_from_others_and_signs() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("seal-key");
    let words = [
        "seal-key",
        "--name",
        "potts",
        "--out",
        out.to_str().unwrap(),
    ];
    let made = ran(daybook(PROGRAM, &words)).await;
    assert!(made.is_well, "{made:?}");

    let secret = fs::read_to_string(&out).unwrap();
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = keys::in_file(&secret).unwrap();
    assert_eq!(made.told.trim(), kept[0].public().to_string());
    assert!(made.told.starts_with("potts+"), "{made:?}");
    assert!(!made.told.contains(secret.trim()) && !made.complained.contains(secret.trim()));
    let world = a_sealed_world(&kept[0]).await;
    receive(&world.pool, 3).await;
    let _sealed = all_sealed(&world.pool).await;
    let url = &world.settings.database_url;
    let verify = ["verify", "--database-url", url, "--key", made.told.trim()];
    let proved = ran(daybook(PROGRAM, &verify)).await;
    assert!(proved.is_well && proved.told.contains("3 are sealed"), "{proved:?}");

    let again = ran(daybook(PROGRAM, &words)).await;
    assert!(!again.is_well && again.complained.contains("exists"), "{again:?}");
    assert_eq!(fs::read_to_string(&out).unwrap(), secret, "a key is never written over");
}

#[tokio::test]
async fn production_seals_with_a_file_of_heads_or_says_what_that_means() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("seal-key");
    fs::write(&key, SealKey::random("daybook").unwrap().reveal()).unwrap();
    let key_text = key.display().to_string();
    let key = key_text.as_str();
    let starting = async |variables: &[(&str, &str)]| {
        let mut command = daybook(PROGRAM, &["serve", "--listen", "127.0.0.1:0"]);
        command
            .env("DATABASE_URL", "postgres:///nowhere?host=/nowhere")
            .env("NATS_URL", "nats://127.0.0.1:1")
            .env("DAYBOOK_STAFF_TOKEN", STAFF)
            .envs(variables.iter().copied());
        let Ran { is_well, told, complained } = ran(command).await;
        assert!(!is_well, "there is no database");
        told + &complained
    };
    let refused = starting(&[("DAYBOOK_SEAL_KEY_FILE", key)]).await;
    assert!(refused.contains("needs --heads-file"), "{refused}");
    let file = home.path().join("heads").display().to_string();
    let good = [
        ("DAYBOOK_SEAL_KEY_FILE", key),
        ("DAYBOOK_HEADS_FILE", file.as_str()),
    ];
    let said = starting(&good).await;
    assert!(!said.contains("heads-file") && !said.contains("seal-key"), "{said}");
    let none = [
        ("DAYBOOK_SEAL_KEY_FILE", key),
        ("DAYBOOK_HEADS_FILE", "none"),
    ];
    let said = starting(&none).await;
    assert!(said.contains("heads-file is `none`"), "{said}");
    let said = starting(&[]).await;
    assert!(said.contains("does not seal the log"), "{said}");
}

#[tokio::test]
async fn whoever_brings_a_key_is_not_told_that_all_is_well_when_heads_are_gone() {
    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    receive(&world.pool, 600).await;
    let kept = all_sealed(&world.pool).await;
    receive(&world.pool, 30_001).await;
    let _sealed = all_sealed(&world.pool).await;
    let home = tempfile::tempdir().unwrap();
    let (export, heads) = (home.path().join("log.ndjson"), home.path().join("heads-i-kept"));
    fs::write(&heads, kept.note()).unwrap();
    exported(&world, &export).await;
    let (public, heads) = (key.public().to_string(), heads.display().to_string());
    let with_key = ["--key", public.as_str()];
    let with_head = ["--key", public.as_str(), "--head", heads.as_str()];
    let (file, url) = (export.display().to_string(), world.settings.database_url.clone());
    let offline = ["verify", "--export", &file];
    let online = ["verify", "--database-url", &url];
    let verify = async |source: &[&str], words: &[&str]| {
        ran(daybook(PROGRAM, &[source, words].concat())).await
    };
    let refused = async |source: &[&str], words: &[&str], why: &str| {
        let Ran { is_well, complained, told } = verify(source, words).await;
        assert!(
            !is_well && complained.contains(why),
            "{source:?} {words:?}: {told} {complained}"
        );
    };
    for source in [&offline, &online] {
        for words in [&with_key[..], &with_head] {
            let proved = verify(source, words).await;
            assert!(proved.is_well, "{proved:?}");
            assert!(proved.told.contains("30601 are sealed"), "{proved:?}");
        }
    }

    // The newest heads are gone, and what is behind the others is more than ever waits.
    let seals = export.with_added_extension("seals");
    let whole = fs::read_to_string(&seals).unwrap();
    let newest = |line: &&str| {
        line.contains(r#""head":"#) && !line.contains(&format!(r"\n{}\n", kept.head.size))
    };
    let older: Vec<&str> = whole.lines().filter(|line| !newest(line)).collect();
    assert!(older.len() < whole.lines().count());
    fs::write(&seals, older.join("\n") + "\n").unwrap();
    let tail = "positions 601 to 30601: no head covers these 30001 events";
    refused(&offline, &with_key, tail).await;
    world
        .pool
        .execute("alter table log_heads disable trigger user")
        .await
        .unwrap();
    world
        .pool
        .execute("delete from log_heads where 600 < size")
        .await
        .unwrap();
    refused(&online, &with_key, tail).await;
    refused(&online, &with_head, tail).await;

    // There is nothing to prove with.
    fs::remove_file(&seals).unwrap();
    refused(&offline, &with_key, "there is no head at all").await;
    refused(&offline, &with_head, tail).await;
    world.pool.execute("delete from log_heads").await.unwrap();
    refused(&online, &with_key, "there is no head at all").await;
    let told = verify(&online, &[]).await;
    assert!(
        told.is_well && told.told.contains("nothing is proved"),
        "asked for no proof: {told:?}"
    );
}

#[tokio::test]
async fn the_whole_history_of_an_order_is_found_in_a_verified_export() {
    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    world.article("cup", "4.50", 100).await;
    let id = id_in(
        &world
            .post("/api/v1/orders", an_order(&[("cup", 2)]))
            .await
            .expect(201),
    );
    let mut other = an_order(&[("cup", 1)]);
    other["customer"]["email"] = "other@example.com".into();
    let other = id_in(&world.post("/api/v1/orders", other).await.expect(201));
    for id in [&id, &other] {
        world.order_when(id, "confirmed").await;
    }
    let path = "/api/v1/customers/ada@example.com/personal-data";
    let forget = keyed(world.staff(Method::DELETE, path)).json(&json!({"reason": "asked for it"}));
    let _forgotten = send(forget).await.expect(200);
    world.settle().await;
    let _sealed = all_sealed(&world.pool).await;
    let home = tempfile::tempdir().unwrap();
    let export = home.path().join("log.ndjson");
    exported(&world, &export).await;
    let (file, public) = (export.display().to_string(), key.public().to_string());
    let history = async |order: &str| {
        let words = [
            "verify", "--export", &file, "--key", &public, "--order", order,
        ];
        ran(daybook(PROGRAM, &words)).await
    };

    for id in [&id, &other] {
        let found = history(id).await;
        assert!(found.is_well, "{found:?}");
        let lines = found.told.lines().filter(|line| line.starts_with('{'));
        let found: Vec<i64> = lines
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|event| event["position"].as_i64().unwrap())
            .collect();
        let timeline = world.get(&format!("/api/v1/orders/{id}/timeline")).await;
        let told: Vec<i64> = items(&timeline)
            .iter()
            .map(|entry| entry["position"].as_i64().unwrap())
            .collect();
        assert!(3 < told.len(), "{told:?}");
        assert_eq!(found, told, "as the timeline has it, with nothing left out");
    }
    let nobodys = Uuid::now_v7().to_string();
    let none = history(&nobodys).await;
    assert!(!none.is_well && none.complained.contains("no event of order"), "{none:?}");

    // One of its events is left out: then the log is not whole, and neither is the order.
    let text = fs::read_to_string(&export).unwrap();
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("order.confirmed"))
        .collect();
    fs::write(&export, without.join("\n") + "\n").unwrap();
    let found = history(&id).await;
    assert!(!found.is_well && found.complained.contains("missing"), "{found:?}");
    assert!(!found.told.contains("order.placed"), "{found:?}");
}
