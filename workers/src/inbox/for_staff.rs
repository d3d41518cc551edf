//! Webhooks, and what stands among them, that wait for a person.

use chrono::NaiveDate;
use domain::ids::PaymentId;
use gateways::gateway::About;
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::Inbox;

/// What money is called at a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    /// By whoever asked for it.
    pub(crate) reference: Option<&'a str>,
    /// By the provider.
    pub(crate) provider_reference: Option<&'a str>,
}

/// Something that no webhook has told of, and that takes a person.
pub(crate) struct ForStaff<'a> {
    pub(crate) gateway: &'a str,
    /// Repetitions carry the same.
    pub(crate) event_key: &'a str,
    /// What is known of it.
    pub(crate) body: &'a Value,
    pub(crate) payment_id: Option<PaymentId>,
    /// Of money that may be given back; none of anything else.
    pub(crate) names: Names<'a>,
    pub(crate) reason: &'a str,
}

/// How many webhooks of a day wait for a person.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Parked {
    /// When they came in, UTC.
    pub day: NaiveDate,
    /// From which provider.
    pub gateway: String,
    /// How many.
    pub webhooks: i64,
}

impl Inbox {
    /// Whether a webhook of this name has come in, or money that nobody claims is with staff.
    pub(crate) async fn knows(
        &self,
        gateway: &str,
        event_key: &str,
        reference: Option<&str>,
        provider_reference: Option<&str>,
    ) -> sqlx::Result<bool> {
        let parked_for = reference.map(nobodys);
        sqlx::query_scalar(
            "select exists (select from webhooks where gateway = $1 and event_key = $2) \
             or exists (select from webhooks where gateway = $1 and state in ('parked', 'resolved') \
                and reason = $3) \
             or exists (select from webhooks where gateway = $1 and provider_reference = $4 \
                and state in ('parked', 'refunding', 'refunded', 'failed', 'resolved'))",
        )
        .bind(gateway)
        .bind(event_key)
        .bind(parked_for)
        .bind(provider_reference)
        .fetch_one(&self.pool)
        .await
    }

    /// Parks what no webhook has told of, for staff. Once, whatever it is called again; once more if it
    /// had gone on by itself.
    pub(crate) async fn park(&self, what: &ForStaff<'_>) -> sqlx::Result<()> {
        let ForStaff { gateway, event_key, body, payment_id, names, reason } = what;
        let parked = sqlx::query(
            "insert into webhooks (webhook_id, gateway, event_key, body, state, reason, \
             payment_id, reference, provider_reference, made_here) \
             values ($1, $2, $3, $4, 'parked', $5, $6, $7, $8, true) \
             on conflict on constraint webhooks_once do update \
             set state = 'parked', reason = excluded.reason, body = excluded.body \
             where webhooks.made_here and webhooks.state = 'done'",
        )
        .bind(Uuid::now_v7())
        .bind(gateway)
        .bind(event_key)
        .bind(body.to_string().as_bytes())
        .bind(reason)
        .bind(payment_id.map(|payment_id| payment_id.0))
        .bind(names.reference)
        .bind(names.provider_reference)
        .execute(&self.pool)
        .await?;
        if 0 < parked.rows_affected() {
            tracing::warn!(gateway, reason, "something that takes a person is parked");
        }
        Ok(())
    }

    /// Takes what was parked under this name from before staff: it has been settled by itself.
    pub(crate) async fn waits_for_nobody(
        &self,
        gateway: &str,
        event_key: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "update webhooks set state = 'done', reason = null, worked_at = now() \
             where gateway = $1 and event_key = $2 and state = 'parked'",
        )
        .bind(gateway)
        .bind(event_key)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether staff have this money before them, or will have it: another webhook than this one
    /// tells of it. One that tells of another payment under the same reference does not.
    pub(crate) async fn is_with_staff(
        &self,
        gateway: &str,
        (reference, provider_reference): (&str, Option<&str>),
        but: Option<Uuid>,
    ) -> sqlx::Result<bool> {
        sqlx::query_scalar(
            "select exists (select from webhooks where gateway = $1 and reference = $2 \
             and (provider_reference is null or $5::text is null or provider_reference = $5) \
             and webhook_id is distinct from $3 \
             and state = any($4))",
        )
        .bind(gateway)
        .bind(reference)
        .bind(but)
        .bind(match but {
            // One that is being worked on finds out itself.
            None => vec![
                "received",
                "parked",
                "refunding",
                "refunded",
                "failed",
                "resolved",
            ],
            Some(_) => vec!["parked", "refunding", "refunded", "failed", "resolved"],
        })
        .bind(provider_reference)
        .fetch_one(&self.pool)
        .await
    }

    /// What waits for a person, of the days from one to another and of this provider if given.
    pub async fn parked(
        &self,
        (from, to): (NaiveDate, NaiveDate),
        gateway: Option<&str>,
    ) -> sqlx::Result<Vec<Parked>> {
        sqlx::query_as(
            "select (received_at at time zone 'utc')::date as day, gateway, count(*) as webhooks \
             from webhooks where state = 'parked' \
             and (received_at at time zone 'utc')::date between $1 and $2 \
             and ($3::text is null or gateway = $3) \
             group by day, gateway order by day, gateway",
        )
        .bind(from)
        .bind(to)
        .bind(gateway)
        .fetch_all(&self.pool)
        .await
    }
}

impl<'a> Names<'a> {
    /// Of the money that may be given back by such a webhook.
    pub(super) fn of(about: &'a About) -> Self {
        match about {
            About::Attempt { reference, provider_reference } => Self {
                reference: Some(reference),
                provider_reference: provider_reference.as_deref(),
            },
            About::Unnamed { provider_reference, .. } => {
                Self { reference: None, provider_reference: Some(provider_reference) }
            }
            // It goes, or is disputed: giving it back as well would pay it out twice.
            About::Refund { .. }
            | About::RefundsOf { .. }
            | About::Staff { .. }
            | About::Dispute(_)
            | About::Nothing => Self::default(),
        }
    }
}

/// Why money that belongs to no payment is parked.
pub(crate) fn nobodys(name: &str) -> String {
    format!("no payment of ours is called {name} there")
}
