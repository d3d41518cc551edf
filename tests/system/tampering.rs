//! What somebody with every right in the database could do to history, and what gives it away:
//! online, and from an export with nothing but the public key and an old head.

use std::io::Cursor;
use std::time::Duration;

use sealing::checking::Finding;
use sealing::head::{Head, SignedHead};
use sealing::keys::{PublicKey, SealKey};
use sealing::sealer::{self, Error, Remembered, Settings};
use sealing::tree::Tree;
use sealing::{export, heads_file, leaf, online, tables};
use sqlx::{Executor as _, PgPool};
use store::pace::Pace;
use tests::log::{a_pool, all_sealed, lines, receive, seal_all, sealing_with};
use tests::world::{new_database, until};

/// Events between two heads.
const STEP: u64 = 20;

/// A log of three heads, and what its auditor keeps.
struct Shop {
    template: String,
    key: SealKey,
    heads: Vec<SignedHead>,
}

impl Shop {
    async fn new() -> Self {
        let (template, url) = new_database("").await;
        let pool = a_pool(&url);
        store::migrate(&pool).await.unwrap();
        let key = SealKey::random("daybook").unwrap();
        let mut heads = Vec::new();
        for _ in 0..3 {
            receive(&pool, STEP.cast_signed()).await;
            heads.push(seal_all(&pool, &sealing_with(&[&key])).await);
        }
        // Whoever is still connected would keep the database from being copied.
        pool.close().await;
        tests::world::until("nobody is connected", async || {
            let (_, url) = new_database("").await;
            let admin = a_pool(&url);
            let sql =
                "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1";
            let left: i64 = sqlx::query_scalar(sql)
                .bind(&template)
                .fetch_one(&admin)
                .await
                .ok()?;
            (left == 0).then_some(())
        })
        .await;
        Self { template, key, heads }
    }

    /// A copy of it, after somebody was there.
    async fn after(&self, sql: &str) -> PgPool {
        let (_, url) = new_database(&format!("template {}", self.template)).await;
        let pool = a_pool(&url);
        pool.execute(
            "alter table events disable trigger user; alter table log_heads disable trigger user",
        )
        .await
        .unwrap();
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
        pool
    }

    fn trusted(&self) -> Vec<PublicKey> {
        vec![self.key.public().clone()]
    }
}

