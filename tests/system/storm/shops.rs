//! The providers that orders are paid at, and what each sells.

use std::sync::Arc;

use domain::money::Money;
use domain::placing::PaymentMethod;
use serde_json::{Value, json};
use tests::simulators::{self, Simulator};
use tests::world::an_order;

/// A provider, and the articles that are paid there.
pub(super) struct Shop {
    /// The gateway's name.
    pub(super) name: &'static str,
    /// What speaks for the provider; nothing for the sandbox, which keeps no books.
    pub(super) simulator: Option<Arc<dyn Simulator>>,
    /// Of one piece.
    pub(super) price: Money,
    method: PaymentMethod,
}

/// Every provider, and the sandbox.
pub(super) async fn all() -> Vec<Shop> {
    let simulators = simulators::all().await;
    let sandbox = Shop {
        name: "sandbox",
        simulator: None,
        price: Money { minor: 450, currency: "GBP".parse().unwrap() },
        method: PaymentMethod::CreditCard,
    };
    simulators
        .into_iter()
        .map(Shop::of)
        .chain([sandbox])
        .collect()
}

impl Shop {
    fn of(simulator: Arc<dyn Simulator>) -> Self {
        Self {
            name: simulator.name(),
            price: simulator.price(),
            method: simulator.method(),
            simulator: Some(simulator),
        }
    }

    /// What there is enough of.
    pub(super) fn common(&self) -> String {
        format!("cup-{}", self.name)
    }

    /// What there is too little of.
    pub(super) fn rare(&self) -> String {
        format!("vase-{}", self.name)
    }

    /// How it is paid, as bodies say it.
    pub(super) fn payment(&self, token: Option<&str>) -> Value {
        let methods = PaymentMethod::NAMES;
        let method = methods.iter().find(|(_, of)| *of == self.method).unwrap();
        let mut payment = json!({"payment_method": method.0, "gateway": self.name});
        let own = self.simulator.as_ref().and_then(|of| of.token());
        if let Some(token) = token.or(own) {
            payment["payment_token"] = token.into();
        }
        payment
    }

    /// The body of an order.
    pub(super) fn order(&self, rare: bool, quantity: u32, token: Option<&str>) -> Value {
        let sku = if rare { self.rare() } else { self.common() };
        let mut order = an_order(&[(&sku, quantity)]);
        order["currency"] = self.price.currency.code().into();
        let payment = self.payment(token);
        for (name, value) in payment.as_object().unwrap() {
            order[name] = value.clone();
        }
        order
    }
}
