//! The providers there are, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::capabilities::Capabilities;
use crate::gateway::{Callback, Gateway};
use crate::routing::Candidate;
use crate::sandbox::Sandbox;
use crate::settings::{BadSetting, Environment};

/// The provider that is asked when none is named, while it is on and there are no rules.
pub const DEFAULT: &str = crate::sandbox::NAME;
/// Callbacks that may wait to be taken down; a provider then waits as well.
const CALLBACKS_MAX: usize = 10_000;

/// Whether a provider takes a token; the reason if not.
pub type AcceptsToken = fn(Option<&str>) -> Result<(), String>;

type SwitchedOn = fn(&Environment) -> Result<Option<Arc<dyn Gateway>>, BadSetting>;

/// A provider as it is before anybody switches it on.
pub struct Provider {
    /// Its name.
    pub name: &'static str,
    /// What it can do.
    pub capabilities: &'static Capabilities,
    /// Whether it takes this token; the reason if not. Asked before an order is accepted.
    pub accepts_token: AcceptsToken,
    /// Makes it of its settings; nothing if it has no credentials.
    pub(crate) switched_on: SwitchedOn,
}

/// For providers on whose own page customers pay: a browser has nothing to give.
pub(crate) fn takes_no_token(provider: &str, token: Option<&str>) -> Result<(), String> {
    match token {
        Some(_) => Err(format!("{provider} takes no token: customers pay on its page")),
        None => Ok(()),
    }
}

/// Every provider but the sandbox, one line each: in the order in which they are asked where there
/// are neither rules nor the sandbox. Staff come last.
const PROVIDERS: &[Provider] = &[
    crate::stripe::PROVIDER,
    crate::paystack::PROVIDER,
    crate::flutterwave::PROVIDER,
    crate::flutterwave_v4::PROVIDER,
    crate::mtn_momo::PROVIDER,
    crate::sslcommerz::PROVIDER,
    crate::manual::PROVIDER,
];

/// Every provider there is, on or off.
pub fn providers() -> impl Iterator<Item = &'static Provider> {
    [const { &crate::sandbox::PROVIDER }]
        .into_iter()
        .chain(PROVIDERS)
}

/// The provider of this name, on or off.
pub fn provider(name: &str) -> Option<&'static Provider> {
    providers().find(|provider| provider.name == name)
}

/// Every provider that is switched on; clones share them.
#[derive(Clone)]
pub struct Registry {
    gateways: Arc<BTreeMap<&'static str, Arc<dyn Gateway>>>,
}

impl Registry {
    /// Whatever the environment switches on or has credentials for, and where callbacks arrive.
    pub fn new(environment: &Environment) -> Result<(Self, mpsc::Receiver<Callback>), BadSetting> {
        let switched_on = PROVIDERS
            .iter()
            .map(|provider| (provider.switched_on)(environment));
        let mut others = switched_on
            .filter_map(Result::transpose)
            .collect::<Result<Vec<_>, _>>()?;
        let (callbacks, received) = mpsc::channel(CALLBACKS_MAX);
        if let Some(sandbox) = Sandbox::switched_on(callbacks, environment)? {
            others.push(Arc::new(sandbox));
        }
        Ok((Self::with(others), received))
    }

    /// These providers, made with what they send their callbacks to.
    pub fn of(
        make: impl FnOnce(mpsc::Sender<Callback>) -> Vec<Arc<dyn Gateway>>,
    ) -> (Self, mpsc::Receiver<Callback>) {
        let (callbacks, received) = mpsc::channel(CALLBACKS_MAX);
        (Self::with(make(callbacks)), received)
    }

