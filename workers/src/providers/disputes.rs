//! Money that had come in and is disputed: its provider is asked where it is, and says so in the log.

use domain::ids::PaymentId;
use domain::payment::{self, Payment};
use gateways::gateway::Found;
use store::command::ExecuteError;

use super::Providers;
use super::calls::{Errand, Step, in_time};
use crate::derived::{self, Cause};

/// What came of asking.
pub(crate) enum Asked {
    /// It is in the log where the money is.
    TakenDown,
    /// The money is where it was.
    Untouched,
    /// Nobody can say, or count, what became of it.
    Uncounted(String),
    /// The provider says nothing.
    Silence,
}

impl Providers {
    /// Asks what a dispute has made of money that came in under a reference, and takes the answer down.
    pub(crate) async fn ask_about_dispute(
        &self,
        payment_id: PaymentId,
        reference: &str,
        dispute: &str,
        key: &str,
    ) -> Result<Asked, ExecuteError> {
        // What said that the money came in may be lost, or late.
        if !self.ask_again(payment_id, reference, None, key).await? {
            return Ok(Asked::Silence);
        }
        let Some(errand) = self.disputed(payment_id, reference).await? else {
            let why = "its provider is switched off, or asked for no such money".to_owned();
            return Ok(Asked::Uncounted(why));
        };
        let (gateway, charge) = (&errand.gateway, &errand.what);
        let Some(call) = gateway.chargeback(charge, dispute) else {
            let why = "its provider does not say where the money is".to_owned();
            return Ok(Asked::Uncounted(why));
        };
        let chargeback = match in_time(gateway.name(), call).await {
            Some(Found::Said(Some(chargeback))) => chargeback,
            Some(Found::Said(None)) => return Ok(Asked::Untouched),
            Some(Found::NeverHeard) => {
                let why = "its provider has never heard of this dispute".to_owned();
                return Ok(Asked::Uncounted(why));
            }
            None => return Ok(Asked::Silence),
        };
        let reference = reference.to_owned();
        let command = payment::Command::RecordChargeback { reference, chargeback };
        let cause = Cause::named(derived::id(payment_id.0, key));
        let (order_id, name) = (errand.order_id, format!("{command:?}"));
        let step = Step { payment_id, order_id, cause: &cause, name: &name };
        Ok(match self.told(step, command).await? {
            None => Asked::TakenDown,
            Some(refusal) => Asked::Uncounted(format!("it cannot be counted: {refusal}")),
        })
    }

    async fn disputed(
        &self,
        payment_id: PaymentId,
        reference: &str,
    ) -> Result<Option<Errand>, ExecuteError> {
        let (payment, _) = self
            .journal
            .decided::<Payment>(&payment_id.to_string())
            .await?;
        match payment.unmatched() {
            Some(money) => Ok(self.nobodys(payment_id, money)),
            None => self.charge(payment_id, reference, |_| true).await,
        }
    }
}
