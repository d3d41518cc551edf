//! How many pieces of an article can still be had. What everybody who looks at a shop asks is
//! answered from memory; the database is asked for what that does not hold, and by one of all who ask
//! for the same at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use domain::ids::Sku;
use metrics::counter;
use moka::future::Cache;
use projections::availability::{self, AvailabilityView, Found};
use projections::listings::Onlooker;
use projections::{products, stock};

use super::App;
use super::listings::Looking;
use super::offering::{can_be_bought, vendor_of};
use super::parameters::{OfSku, Parameters};
use super::problem::Problem;
use super::queries::{self, Asking};

/// The metric that counts what memory did not hold.
pub(crate) const LOOKED_UP: &str = "availability_lookups_total";
/// Articles that are looked up at the same time: more than requests are answered at the same time.
const LOOK_UPS_MAX: u64 = 10_000;
/// What was found is told to those who wait for it and to nobody else; then it may go.
const LOOK_UP_KEPT: Duration = Duration::from_secs(1);

/// What the read models said, and how far they were.
type LookUp = Result<(i64, Option<Found>), Problem>;

/// Look-ups under way; clones share them.
#[derive(Clone)]
pub struct LookUps(Cache<Sku, LookUp>);

impl Default for LookUps {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(LOOK_UPS_MAX);
        Self(cache.time_to_live(LOOK_UP_KEPT).build())
    }
}

impl LookUps {
    /// Asks, or waits for somebody who has asked already. What they are told must be as fresh as is
    /// `wanted`, or it is asked for once more.
    async fn share<F>(&self, sku: &Sku, wanted: i64, look_up: impl Fn() -> F + Sync) -> LookUp
    where
        F: Future<Output = LookUp> + Send,
    {
        let is_own = AtomicBool::new(false);
        let asked = async {
            is_own.store(true, Ordering::Relaxed);
            look_up().await
        };
        // What is over is never told: an entry is good for those who came while it was made.
        let entry = self.0.entry(sku.clone());
        let found = entry
            .or_insert_with_if(asked, |_over| true)
            .await
            .into_value();
        let is_own = is_own.load(Ordering::Relaxed);
        let is_stale = found
            .as_ref()
            .is_ok_and(|(position, _)| !is_own && *position < wanted);
        let from = if is_own || is_stale {
            "database"
        } else {
            "another"
        };
        counter!(LOOKED_UP, "from" => from).increment(1);
        if is_stale { look_up().await } else { found }
    }
}

/// Show a product's availability
///
/// Only that, and at once: from memory. An order is still the only way to know whether it can be
/// had. Of what customers cannot buy only staff and its vendor are told.
#[utoipa::path(
    get, path = "/products/{sku}/availability", tag = "products",
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "How many there are", body = AvailabilityView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    looking: Looking,
    OfSku(sku): OfSku,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let sees_all = looking.widest() == Onlooker::Staff
        && looking.at(vendor_of(&app, &sku).await?) == Onlooker::Staff;
    if !sees_all && !can_be_bought(&app, &sku).await? {
        let position = asking.log_position(&app).await?;
        return Err(Problem::not_found("product").at(position));
    }
    let view = match asking.remembered(&app, &sku).await? {
        Some(view) => view,
        None => look_up(&app, &sku, &asking).await?,
    };
    // True at this moment, and cheap to ask again: a kept copy would sell what is gone, so this is
    // none of the routes whose answers may be kept.
    Ok(queries::show(view.as_of_position, &view))
}

async fn look_up(app: &App, sku: &Sku, asking: &Asking) -> Result<AvailabilityView, Problem> {
    let (models, wanted) = ([products::NAME, stock::NAME], asking.min_position());
    if 0 < wanted {
        // Before anybody waits for the look-up, or a position far away would hold all of them up.
        let _reached = asking.position(app, &models).await?;
    }
    let look_up = || async {
        let (position, _seat) = Asking::default().seat(app, &models).await?;
        let found = availability::find(app.read_models.reads(), sku).await?;
        Ok((position, found))
    };
    let (position, found) = app.look_ups.share(sku, wanted, look_up).await?;
    let found = found.ok_or_else(|| Problem::not_found("product").at(position))?;
    Ok(app.availability.learn(sku, found))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Barrier;

    use super::*;

    fn cup() -> Sku {
        "cup".parse().unwrap()
    }

    #[tokio::test]
    async fn of_many_who_ask_for_the_same_article_one_asks_the_database() {
        const MANY: usize = 64;
        let (look_ups, sku) = (LookUps::default(), cup());
        let (asked, barrier) = (AtomicUsize::new(0), Barrier::new(MANY));
        let ask = || async {
            barrier.wait().await;
            let look_up = || async {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok((7, None))
            };
            look_ups.share(&sku, 0, look_up).await.unwrap().0
        };
        let told = futures::future::join_all((0..MANY).map(|_| ask())).await;
        assert!(told.iter().all(|position| *position == 7));
        assert_eq!(asked.load(Ordering::Relaxed), 1);

        // Who comes later asks again: it may be another by then.
        let later = look_ups.share(&sku, 0, || async { Ok((9, None)) }).await;
        assert_eq!(later.unwrap().0, 9);
    }

    #[tokio::test]
    async fn who_knows_of_a_position_is_told_of_none_before_it_and_trouble_is_shared() {
        let (look_ups, sku) = (LookUps::default(), cup());
        for (first, second) in [
            (Ok((7, None)), Some(8)),
            (Ok((9, None)), Some(9)),
            (Err(Problem::unavailable()), None),
        ] {
            let (begun, go_on) = (Barrier::new(2), Barrier::new(2));
            let early = look_ups.share(&sku, 0, || async {
                begun.wait().await;
                go_on.wait().await;
                first.clone()
            });
            let late = async {
                begun.wait().await;
                let late = look_ups.share(&sku, 8, || async { Ok((8, None)) });
                tokio::join!(late, go_on.wait()).0
            };
            let (early, late) = tokio::join!(early, late);
            let position = |found: LookUp| found.ok().map(|(position, _)| position);
            assert_eq!((position(early), position(late)), (position(first), second));
        }
    }
}
