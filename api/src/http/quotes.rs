//! Exchange rates in memory, so that an order asks no database.
//!
//! 1. What this process has loaded counts at once, what another has within [`LEARN_EVERY`].
//! 2. A rate counts from its own day on, and until it is older than the bound. Days are those of UTC,
//!    and are looked at when a price is converted, not when the rate was read.
//! 3. While no rate was ever loaded, nothing is converted.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use domain::exchange::{Conversion, Quote, Rate, Unconvertible};
use domain::money::{Currency, Money};
use sqlx::{FromRow, PgPool};
use tokio::sync::Mutex;

/// How often a process looks at what others have loaded, and at whether a new day has begun.
pub const LEARN_EVERY: Duration = Duration::from_secs(5);
/// The only currency that has no rate.
const EURO: &str = "EUR";

/// The newest rate of each currency; clones share them.
#[derive(Debug, Clone)]
pub struct Quotes(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    pool: PgPool,
    days_max: u16,
    newest: RwLock<Arc<Newest>>,
    /// Held while they are read: what was read first must not be kept last.
    learning: Mutex<()>,
}

type Newest = HashMap<Currency, Quote>;

/// Rates to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Loading {
    /// Who published them.
    pub(crate) source: String,
    /// One for each of these currencies.
    pub(crate) rates: Vec<(Currency, Rate)>,
}

/// A stored rate.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Stored {
    pub(crate) currency: String,
    pub(crate) date: NaiveDate,
    pub(crate) per_eur: String,
    pub(crate) source: String,
    pub(crate) loaded_by: String,
    pub(crate) loaded_at: DateTime<Utc>,
}

/// Why a price has not been converted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(crate) enum NotConverted {
    /// Invariant 3.
    #[error(
        "the product is sold in {from} only; give it a price in {into} (`prices` of PUT \
         /products/{{sku}}), or load exchange rates (PUT /exchange-rates/{{date}})"
    )]
    NeverLoaded { from: &'static str, into: &'static str },
    /// Invariant 2.
    #[error(
        "the product is sold in {from}, and {missing} to convert that into {into}; load a newer \
         one (PUT /exchange-rates/{{date}}), or give the product a price in {into}"
    )]
    NoRate { from: &'static str, into: &'static str, missing: String },
    /// It comes to nothing, or to too much.
    #[error("{why}; give the product a price in {into}")]
    NoAmount { into: &'static str, why: String },
}

impl Quotes {
    /// Reads the rates of a migrated database; `days_max` is how old a rate may be.
    pub async fn open(pool: PgPool, days_max: u16) -> sqlx::Result<Self> {
        let (newest, learning) = (RwLock::default(), Mutex::default());
        let quotes = Self(Arc::new(Parts { pool, days_max, newest, learning }));
        quotes.learn().await?;
        Ok(quotes)
    }

    /// Hears of what others load, for ever.
    pub async fn keep_up(self) {
        let mut ticks = tokio::time::interval(LEARN_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.learn().await {
                tracing::warn!(%error, "new exchange rates are heard of late");
            }
        }
    }

    async fn learn(&self) -> sqlx::Result<()> {
        let _alone = self.0.learning.lock().await;
        let rows = self.on(today()).await?;
        let quote = |row: Stored| {
            let per_eur = row.per_eur.parse().ok()?;
            Some((
                row.currency.parse().ok()?,
                Quote { per_eur, date: row.date, source: row.source },
            ))
        };
        let newest = rows.into_iter().filter_map(quote).collect();
        // Replaced whole, so a panic elsewhere leaves nothing half done.
        *self
            .0
            .newest
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(newest);
        Ok(())
    }

    /// Stores rates of a day, and counts those that are new or have changed. Other currencies of
    /// that day stay as they are.
    pub(crate) async fn load(
        &self,
        date: NaiveDate,
        mut loading: Loading,
        by: &str,
    ) -> sqlx::Result<u64> {
        // In the same order as anybody else, so that two who load the same day do not wait for each
        // other for ever.
        loading.rates.sort_by_key(|(currency, _)| currency.code());
        let (currencies, rates): (Vec<_>, Vec<_>) = loading
            .rates
            .iter()
            .map(|(currency, rate)| (currency.code(), rate.to_string()))
            .unzip();
        let done = sqlx::query(
            "insert into exchange_rates as known (currency, date, per_eur, source, loaded_by) \
             select unnest($1::text[]), $2, unnest($3::text[])::numeric, $4, $5 \
             on conflict (currency, date) do update \
             set per_eur = excluded.per_eur, source = excluded.source, \
                 loaded_by = excluded.loaded_by, loaded_at = now() \
             where (known.per_eur, known.source) <> (excluded.per_eur, excluded.source)",
        )
        .bind(currencies)
        .bind(date)
        .bind(rates)
        .bind(&loading.source)
        .bind(by)
        .execute(&self.0.pool)
        .await?;
        self.learn().await?;
        Ok(done.rows_affected())
    }

    /// The newest rate of each currency up to a day, in order of their codes.
    pub(crate) async fn on(&self, date: NaiveDate) -> sqlx::Result<Vec<Stored>> {
        sqlx::query_as(include_str!("newest_rates.sql"))
            .bind(date)
            .fetch_all(&self.0.pool)
            .await
    }

