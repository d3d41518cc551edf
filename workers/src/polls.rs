//! Which attempts and refunds are still to be asked for, and when: those that a provider has left
//! without an answer for longer than answers usually take. See [`crate::providers`].

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::{PaymentId, RefundId};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::providers::NAME;

/// Most questions taken up at a time.
const DUE_MAX: usize = 1_000;

/// How long somebody who looks at a payment may have to wait until its provider is asked.
const SOON_SECONDS: f64 = 2.0;

/// Shortest and longest pause: some providers allow ten questions a second in all, and what nobody
/// asks about for a month is forgotten by people, too.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_hours(24 * 30);
/// Most pauses: the last one repeats, so that more say nothing new.
const PAUSES_MAX: usize = 20;

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

    /// The same, as settings give them.
    pub fn of_seconds(seconds: &[u32]) -> Self {
        let pause = |seconds: &u32| Duration::from_secs(u64::from(*seconds));
        Self::new(seconds.iter().map(pause).collect())
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

/// Why a text is no list of pauses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPauses {
    /// A part that is no duration.
    #[error(
        "{0:?} is no pause: write a whole number and s, m, h or d, and a comma between two, \
         such as 5m,1h,1d"
    )]
    NotAPause(String),
    /// A duration that nobody can mean.
    #[error("a pause lasts 1s to 30d, and not {0}")]
    OutOfBounds(String),
    /// A list without end.
    #[error("{PAUSES_MAX} pauses are enough: the last one repeats")]
    TooMany,
}

impl FromStr for Pauses {
    type Err = BadPauses;

    /// Such as `5m,1h,1d`.
    fn from_str(text: &str) -> Result<Self, BadPauses> {
        let pauses: Vec<Duration> = text.split(',').map(pause).collect::<Result<_, _>>()?;
        if PAUSES_MAX < pauses.len() {
            return Err(BadPauses::TooMany);
        }
        Ok(Self(pauses))
    }
}

fn pause(text: &str) -> Result<Duration, BadPauses> {
    let text = text.trim();
    let none = || BadPauses::NotAPause(text.to_owned());
    let (unit_at, unit) = text.char_indices().next_back().ok_or_else(none)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(none()),
    };
    let digits = text.get(..unit_at).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(none());
    }
    // A number that does not fit is out of bounds in every unit.
    let number = digits.parse().unwrap_or(u64::MAX);
    let pause = Duration::from_secs(seconds.saturating_mul(number));
    if (PAUSE_MIN..=PAUSE_MAX).contains(&pause) {
        Ok(pause)
    } else {
        Err(BadPauses::OutOfBounds(text.to_owned()))
    }
}

/// What a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Attempt { payment_id: PaymentId, reference: String },
    Refund { payment_id: PaymentId, refund_id: RefundId },
}

impl Subject {
    fn payment_id(&self) -> Uuid {
        match self {
            Self::Attempt { payment_id, .. } | Self::Refund { payment_id, .. } => payment_id.0,
        }
    }

    fn reference(&self) -> String {
        match self {
            Self::Attempt { reference, .. } => reference.clone(),
            Self::Refund { refund_id, .. } => refund_id.to_string(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Attempt { .. } => "attempt",
            Self::Refund { .. } => "refund",
        }
    }
}

/// A question whose time has come.
pub(crate) struct Poll {
    pub(crate) subject: Subject,
    /// Unknown for those that older builds planned.
    pub(crate) gateway: Option<String>,
    /// Whether the provider has been called; if not, the call itself is due.
    pub(crate) called: bool,
    pub(crate) asked: i32,
}

#[derive(FromRow)]
struct Row {
    payment_id: Uuid,
    reference: String,
    kind: String,
    gateway: Option<String>,
    called: bool,
    asked: i32,
}

impl From<Row> for Poll {
    fn from(row: Row) -> Self {
        let Row { gateway, called, asked, .. } = row;
        let payment_id = PaymentId(row.payment_id);
        let subject = match (row.kind.as_str(), row.reference.parse()) {
            ("refund", Ok(refund_id)) => Subject::Refund { payment_id, refund_id },
            _ => Subject::Attempt { payment_id, reference: row.reference },
        };
        Self { subject, gateway, called, asked }
    }
}

/// What is to be written about a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// It will have to be asked.
    Plan { gateway: String, called: bool },
    /// It has been asked in vain, this often by now.
    PutOff { asked: i32 },
    /// It has been answered.
    Forget,
}

