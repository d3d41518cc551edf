//! The sealer under crashes, in company, with other keys, and after somebody was at its tables.

use std::time::{Duration, Instant};

use sealing::head::SignedHead;
use sealing::keys::{PublicKey, SealKey};
use sealing::sealer::{self, Error, Remembered, Settings};
use sealing::{heads_file, online, tables};
use sqlx::PgPool;
use store::pace::{PAUSE_MAX, Pace};
use tests::log::{all_sealed, an_empty_log, receive, seal_all, sealing_with};
use tokio::sync::watch;

fn a_key() -> SealKey {
    SealKey::random("daybook").unwrap()
}

async fn checked(pool: &PgPool, keys: &[&SealKey], kept: &[SignedHead]) -> (u64, u64) {
    let keys: Vec<PublicKey> = keys.iter().map(|key| key.public().clone()).collect();
    let proved = online::check(pool, keys, kept, |_| ()).await.unwrap();
    assert_eq!(proved.sealed, proved.events);
    (proved.events, proved.heads)
}

/// Why it does not seal.
async fn refused(pool: &PgPool, settings: &Settings) -> Error {
    let (pace, mut remembered) = (Pace::default(), Remembered::default());
    let Err(error) = sealer::seal_until_it_fails(pool, settings, &pace, &mut remembered).await;
    error
}

#[tokio::test]
async fn a_head_covers_ten_thousand_events_at_most() {
    let (pool, key) = (an_empty_log().await, a_key());
    receive(&pool, 20_001).await;
    let _last = seal_all(&pool, &sealing_with(&[&key])).await;

    let sizes: Vec<i64> = tables::notes_after(&pool, 0)
        .await
        .unwrap()
        .into_iter()
        .map(|(size, _)| size)
        .collect();
    assert_eq!(sizes, [10_000, 20_000, 20_001]);
    assert_eq!(checked(&pool, &[&key], &[]).await, (20_001, 3));
}

#[tokio::test]
async fn a_crowd_that_never_goes_away_does_not_keep_the_log_from_being_sealed() {
    let (pool, key) = (an_empty_log().await, a_key());
    receive(&pool, 10_000).await;
    let pace = Pace::default();
    let _crowd: Vec<_> = (0..100).map(|_| pace.enter()).collect();
    let settings = Settings { every: Duration::from_mins(1), ..sealing_with(&[&key]) };
    let mut remembered = Remembered::default();
    let sealing = sealer::seal_until_it_fails(&pool, &settings, &pace, &mut remembered);
    let sealed = async {
        let begun = Instant::now();
        let head = all_sealed(&pool).await;
        (head.head.size, begun.elapsed())
    };
    let (size, elapsed) = tokio::select! {
        Err(error) = sealing => panic!("{error}"),
        sealed = sealed => sealed,
    };
    assert_eq!(size, 10_000);
    // It gives way once for a head of forty pages, and not before each of them.
    assert!(elapsed < 4 * PAUSE_MAX, "{elapsed:?}");
}

#[tokio::test]
async fn a_sealer_that_is_killed_anywhere_goes_on_where_it_was() {
    let (pool, key) = (an_empty_log().await, a_key());
    let settings = sealing_with(&[&key]);
    let pace = Pace::default();
    let mut killed = 0;
    for round in 0..30_u32 {
        receive(&pool, 100).await;
        let mut remembered = Remembered::default();
        let sealing = sealer::seal_until_it_fails(&pool, &settings, &pace, &mut remembered);
        // Breaks it off at another await each time.
        let mut sealing = std::pin::pin!(sealing);
        for _ in 0..round * 2 {
            let now = futures::poll!(sealing.as_mut());
            assert!(now.is_pending());
            tokio::task::yield_now().await;
            let _answers = sqlx::query("select 1").execute(&pool).await.unwrap();
        }
        killed += 1;
    }
    let _last = seal_all(&pool, &settings).await;

    assert_eq!(checked(&pool, &[&key], &[]).await.0, killed * 100);
}

#[tokio::test]
async fn two_sealers_make_one_chain() {
    let (pool, key) = (an_empty_log().await, a_key());
    let (stop, stopped) = watch::channel(false);
    let sealers: Vec<_> = (0..2)
        .map(|_| {
            let settings = sealing_with(&[&key]);
            tokio::spawn(sealer::run(pool.clone(), settings, Pace::default(), stopped.clone()))
        })
        .collect();
    for _ in 0..5 {
        receive(&pool, 77).await;
        let _sealed = all_sealed(&pool).await;
    }
    stop.send_replace(true);
    for sealer in sealers {
        sealer.await.unwrap();
    }
    let (events, heads) = checked(&pool, &[&key], &[]).await;
    assert_eq!(events, 385);
    assert!((5..=385).contains(&heads), "{heads}");
}

