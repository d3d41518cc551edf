//! Forgetting somebody: which accounts and addresses are theirs, and what is kept of those.

use uuid::Uuid;

use crate::attempts::{self, Kind};
use crate::error::Error;
use crate::{Accounts, email_key};

/// By what somebody is named who is to be forgotten.
#[derive(Debug, Clone, Copy)]
pub enum Whom<'a> {
    /// An address, whether or not it has an account.
    Email(&'a str),
    /// An account.
    Account(Uuid),
}

/// What is known of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Somebody {
    /// Accounts whose orders are theirs: those that have proved the address, and what was merged
    /// into them.
    pub accounts: Vec<Uuid>,
    /// Addresses that are theirs, in lower case.
    pub emails: Vec<String>,
    /// Open accounts that are closed with them: also those that only claim the address.
    pub open: Vec<Uuid>,
}

impl Accounts {
    /// What is known of somebody; nothing, if nothing is.
    pub async fn somebody(&self, whom: Whom<'_>) -> Result<Somebody, Error> {
        let mut known = Somebody::default();
        // Account, address, whether it is proved, whether it is open.
        let rows: Vec<(Uuid, Option<String>, bool, bool)> = match whom {
            Whom::Email(email) => {
                known.emails.push(email_key(email));
                sqlx::query_as(
                    "select account_id, email_key, email_verified_at is not null, true \
                     from accounts where email_key = $1 and closed_at is null",
                )
                .bind(email_key(email))
                .fetch_all(&self.0.pool)
                .await?
            }
            Whom::Account(account_id) => {
                sqlx::query_as(
                    "select account_id, email_key, email_verified_at is not null, \
                     closed_at is null from accounts where account_id = $1",
                )
                .bind(account_id)
                .fetch_all(&self.0.pool)
                .await?
            }
        };
        for (account_id, email, is_proved, is_open) in rows {
            // What was ordered under an address belongs to whoever proves it; what an account
            // ordered belongs to the account, which an address that it only claims does not name.
            if is_proved || matches!(whom, Whom::Account(_)) {
                known.accounts.push(account_id);
            }
            if let Some(email) = email.filter(|email| is_proved && !known.emails.contains(email)) {
                known.emails.push(email);
            }
            if is_open {
                known.open.push(account_id);
            }
        }
        let merged: Vec<Uuid> =
            sqlx::query_scalar("select account_id from accounts where merged_into = any($1)")
                .bind(&known.accounts)
                .fetch_all(&self.0.pool)
                .await?;
        known.accounts.extend(merged);
        Ok(known)
    }

    /// Closes their accounts and deletes what is to be mailed to them. Done twice, it does nothing
    /// the second time.
    pub async fn forget(&self, somebody: &Somebody, by: &str) -> Result<(), Error> {
        for account_id in &somebody.open {
            self.close(*account_id, by).await?;
        }
        let mut transaction = self.0.pool.begin().await?;
        sqlx::query("delete from notifications where lower(trim(recipient)) = any($1)")
            .bind(&somebody.emails)
            .execute(&mut *transaction)
            .await?;
        for email in &somebody.emails {
            for kind in [Kind::Login, Kind::Registration, Kind::Mail] {
                attempts::succeed(&mut transaction, kind, email).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}
