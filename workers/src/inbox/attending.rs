//! What staff do about webhooks that wait for them, beside giving money back: they close one that is
//! settled, or have it worked off again once what it was parked for is mended.
//!
//! ```text
//! parked | failed ── resolve ──▶ resolved
//! parked | resolved ── retry ──▶ received ──▶ done | parked
//! ```
//!
//! Each is done under the name of its command, in the statement that does it: whoever repeats it after
//! a crash finds it done, whatever became of the webhook since.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::Inbox;

/// Why a webhook is neither closed nor worked off again.
#[derive(Debug, thiserror::Error)]
pub enum Unattended {
    /// There is none.
    #[error("there is no such webhook")]
    NotFound,
    /// It has not been worked on yet.
    #[error("this webhook is still being worked on; ask again in a moment")]
    TooEarly,
    /// Nobody is waited for.
    #[error("this webhook is {state}: it does not wait for a person")]
    NotParked {
        /// How it stands.
        state: String,
    },
    /// Somebody has closed it.
    #[error("{by} has resolved this webhook already")]
    Resolved {
        /// Who.
        by: String,
    },
    /// Its money is to go back.
    #[error(
        "the money of this webhook could not be given back; ask for its refund again, or resolve it"
    )]
    RefundFailed,
    /// There is nothing that a provider said.
    #[error(
        "no provider has sent this, so that there is nothing to work off again: reconcile, refund \
         it or resolve it"
    )]
    MadeHere,
    /// Its body has been let go of.
    #[error("what the provider sent has been let go of, so that it cannot be worked off again")]
    BodyGone,
    /// Our own database does not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// How a webhook stands that was not as it was expected.
#[derive(FromRow)]
struct Standing {
    state: String,
    resolved_by: Option<String>,
    resolved_at: Option<DateTime<Utc>>,
    resolved_under: Option<Uuid>,
    retried_under: Option<Uuid>,
    made_here: bool,
    is_empty: bool,
}

impl Inbox {
    /// Closes a webhook that waits for a person, under the name of the command that asks for it.
    /// When that was.
    pub async fn resolve(
        &self,
        webhook_id: Uuid,
        by: &str,
        note: &str,
        command_id: Uuid,
    ) -> Result<DateTime<Utc>, Unattended> {
        // From now on its body is kept no longer than that of any other.
        let closed: Option<DateTime<Utc>> = sqlx::query_scalar(
            "update webhooks set state = 'resolved', resolved_by = $2, resolution = $3, \
             resolved_under = $4, resolved_at = now(), worked_at = now() \
             where webhook_id = $1 and state in ('parked', 'failed') \
             and resolved_under is distinct from $4 \
             returning resolved_at",
        )
        .bind(webhook_id)
        .bind(by)
        .bind(note)
        .bind(command_id)
        .fetch_optional(&self.pool)
        .await?;
        if let Some(closed) = closed {
            tracing::info!(webhook.id = %webhook_id, by, "a webhook is resolved");
            return Ok(closed);
        }
        let standing = self.standing(webhook_id).await?;
        match (standing.state.as_str(), standing.resolved_at) {
            (_, Some(at)) if standing.resolved_under == Some(command_id) => Ok(at),
            ("received", _) => Err(Unattended::TooEarly),
            ("resolved", _) => Err(standing.resolved()),
            _ => Err(standing.not_parked()),
        }
    }

    /// Has a webhook worked off once more, under the name of the command that asks for it.
    pub async fn retry(&self, webhook_id: Uuid, command_id: Uuid) -> Result<(), Unattended> {
        let again = sqlx::query(
            "update webhooks set state = 'received', reason = null, due_at = now(), \
             retried_under = $2, tries_before = tries \
             where webhook_id = $1 and state in ('parked', 'resolved') \
             and not made_here and body <> '' and retried_under is distinct from $2",
        )
        .bind(webhook_id)
        .bind(command_id)
        .execute(&self.pool)
        .await?;
        if 0 < again.rows_affected() {
            self.bell.notify_one();
            return Ok(());
        }
        let standing = self.standing(webhook_id).await?;
        match standing.state.as_str() {
            _ if standing.retried_under == Some(command_id) => Ok(()),
            "received" => Err(Unattended::TooEarly),
            "failed" => Err(Unattended::RefundFailed),
            "parked" | "resolved" if standing.made_here => Err(Unattended::MadeHere),
            "parked" | "resolved" if standing.is_empty => Err(Unattended::BodyGone),
            _ => Err(standing.not_parked()),
        }
    }

    async fn standing(&self, webhook_id: Uuid) -> Result<Standing, Unattended> {
        let standing: Option<Standing> = sqlx::query_as(
            "select state, resolved_by, resolved_at, resolved_under, retried_under, made_here, \
             body = '' as is_empty from webhooks where webhook_id = $1",
        )
        .bind(webhook_id)
        .fetch_optional(&self.pool)
        .await?;
        standing.ok_or(Unattended::NotFound)
    }
}

impl Standing {
    fn not_parked(self) -> Unattended {
        Unattended::NotParked { state: self.state }
    }

    fn resolved(self) -> Unattended {
        Unattended::Resolved { by: self.resolved_by.unwrap_or_default() }
    }
}
