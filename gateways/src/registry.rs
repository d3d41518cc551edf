//! The providers there are, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::capabilities::Capabilities;
use crate::gateway::{Callback, Gateway};
use crate::routing::Candidate;
use crate::sandbox::Sandbox;
use crate::settings::{BadSetting, Environment};

/// The provider that is asked when none is named.
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

/// Every provider but the sandbox, which is always there: one line each.
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
    /// The sandbox and whatever the environment has credentials for, and where callbacks arrive.
    pub fn new(environment: &Environment) -> Result<(Self, mpsc::Receiver<Callback>), BadSetting> {
        let switched_on = PROVIDERS
            .iter()
            .map(|provider| (provider.switched_on)(environment));
        let mut others = switched_on
            .filter_map(Result::transpose)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(|callbacks| {
            others.push(Arc::new(Sandbox::new(callbacks, environment)));
            others
        }))
    }

    /// These providers, made with what they send their callbacks to.
    pub fn of(
        make: impl FnOnce(mpsc::Sender<Callback>) -> Vec<Arc<dyn Gateway>>,
    ) -> (Self, mpsc::Receiver<Callback>) {
        let (callbacks, received) = mpsc::channel(CALLBACKS_MAX);
        let gateways = make(callbacks)
            .into_iter()
            .map(|gateway| (gateway.name(), gateway))
            .collect();
        (Self { gateways: Arc::new(gateways) }, received)
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Gateway>> {
        self.gateways.get(name)
    }

    /// Everybody who might be chosen, and whether they may be at all: those that are switched on,
    /// and those that could be. `is_away` says of whom it is known that they are not reached.
    pub fn candidates(&self, is_away: impl Fn(&str) -> bool) -> Vec<Candidate> {
        let on = self.gateways.values().map(|gateway| Candidate {
            gateway: gateway.name(),
            capabilities: gateway.capabilities(),
            accepts_token: provider(gateway.name()).map(|provider| provider.accepts_token),
            is_on: true,
            is_away: is_away(gateway.name()),
        });
        let off = providers().filter(|provider| !self.gateways.contains_key(provider.name));
        let off = off.map(|provider| Candidate {
            gateway: provider.name,
            capabilities: provider.capabilities,
            accepts_token: Some(provider.accepts_token),
            is_on: false,
            is_away: false,
        });
        on.chain(off).collect()
    }

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.gateways.keys().copied()
    }
}
