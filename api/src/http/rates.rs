//! Exchange rates: loaded by administrators, shown to whoever reads figures.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::exchange::Rate;
use domain::money::Currency;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::bodies::LoadRates;
use super::fields::{Body, Fields};
use super::identity::{Caller, Readers, Staff};
use super::parameters::Parameters;
use super::problem::{Flaw, Problem};
use super::quotes::{Loading, Stored};
use super::said::{Said, tell};

/// Most rates of one request: there are not as many currencies.
const RATES_MAX: usize = 300;
const SOURCE_CHARS_MAX: usize = 100;
/// The euro was born on 1999-01-01, and first quoted on the Monday after.
const FIRST_DAY: &str = "1999-01-04";
/// A rate may be loaded before its day; one of a day far ahead is a slip of the pen.
const AHEAD_DAYS_MAX: i64 = 31;

/// What loading rates has come to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoadedView {
    /// The day
    date: NaiveDate,
    /// Rates that are new, or not what they were
    changed: u64,
    /// Rates that were known already
    unchanged: u64,
}

/// Exchange rates that count on a day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RatesView {
    /// The day
    date: NaiveDate,
    /// Days that a rate may be old and still count
    days_max: u16,
    /// The newest rate of each currency up to that day, in order of their codes
    items: Vec<RateView>,
}

/// What one euro costs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RateView {
    /// In this currency
    #[schema(example = "USD")]
    currency: String,
    /// Exact decimal
    #[schema(example = "1.0834")]
    per_eur: String,
    /// The day that it is of
    date: NaiveDate,
    /// Whether it counts on the day that was asked for, and is not too old by then
    counts: bool,
    /// Who published it
    source: String,
    /// Who loaded it last
    loaded_by: String,
    /// When
    loaded_at: DateTime<Utc>,
}

/// The body of [`load`].
#[derive(Debug)]
pub(crate) struct LoadingRates(Loading);

impl Body for LoadingRates {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let source = fields.text("source", SOURCE_CHARS_MAX);
        let rates = fields.list("rates", RATES_MAX, |rate| {
            let currency = rate.of("currency", currency);
            let per_eur: Option<Rate> = rate.of("per_eur", str::parse);
            Some((currency?, per_eur?))
        })?;
        let mut seen = std::collections::HashSet::new();
        let twice: Vec<usize> = rates
            .iter()
            .enumerate()
            .filter(|(_, (currency, _))| !seen.insert(*currency))
            .map(|(index, _)| index)
            .collect();
        for index in &twice {
            fields.flaw_within("rates", *index, "currency", "is named twice");
        }
        twice.is_empty().then_some(())?;
        Some(Self(Loading { source: source?, rates }))
    }
}

fn currency(code: &str) -> Result<Currency, String> {
    match code {
        "EUR" => Err("is what every rate is measured in".to_owned()),
        code => code
            .parse()
            .map_err(|error: domain::money::UnknownCurrency| error.to_string()),
    }
}

/// The day that a path names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfDay(NaiveDate);

impl<S: Send + Sync> FromRequestParts<S> for OfDay {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let text = text.map_or_else(|_| String::new(), |Path(text)| text);
        day(&text).map(Self).map_err(|detail| {
            Problem::invalid_parameters(vec![Flaw { pointer: "{date}".to_owned(), detail }])
        })
    }
}

/// A day that rates may be of.
fn day(text: &str) -> Result<NaiveDate, String> {
    let is_long = text.len() == FIRST_DAY.len();
    let day = text.parse::<NaiveDate>().ok().filter(|_| is_long);
    let day = day.ok_or_else(|| "must be a day such as 2026-11-26".to_owned())?;
    let last = Utc::now().date_naive() + TimeDelta::days(AHEAD_DAYS_MAX);
    if FIRST_DAY.parse().is_ok_and(|first: NaiveDate| day < first) || last < day {
        return Err(format!("must be {FIRST_DAY} to {last}"));
    }
    Ok(day)
}

