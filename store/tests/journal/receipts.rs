//! The same command id gets the same answer, whoever asks, whenever, and however often.

use domain::inventory::{Inventory, Refusal};
use domain::product::{self, Description, Product};
use futures::future::join_all;
use store::command::{Answer, Envelope, ExecuteError, Receipt, Verdict};
use uuid::Uuid;

use crate::world::{StockReceipt, World, ask, envelope, receive, reserve, stock, worded};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_id_that_comes_many_times_at_once_acts_once_and_is_answered_alike() {
    let world = World::new().await;
    let (one, two) = (world.journal(), world.journal());
    stock(&one, "cup", receive(10)).await;
    for journals in [[&one, &one], [&one, &two]] {
        let asked = envelope();
        let command = reserve(1);
        let before = world.head().await;

        let asking = (0..12).map(|n| ask(journals[n % 2], "cup", command.clone(), asked.clone()));
        let answers = join_all(asking).await;

        let answers: Vec<StockReceipt> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(world.head().await, before + 1);
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
        for answer in &answers {
            let replayed = answers[0].replayed;
            assert_eq!(StockReceipt { replayed, ..answer.clone() }, answers[0]);
        }
    }
    world.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workers_command_that_comes_twice_is_answered_from_the_first() {
    let world = World::new().await;
    let journal = world.journal();
    stock(&journal, "cup", receive(5)).await;
    let (asked, command) = (envelope(), reserve(5));
    let derived = || journal.execute_derived::<Inventory>("cup", command.clone(), asked.clone());

    let first = derived().await.unwrap();
    let second = derived().await.unwrap();

    assert_eq!(second, StockReceipt { replayed: true, ..first });
    world.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_id_is_not_for_another_request() {
    let world = World::new().await;
    let journal = world.journal();
    let asked = envelope();
    let other = Envelope { fingerprint: [8; 32], ..asked.clone() };
    let at_once = [
        ask(&journal, "cup", receive(1), asked.clone()),
        ask(&journal, "cup", receive(2), other.clone()),
    ];

    let answers = join_all(at_once).await;

    let reused = |answer: &&Result<_, _>| matches!(answer, Err(ExecuteError::KeyReused));
    assert_eq!(answers.iter().filter(reused).count(), 1, "{answers:?}");
    let both = [
        ask(&journal, "cup", receive(1), asked),
        ask(&journal, "cup", receive(2), other),
    ];
    assert_eq!(join_all(both).await.iter().filter(reused).count(), 1);
    assert_eq!(world.head().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_answered_again_although_the_world_has_changed() {
    let world = World::new().await;
    let journal = world.journal();
    let (asked, command) = (envelope(), reserve(1));
    let refusal = Refusal::InsufficientStock { requested: 1, available: 0 };

    let first = ask(&journal, "cup", command.clone(), asked.clone())
        .await
        .unwrap();
    stock(&journal, "cup", receive(10)).await;

    assert_eq!(first.verdict, Verdict::Refused(refusal));
    assert_eq!((first.version, first.first_position, first.last_position), (0, 0, 0));
    for journal in [&journal, &world.journal()] {
        let again = ask(journal, "cup", command.clone(), asked.clone())
            .await
            .unwrap();
        assert_eq!(again, StockReceipt { replayed: true, ..first.clone() });
    }
    let derived = journal.execute_derived::<Inventory>("cup", command, asked);
    assert_eq!(derived.await.unwrap().verdict, first.verdict);
    world.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acting_on_another_version_is_refused_and_remembered() {
    let world = World::new().await;
    let journal = world.journal();
    stock(&journal, "cup", receive(10)).await;
    let expecting = |version| Envelope { expected_version: Some(version), ..envelope() };
    let late = expecting(0);

    let mismatch = ask(&journal, "cup", reserve(1), late.clone())
        .await
        .unwrap();
    let matching = ask(&journal, "cup", reserve(1), expecting(1))
        .await
        .unwrap();
    let again = journal
        .execute::<Inventory>("cup", reserve(1), late, worded)
        .await
        .unwrap();

    assert_eq!(mismatch.verdict, Verdict::VersionMismatch { expected: 0, actual: 1 });
    assert_eq!(mismatch.answer, Some(Answer { status: 412, body: "0 is 1".to_owned() }));
    assert_eq!(matching.verdict, Verdict::Accepted);
    assert_eq!(again, StockReceipt { replayed: true, ..mismatch });
    world.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_turned_away_is_turned_away_with_the_same_words_again() {
    let world = World::new().await;
    let journal = world.journal();
    let asked = envelope();
    let words = |body: &str| Answer { status: 422, body: body.to_owned() };

    let at_once =
        ["first", "second", "third"].map(|said| journal.turn_away(asked.clone(), words(said)));
    let answers = join_all(at_once).await;

    let answers: Vec<Receipt<serde_json::Value>> =
        answers.into_iter().map(Result::unwrap).collect();
    assert!(
        answers
            .iter()
            .all(|answer| answer.verdict == Verdict::TurnedAway)
    );
    assert!(
        answers
            .iter()
            .all(|answer| answer.answer == answers[0].answer)
    );
    let other = Envelope { fingerprint: [8; 32], ..asked };
    let answer = journal.turn_away(other, words("other")).await;
    assert!(matches!(answer, Err(ExecuteError::KeyReused)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_awaited_answer_stays_and_is_what_a_repetition_gets() {
    let world = World::new().await;
    let journal = world.journal();
    for _ in 0..20 {
        let asked = envelope();
        ask(&journal, "cup", receive(1), asked.clone())
            .await
            .unwrap();
        let words: Vec<_> = (0..8)
            .map(|n| Answer { status: 200 + n, body: format!("outcome {n}") })
            .collect();

        let keep = |answer| journal.keep_awaited_answer(asked.command_id, answer);
        let kept = join_all(words.iter().map(keep)).await;

        let kept: Vec<Answer> = kept.into_iter().map(Result::unwrap).collect();
        assert!(kept.iter().all(|answer| *answer == kept[0]), "{kept:?}");
        let again = ask(&journal, "cup", receive(1), asked).await.unwrap();
        assert_eq!(again.answer.as_ref(), Some(&kept[0]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_changes_nothing_stands_at_the_head_of_the_log() {
    let world = World::new().await;
    let (one, two) = (world.journal(), world.journal());
    let describe = async |journal: &store::journal::Journal, minor| {
        let described = product::Command::Describe(cup(minor));
        let said = journal.execute::<Product>("cup", described, envelope(), |_| None);
        said.await.unwrap()
    };

    describe(&one, 450).await;
    let unchanged = describe(&one, 450).await;
    describe(&two, 500).await;
    // The first journal still remembers 450, and must not take this for no change.
    let changed_back = describe(&one, 450).await;

    assert_eq!((unchanged.version, unchanged.last_position), (1, 1));
    assert_eq!((changed_back.version, changed_back.last_position), (3, 3));
    let (product, _) = one.load::<Product>("cup").await.unwrap();
    assert_eq!(product.description(), Some(&cup(450)));
    let unknown: Option<StockReceipt> = one.receipt(Uuid::nil(), &[7; 32]).await.unwrap();
    assert_eq!(unknown, None);
}

fn cup(minor: i64) -> Description {
    let price = domain::money::Money { minor, currency: "GBP".parse().unwrap() };
    Description {
        name: "Cup".to_owned(),
        price,
        active: true,
        prices: vec![],
        vendor: None,
        weight_grams: None,
    }
}
