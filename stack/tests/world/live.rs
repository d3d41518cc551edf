//! One note after the other, in a database or a stream.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull;
use async_nats::{Client, ConnectError, ConnectOptions, ServerAddr, jetstream};
use futures::TryStreamExt;
use sqlx::postgres::{PgPool, PgPoolOptions};

use super::PATIENCE;

pub(crate) struct Database(PgPool);

impl Database {
    /// Connects as soon as the server is there, which may be just recovering.
    pub(crate) async fn at(url: &str) -> Self {
        let pool = PgPoolOptions::new()
            .acquire_timeout(PATIENCE)
            .connect(url)
            .await
            .unwrap();
        let table = "create table if not exists notes (id bigserial primary key, note text)";
        sqlx::query(table).execute(&pool).await.unwrap();
        Self(pool)
    }

    pub(crate) async fn store(&self, note: &str) {
        let insert = sqlx::query("insert into notes (note) values ($1)").bind(note);
        insert.execute(&self.0).await.unwrap();
    }

    pub(crate) async fn stored(&self) -> Vec<String> {
        let notes = sqlx::query_scalar("select note from notes order by id");
        notes.fetch_all(&self.0).await.unwrap()
    }
}

pub(crate) struct Stream(jetstream::Context);

impl Stream {
    /// Connects as soon as the server is there.
    pub(crate) async fn at(url: &str) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let client = loop {
            match connect(url).await {
                Ok(client) => break client,
                Err(error) => assert!(Instant::now() < deadline, "no NATS: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let context = jetstream::new(client);
        let notes = jetstream::stream::Config {
            name: "notes".into(),
            subjects: vec!["note".into()],
            ..Default::default()
        };
        context.get_or_create_stream(notes).await.unwrap();
        Self(context)
    }

    pub(crate) async fn store(&self, note: &str) {
        let stored = self
            .0
            .publish("note", note.to_owned().into())
            .await
            .unwrap();
        stored.await.unwrap();
    }

    pub(crate) async fn stored(&self) -> Vec<String> {
        let stream = self.0.get_stream("notes").await.unwrap();
        let consumer = stream
            .create_consumer(pull::Config::default())
            .await
            .unwrap();
        let messages = consumer.fetch().max_messages(10).messages().await.unwrap();
        let notes = messages.map_ok(|message| message.payload.to_vec());
        let notes: Vec<_> = notes.try_collect().await.unwrap();
        notes
            .into_iter()
            .map(|note| String::from_utf8(note).unwrap())
            .collect()
    }
}

/// The client does not look for a user in its URL.
async fn connect(url: &str) -> Result<Client, ConnectError> {
    let address: ServerAddr = url.parse().unwrap();
    let user = address.username().unwrap().to_owned();
    let password = address.password().unwrap().to_owned();
    ConnectOptions::with_user_and_password(user, password)
        .connect(address)
        .await
}