/// Load exchange rates
///
/// Of one day: units of each currency that one euro buys, exact, as the ECB publishes them. The
/// newest counts from its day on, until it is too old; other currencies of the day stay as they
/// are. Orders keep the rate that they were converted by. A repetition changes nothing.
#[utoipa::path(
    put, path = "/exchange-rates/{date}", tag = "products", security(("staff" = [])),
    request_body = LoadRates,
    params(("date" = NaiveDate, Path, description = "The day that the rates are of")),
    responses((status = 200, description = "They are loaded", body = LoadedView))
)]
pub(crate) async fn load(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfDay(date): OfDay,
    Said(LoadingRates(loading)): Said<LoadingRates>,
) -> Result<Response, Problem> {
    let all = u64::try_from(loading.rates.len()).unwrap_or(u64::MAX);
    let changed = app.quotes.load(date, loading, &caller.to_string()).await?;
    let unchanged = all.saturating_sub(changed);
    Ok(tell(StatusCode::OK, &LoadedView { date, changed, unchanged }))
}

/// Show exchange rates
///
/// Those that count on a day: of each currency the newest up to it.
#[utoipa::path(
    get, path = "/exchange-rates", tag = "products",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(("date" = Option<NaiveDate>, Query, description = "Today if not given")),
    responses((status = 200, description = "The rates", body = RatesView))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let date = parameters.optional("date", day);
    parameters.finish()?;
    let date = date.unwrap_or_else(|| Utc::now().date_naive());
    let stored = app.quotes.on(date).await?;
    let items = stored
        .into_iter()
        .map(|rate| RateView::of(rate, |of| app.quotes.counts(of, date)))
        .collect();
    Ok(tell(
        StatusCode::OK,
        &RatesView { date, days_max: app.quotes.days_max(), items },
    ))
}

impl RateView {
    fn of(rate: Stored, counts: impl Fn(NaiveDate) -> bool) -> Self {
        Self {
            currency: rate.currency,
            per_eur: rate.per_eur,
            counts: counts(rate.date),
            date: rate.date,
            source: rate.source,
            loaded_by: rate.loaded_by,
            loaded_at: rate.loaded_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::fields;

    fn told(rates: &Value) -> String {
        let body = json!({"source": "ECB", "rates": rates});
        format!("{:?}", fields::read_value::<LoadingRates>(&body, &[]))
    }

    #[test]
    fn every_rate_that_is_none_is_named() {
        let rate =
            |currency: &str, per_eur: &str| json!({"currency": currency, "per_eur": per_eur});
        let good = told(&json!([rate("USD", "1.0834"), rate("JPY", "164.35")]));
        assert!(good.starts_with("Ok"), "{good}");
        let bad = told(&json!([
            rate("USD", "1.0834"), rate("EUR", "1"), rate("ZZZ", "1"), rate("GBP", "-1"),
            {"currency": "CHF", "per_eur": 0.93}
        ]));
        for pointer in [
            "/rates/1/currency",
            "/rates/2/currency",
            "/rates/3/per_eur",
            "/rates/4/per_eur",
        ] {
            assert!(bad.contains(pointer), "{pointer}: {bad}");
        }
        let twice = told(&json!([rate("USD", "1.08"), rate("USD", "1.09")]));
        assert!(twice.contains("/rates/1/currency"), "{twice}");
    }

    #[test]
    fn a_day_is_written_out_and_lies_neither_before_the_euro_nor_far_ahead() {
        assert!(day("1999-01-04").is_ok() && day(&Utc::now().date_naive().to_string()).is_ok());
        for text in [
            "",
            "2026-1-1",
            "2026-02-30",
            "1999-01-01",
            "9999-01-01",
            "today",
        ] {
            assert!(day(text).is_err(), "{text}");
        }
    }
}
