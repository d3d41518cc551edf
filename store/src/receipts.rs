//! Looking up what a command was answered.

use serde::de::DeserializeOwned;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::command::{Answer, ExecuteError, Fingerprint, Receipt, Verdict};

#[derive(Debug, FromRow)]
struct Row {
    fingerprint: Vec<u8>,
    refusal: Option<String>,
    aggregate_type: String,
    aggregate_id: String,
    version: i64,
    first_position: i64,
    last_position: i64,
    answer_status: Option<i16>,
    answer_body: Option<String>,
}

/// The receipt of a command, if it has one.
pub(crate) async fn find<R: DeserializeOwned>(
    pool: &PgPool,
    command_id: Uuid,
    fingerprint: &Fingerprint,
) -> Result<Option<Receipt<R>>, ExecuteError> {
    let row: Option<Row> = sqlx::query_as(
        "select r.fingerprint, r.refusal::text as refusal, r.aggregate_type, r.aggregate_id, \
                r.version, r.first_position, r.last_position, \
                coalesce(a.status, r.answer_status) as answer_status, \
                coalesce(a.body, r.answer_body) as answer_body \
         from receipts r left join awaited_answers a using (command_id) \
         where r.command_id = $1",
    )
    .bind(command_id)
    .fetch_optional(pool)
    .await
    .map_err(|error| ExecuteError::Unavailable(error.to_string()))?;

    let Some(row) = row else { return Ok(None) };
    if row.fingerprint != fingerprint {
        return Err(ExecuteError::KeyReused);
    }
    let verdict = match row.refusal {
        None => Verdict::Accepted,
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| ExecuteError::Corrupt(format!("receipt {command_id}: {error}")))?,
    };
    let answer = row
        .answer_status
        .zip(row.answer_body)
        .map(|(status, body)| Answer { status: u16::try_from(status).unwrap_or(500), body });
    Ok(Some(Receipt {
        verdict,
        aggregate_type: row.aggregate_type,
        aggregate_id: row.aggregate_id,
        version: row.version,
        first_position: row.first_position,
        last_position: row.last_position,
        answer,
        replayed: true,
    }))
}

/// Keeps an answer that waited for an outcome. The first one stays.
pub(crate) async fn keep_awaited_answer(
    pool: &PgPool,
    command_id: Uuid,
    answer: &Answer,
) -> sqlx::Result<Answer> {
    let (status, body): (i16, String) = sqlx::query_as(
        // Updates the row to what it is: doing nothing would not return a row that somebody else
        // has inserted since this statement began.
        "insert into awaited_answers as kept (command_id, status, body) values ($1, $2, $3) \
         on conflict (command_id) do update set body = kept.body \
         returning status, body",
    )
    .bind(command_id)
    .bind(i16::try_from(answer.status).unwrap_or(500))
    .bind(&answer.body)
    .fetch_one(pool)
    .await?;
    Ok(Answer { status: u16::try_from(status).unwrap_or(500), body })
}
