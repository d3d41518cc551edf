//! What requests are judged by, in memory: signing keys, ended sessions, API keys.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use ring::hmac;
use sqlx::PgPool;
use uuid::Uuid;

use crate::access::{self, SigningKey};
use crate::error::Error;
use crate::role::Role;
use crate::{ACCESS_LIFE_MAX, LEARN_EVERY, api_keys, secrets};

/// How long a key signs before another takes its place.
const KEY_LIFE: TimeDelta = TimeDelta::days(30);
/// Tells concurrent makers of keys apart: nobody else takes this advisory lock.
const MAKING_KEYS: i64 = 0x6461_7962_6b65_7973;

/// Who shows a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Somebody who has signed in.
    Account {
        /// Who.
        account_id: Uuid,
        /// Since which sign-in.
        session_id: Uuid,
        /// As what.
        role: Role,
    },
    /// A machine with an API key.
    Machine {
        /// Which key.
        key_id: Uuid,
        /// As what.
        role: Role,
    },
}

pub(crate) struct Known {
    /// The newest first.
    signing: Vec<SigningKey>,
    ended_sessions: HashSet<Uuid>,
    machines: HashMap<[u8; 32], Machine>,
    link_key: hmac::Key,
}

#[derive(sqlx::FromRow)]
struct Machine {
    key_hash: Vec<u8>,
    key_id: Uuid,
    role: String,
    expires_at: Option<DateTime<Utc>>,
}

impl Known {
    pub(crate) async fn read(pool: &PgPool) -> Result<Self, Error> {
        let signing: Vec<(Uuid, DateTime<Utc>, Vec<u8>)> = sqlx::query_as(
            "select kid, created_at, secret from signing_keys order by created_at desc",
        )
        .fetch_all(pool)
        .await?;
        let longest = TimeDelta::from_std(ACCESS_LIFE_MAX).unwrap_or(TimeDelta::days(2));
        let ended: Vec<Uuid> =
            sqlx::query_scalar("select session_id from sessions where $1 < revoked_at")
                .bind(Utc::now() - longest - TimeDelta::minutes(1))
                .fetch_all(pool)
                .await?;
        let link_secret: Vec<u8> = sqlx::query_scalar("select secret from link_key")
            .fetch_one(pool)
            .await?;
        let machines: Vec<Machine> = sqlx::query_as(
            "select key_hash, key_id, role, expires_at from api_keys where revoked_at is null \
             limit $1",
        )
        .bind(api_keys::KEYS_MAX)
        .fetch_all(pool)
        .await?;
        let by_hash =
            |machine: Machine| Some((machine.key_hash.as_slice().try_into().ok()?, machine));
        Ok(Self {
            signing: signing
                .into_iter()
                .map(|(kid, created_at, secret)| SigningKey::new(kid, created_at, &secret))
                .collect(),
            ended_sessions: ended.into_iter().collect(),
            machines: machines.into_iter().filter_map(by_hash).collect(),
            link_key: hmac::Key::new(hmac::HMAC_SHA256, &link_secret),
        })
    }

    /// The newest key that every process has had the time to hear of.
    pub(crate) fn signing_key(&self) -> Option<&SigningKey> {
        let heard = Utc::now() - TimeDelta::from_std(3 * LEARN_EVERY).unwrap_or_default();
        let known_to_all = self.signing.iter().find(|key| key.created_at <= heard);
        known_to_all.or(self.signing.last())
    }

    pub(crate) fn identify(&self, token: &str) -> Option<Identity> {
        if token.starts_with(api_keys::PREFIX) {
            let machine = self.machines.get(&secrets::digest(token))?;
            let valid = machine.expires_at.is_none_or(|end| Utc::now() < end);
            let role = machine.role.parse().ok().filter(|_| valid)?;
            return Some(Identity::Machine { key_id: machine.key_id, role });
        }
        let claims = access::judge(token, &self.signing)?;
        let ended = self.ended_sessions.contains(&claims.sid);
        (!ended).then_some(Identity::Account {
            account_id: claims.sub,
            session_id: claims.sid,
            role: claims.role,
        })
    }

    pub(crate) fn link_token(&self, order_id: Uuid) -> String {
        secrets::encoded(hmac::sign(&self.link_key, order_id.as_bytes()).as_ref())
    }

    pub(crate) fn is_link_token(&self, order_id: Uuid, shown: &str) -> bool {
        let shown = secrets::decoded(shown).unwrap_or_default();
        hmac::verify(&self.link_key, order_id.as_bytes(), &shown).is_ok()
    }
}

/// Makes the keys that are missing, replaces a signing key that has grown old, and deletes those
/// whose last token has expired.
pub(crate) async fn ensure_keys(pool: &PgPool) -> Result<(), Error> {
    let now = Utc::now();
    let mut transaction = pool.begin().await?;
    // Processes that start together would make one each.
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(MAKING_KEYS)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "insert into signing_keys (kid, secret, created_at) select $1, $2, $3 \
         where not exists (select from signing_keys where $4 < created_at)",
    )
    .bind(Uuid::new_v4())
    .bind(secrets::chance().as_slice())
    .bind(now)
    .bind(now - KEY_LIFE)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("delete from signing_keys where created_at < $1")
        .bind(now - KEY_LIFE * 2)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("insert into link_key (secret) values ($1) on conflict do nothing")
        .bind(secrets::chance().as_slice())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