    fn with(gateways: Vec<Arc<dyn Gateway>>) -> Self {
        let named = gateways
            .into_iter()
            .map(|gateway| (gateway.name(), gateway));
        Self { gateways: Arc::new(named.collect()) }
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Gateway>> {
        self.gateways.get(name)
    }

    /// Everybody who might be chosen, and whether they may be at all: those that are switched on,
    /// and those that could be, in the order in which they are asked where there are no rules.
    /// `is_away` says of whom it is known that they are not reached.
    pub fn candidates(&self, is_away: impl Fn(&str) -> bool) -> Vec<Candidate> {
        let known = providers().map(|provider| {
            let is_on = self.gateways.contains_key(provider.name);
            Candidate {
                gateway: provider.name,
                capabilities: provider.capabilities,
                accepts_token: Some(provider.accepts_token),
                is_on,
                is_away: is_on && is_away(provider.name),
            }
        });
        let others = self.gateways.values();
        let others = others.filter(|gateway| provider(gateway.name()).is_none());
        let others = others.map(|gateway| Candidate {
            gateway: gateway.name(),
            capabilities: gateway.capabilities(),
            accepts_token: None,
            is_on: true,
            is_away: is_away(gateway.name()),
        });
        known.chain(others).collect()
    }

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.gateways.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(variables: &[(&str, &str)]) -> Result<Vec<&'static str>, BadSetting> {
        let environment = Environment::of(variables.iter().copied());
        Registry::new(&environment).map(|(registry, _)| registry.names().collect())
    }

    #[test]
    fn nobody_is_there_who_was_not_switched_on_not_even_the_sandbox() {
        assert_eq!(on(&[]), Ok(vec![]));
        assert_eq!(on(&[("SANDBOX_PAYMENTS", "off")]), Ok(vec![]));
        assert_eq!(on(&[("SANDBOX_PAYMENTS", "on")]), Ok(vec!["sandbox"]));
        let told = on(&[("SANDBOX_PAYMENTS", "true")]).unwrap_err();
        assert!(
            told.to_string()
                .contains("SANDBOX_PAYMENTS must be one of on, off"),
            "{told}"
        );
    }

    #[test]
    #[rustfmt::skip]
    fn half_of_a_providers_credentials_is_a_mistake_that_names_the_other_half() {
        for (set, missing) in [
            (&["STRIPE_WEBHOOK_SECRET"][..],                            "STRIPE_SECRET_KEY"),
            (&["FLUTTERWAVE_SECRET_HASH"],                              "FLUTTERWAVE_SECRET_KEY"),
            (&["FLUTTERWAVE_V4_CLIENT_ID"],                             "FLUTTERWAVE_V4_CLIENT_SECRET"),
            (&["FLUTTERWAVE_V4_CLIENT_SECRET"],                         "FLUTTERWAVE_V4_CLIENT_ID"),
            (&["FLUTTERWAVE_V4_SECRET_HASH"],                           "FLUTTERWAVE_V4_CLIENT_ID"),
            (&["MTN_MOMO_API_USER"],                                    "MTN_MOMO_API_KEY"),
            (&["MTN_MOMO_API_KEY"],                                     "MTN_MOMO_API_USER"),
            (&["MTN_MOMO_API_USER", "MTN_MOMO_API_KEY"],                "MTN_MOMO_COLLECTION_KEY"),
            (&["MTN_MOMO_COLLECTION_KEY"],                              "MTN_MOMO_API_USER"),
            (&["MTN_MOMO_DISBURSEMENT_KEY"],                            "MTN_MOMO_API_USER"),
            (&["SSLCOMMERZ_STORE_ID"],                                  "SSLCOMMERZ_STORE_PASSWORD"),
            (&["SSLCOMMERZ_STORE_PASSWORD"],                            "SSLCOMMERZ_STORE_ID"),
        ] {
            let variables: Vec<(&str, &str)> = set.iter().map(|name| (*name, "x")).collect();
            let told = on(&variables).unwrap_err().to_string();
            assert!(told.starts_with(&format!("{missing} is not set")), "{set:?}: {told}");
            assert!(set.iter().any(|name| told.contains(name)), "{set:?}: {told}");
        }
    }
}
