//! What a price was converted from, as it is shown.

use chrono::NaiveDate;
use domain::exchange::{Conversion, Quote};
use domain::money::Currency;
use serde::Serialize;
use utoipa::ToSchema;

use crate::money::MoneyView;

/// A price that was converted, and the rates that it was converted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConversionView {
    /// The product's own price of one piece.
    pub unit_price: MoneyView,
    /// The rates: of its currency and of the order's, without the euro.
    pub rates: Vec<QuoteView>,
}

/// What one euro cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuoteView {
    /// In this currency.
    #[schema(value_type = String, example = "USD")]
    pub currency: &'static str,
    /// Exact decimal.
    #[schema(example = "1.0834")]
    pub per_eur: String,
    /// On this day.
    pub date: NaiveDate,
    /// As published by them.
    #[schema(example = "ECB")]
    pub source: String,
}

impl ConversionView {
    pub(super) fn of(conversion: Option<&Conversion>, into: Currency) -> Option<Self> {
        let Conversion { price, from, to } = conversion?;
        let from = from
            .iter()
            .map(|quote| QuoteView::of(price.currency, quote));
        let to = to.iter().map(|quote| QuoteView::of(into, quote));
        Some(Self { unit_price: (*price).into(), rates: from.chain(to).collect() })
    }
}

impl QuoteView {
    fn of(currency: Currency, quote: &Quote) -> Self {
        let Quote { per_eur, date, source } = quote;
        Self {
            currency: currency.code(),
            per_eur: per_eur.to_string(),
            date: *date,
            source: source.clone(),
        }
    }
}
