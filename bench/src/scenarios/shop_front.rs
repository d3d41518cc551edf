//! `shop-front`: what a shop front sends, in the mix in which it does: lists with filters, pages,
//! categories, promotions and availability; now and then a cart and an order, which changes stock;
//! and now and then a price that staff change. Compared with the same mix where nothing is kept.
//!
//! Half of the connections are browsers, each of a visitor who knows nothing at first and leaves after
//! some requests; the others are a CDN's, which has what it asked for before. Both ask again with the
//! tag of what they have. What they may still show without asking is not asked for here at all.
//!
//! What is told out of memory is counted by Daybook itself; after each round the price that was changed
//! last must be the one that is shown.

mod looks;
mod mix;

use serde_json::{Value, json};

use super::{Stage, accept, catalogue};
use crate::error::Error;
use crate::figure::Figure;
use crate::http::Connection;
use crate::load::{self, Loaded, Plan};
use crate::meter::Meter;
use crate::numbers::float;
use crate::requests;
use crate::shop::{self, Each};

use self::looks::Keeping;
use self::mix::{Mix, Priced};

const CONNECTIONS: usize = 64;
/// What the shop has on offer beside its prices.
const PROMOTIONS: u32 = 5;
/// What Daybook counts its answers by.
const TOLD: &str = "catalogue_answers_total";

/// Measures requests per second.
pub(crate) async fn run(stage: &mut Stage) -> Result<Figure, Error> {
    let mut figure = Figure::new("shop-front", "requests/s");
    "the same without tags, as staff see it, computed each time".clone_into(&mut figure.against);
    catalogue::describe(stage).await?;
    promote(stage).await?;
    let (mut hits, mut done) = (Hits::default(), Done::default());
    for _ in 0..stage.settings.rounds {
        let (reference, _) = round(stage, Keeping::Nothing).await?;
        figure.references.push(reference.rate());
        stage.daybook.settle().await?;
        let (before, meter) = (Hits::of(stage).await?, Meter::start(&stage.daybook));
        let (loaded, mix) = round(stage, Keeping::Tags).await?;
        meter.stop(&mut figure, loaded.acknowledged);
        hits.add(Hits::of(stage).await?, before);
        done.add(&loaded, &mix);
        figure.values.push(loaded.rate());
        figure.latency.add(&loaded.latency);
        stage.tell(&figure);
    }
    figure.detail("hit rate of the catalogue", hits.rate());
    figure.detail("share of answers that were 304", done.unchanged / done.answers.max(1.0));
    figure.detail("orders placed", done.orders);
    figure.detail("prices changed", done.prices);
    Ok(figure)
}

/// One round of the mix, and whether everything is there that was acknowledged.
async fn round(stage: &mut Stage, keeping: Keeping) -> Result<(Loaded, Mix), Error> {
    stage.daybook.settle().await?;
    let before = stage.daybook.standing().await?.head;
    let (name, seed) = (stage.named().await?, stage.settings.seed);
    let mix = Mix::new(keeping, CONNECTIONS, name, seed, stage.daybook.token.clone());
    let plan = stage.closed(CONNECTIONS);
    let (loaded, mix) = load::run(stage.daybook.address, plan, mix).await?;
    loaded.must_be_clean("a shop front is not answered")?;
    accept::all_are_there(&stage.daybook, before, mix.orders).await?;
    if let Some(priced) = &mix.priced {
        is_shown(stage, priced).await?;
    }
    Ok((loaded, mix))
}

/// Offers promotions that everybody is told of. Where that has been done, nothing is done again.
async fn promote(stage: &Stage) -> Result<(), Error> {
    let promotion = |number: u32| {
        let body = json!({"name": format!("Offer {number}"), "percentage": "5", "listed": true});
        let path = format!("/api/v1/promotions/BENCH-{number}");
        let key = format!("promotion-{number}");
        requests::command("PUT", &path, &stage.daybook.token, &key, &body.to_string())
    };
    let work = Each { requests: (0..PROMOTIONS).map(promotion).collect() };
    let (loaded, _) = load::run(stage.daybook.address, Plan::all(1), work).await?;
    loaded.must_be_clean("the promotions cannot be set up")
}

