//! Sessions: what somebody holds who has signed in, and how it ends.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::error::Error;
use crate::role::Role;
use crate::{Accounts, secrets};

/// How long a refresh token can be used, once.
pub(crate) const REFRESH_LIFE: TimeDelta = TimeDelta::days(7);
/// How long a session can be kept up by refreshing: then the password is due again.
const SESSION_LIFE: TimeDelta = TimeDelta::days(90);
/// Of refresh tokens.
const PREFIX: &str = "dbr_";
/// How long what has expired is kept for whoever looks into it.
const KEPT: TimeDelta = TimeDelta::days(7);

/// What somebody gets who has signed in.
#[derive(Clone)]
pub struct Tokens {
    /// Shows who they are, for [`Tokens::expires_in`].
    pub access: String,
    /// Good for one refresh.
    pub refresh: String,
    /// How long the access token is believed.
    pub expires_in: Duration,
}

impl Accounts {
    /// Begins a session.
    pub(crate) async fn begin_session(
        &self,
        connection: &mut PgConnection,
        account_id: Uuid,
        role: Role,
    ) -> Result<Tokens, Error> {
        let session_id = Uuid::new_v4();
        sqlx::query(
            "insert into sessions (session_id, account_id, created_at) values ($1, $2, $3)",
        )
        .bind(session_id)
        .bind(account_id)
        .bind(Utc::now())
        .execute(&mut *connection)
        .await?;
        self.issue(connection, account_id, session_id, role).await
    }

    async fn issue(
        &self,
        connection: &mut PgConnection,
        account_id: Uuid,
        session_id: Uuid,
        role: Role,
    ) -> Result<Tokens, Error> {
        let refresh = secrets::token(PREFIX);
        sqlx::query(
            "insert into refresh_tokens (token_hash, session_id, expires_at) values ($1, $2, $3)",
        )
        .bind(secrets::digest(&refresh).as_slice())
        .bind(session_id)
        .bind(Utc::now() + REFRESH_LIFE)
        .execute(connection)
        .await?;
        let life = self.access_life();
        let known = self.known();
        let access = known
            .signing_key()
            .and_then(|key| key.sign(account_id, session_id, role, life))
            .ok_or(Error::Broken("an access token could not be signed"))?;
        Ok(Tokens { access, refresh, expires_in: life.to_std().unwrap_or_default() })
    }

    /// A new pair of tokens for a refresh token, which is used up.
    pub async fn refresh(&self, refresh: &str) -> Result<Tokens, Error> {
        let mut transaction = self.0.pool.begin().await?;
        let token = Shown::find(&mut transaction, refresh).await?;
        if token.used_at.is_some() {
            end(&mut transaction, token.session_id).await?;
            transaction.commit().await?;
            self.learn().await?;
            metrics::counter!("daybook_auth_refresh_reused_total").increment(1);
            tracing::warn!(account.id = %token.account_id, session.id = %token.session_id,
                "a refresh token was shown twice; its session is ended");
            return Err(Error::TokenReused);
        }
        let now = Utc::now();
        if token.expires_at <= now || token.session_since + SESSION_LIFE <= now {
            return Err(Error::BadToken);
        }
        sqlx::query("update refresh_tokens set used_at = now() where token_hash = $1")
            .bind(secrets::digest(refresh).as_slice())
            .execute(&mut *transaction)
            .await?;
        let role = token
            .role
            .parse()
            .map_err(|_| Error::Broken("an unknown role is stored"))?;
        let tokens = self
            .issue(&mut transaction, token.account_id, token.session_id, role)
            .await?;
        transaction.commit().await?;
        Ok(tokens)
    }

    /// Ends the session of a refresh token. What ends nothing is fine: it is as asked for.
    pub async fn logout(&self, refresh: &str) -> Result<(), Error> {
        let mut transaction = self.0.pool.begin().await?;
        match Shown::find(&mut transaction, refresh).await {
            Ok(token) => end(&mut transaction, token.session_id).await?,
            Err(Error::BadToken) => return Ok(()),
            Err(error) => return Err(error),
        }
        transaction.commit().await?;
        self.learn().await
    }
}

/// A refresh token as it is kept.
#[derive(sqlx::FromRow)]
struct Shown {
    session_id: Uuid,
    account_id: Uuid,
    role: String,
    session_since: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    used_at: Option<DateTime<Utc>>,
}

impl Shown {
    /// Locks the session, so that of two who show the same token one comes second.
    async fn find(connection: &mut PgConnection, refresh: &str) -> Result<Self, Error> {
        let hash = secrets::digest(refresh);
        let locked: Option<Uuid> = sqlx::query_scalar(
            "select session_id from sessions where revoked_at is null and session_id = \
             (select session_id from refresh_tokens where token_hash = $1) for update",
        )
        .bind(hash.as_slice())
        .fetch_optional(&mut *connection)
        .await?;
        locked.ok_or(Error::BadToken)?;
        // A statement of its own, which sees what was committed while the lock was awaited.
        let token: Option<Self> = sqlx::query_as(
            "select session_id, account_id, role, sessions.created_at as session_since, \
                    expires_at, used_at \
             from refresh_tokens join sessions using (session_id) join accounts using (account_id) \
             where token_hash = $1 and closed_at is null",
        )
        .bind(hash.as_slice())
        .fetch_optional(connection)
        .await?;
        token.ok_or(Error::BadToken)
    }
}

async fn end(connection: &mut PgConnection, session_id: Uuid) -> Result<(), Error> {
    sqlx::query(
        "update sessions set revoked_at = now() where session_id = $1 and revoked_at is null",
    )
    .bind(session_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends every session of an account.
pub(crate) async fn end_all(connection: &mut PgConnection, account_id: Uuid) -> Result<(), Error> {
    sqlx::query(
        "update sessions set revoked_at = now() where account_id = $1 and revoked_at is null",
    )
    .bind(account_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes what has been of no use for a week.
pub(crate) async fn tidy(pool: &PgPool) -> Result<(), Error> {
    let before = Utc::now() - KEPT;
    for delete in [
        "delete from refresh_tokens where expires_at < $1",
        "delete from sessions where created_at < $1 and not exists \
         (select from refresh_tokens where refresh_tokens.session_id = sessions.session_id)",
        "delete from mailed_tokens where expires_at < $1",
        "delete from notifications where created_at < $1",
        "delete from attempts where last_at < $1",
    ] {
        sqlx::query(delete).bind(before).execute(pool).await?;
    }
    Ok(())
}