/// What an auditor finds, who must find the same online and in an export.
async fn found(pool: &PgPool, trusted: Vec<PublicKey>, kept: &[SignedHead]) -> Vec<Finding> {
    let online = match online::check(pool, trusted.clone(), kept, |_| ()).await {
        Ok(_) => vec![],
        Err(online::Error::Wrong(findings)) => findings,
        Err(error) => panic!("{error}"),
    };
    let mut events = lines(pool).await.join("\n");
    events.push('\n');
    let mut seals = Vec::new();
    export::write_seals(pool, i64::MAX, &mut seals)
        .await
        .unwrap();
    let open = || Ok(Cursor::new(seals.clone()));
    let exported = match export::check(Cursor::new(events), Some(&open), trusted, kept, |_| ()) {
        Ok(_) => vec![],
        Err(export::Error::Wrong(findings)) => findings,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(online, exported);
    online
}

#[track_caller]
fn named(findings: &[Finding]) -> Vec<(u64, u64)> {
    findings
        .iter()
        .map(|finding| (finding.position, finding.until))
        .collect()
}

fn renumber(from: u64, by: &str) -> String {
    format!(
        "update events set position = -(position {by}) where {from} <= position; \
         update events set position = -position where position < 0; \
         update log_head set position = position {by};"
    )
}

#[tokio::test]
async fn every_change_of_an_event_is_named_by_its_position() {
    let shop = Shop::new().await;
    let swap = "update events set position = -1 where position = 25; \
                update events set position = 25 where position = 26; \
                update events set position = 26 where position = -1";
    let insert = format!(
        "{} insert into events select 25, gen_random_uuid(), aggregate_type, aggregate_id, 9999, \
         event_type, event_version, payload, metadata, recorded_at from events where position = 24",
        renumber(25, "+ 1")
    );
    let remove = format!("delete from events where position = 25; {}", renumber(26, "- 1"));
    for (what, sql) in [
        ("nothing", "select 1"),
        (
            "a byte of the payload",
            "update events set payload = replace(payload::text, '5', '6')::json where position = 25",
        ),
        (
            "a byte that means nothing",
            "update events set payload = (payload::text || ' ')::json where position = 25",
        ),
        (
            "who did it",
            "update events set metadata = replace(metadata::text, 'staff', 'guest')::json \
             where position = 25",
        ),
        (
            "when it was",
            "update events set recorded_at = recorded_at + interval '1 microsecond' \
             where position = 25",
        ),
        (
            "what it happened to",
            "update events set aggregate_id = 'pot' where position = 25",
        ),
        ("its schema", "update events set event_version = '2' where position = 25"),
        ("its id", "update events set event_id = gen_random_uuid() where position = 25"),
        ("removed", "delete from events where position = 25"),
        ("removed and renumbered", &remove),
        ("inserted and renumbered", &insert),
        ("swapped", swap),
    ] {
        let pool = shop.after(sql).await;
        let findings = found(&pool, shop.trusted(), &[]).await;
        let expected = if what == "nothing" {
            vec![]
        } else {
            vec![(25, 25)]
        };
        assert_eq!(named(&findings), expected, "{what}: {findings:?}");
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_is_named_by_what_is_gone() {
    let shop = Shop::new().await;
    let cut = "delete from events where 50 < position; update log_head set position = 50;";
    let pool = shop.after(cut).await;
    assert_eq!(named(&found(&pool, shop.trusted(), &[]).await), [(51, 60)]);

    // Whoever cuts the heads as well leaves a sound log, only shorter: an old head says more.
    let cut = "delete from events where 40 < position; update log_head set position = 40; \
               delete from log_heads where 40 < size";
    let pool = shop.after(cut).await;
    assert_eq!(named(&found(&pool, shop.trusted(), &[]).await), []);
    let kept = &shop.heads[2..];
    assert_eq!(named(&found(&pool, shop.trusted(), kept).await), [(41, 60)]);
}

/// Changes an event, and the tree with it.
const REWRITE: &str =
    "update events set payload = replace(payload::text, '5', '6')::json where position = 25;";

/// Makes the stored leaves those of the events as they are.
async fn mend_leaves(pool: &PgPool) -> Tree {
    let (mut tree, mut hashes) = (Tree::default(), Vec::new());
    for line in lines(pool).await {
        let leaf = leaf(line.as_bytes());
        hashes.extend(leaf.0);
        tree.push(leaf, &mut Vec::new());
    }
    sqlx::query("update log_tiles set hashes = $1 where level = 0")
        .bind(hashes)
        .execute(pool)
        .await
        .unwrap();
    tree
}

#[tokio::test]
async fn a_change_of_event_and_tree_is_named_between_two_heads() {
    let shop = Shop::new().await;
    let pool = shop.after(REWRITE).await;
    mend_leaves(&pool).await;

    assert_eq!(named(&found(&pool, shop.trusted(), &[]).await), [(21, 40)]);
}

#[tokio::test]
async fn a_changed_tree_over_a_sound_log_is_found_as_well() {
    let shop = Shop::new().await;
    let pool = shop
        .after("update log_tiles set hashes = overlay(hashes placing '\\x0000' from 769 for 2)")
        .await;

    let findings = found(&pool, shop.trusted(), &[]).await;

    assert_eq!(named(&findings), [(25, 25)]);
    assert!(findings[0].what.contains("the stored tree was changed"), "{findings:?}");
}

#[tokio::test]
async fn a_head_that_was_changed_or_removed_is_named() {
    let shop = Shop::new().await;
    for (what, sql, position) in [
        ("removed", "delete from log_heads where size = 40", 21),
        ("the first removed", "delete from log_heads where size = 20", 1),
        (
            "changed",
            "update log_heads set note = replace(note, 'at 20', 'at 19') where size = 40",
            21,
        ),
        ("garbled", "update log_heads set note = 'hello' where size = 40", 21),
        (
            "moved",
            "update log_heads set note = (select note from log_heads where size = 60) \
                   where size = 40",
            21,
        ),
    ] {
        let pool = shop.after(sql).await;
        let findings = found(&pool, shop.trusted(), &[]).await;
        assert_eq!(named(&findings), [(position, position)], "{what}: {findings:?}");
    }
}

#[tokio::test]
async fn a_history_rewritten_and_signed_with_a_new_key_is_found_by_the_old_one() {
    let shop = Shop::new().await;
    let pool = shop
        .after(&format!("{REWRITE} delete from log_heads; delete from log_tiles"))
        .await;
    let new = SealKey::random("daybook").unwrap();
    let _sealed = seal_all(&pool, &sealing_with(&[&new])).await;

    let findings = found(&pool, shop.trusted(), &[]).await;
    assert_eq!(named(&findings), [(1, 1)]);
    assert!(
        findings[0]
            .what
            .contains("none of the log's 1 heads is signed"),
        "{findings:?}"
    );
    let findings = found(&pool, shop.trusted(), &shop.heads).await;
    assert_eq!(named(&findings), [(1, 1), (21, 40)], "old heads say where: {findings:?}");
    // Who trusts the key that the log names is told that it does not fit the old head.
    let error = online::check(&pool, vec![], &shop.heads[..1], |_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, online::Error::Kept(_)), "{error}");
}

#[tokio::test]
async fn a_history_rewritten_from_some_day_on_needs_the_old_key() {
    let shop = Shop::new().await;
    let pool = shop
        .after(&format!("{REWRITE} delete from log_heads where 20 < size"))
        .await;
    let tree = mend_leaves(&pool).await;
    let new = SealKey::random("daybook").unwrap();
    let head = Head {
        size: 60,
        root: tree.root(),
        previous: Some(shop.heads[0].text_hash()),
        keys: vec![new.public().clone()],
        ..shop.heads[2].head.clone()
    };
    let signed = head.sign(&[new]);
    sqlx::query("insert into log_heads values (60, 20, $1, now())")
        .bind(signed.note())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(tables::newest(&pool).await.unwrap(), Some(signed));

    assert_eq!(named(&found(&pool, shop.trusted(), &[]).await), [(21, 21)]);

    // With the old key as well, the log is sound in itself; a head kept elsewhere says where.
    let signed = head.sign(std::slice::from_ref(&shop.key));
    sqlx::query("update log_heads set note = $1 where size = 60")
        .bind(signed.note())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(named(&found(&pool, shop.trusted(), &[]).await), []);
    let kept = &shop.heads[..2];
    assert_eq!(named(&found(&pool, shop.trusted(), kept).await), [(21, 40)]);
}

/// What somebody does who has the database and no key: removes heads, changes what they covered, and
/// cuts the sealer's connection, so that it begins anew from what is left.
const BEHIND_ITS_BACK: &str = "alter table events disable trigger user; \
    alter table log_heads disable trigger user; \
    delete from log_heads where 20 < size; \
    update log_tiles set hashes = substring(hashes from 1 for 640) where level = 0; \
    update events set payload = replace(payload::text, '5', '6')::json where position = 25; \
    select pg_terminate_backend(pid) from pg_locks \
    where locktype = 'advisory' and pid <> pg_backend_pid() \
    and database = (select oid from pg_database where datname = current_database())";

#[tokio::test]
async fn a_running_sealer_signs_nothing_that_was_rewritten_behind_its_back() {
    let shop = Shop::new().await;
    let pool = shop.after("select 1").await;
    let home = tempfile::tempdir().unwrap();
    let alone = sealing_with(&[&shop.key]);
    let file = home.path().join("heads");
    let with_file = Settings { heads_file: Some(file.clone()), ..alone.clone() };
    let seal = async |settings: &Settings, remembered: &mut Remembered| {
        let pace = Pace::default();
        let sealing = sealer::seal_until_it_fails(&pool, settings, &pace, remembered);
        let Err(error) = sealing.await;
        error
    };
    let mut remembered = Remembered::default();
    let attack = async {
        receive(&pool, 20).await;
        let _sealed = all_sealed(&pool).await;
        until("the file has the head as well", async || {
            let text = std::fs::read_to_string(&file).ok()?;
            let last = heads_file::read(&text).pop()?;
            (last.head.size == 80).then_some(())
        })
        .await;
        sqlx::raw_sql(BEHIND_ITS_BACK).execute(&pool).await.unwrap();
        receive(&pool, 1).await;
    };
    let (error, ()) = tokio::join!(seal(&with_file, &mut remembered), attack);
    assert!(matches!(error, Error::Database(_)), "its connection is gone: {error}");

    // The same process remembers, with a file and without.
    for settings in [&with_file, &alone] {
        let error = seal(settings, &mut remembered).await;
        assert!(matches!(error, Error::Forgotten(80)), "{error}");
    }
    // A new one does not, but the file does.
    let error = seal(&with_file, &mut Remembered::default()).await;
    assert!(matches!(error, Error::Fork(80)), "{error}");
    // Without either, the rewritten history is signed: so serve asks for the file.
    let signed = seal_all(&pool, &alone).await;
    assert_eq!(signed.head.size, 81);
    assert_eq!(named(&found(&pool, shop.trusted(), &[]).await), []);
    let kept = &shop.heads[..2];
    assert_eq!(named(&found(&pool, shop.trusted(), kept).await), [(21, 40)]);
}

#[tokio::test]
async fn a_process_that_waits_for_its_turn_remembers_what_another_has_signed() {
    let shop = Shop::new().await;
    let pool = shop.after("select 1").await;
    let settings = sealing_with(&[&shop.key]);
    let (pace, mut first, mut second) =
        (Pace::default(), Remembered::default(), Remembered::default());
    {
        let sealing = sealer::seal_until_it_fails(&pool, &settings, &pace, &mut first);
        let standing_by = async {
            receive(&pool, 20).await;
            let _sealed = all_sealed(&pool).await;
            let waiting = sealer::seal_until_it_fails(&pool, &settings, &pace, &mut second);
            // Long enough for a look; the office is taken all the while.
            let waited = tokio::time::timeout(Duration::from_secs(2), waiting).await;
            assert!(waited.is_err(), "it waits");
        };
        tokio::select! {
            Err(error) = sealing => panic!("{error}"),
            () = standing_by => {}
        }
    }
    sqlx::raw_sql(BEHIND_ITS_BACK).execute(&pool).await.unwrap();
    let Err(error) = sealer::seal_until_it_fails(&pool, &settings, &pace, &mut second).await;
    assert!(matches!(error, Error::Forgotten(80)), "{error}");
}

/// What somebody does to the lines of an export.
type Edit<'a> = &'a dyn Fn(&mut Vec<String>);

#[tokio::test]
async fn an_export_that_was_edited_is_found_with_its_seals_or_an_old_head() {
    let shop = Shop::new().await;
    let pool = shop.after("select 1").await;
    let lines = lines(&pool).await;
    let mut seals = Vec::new();
    assert_eq!(export::write_seals(&pool, 60, &mut seals).await.unwrap(), 3);
    let edited = |edit: Edit| {
        let mut lines = lines.clone();
        edit(&mut lines);
        lines.join("\n")
    };
    let check = |events: String, with_seals: bool| {
        let open = || Ok(Cursor::new(seals.clone()));
        let open: Option<&dyn Fn() -> std::io::Result<_>> = with_seals.then_some(&open);
        match export::check(Cursor::new(events), open, shop.trusted(), &shop.heads[2..], |_| ()) {
            Ok(proved) => {
                assert_eq!(proved.sealed, 60);
                vec![]
            }
            Err(export::Error::Wrong(findings)) => named(&findings),
            Err(error) => panic!("{error}"),
        }
    };
    let nothing: Edit = &|_| ();
    assert_eq!(check(edited(nothing), true), []);
    assert_eq!(check(edited(nothing), false), []);
    let edits: [(&str, Edit, (u64, u64)); 7] = [
        ("changed", &|lines| lines[24] = lines[24].replace("staff", "guest"), (1, 60)),
        ("removed", &|lines| _ = lines.remove(24), (25, 25)),
        ("inserted", &|lines| lines.insert(24, lines[23].clone()), (25, 25)),
        ("swapped", &|lines| lines.swap(24, 25), (25, 25)),
        ("cut", &|lines| lines.truncate(50), (51, 60)),
        ("garbled", &|lines| lines[24] = "hello".to_owned(), (25, 25)),
        (
            "cut in a line",
            &|lines| {
                lines.truncate(26);
                lines[25].truncate(40);
            },
            (26, 26),
        ),
    ];
    for (what, edit, alone) in edits {
        let exact = if what == "changed" { (25, 25) } else { alone };
        assert_eq!(check(edited(edit), true), [exact], "{what}");
        assert_eq!(check(edited(edit), false), [alone], "{what}, with an old head only");
    }
}
