//! Which attempts and refunds are still to be asked for, and when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::{PaymentId, RefundId};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// Most questions asked at a time; some providers allow ten a second.
const DUE_MAX: i64 = 100;

/// When a provider that has said nothing is asked: after these pauses, the last one for ever.
#[derive(Debug, Clone)]
pub struct Pauses(Vec<Duration>);

impl Default for Pauses {
    /// Five minutes, an hour, then daily: late enough for a customer to finish, early enough to
    /// matter, rare enough for ever.
    fn default() -> Self {
        Self(vec![
            Duration::from_mins(5),
            Duration::from_hours(1),
            Duration::from_hours(24),
        ])
    }
}

impl Pauses {
    /// These pauses; a single day if there are none.
    pub fn new(pauses: Vec<Duration>) -> Self {
        if pauses.is_empty() {
            Self(vec![Duration::from_hours(24)])
        } else {
            Self(pauses)
        }
    }

    fn after(&self, asked: i32) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let index = usize::try_from(asked).unwrap_or(0).min(last);
        self.0
            .get(index)
            .copied()
            .unwrap_or(Duration::from_hours(24))
    }

    pub(crate) fn due_at(&self, asked: i32) -> DateTime<Utc> {
        Utc::now() + self.after(asked)
    }
}

/// What a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Attempt { payment_id: PaymentId, reference: String },
    Refund { payment_id: PaymentId, refund_id: RefundId },
}

impl Subject {
    fn key(&self) -> (Uuid, String, &'static str) {
        match self {
            Self::Attempt { payment_id, reference } => (payment_id.0, reference.clone(), "attempt"),
            Self::Refund { payment_id, refund_id } => {
                (payment_id.0, refund_id.to_string(), "refund")
            }
        }
    }
}

/// A question whose time has come.
pub(crate) struct Poll {
    pub(crate) subject: Subject,
    pub(crate) asked: i32,
}

#[derive(FromRow)]
struct Row {
    payment_id: Uuid,
    reference: String,
    kind: String,
    asked: i32,
}

impl From<Row> for Poll {
    fn from(row: Row) -> Self {
        let payment_id = PaymentId(row.payment_id);
        let subject = match (row.kind.as_str(), row.reference.parse()) {
            ("refund", Ok(refund_id)) => Subject::Refund { payment_id, refund_id },
            _ => Subject::Attempt { payment_id, reference: row.reference },
        };
        Self { subject, asked: row.asked }
    }
}

/// Plans first questions.
pub(crate) async fn plan(
    connection: &mut PgConnection,
    subjects: &[Subject],
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    let keys: Vec<_> = subjects.iter().map(Subject::key).collect();
    sqlx::query(
        "insert into provider_polls (payment_id, reference, kind, due_at) \
         select payment_id, reference, kind, $4 \
         from unnest($1::uuid[], $2::text[], $3::text[]) as p (payment_id, reference, kind) \
         on conflict (payment_id, reference) do nothing",
    )
    .bind(keys.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind(
        keys.iter()
            .map(|(_, reference, _)| reference.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(keys.iter().map(|(.., kind)| *kind).collect::<Vec<_>>())
    .bind(due_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets questions that have been answered.
pub(crate) async fn forget(
    connection: &mut PgConnection,
    subjects: &[Subject],
) -> sqlx::Result<()> {
    let keys: Vec<_> = subjects.iter().map(Subject::key).collect();
    sqlx::query(
        "delete from provider_polls using unnest($1::uuid[], $2::text[]) as a (id, name) \
         where payment_id = a.id and reference = a.name",
    )
    .bind(keys.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind(
        keys.iter()
            .map(|(_, reference, _)| reference.as_str())
            .collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The questions whose time has come.
pub(crate) async fn due(pool: &PgPool, now: DateTime<Utc>) -> sqlx::Result<Vec<Poll>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select payment_id, reference, kind, asked from provider_polls \
         where due_at <= $1 order by due_at limit $2",
    )
    .bind(now)
    .bind(DUE_MAX)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Poll::from).collect())
}

/// Puts a question off.
pub(crate) async fn put_off(
    pool: &PgPool,
    question: &Poll,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    let (payment_id, reference, _) = question.subject.key();
    sqlx::query(
        "update provider_polls set asked = asked + 1, due_at = $3 \
         where payment_id = $1 and reference = $2",
    )
    .bind(payment_id)
    .bind(reference)
    .bind(due_at)
    .execute(pool)
    .await?;
    Ok(())
}
