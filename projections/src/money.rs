//! How amounts are shown: exact decimals, never floats.

use domain::money::{Currency, Money};
use serde::Serialize;
use utoipa::ToSchema;

/// An exact amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MoneyView {
    /// Decimal with all of the currency's decimals.
    #[schema(example = "15.30")]
    pub amount: String,
    /// ISO 4217 code.
    #[schema(example = "GBP")]
    pub currency: String,
}

impl MoneyView {
    /// Shows minor units of a currency.
    pub fn of(minor: i64, currency: Currency) -> Self {
        Money { minor, currency }.into()
    }
}

impl From<Money> for MoneyView {
    fn from(money: Money) -> Self {
        Self { amount: money.decimal(), currency: money.currency.code().to_owned() }
    }
}
