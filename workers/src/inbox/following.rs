//! What becomes of money that a webhook told of and that staff have given back.
//!
//! The truth is in the log (`crate::unmatched`). The state of a webhook follows it, within a moment and
//! whatever happened in between: it is worked out anew until the money has gone.

use domain::payment::{GivingBack, Payment};
use sqlx::FromRow;
use store::command::ExecuteError;
use store::journal::Journal;
use uuid::Uuid;

use super::Inbox;
use crate::unmatched::{self, Nobodys};

/// Webhooks whose money is looked after at a time; of those that failed the rest waits for staff.
const FOLLOWED_MAX: i64 = 1_000;

/// A webhook whose money is being given back.
#[derive(FromRow)]
struct Followed {
    webhook_id: Uuid,
    unmatched_payment_id: Uuid,
    state: String,
}

impl Inbox {
    /// Says under which payment its money is about to be given back: before the log is asked, so
    /// that whatever the log then says is found. False if staff have closed it meanwhile.
    pub async fn will_give_back(&self, webhook_id: Uuid, money: &Nobodys) -> sqlx::Result<bool> {
        let received = money.money.received;
        let noted = sqlx::query(
            "update webhooks \
             set state = case when state = 'refunded' then state else 'refunding' end, \
             unmatched_payment_id = $2, \
             received_minor = $3, received_currency = $4, refund_failure = null \
             where webhook_id = $1 and state <> 'resolved'",
        )
        .bind(webhook_id)
        .bind(money.payment_id.0)
        .bind(received.minor)
        .bind(received.currency.code())
        .execute(&self.pool)
        .await?;
        Ok(0 < noted.rows_affected())
    }

    /// Money that had been given back did not arrive: staff have it before them again.
    pub(crate) async fn came_back(&self, payment_id: Uuid, reason: &str) -> sqlx::Result<()> {
        sqlx::query(
            "update webhooks set state = 'failed', refund_failure = $2 \
             where unmatched_payment_id = $1 and state = 'refunded'",
        )
        .bind(payment_id)
        .bind(reason)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Brings the state of every such webhook to what the log says.
    pub(super) async fn follow(&self, journal: &Journal) -> Result<(), ExecuteError> {
        let unavailable = |error: sqlx::Error| ExecuteError::Unavailable(error.to_string());
        let followed: Vec<Followed> = sqlx::query_as(
            "select webhook_id, unmatched_payment_id, state from webhooks \
             where unmatched_payment_id is not null and state <> 'refunded' \
             and state not in ('received', 'resolved') order by state = 'failed', webhook_id limit $1",
        )
        .bind(FOLLOWED_MAX)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        if followed.is_empty() {
            return Ok(());
        }
        let mut ids: Vec<String> = followed
            .iter()
            .map(|webhook| webhook.unmatched_payment_id.to_string())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let payments = journal.fold_many::<Payment>(&ids).await?;
        for Followed { webhook_id, unmatched_payment_id: id, state } in followed {
            let payment = payments.get(&id.to_string());
            let (now, failure) = match payment.and_then(|(payment, _)| payment.giving_back()) {
                // The log said no, or was never asked.
                None => ("parked", None),
                Some(GivingBack::Pending) => ("refunding", None),
                Some(GivingBack::Settled) => ("refunded", None),
                Some(GivingBack::Failed) if state == "failed" => continue,
                Some(GivingBack::Failed) => ("failed", unmatched::failure(&self.pool, id).await?),
            };
            if now == state {
                continue;
            }
            if now == "failed" {
                let reason = failure.as_deref();
                tracing::warn!(webhook.id = %webhook_id, reason, "money could not be given back");
            }
            // Unless staff have done something about it meanwhile.
            let update = "update webhooks set state = $2, refund_failure = $3 \
                          where webhook_id = $1 and state = $4";
            let done = sqlx::query(update)
                .bind(webhook_id)
                .bind(now)
                .bind(failure)
                .bind(state);
            done.execute(&self.pool).await.map_err(unavailable)?;
        }
        Ok(())
    }
}
