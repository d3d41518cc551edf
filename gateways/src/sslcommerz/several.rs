//! One of several payments under the same `tran_id`: whoever comes back to the page may pay again.

use domain::attempt::Outcome;

use super::{Connected, SslCommerz, Status, TRANSACTIONS, Transactions};
use crate::gateway::{CallError, Charge, Found};

impl SslCommerz {
    /// What became of the payment that the bank calls by this name.
    pub(super) async fn ask_about_one(
        &self,
        charge: &Charge,
        bank_tran_id: &str,
    ) -> Result<Found<Outcome>, CallError> {
        let about = [("tran_id", charge.reference.as_str())];
        let reply = self.get("verify", TRANSACTIONS, &about).await?;
        let found: Transactions = reply.json()?;
        if found.connected != Connected::Done {
            return Err(reply.unexpected());
        }
        let mut all = found.element.iter();
        let one = all.find(|of| of.bank_tran_id.as_deref() == Some(bank_tran_id));
        let Some(one) = one else {
            return Ok(Found::NeverHeard);
        };
        match (&one.val_id, one.status) {
            (Some(val_id), Status::Valid | Status::Validated) => {
                self.validate(charge, val_id).await.map(Found::Said)
            }
            _ => one.outcome(charge, &reply).map(Found::Said),
        }
    }
}
