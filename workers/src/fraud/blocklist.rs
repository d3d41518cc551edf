//! What is blocked: addresses, numbers, places, networks, cards.

use chrono::{DateTime, Utc};
use domain::identifiers::{Identifier, Kind};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};
use uuid::Uuid;

use super::{Error, Fraud};

/// Most entries: with their places in the map, some 20 MB of memory.
pub const BLOCKLIST_MAX: i64 = 100_000;

/// An entry as administrators write it.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// What is blocked.
    pub identifier: Identifier,
    /// Why.
    pub note: String,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An entry as it is kept.
#[derive(Debug, Clone)]
pub struct BlockedEntry {
    /// Its name in reasons.
    pub entry_id: Uuid,
    /// As written.
    pub entry: NewEntry,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for BlockedEntry {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let (kind, value) = (kind(row.try_get("kind")?)?, row.try_get("value")?);
        Ok(Self {
            entry_id: row.try_get("entry_id")?,
            entry: NewEntry {
                identifier: Identifier { kind, value },
                note: row.try_get("note")?,
                expires_at: row.try_get("expires_at")?,
            },
            created_by: row.try_get("created_by")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

fn kind(name: &str) -> sqlx::Result<Kind> {
    let known = Kind::NAMES.iter().find(|(known, _)| *known == name);
    let unknown = || sqlx::Error::Decode(format!("there is no kind {name}").into());
    Ok(known.ok_or_else(unknown)?.1)
}

/// Every entry that has not expired.
pub(super) async fn all(
    pool: &PgPool,
) -> sqlx::Result<Vec<(Identifier, Uuid, Option<DateTime<Utc>>)>> {
    let rows: Vec<(String, String, Uuid, Option<DateTime<Utc>>)> = sqlx::query_as(
        "select kind, value, entry_id, expires_at from blocklist \
         where expires_at is null or now() < expires_at",
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(name, value, entry_id, expires_at)| {
            Ok((Identifier { kind: kind(&name)?, value }, entry_id, expires_at))
        })
        .collect()
}

impl Fraud {
    /// Entries, newest first, after a `(created_at, entry_id)` and of a kind or about one thing if
    /// given; those that have expired are among them.
    pub async fn blocklist(
        &self,
        limit: i64,
        after: Option<(DateTime<Utc>, Uuid)>,
        kind: Option<Kind>,
        value: Option<&str>,
    ) -> Result<Vec<BlockedEntry>, Error> {
        let (before_at, before_id) = after.unzip();
        Ok(sqlx::query_as(
            "select * from blocklist \
             where ($2::timestamptz is null or (created_at, entry_id) < ($2, $3)) \
             and ($4::text is null or kind = $4) and ($5::text is null or value = $5) \
             order by created_at desc, entry_id desc limit $1",
        )
        .bind(limit)
        .bind(before_at)
        .bind(before_id)
        .bind(kind.map(Kind::name))
        .bind(value)
        .fetch_all(&self.0.pool)
        .await?)
    }

    /// Blocks something. An entry about it that has expired makes room.
    pub async fn block(&self, new: &NewEntry, by: &str) -> Result<BlockedEntry, Error> {
        let mut transaction = self.begin().await?;
        let count: i64 = sqlx::query_scalar("select count(*) from blocklist")
            .fetch_one(&mut *transaction)
            .await?;
        if BLOCKLIST_MAX <= count {
            return Err(Error::TooManyEntries);
        }
        let made: Option<BlockedEntry> = sqlx::query_as(
            "insert into blocklist (entry_id, kind, value, note, created_by, created_at, \
             expires_at) values ($1, $2, $3, $4, $5, $6, $7) \
             on conflict on constraint blocklist_names_everything_once do update \
             set entry_id = excluded.entry_id, note = excluded.note, \
                 created_by = excluded.created_by, created_at = excluded.created_at, \
                 expires_at = excluded.expires_at \
             where blocklist.expires_at <= excluded.created_at returning *",
        )
        .bind(Uuid::now_v7())
        .bind(new.identifier.kind.name())
        .bind(&new.identifier.value)
        .bind(&new.note)
        .bind(by)
        .bind(Utc::now())
        .bind(new.expires_at)
        .fetch_optional(&mut *transaction)
        .await?;
        let made = made.ok_or(Error::AlreadyBlocked)?;
        self.finish(transaction).await?;
        Ok(made)
    }

    /// Blocks something no longer; whether it was.
    pub async fn unblock(&self, entry_id: Uuid) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let deleted = sqlx::query("delete from blocklist where entry_id = $1")
            .bind(entry_id)
            .execute(&mut *transaction)
            .await?;
        self.finish(transaction).await?;
        Ok(0 < deleted.rows_affected())
    }
}
