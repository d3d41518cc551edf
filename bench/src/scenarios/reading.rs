//! `read-order`, `read-list`, `availability`: queries over 64 connections. Orders are looked up each
//! time; availability is told out of memory, and compared with the same question to the read model.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::Stage;
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::http::{Answer, Connection};
use crate::load::{self, Next, Outcome, Work};
use crate::meter::Meter;
use crate::pgbench::Script;
use crate::requests;
use crate::shop::{self, ARTICLES, Answered, Basket, counted_if};

const CONNECTIONS: usize = 64;
/// Orders that are read; more than are in any cache close to a processor.
const ORDERS_MAX: i64 = 100_000;
/// A list of orders to choose from has at least this many.
const ORDERS_MIN: i64 = 5_000;

/// Orders by their id, as staff, at random.
pub(crate) async fn order(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("read-order", "queries/s");
    figure.target = Some(Target::RatioMin(0.5));
    let ids = order_ids(stage).await?;
    let token = stage.daybook.token.clone();
    let queries = ids
        .iter()
        .map(|id| requests::get(&format!("/api/v1/orders/{id}"), Some(&token), &[]));
    let queries: Vec<_> = queries.collect();
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        stage
            .refer(&mut figure, Script::PrimaryKey, CONNECTIONS)
            .await?;
        round(stage, &mut figure, &queries).await?;
    }
    Ok(figure)
}

/// The newest orders, as staff: the first page of the list.
pub(crate) async fn list(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("read-list", "queries/s");
    order_ids(stage).await?;
    let token = stage.daybook.token.clone();
    let queries = vec![requests::get("/api/v1/orders?limit=20", Some(&token), &[])];
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        round(stage, &mut figure, &queries).await?;
    }
    Ok(figure)
}

/// What can still be ordered of any article, as anybody may ask.
pub(crate) async fn availability(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("availability", "queries/s");
    let query = |article| {
        let path = format!("/api/v1/products/{}/availability", shop::sku(article));
        requests::get(&path, None, &[])
    };
    let queries: Vec<_> = (0..ARTICLES).map(query).collect();
    let mut connection = Connection::open(stage.daybook.address)
        .await
        .map_err(Error::Load)?;
    let probe = connection
        .exchange(&queries[0])
        .await
        .map_err(Error::Load)?;
    if probe.status == 404 {
        let note = "not available: this Daybook does not answer /products/{sku}/availability";
        figure.notes.push(note.to_owned());
        return Ok(figure);
    }
    let token = stage.daybook.token.clone();
    let looked_up = (0..ARTICLES).map(|article| {
        let path = format!("/api/v1/inventory/{}", shop::sku(article));
        requests::get(&path, Some(&token), &[])
    });
    let looked_up: Vec<_> = looked_up.collect();
    "the same looked up in the read model".clone_into(&mut figure.against);
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        let reference = rate(stage, &looked_up).await?;
        figure.references.push(reference);
        round(stage, &mut figure, &queries).await?;
    }
    Ok(figure)
}

/// How many of these queries are answered a second.
pub(crate) async fn rate(stage: &Stage, queries: &[Vec<u8>]) -> Result<f64, Error> {
    let rng = StdRng::seed_from_u64(stage.settings.seed);
    let work = AnyOf { queries: queries.to_vec(), rng };
    let (loaded, _) = load::run(stage.daybook.address, stage.closed(CONNECTIONS), work).await?;
    loaded.must_be_clean("queries are not answered")?;
    Ok(loaded.rate())
}

/// Ids of orders that are there, made if there are too few.
async fn order_ids(stage: &mut Stage) -> Result<Vec<String>, Error> {
    let count: i64 = sqlx::query_scalar("select count(*) from read.orders")
        .fetch_one(&stage.daybook.database)
        .await?;
    if count < ORDERS_MIN {
        let orders = Some((ORDERS_MIN - count).unsigned_abs());
        let placing = stage
            .placing(orders, Basket::TwoOfMany, Answered::Accepted)
            .await?;
        super::lifecycle::confirmed(&stage.daybook, placing, CONNECTIONS).await?;
    }
    Ok(sqlx::query_scalar("select order_id::text from read.orders limit $1")
        .bind(ORDERS_MAX)
        .fetch_all(&stage.daybook.database)
        .await?)
}

/// One round of queries out of these.
pub(crate) async fn round(
    stage: &Stage,
    figure: &mut Figure,
    queries: &[Vec<u8>],
) -> Result<(), Error> {
    let rng = StdRng::seed_from_u64(stage.settings.seed);
    let work = AnyOf { queries: queries.to_vec(), rng };
    let meter = Meter::start(&stage.daybook);
    let plan = stage.closed(CONNECTIONS);
    let (loaded, _) = load::run(stage.daybook.address, plan, work).await?;
    loaded.must_be_clean("queries are not answered")?;
    meter.stop(figure, loaded.acknowledged);
    figure.values.push(loaded.rate());
    figure.latency.add(&loaded.latency);
    stage.tell(figure);
    Ok(())
}

/// Any of these queries, again and again.
struct AnyOf {
    queries: Vec<Vec<u8>>,
    rng: StdRng,
}

impl Work for AnyOf {
    fn next(&mut self, _: usize, request: &mut Vec<u8>) -> Next {
        let index = self.rng.random_range(0..self.queries.len());
        request.extend_from_slice(&self.queries[index]);
        Next::Paced
    }

    fn take(&mut self, _: usize, answer: &Answer<'_>) -> Outcome {
        match answer.status {
            503 => Outcome::Passed,
            status => counted_if(status == 200),
        }
    }
}
