//! What an order is promised: the promotion whose code it names, or, of those that apply by
//! themselves, the one that takes most off. Those are in memory, so that an order asks no database.
//!
//! Limits are looked at here to say no at once. They are kept by the checkout process, which holds a
//! use for the order as it holds its stock: of two orders that come at the same time, the second may
//! still fail.
//!
//! 1. A promotion that this process has acknowledged counts for every order from then on, one of
//!    another process as soon as the feed brings it.
//! 2. Newer terms are never replaced by older ones: versions decide.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::CustomerId;
use domain::money::Currency;
use domain::placing::{Discount, Line};
use domain::promotion::{self, Code, Inapplicable, Promotion, Refusal, Terms};
use projections::{ReadModels, promotions};
use store::feed::Feeds;
use store::recorded::RecordedEvent;

use super::App;
use super::problem::{Flaw, Problem};
use super::protection::guesses::Guesser;

/// Most promotions that apply by themselves at a time: every order is compared with each.
const AUTOMATIC_MAX: usize = 50;

/// The promotions that apply by themselves; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Promises {
    known: Arc<RwLock<Arc<Known>>>,
}

/// Terms by code, each with the version that they are of.
type Known = BTreeMap<Code, (i64, Terms)>;

/// What may be promised a discount.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basket<'a> {
    pub(crate) lines: &'a [Line],
    pub(crate) currency: Currency,
    /// Whose, if they have an account.
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) at: DateTime<Utc>,
}

impl Promises {
    /// Those of the read model, and the position from which on they are to be kept up.
    pub async fn open(read_models: &ReadModels) -> Result<(Self, i64), projections::Error> {
        let promises = Self::default();
        // Before the rows are read: what comes meanwhile is heard twice, and counts once.
        let mark = read_models.reached(promotions::NAME).await?;
        for (code, version, terms) in promotions::automatic(read_models.reads()).await? {
            promises.described(&code, version, &terms);
        }
        Ok((promises, mark))
    }

    /// A promotion is offered like this since a version of it.
    pub(crate) fn described(&self, code: &Code, version: i64, terms: &Terms) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(code).is_some_and(|(newer, _)| version < *newer) {
            return;
        }
        let mut changed = Known::clone(&known);
        // What no longer applies by itself is kept as well: older terms must not come back.
        if terms.automatic || changed.contains_key(code) {
            changed.insert(code.clone(), (version, terms.clone()));
        }
        *known = Arc::new(changed);
    }

    /// Why this promotion may not apply by itself, if so many others do.
    pub(crate) fn has_no_room_for(&self, code: &Code, terms: &Terms) -> Option<Problem> {
        if !terms.automatic || !terms.active {
            return None;
        }
        let now = Utc::now();
        let known = self.known();
        let others = known.iter().filter(|(other, (_, terms))| {
            let is_over = terms.ends_at.is_some_and(|ends_at| ends_at <= now);
            *other != code && terms.automatic && terms.active && !is_over
        });
        (AUTOMATIC_MAX <= others.count()).then(|| {
            let detail = format!(
                "{AUTOMATIC_MAX} promotions apply by themselves already; end one of them first"
            );
            Problem::new(StatusCode::CONFLICT, "too_many_promotions", detail)
        })
    }

    /// Hears what other processes offer, from `mark` on, for ever.
    pub async fn keep_up(self, feeds: Feeds, mark: i64) {
        let late = "new promotions are heard of late";
        feeds
            .follow(mark, late, |batch| batch.iter().for_each(|event| self.hear(event)))
            .await;
    }

    fn hear(&self, recorded: &RecordedEvent) {
        if let Event::Promotion(promotion::Event::Described(terms)) = &recorded.event
            && let Ok(code) = recorded.aggregate_id.parse()
        {
            self.described(&code, recorded.sequence, terms);
        }
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the promotion of this code takes off, or why it does not. Whoever names too many that do not
/// exist is not told of any.
pub(crate) async fn by_code(
    app: &App,
    guesser: Guesser,
    code: &Code,
    basket: Basket<'_>,
) -> Result<Result<Discount, Problem>, Problem> {
    // Whoever is held up costs no look-up; and nobody is counted while it takes its time, or many who
    // name what exists at the same moment would hold up one another.
    drop(guesser.look(app)?);
    let (promotion, _) = app.journal.decided::<Promotion>(code.as_str()).await?;
    let guess = guesser.look(app)?;
    let Some(terms) = promotion.terms() else {
        guess.was_wrong();
        return Ok(Err(refused("promotion_unknown", "there is no such promotion")));
    };
    let applied = terms.apply(code, basket.lines, basket.currency, basket.at);
    Ok(match (applied, promotion.may_be_used(basket.customer_id)) {
        (Err(why), _) => Err(inapplicable(&why)),
        (Ok(_), Err(why)) => Err(limited(&why)),
        (Ok(discount), Ok(())) => Ok(discount),
    })
}

/// What is taken off without anybody asking for it, if anything is.
pub(crate) async fn automatic(app: &App, basket: Basket<'_>) -> Result<Option<Discount>, Problem> {
    let known = app.promises.known();
    let apply = |(code, (_, terms)): (&Code, &(i64, Terms))| {
        let discount = terms
            .automatic
            .then(|| terms.apply(code, basket.lines, basket.currency, basket.at))?;
        Some((discount.ok()?, terms.uses_max.is_some()))
    };
    let mut found: Vec<(Discount, bool)> = known.iter().filter_map(apply).collect();
    // The first by code among those that take the same off.
    found.sort_by_key(|(discount, _)| std::cmp::Reverse(discount.amount_minor));
    for (discount, is_limited) in found {
        if !is_limited {
            return Ok(Some(discount));
        }
        let code = discount.promotion.as_str();
        let (promotion, _) = app.journal.decided::<Promotion>(code).await?;
        if promotion.may_be_used(basket.customer_id).is_ok() {
            return Ok(Some(discount));
        }
    }
    Ok(None)
}

fn inapplicable(why: &Inapplicable) -> Problem {
    refused("promotion_not_applicable", &why.to_string())
}

fn limited(why: &Refusal) -> Problem {
    let code = match why {
        Refusal::SignIn => "promotion_needs_account",
        _ => "promotion_used_up",
    };
    refused(code, &why.to_string())
}

fn refused(code: &'static str, detail: &str) -> Problem {
    let flaw = Flaw { pointer: "/promotion_code".to_owned(), detail: detail.to_owned() };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).with_flaws(vec![flaw])
}
