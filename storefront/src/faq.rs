//! Questions that are asked so often that the answer is public.
//!
//! A question stands once, so that writing it twice makes one entry.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Entries there may be: more than anybody reads.
pub const ENTRIES_MAX: i64 = 500;
/// Longest heading, in characters.
pub const TOPIC_CHARS_MAX: usize = 100;
/// Longest question, in characters.
pub const QUESTION_CHARS_MAX: usize = 300;
/// Longest answer, in characters: some pages.
pub const ANSWER_CHARS_MAX: usize = 10_000;
/// Entries are moved about between others, so there is room on both sides.
pub const PLACE_MAX: i32 = 1_000_000;

/// Why something cannot be asked and answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It stands there.
    #[error("this question stands there already")]
    Asked,
    /// A bound.
    #[error("there are {ENTRIES_MAX} entries already; delete one first")]
    TooMany,
    /// The database.
    #[error("frequent questions: {0}")]
    Database(#[from] sqlx::Error),
}

/// An entry as staff write it.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Under which heading.
    pub topic: Option<String>,
    /// What is asked.
    pub question: String,
    /// What is answered.
    pub answer: String,
    /// Entries stand in this order.
    pub place: i32,
    /// Whether everybody sees it.
    pub published: bool,
}

/// An entry as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct Entry {
    /// Its name.
    pub entry_id: Uuid,
    /// Under which heading.
    pub topic: Option<String>,
    /// What is asked.
    pub question: String,
    /// What is answered.
    pub answer: String,
    /// Entries stand in this order, and among equals by age.
    pub place: i32,
    /// Whether everybody sees it.
    pub published: bool,
    /// Who wrote it last.
    pub updated_by: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When it was last written.
    pub updated_at: DateTime<Utc>,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy)]
pub struct After {
    /// The place of the last entry.
    pub place: i32,
    /// Its name.
    pub entry_id: Uuid,
}

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Also those that are not public.
    pub with_hidden: bool,
    /// Under this heading only.
    pub topic: Option<String>,
    /// Holding this in question or answer, in upper or lower case.
    pub search: Option<String>,
}

/// Entries in their order, after a place.
pub async fn list(
    pool: &PgPool,
    filter: &Filter,
    limit: i64,
    after: Option<After>,
) -> Result<Vec<Entry>, Error> {
    Ok(sqlx::query_as(
        "select * from faq_entries where (published or $1) \
         and ($2::text is null or topic = $2) \
         and ($3::text is null or 0 < strpos(lower(question), $3) or 0 < strpos(lower(answer), $3)) \
         and ($4::integer is null or (place, entry_id) > ($4, $5)) \
         order by place, entry_id limit $6",
    )
    .bind(filter.with_hidden)
    .bind(&filter.topic)
    .bind(filter.search.as_ref().map(|text| text.to_lowercase()))
    .bind(after.map(|after| after.place))
    .bind(after.map(|after| after.entry_id))
    .bind(limit)
    .fetch_all(pool)
    .await?)
}

/// Adds an entry under this name. One that is there already stays as it is.
pub async fn add(pool: &PgPool, entry_id: Uuid, new: &NewEntry, by: &str) -> Result<Entry, Error> {
    let added: Option<Entry> = sqlx::query_as(
        "insert into faq_entries (entry_id, topic, question, answer, place, published, updated_by, \
         created_at, updated_at) select $1, $2, $3, $4, $5, $6, $7, $8, $8 \
         where (select count(*) from faq_entries) < $9 \
         on conflict (entry_id) do nothing returning *",
    )
    .bind(entry_id)
    .bind(&new.topic)
    .bind(&new.question)
    .bind(&new.answer)
    .bind(new.place)
    .bind(new.published)
    .bind(by)
    .bind(Utc::now())
    .bind(ENTRIES_MAX)
    .fetch_optional(pool)
    .await
    .map_err(asked)?;
    if let Some(added) = added {
        return Ok(added);
    }
    let there: Option<Entry> = sqlx::query_as("select * from faq_entries where entry_id = $1")
        .bind(entry_id)
        .fetch_optional(pool)
        .await?;
    there.ok_or(Error::TooMany)
}

/// Writes an entry anew; `None` if there is none.
pub async fn replace(
    pool: &PgPool,
    entry_id: Uuid,
    new: &NewEntry,
    by: &str,
) -> Result<Option<Entry>, Error> {
    sqlx::query_as(
        "update faq_entries set topic = $2, question = $3, answer = $4, place = $5, \
         published = $6, updated_by = $7, updated_at = $8 where entry_id = $1 returning *",
    )
    .bind(entry_id)
    .bind(&new.topic)
    .bind(&new.question)
    .bind(&new.answer)
    .bind(new.place)
    .bind(new.published)
    .bind(by)
    .bind(Utc::now())
    .fetch_optional(pool)
    .await
    .map_err(asked)
}

/// Deletes an entry; false if there is none.
pub async fn delete(pool: &PgPool, entry_id: Uuid) -> Result<bool, Error> {
    let deleted = sqlx::query("delete from faq_entries where entry_id = $1")
        .bind(entry_id)
        .execute(pool)
        .await?;
    Ok(0 < deleted.rows_affected())
}

fn asked(error: sqlx::Error) -> Error {
    match error.as_database_error().and_then(|e| e.constraint()) {
        Some("faq_entries_ask_once") => Error::Asked,
        _ => Error::Database(error),
    }
}
