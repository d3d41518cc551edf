//! API keys: what machines show. The key itself is seen once, by whoever asked for it.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use crate::error::Error;
use crate::role::Role;
use crate::{Accounts, secrets};

/// Of API keys.
pub(crate) const PREFIX: &str = "dbk_";
/// Keys that are in use at once: every process holds them in memory.
pub(crate) const KEYS_MAX: i64 = 1_000;

/// A key, without its secret.
#[derive(Debug, Clone, FromRow)]
pub struct ApiKey {
    /// Its name for us, and in the events that it causes.
    pub key_id: Uuid,
    /// Its name for people.
    pub name: String,
    /// What it may do: the name of a role.
    pub role: String,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When somebody stopped it.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key as it is asked for.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its name for people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it is to stop working by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str = "key_id, name, role, created_by, created_at, expires_at, revoked_at";

impl Accounts {
    /// Makes a key; the text beside it is the key itself, kept nowhere.
    pub async fn make_key(
        &self,
        new: &NewApiKey,
        created_by: &str,
    ) -> Result<(ApiKey, String), Error> {
        let secret = secrets::token(PREFIX);
        let insert = format!(
            "insert into api_keys (key_id, name, role, key_hash, created_by, created_at, expires_at) \
             select $1, $2, $3, $4, $5, $6, $7 \
             where (select count(*) from api_keys where revoked_at is null) < $8 \
             returning {COLUMNS}"
        );
        let key: Option<ApiKey> = sqlx::query_as(&insert)
            .bind(Uuid::now_v7())
            .bind(&new.name)
            .bind(new.role.name())
            .bind(secrets::digest(&secret).as_slice())
            .bind(created_by)
            .bind(Utc::now())
            .bind(new.expires_at)
            .bind(KEYS_MAX)
            .fetch_optional(&self.0.pool)
            .await?;
        let key = key.ok_or(Error::TooManyKeys)?;
        tracing::info!(key.id = %key.key_id, by = created_by, "an API key was made");
        self.learn().await?;
        Ok((key, secret))
    }

    /// All keys, the newest first, ended ones included.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, Error> {
        let select = format!("select {COLUMNS} from api_keys order by key_id desc limit $1");
        Ok(sqlx::query_as(&select)
            .bind(KEYS_MAX)
            .fetch_all(&self.0.pool)
            .await?)
    }

    /// Stops a key, at once here and within seconds elsewhere; false if there is none.
    pub async fn revoke_key(&self, key_id: Uuid, revoked_by: &str) -> Result<bool, Error> {
        let revoked = sqlx::query(
            "update api_keys set revoked_at = coalesce(revoked_at, now()) where key_id = $1",
        )
        .bind(key_id)
        .execute(&self.0.pool)
        .await?;
        self.learn().await?;
        tracing::info!(key.id = %key_id, by = revoked_by, "an API key was revoked");
        Ok(0 < revoked.rows_affected())
    }
}
