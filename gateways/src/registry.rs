//! The providers there are, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::gateway::{Callback, Gateway};
use crate::sandbox::Sandbox;

/// The provider that is asked when none is named.
pub const DEFAULT: &str = crate::sandbox::NAME;
/// Callbacks that may wait to be taken down; a provider then waits as well.
const CALLBACKS_MAX: usize = 10_000;

/// Every provider that is switched on; clones share them.
#[derive(Clone)]
pub struct Registry {
    gateways: Arc<BTreeMap<&'static str, Arc<dyn Gateway>>>,
}

impl Registry {
    /// The providers, and where their callbacks arrive.
    pub fn new() -> (Self, mpsc::Receiver<Callback>) {
        Self::of(|callbacks| vec![Arc::new(Sandbox::new(callbacks))])
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

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.gateways.keys().copied()
    }
}