/// Writes down what is known about questions, at most one note about each, and the mark.
pub(crate) async fn keep(
    pool: &PgPool,
    notes: &HashMap<Subject, Note>,
    pauses: &Pauses,
    mark: i64,
) -> sqlx::Result<()> {
    let (mut planned, mut put_off, mut forgotten) =
        (Rows::default(), Rows::default(), Rows::default());
    let now = Utc::now();
    for (subject, note) in notes {
        match note {
            Note::Plan { gateway, called } => {
                planned.gateways.push(gateway);
                planned.called.push(*called);
                let due_at = if *called { pauses.due_at(0) } else { now };
                planned.push(subject, due_at);
            }
            Note::PutOff { asked } => {
                put_off.asked.push(*asked);
                put_off.push(subject, pauses.due_at(*asked));
            }
            Note::Forget => forgotten.push(subject, now),
        }
    }
    sqlx::query(include_str!("polls.sql"))
        .bind(planned.payment_ids)
        .bind(planned.references)
        .bind(planned.kinds)
        .bind(planned.gateways)
        .bind(planned.called)
        .bind(planned.due_at)
        .bind(put_off.payment_ids)
        .bind(put_off.references)
        .bind(put_off.asked)
        .bind(put_off.due_at)
        .bind(forgotten.payment_ids)
        .bind(forgotten.references)
        .bind(NAME)
        .bind(mark)
        .execute(pool)
        .await?;
    Ok(())
}

/// Rows, a column each, as `unnest` takes them.
#[derive(Default)]
struct Rows<'a> {
    payment_ids: Vec<Uuid>,
    references: Vec<String>,
    kinds: Vec<&'static str>,
    due_at: Vec<DateTime<Utc>>,
    gateways: Vec<&'a str>,
    called: Vec<bool>,
    asked: Vec<i32>,
}

impl Rows<'_> {
    fn push(&mut self, subject: &Subject, due_at: DateTime<Utc>) {
        self.payment_ids.push(subject.payment_id());
        self.references.push(subject.reference());
        self.kinds.push(subject.kind());
        self.due_at.push(due_at);
    }
}

/// Brings the questions about a payment forward, because somebody looks at it: a provider is asked
/// at most every few seconds however often they look, and later questions keep their pauses.
pub async fn ask_soon(pool: &PgPool, payment_id: PaymentId) -> sqlx::Result<()> {
    sqlx::query(
        "update provider_polls \
         set due_at = now() + make_interval(secs => $2), asked = greatest(asked - 1, 0) \
         where payment_id = $1 and called and now() + make_interval(secs => $2) < due_at",
    )
    .bind(payment_id.0)
    .bind(SOON_SECONDS)
    .execute(pool)
    .await?;
    Ok(())
}

/// Which questions are not to be looked for.
pub(crate) struct Full<'a> {
    /// Providers that have no room for more calls.
    pub(crate) of_calls: Vec<&'a str>,
    /// Providers that have no room for more questions about silence.
    pub(crate) of_questions: Vec<&'a str>,
    /// How many questions are being asked already; they may come once more.
    pub(crate) being_asked: usize,
}

/// Questions whose time has come, the longest due first.
pub(crate) async fn due(
    pool: &PgPool,
    now: DateTime<Utc>,
    full: &Full<'_>,
) -> sqlx::Result<Vec<Poll>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select payment_id, reference, kind, gateway, called, asked from provider_polls \
         where due_at <= $1 \
           and coalesce(gateway, '') <> all(case when called then $2::text[] else $3::text[] end) \
         order by due_at limit $4",
    )
    .bind(now)
    .bind(&full.of_questions)
    .bind(&full.of_calls)
    .bind(i64::try_from(DUE_MAX + full.being_asked).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Poll::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_read_as_people_write_them_and_the_last_repeats() {
        let pauses: Pauses = "5m, 1h,1d".parse().unwrap();
        assert_eq!(pauses.0, Pauses::default().0);
        let asked = [0, 1, 2, 3, 99].map(|asked| pauses.after(asked).as_secs());
        assert_eq!(asked, [300, 3_600, 86_400, 86_400, 86_400]);
        assert_eq!("30s".parse::<Pauses>().unwrap().after(7), Duration::from_secs(30));
    }

    #[test]
    fn what_is_no_list_of_pauses_is_refused_by_its_part() {
        for (text, part) in [
            ("", ""),
            ("5", "5"),
            ("5m,", ""),
            ("m", "m"),
            ("5m,1.5h", "1.5h"),
            ("5 m", "5 m"),
            ("-5m", "-5m"),
            ("+5m", "+5m"),
            ("5é", "5é"),
            ("5w", "5w"),
        ] {
            let bad = text.parse::<Pauses>().unwrap_err();
            assert_eq!(bad, BadPauses::NotAPause(part.to_owned()), "{text:?}");
        }
        for text in ["0s", "31d", "99999999999999999999d"] {
            let bad = text.parse::<Pauses>().unwrap_err();
            assert_eq!(bad, BadPauses::OutOfBounds(text.to_owned()));
            assert!(bad.to_string().contains("1s to 30d"), "{bad}");
        }
        let endless = vec!["1h"; PAUSES_MAX + 1].join(",");
        assert_eq!(endless.parse::<Pauses>().unwrap_err(), BadPauses::TooMany);
    }
}
