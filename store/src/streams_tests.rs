//! Who goes out together with whom, shown on a database that answers when the test says so.

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

/// Notes what it is asked for, and answers each question with a permit of its own: every part with
/// the sequence that it asks for, as the version of a snapshot.
#[derive(Default)]
struct Database {
    asked: std::sync::Mutex<Vec<usize>>,
    permits: Option<Semaphore>,
    error: Option<&'static str>,
}

impl Database {
    fn that_waits() -> Arc<Self> {
        Arc::new(Self { permits: Some(Semaphore::new(0)), ..Self::default() })
    }

    fn streams(self: &Arc<Self>) -> Streams {
        let database = Arc::clone(self);
        Streams::answered_by(move |parts| {
            let database = Arc::clone(&database);
            async move { database.answer(&parts).await }
        })
    }

    async fn answer(&self, parts: &[Part]) -> Result<Vec<Found>, String> {
        self.asked.lock().unwrap().push(parts.len());
        if let Some(permits) = &self.permits {
            permits.acquire().await.unwrap().forget();
        }
        if let Some(error) = self.error {
            return Err(error.to_owned());
        }
        let found = parts.iter().map(|part| Found {
            snapshot: Some(Snapshot { version: part.after, schema: String::new(), state: None }),
            ..Found::default()
        });
        Ok(found.collect())
    }

    fn allow(&self, questions: usize) {
        self.permits.as_ref().unwrap().add_permits(questions);
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }

    /// Lets the other tasks run until so many questions have come.
    async fn has_been_asked(&self, questions: usize) {
        while self.asked().len() < questions {
            tokio::task::yield_now().await;
        }
    }
}

fn part(after: i64, events_max: i64) -> Part {
    Part {
        aggregate_type: "order",
        aggregate_id: after.to_string(),
        after,
        schema: None,
        events_max,
    }
}

type Asked = JoinHandle<Result<Found, ExecuteError>>;

/// Asks for each part, without waiting for the answers.
fn ask(streams: &Streams, parts: impl Iterator<Item = Part>) -> Vec<Asked> {
    parts
        .map(|part| {
            let streams = streams.clone();
            tokio::spawn(async move { streams.read(part).await })
        })
        .collect()
}

/// Keeps both queries busy, with parts 1 and 2.
async fn ask_for_two(streams: &Streams, database: &Database) -> Vec<Asked> {
    let mut asked = Vec::new();
    for n in 1..=2 {
        asked.extend(ask(streams, [part(n, 200)].into_iter()));
        database.has_been_asked(asked.len()).await;
    }
    asked
}

/// Lets the other tasks run until so many parts wait for a query.
async fn waiting(streams: &Streams, parts: usize) {
    while streams.0.max_capacity() - streams.0.capacity() != parts {
        tokio::task::yield_now().await;
    }
}

/// The versions in the answers, in the order of the questions.
async fn versions(asked: Vec<Asked>) -> Vec<i64> {
    let answers = join_all(asked).await.into_iter();
    answers
        .map(|answer| answer.unwrap().unwrap().snapshot.unwrap().version)
        .collect()
}

#[tokio::test]
async fn what_is_wanted_while_queries_run_goes_out_together() {
    let database = Database::that_waits();
    let streams = database.streams();
    let mut asked = ask_for_two(&streams, &database).await;
    asked.extend(ask(&streams, (3..=602).map(|n| part(n, 1))));
    waiting(&streams, 600).await;
    assert_eq!(database.asked(), [1, 1], "there is no third query");

    database.allow(5);

    assert!(versions(asked).await.into_iter().eq(1..=602), "each has its own answer");
    assert_eq!(database.asked(), [1, 1, STREAMS_MAX, STREAMS_MAX, 600 - 2 * STREAMS_MAX]);
}

#[tokio::test]
async fn long_parts_go_out_in_smaller_company() {
    let database = Database::that_waits();
    let streams = database.streams();
    let mut asked = ask_for_two(&streams, &database).await;
    asked.extend(ask(&streams, (3..=32).map(|n| part(n, 5_000))));
    waiting(&streams, 30).await;

    database.allow(5);

    assert!(versions(asked).await.into_iter().eq(1..=32));
    assert_eq!(database.asked(), [1, 1, 10, 10, 10]);
}

#[tokio::test]
async fn a_query_that_fails_is_told_to_all_who_wanted_something_of_it() {
    let database = Arc::new(Database { error: Some("no such table"), ..Database::default() });
    let streams = database.streams();

    for answer in join_all(ask(&streams, (1..=9).map(|n| part(n, 200)))).await {
        let why = answer.unwrap().unwrap_err();
        assert!(matches!(why, ExecuteError::Unavailable(why) if why == "no such table"));
    }
}

#[tokio::test]
async fn nobody_asks_for_those_who_have_gone() {
    let database = Database::that_waits();
    let streams = database.streams();
    let mut asked = ask_for_two(&streams, &database).await;
    let going = ask(&streams, (3..=9).map(|n| part(n, 200)));
    asked.extend(ask(&streams, (10..=11).map(|n| part(n, 200))));
    waiting(&streams, 9).await;

    for gone in going {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    database.allow(3);

    assert_eq!(versions(asked).await, [1, 2, 10, 11]);
    assert_eq!(database.asked(), [1, 1, 2]);
}