/// Whoever names the position of the last change of a price sees it: no page out of memory is older.
async fn is_shown(stage: &Stage, priced: &Priced) -> Result<(), Error> {
    let position = priced.position.to_string();
    let headers = [("daybook-min-position", position.as_str())];
    let page = catalogue::page(priced.article / catalogue::VARIANTS);
    let sku = shop::sku(priced.article);
    let mut connection = Connection::open(stage.daybook.address)
        .await
        .map_err(Error::Load)?;
    for path in [
        format!("/api/v1/products/{sku}"),
        format!("/api/v1/listings/{page}"),
    ] {
        let request = requests::get(&path, None, &headers);
        let answer = connection.exchange(&request).await.map_err(Error::Load)?;
        let view: Value = serde_json::from_slice(answer.body).unwrap_or_default();
        let variants = view["variants"].as_array().into_iter().flatten();
        let mut shown = std::iter::once(&view).chain(variants);
        let shown = shown.find(|one| one["sku"] == sku.as_str());
        let amount = shown.map(|one| &one["price"]["amount"]);
        if amount.is_none_or(|amount| *amount != priced.amount.as_str()) {
            let (position, amount, text) = (priced.position, &priced.amount, answer.text());
            return Err(Error::Check(format!(
                "{sku} costs {amount} since {position}, but {path} says: {text}"
            )));
        }
    }
    Ok(())
}

/// Answers of the catalogue, by where they came from.
#[derive(Debug, Clone, Copy, Default)]
struct Hits {
    memory: u64,
    computation: u64,
}

impl Hits {
    /// As Daybook has counted them so far.
    async fn of(stage: &Stage) -> Result<Self, Error> {
        let mut connection = Connection::open(stage.daybook.address)
            .await
            .map_err(Error::Load)?;
        let request = requests::get("/metrics", None, &[]);
        let answer = connection.exchange(&request).await.map_err(Error::Load)?;
        Ok(Self::in_text(&answer.text()))
    }

    fn in_text(metrics: &str) -> Self {
        let from = |from: &str| {
            let name = format!("{TOLD}{{from=\"{from}\"}} ");
            let mut lines = metrics.lines();
            let value = lines.find_map(|line| line.strip_prefix(&name)?.trim().parse().ok());
            value.unwrap_or(0)
        };
        Self { memory: from("memory"), computation: from("computation") }
    }

    fn add(&mut self, after: Self, before: Self) {
        self.memory += after.memory - before.memory;
        self.computation += after.computation - before.computation;
    }

    fn rate(self) -> f64 {
        float(self.memory) / float((self.memory + self.computation).max(1))
    }
}

/// What came of all rounds.
#[derive(Debug, Default)]
struct Done {
    answers: f64,
    unchanged: f64,
    orders: f64,
    prices: f64,
}

impl Done {
    fn add(&mut self, loaded: &Loaded, mix: &Mix) {
        self.answers += float(loaded.answers());
        self.unchanged += float(loaded.statuses.get(&304).copied().unwrap_or(0));
        self.orders += float(mix.orders);
        self.prices += float(mix.prices);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hit_rate_is_what_was_counted_meanwhile() {
        let metrics = |memory, computation| {
            Hits::in_text(&format!(
                "# TYPE {TOLD} counter\n{TOLD}{{from=\"memory\"}} {memory}\n\
                 {TOLD}{{from=\"computation\"}} {computation}\n"
            ))
        };
        let mut hits = Hits::default();
        hits.add(metrics(1_090, 20), metrics(1_000, 10));
        assert_eq!((hits.memory, hits.computation), (90, 10));
        assert!((hits.rate() - 0.9).abs() < 1e-9);
        assert!(Hits::in_text("").rate() < 1e-9);
    }
}