    /// Days that a rate may be old.
    pub(crate) fn days_max(&self) -> u16 {
        self.0.days_max
    }

    /// Whether a rate of one day still counts on another.
    pub(crate) fn counts(&self, of: NaiveDate, on: NaiveDate) -> bool {
        (0..=i64::from(self.0.days_max)).contains(&on.signed_duration_since(of).num_days())
    }

    /// The rates as they are now, for all the lines of an order.
    pub(crate) fn now(&self) -> Market {
        let newest = self.0.newest.read().unwrap_or_else(PoisonError::into_inner);
        Market { newest: Arc::clone(&newest), days_max: self.0.days_max, today: today() }
    }
}

/// Rates at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Market {
    newest: Arc<Newest>,
    days_max: u16,
    today: NaiveDate,
}

impl Market {
    /// A price in another currency, and how it came about.
    pub(crate) fn convert(
        &self,
        price: Money,
        into: Currency,
    ) -> Result<(Money, Conversion), NotConverted> {
        let codes = (price.currency.code(), into.code());
        if self.newest.is_empty() {
            return Err(NotConverted::NeverLoaded { from: codes.0, into: codes.1 });
        }
        let from = self.quote(price.currency, codes)?;
        let to = self.quote(into, codes)?;
        let conversion = Conversion { price, from, to };
        match conversion.converted(into) {
            Ok(converted) => Ok((converted, conversion)),
            Err(why @ (Unconvertible::TooSmall { .. } | Unconvertible::TooLarge { .. })) => {
                Err(NotConverted::NoAmount { into: codes.1, why: why.to_string() })
            }
        }
    }

    /// The rate of a currency; none is needed for the euro.
    fn quote(
        &self,
        currency: Currency,
        (from, into): (&'static str, &'static str),
    ) -> Result<Option<Quote>, NotConverted> {
        if currency.code() == EURO {
            return Ok(None);
        }
        let no_rate = |missing: String| NotConverted::NoRate { from, into, missing };
        let Some(quote) = self.newest.get(&currency) else {
            return Err(no_rate(format!("there is no rate of {currency}")));
        };
        let age = self.today.signed_duration_since(quote.date).num_days();
        if i64::from(self.days_max) < age {
            let (date, days) = (quote.date, self.days_max);
            let missing = format!(
                "the newest rate of {currency} is of {date}, more than {days} days old and too old"
            );
            return Err(no_rate(missing));
        }
        Ok(Some(quote.clone()))
    }
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}

#[cfg(test)]
impl Market {
    /// Rates of days that lie so far back.
    pub(crate) fn of(rates: &[(&str, &str, i64)]) -> Self {
        let today = today();
        let quote = |(code, per_eur, days): &(&str, &str, i64)| {
            let date = today - chrono::TimeDelta::days(*days);
            let per_eur = per_eur.parse().unwrap();
            (code.parse().unwrap(), Quote { per_eur, date, source: "ECB".to_owned() })
        };
        Self { newest: Arc::new(rates.iter().map(quote).collect()), days_max: 5, today }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: &str, code: &str) -> Money {
        Money::parse(amount, code.parse().unwrap()).unwrap()
    }

    fn refused(market: &Market, amount: &str, code: &str, into: &str) -> String {
        let refused = market.convert(money(amount, code), into.parse().unwrap());
        refused.unwrap_err().to_string()
    }

    #[test]
    fn a_price_goes_through_the_euro_and_tells_both_rates() {
        let market = Market::of(&[("USD", "1.0834", 0), ("JPY", "164.35", 5)]);

        let (price, conversion) = market
            .convert(money("10.83", "USD"), "JPY".parse().unwrap())
            .unwrap();
        assert_eq!(price, money("1643", "JPY"));
        let dates = (conversion.from.unwrap().date, conversion.to.unwrap().date);
        assert_eq!(dates.0 - dates.1, chrono::TimeDelta::days(5), "each of its own day");

        let (price, conversion) = market
            .convert(money("10.00", "EUR"), "USD".parse().unwrap())
            .unwrap();
        assert_eq!((price, conversion.from), (money("10.83", "USD"), None));
    }

    #[test]
    fn what_is_missing_or_too_old_is_named_with_what_would_help() {
        let market = Market::of(&[("USD", "1.0834", 6), ("IDR", "17234.56", 0)]);
        let stale = refused(&market, "10.00", "USD", "IDR");
        for part in [
            "USD",
            "IDR",
            "more than 5 days old",
            "PUT /exchange-rates/{date}",
        ] {
            assert!(stale.contains(part), "{part}: {stale}");
        }
        let missing = refused(&market, "10", "JPY", "IDR");
        assert!(missing.contains("there is no rate of JPY"), "{missing}");
        let little = refused(&market, "0.50", "IDR", "EUR");
        assert!(little.contains("give the product a price in EUR"), "{little}");

        let off = refused(&Market::of(&[]), "10.00", "EUR", "USD");
        assert!(off.contains("load exchange rates") && off.contains("`prices`"), "{off}");
    }
}
