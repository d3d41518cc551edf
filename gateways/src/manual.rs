//! Money that staff take themselves: cash, and transfers to the shop's own account.
//!
//! 1. Nobody is called. An attempt waits until staff say what has come in, and their word goes the
//!    way of any provider's: exactly what was asked for confirms the order, anything else does not.
//! 2. A refund is paid out by a person, and pending until they say that it is.
//! 3. It keeps nothing: what staff say goes into the log, and nothing else is known of it.

use std::sync::Arc;

use domain::attempt::Outcome;
use domain::placing::PaymentMethod;
use futures::future::{FutureExt as _, ready};

use crate::capabilities::{Capabilities, Codes, Methods, Unit};
use crate::gateway::{Calling, Charge, Found, Gateway, Payback, PaybackOutcome};
use crate::reason::Reason;
use crate::registry::{Provider, takes_no_token};
use crate::settings::{BadSetting, Environment};
use crate::webhook::{BadSignature, Delivery, Notice, Unreadable};

/// Its name.
pub const NAME: &str = "manual";
/// Switches it on: a shop that takes no money itself should not offer to.
const SETTING: &str = "MANUAL_PAYMENTS";

pub(crate) const PROVIDER: Provider =
    Provider { name: NAME, capabilities: &CAPABILITIES, accepts_token, switched_on };

const CAPABILITIES: Capabilities = Capabilities {
    currencies: Codes::All,
    methods: Methods::Only(&[PaymentMethod::Cash, PaymentMethod::BankTransfer]),
    countries: Codes::All,
    partial_refunds: true,
    unit: Unit::Major,
    needs_payer: false,
    signs_webhooks: true,
};

/// Whoever takes money in the shop.
struct Manual;

fn switched_on(environment: &Environment) -> Result<Option<Arc<dyn Gateway>>, BadSetting> {
    let is_on = environment.switch(SETTING)?;
    Ok(is_on.then(|| Arc::new(Manual) as Arc<dyn Gateway>))
}

fn accepts_token(token: Option<&str>) -> Result<(), String> {
    takes_no_token("manual payment", token).map_err(|_| "staff take no token".to_owned())
}

/// What is known of an attempt of which staff have not spoken.
fn waiting(charge: &Charge) -> Outcome {
    if charge.is_abandoned() {
        return Reason::Expired.declines();
    }
    Outcome::Accepted { provider_reference: charge.reference.clone(), next_step: None }
}

fn pending(payback: &Payback) -> PaybackOutcome {
    PaybackOutcome::Pending { provider_reference: Some(payback.refund_id.to_string()) }
}

impl Gateway for Manual {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn initialize<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Outcome> {
        ready(Ok(waiting(charge))).boxed()
    }

    fn verify<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Found<Outcome>> {
        ready(Ok(Found::Said(waiting(charge)))).boxed()
    }

    fn refund<'a>(&'a self, payback: &'a Payback) -> Calling<'a, PaybackOutcome> {
        ready(Ok(pending(payback))).boxed()
    }

    fn refund_status<'a>(&'a self, payback: &'a Payback) -> Calling<'a, Found<PaybackOutcome>> {
        ready(Ok(Found::Said(pending(payback)))).boxed()
    }

    fn takes_webhooks(&self) -> bool {
        false
    }

    fn verify_webhook_signature(&self, _delivery: &Delivery<'_>) -> Result<(), BadSignature> {
        Err(BadSignature::NotConfigured { setting: "a secret of staff's own" })
    }

    fn parse_webhook_event(&self, _delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
        Err(Unreadable("staff send no webhooks".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_if_somebody_says_so() {
        let is_on = |value: &str| {
            let environment = Environment::of([(SETTING, value)]);
            switched_on(&environment).map(|gateway| gateway.is_some())
        };
        assert!(switched_on(&Environment::default()).unwrap().is_none());
        assert_eq!((is_on("on"), is_on("off"), is_on(" ")), (Ok(true), Ok(false), Ok(false)));
        assert!(is_on("yes").unwrap_err().to_string().contains("on, off"));
        assert!(accepts_token(Some("x")).is_err() && accepts_token(None).is_ok());
    }
}