#[tokio::test]
async fn a_key_is_changed_by_letting_both_sign() {
    let (pool, old, new) = (an_empty_log().await, a_key(), a_key());
    let mut kept = Vec::new();
    for keys in [&[&old][..], &[&old, &new], &[&new]] {
        receive(&pool, 10).await;
        kept.push(seal_all(&pool, &sealing_with(keys)).await);
    }

    for trusted in [&old, &new] {
        assert_eq!(checked(&pool, &[trusted], &[]).await, (30, 3));
        assert_eq!(checked(&pool, &[trusted], &kept).await, (30, 6), "and those kept elsewhere");
    }
    let refusal = refused(&pool, &sealing_with(&[&old])).await;
    assert!(matches!(refusal, Error::Keys(_)), "the old key has no say any more: {refusal}");
    let refusal = refused(&pool, &sealing_with(&[&a_key()])).await;
    assert!(refusal.to_string().contains(&new.public().to_string()), "{refusal}");
}

#[tokio::test]
async fn nothing_is_sealed_on_what_somebody_has_changed() {
    let (pool, key) = (an_empty_log().await, a_key());
    let settings = sealing_with(&[&key]);
    receive(&pool, 10).await;
    let _sealed = seal_all(&pool, &settings).await;
    receive(&pool, 10).await;
    let run = async |sql: &str| _ = sqlx::raw_sql(sql).execute(&pool).await.unwrap();

    run("update log_tiles set hashes = overlay(hashes placing '\\x00' from 1 for 1)").await;
    assert!(matches!(refused(&pool, &settings).await, Error::Tree(10)));
    run("delete from log_tiles").await;
    assert!(matches!(refused(&pool, &settings).await, Error::Tree(10)));
    run("alter table log_heads disable trigger user; \
         update log_heads set note = replace(note, 'at 20', 'at 19')")
    .await;
    assert!(matches!(refused(&pool, &settings).await, Error::Signature(10)));
    run("update log_heads set note = 'hello'").await;
    assert!(matches!(refused(&pool, &settings).await, Error::Heads(_)));
}

#[tokio::test]
async fn a_hole_in_the_log_is_not_sealed_over() {
    let (pool, key) = (an_empty_log().await, a_key());
    receive(&pool, 10).await;
    sqlx::raw_sql("alter table events disable trigger user; delete from events where position = 7")
        .execute(&pool)
        .await
        .unwrap();
    assert!(matches!(refused(&pool, &sealing_with(&[&key])).await, Error::Missing(7)));
}

#[tokio::test]
async fn heads_are_kept_in_a_file_as_well_and_caught_up_with() {
    let (pool, key) = (an_empty_log().await, a_key());
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("heads");
    let settings = Settings { heads_file: Some(file.clone()), ..sealing_with(&[&key]) };
    let kept = || heads_file::read(&std::fs::read_to_string(&file).unwrap());
    receive(&pool, 10).await;
    let first = seal_all(&pool, &sealing_with(&[&key])).await;
    receive(&pool, 10).await;
    let second = seal_all(&pool, &sealing_with(&[&key])).await;
    assert!(!file.exists());
    receive(&pool, 10).await;
    let (stop, stopped) = watch::channel(false);
    let running = sealer::run(pool.clone(), settings.clone(), Pace::default(), stopped);
    let running = tokio::spawn(running);
    let third = all_sealed(&pool).await;
    tests::world::until("the file has them all", async || {
        (file.exists() && kept().len() == 3).then_some(())
    })
    .await;
    stop.send_replace(true);
    running.await.unwrap();
    assert_eq!(kept(), [first, second, third]);
    assert_eq!(checked(&pool, &[&key], &kept()).await, (30, 6));

    let (other, other_settings) = (an_empty_log().await, settings);
    receive(&other, 30).await;
    let _sealed = seal_all(&other, &sealing_with(&[&key])).await;
    let refusal = refused(&other, &other_settings).await;
    assert!(matches!(refusal, Error::Fork(30)), "a file of another history: {refusal}");
}
