//! What a provider can do, so that an order that it could not be paid for is refused at once.

use domain::money::Currency;
use domain::placing::PaymentMethod;

/// What a provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// In which currencies it takes money.
    pub currencies: Codes,
    /// How customers can pay.
    pub methods: Methods,
    /// Whose customers it serves.
    pub countries: Codes,
    /// Whether less than the whole can be given back.
    pub partial_refunds: bool,
    /// In what its amounts are written.
    pub unit: Unit,
    /// Whether it wants to know who pays.
    pub needs_payer: bool,
    /// Whether its webhooks carry anything that only the provider can know. Where they do not, one
    /// that names no attempt of ours is not kept: anybody could fill the inbox.
    pub signs_webhooks: bool,
}

/// Codes of ISO 4217 or ISO 3166-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    /// Whatever there is.
    All,
    /// Whatever there is but these.
    AllBut(&'static [&'static str]),
    /// These and no others.
    Only(&'static [&'static str]),
}

/// Ways to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Methods {
    /// Every way.
    All,
    /// These and no others.
    Only(&'static [PaymentMethod]),
}

/// In what amounts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whole numbers of the smallest unit.
    Minor,
    /// Decimals of the currency itself.
    Major,
}

impl Codes {
    /// Whether this one is among them.
    pub fn contain(&self, code: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(others) => !others.contains(&code),
            Self::Only(codes) => codes.contains(&code),
        }
    }
}

impl Capabilities {
    /// Whether it serves customers of this country; the reason if not, likewise.
    pub fn serves(&self, country: &str) -> Result<(), String> {
        if self.countries.contain(country) {
            return Ok(());
        }
        Err(match self.countries {
            Codes::Only(codes) => format!("serves {}, not {country}", codes.join(", ")),
            Codes::All | Codes::AllBut(_) => format!("does not serve {country}"),
        })
    }

    /// Whether money of this currency can be paid in this way; the reason if not, as the rest of a
    /// sentence about the provider.
    pub fn takes(&self, currency: Option<Currency>, method: PaymentMethod) -> Result<(), String> {
        let is_taken = currency.is_none_or(|of| self.currencies.contain(of.code()));
        if let Methods::Only(methods) = self.methods
            && is_taken
            && !methods.contains(&method)
        {
            let name = |method: &&PaymentMethod| {
                let mut names = PaymentMethod::NAMES.iter();
                names.find(|(_, of)| of == *method).map(|(name, _)| *name)
            };
            let names: Vec<&str> = methods.iter().filter_map(|method| name(&method)).collect();
            return Err(format!("is paid by {}", names.join(", ")));
        }
        let Some(currency) = currency.filter(|of| !self.currencies.contain(of.code())) else {
            return Ok(());
        };
        Err(match self.currencies {
            Codes::Only(codes) => format!("takes {}, not {currency}", codes.join(", ")),
            Codes::All | Codes::AllBut(_) => format!("does not take {currency}"),
        })
    }
}
