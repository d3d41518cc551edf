//! Accounts: who may sign in, and what they may then show for who they are.
//!
//! ```text
//! register / login ─▶ session ─▶ access token (minutes, judged from memory)
//!                        │   ▲
//!                        ▼   │ refresh: each token once; shown twice, the session ends
//!                     refresh token (days)
//! ```
//!
//! 1. What is secret is kept as a digest or an Argon2id hash, in ordinary tables; nothing of it
//!    reaches the log.
//! 2. Nobody learns from an answer or its time whether an address has an account. Anybody may
//!    claim an address; whoever proves it, by what was mailed there, takes all claims over. A proof
//!    needs the account's own session, or chooses a new password: a mail that somebody else asked for
//!    gives them nothing.
//! 3. Whoever shows a token is judged from memory ([`Accounts::identify`]), which hears within
//!    [`LEARN_EVERY`] what another process has revoked.

mod access;
mod api_keys;
mod attempts;
mod error;
mod forgetting;
mod known;
mod mail;
mod passwords;
mod people;
mod role;
mod secrets;
mod sessions;
mod signing_in;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::TimeDelta;
use sqlx::PgPool;
use uuid::Uuid;

pub use self::api_keys::{ApiKey, NewApiKey};
pub use self::error::Error;
pub use self::forgetting::{Somebody, Whom};
pub use self::known::Identity;
pub use self::passwords::{
    CHARS_MAX as PASSWORD_CHARS_MAX, CHARS_MIN as PASSWORD_CHARS_MIN, Password,
};
pub use self::people::Person;
pub use self::role::{BadRole, Role};
pub use self::sessions::Tokens;

use self::known::Known;
use self::passwords::Passwords;

/// How often a process looks at what others have changed.
pub const LEARN_EVERY: Duration = Duration::from_secs(5);
/// Longest life of an access token.
pub const ACCESS_LIFE_MAX: Duration = Duration::from_hours(48);
/// How often what has expired is deleted.
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// What can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an access token is believed, [`ACCESS_LIFE_MAX`] at most.
    pub access_life: Duration,
    /// Whether what is to be mailed is logged as well, secrets included: only ever at a desk.
    pub log_mail: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { access_life: Duration::from_mins(15), log_mail: false }
    }
}

/// Where accounts are kept; clones share it.
#[derive(Clone)]
pub struct Accounts(Arc<Parts>);

struct Parts {
    pool: PgPool,
    settings: Settings,
    passwords: Passwords,
    known: RwLock<Arc<Known>>,
}

impl Accounts {
    /// Opens them on a migrated database; makes the first keys.
    pub async fn open(pool: PgPool, settings: Settings) -> Result<Self, Error> {
        known::ensure_keys(&pool).await?;
        let known = Known::read(&pool).await?;
        Ok(Self(Arc::new(Parts {
            pool,
            settings,
            passwords: Passwords::default(),
            known: RwLock::new(Arc::new(known)),
        })))
    }

    /// Who shows this token; `None` if it is not, or no longer, valid. Asks no database.
    pub fn identify(&self, token: &str) -> Option<Identity> {
        self.known().identify(token)
    }

    /// The secret that opens a guest's order to whoever was given its link.
    pub fn link_token(&self, order_id: Uuid) -> String {
        self.known().link_token(order_id)
    }

    /// Whether this is that secret.
    pub fn is_link_token(&self, order_id: Uuid, shown: &str) -> bool {
        self.known().is_link_token(order_id, shown)
    }

    /// Hears what other processes have changed, renews the signing key and deletes what has
    /// expired, for ever.
    pub async fn keep_up(self) {
        let mut ticks = tokio::time::interval(LEARN_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tidied_at = tokio::time::Instant::now();
        loop {
            ticks.tick().await;
            let mut outcome = self.learn().await;
            if TIDY_EVERY <= tidied_at.elapsed() {
                tidied_at = tokio::time::Instant::now();
                outcome = outcome.and(known::ensure_keys(&self.0.pool).await);
                outcome = outcome.and(sessions::tidy(&self.0.pool).await);
            }
            if let Err(error) = outcome {
                tracing::warn!(%error, "changes of accounts are heard late");
            }
        }
    }

    /// Reads what requests are judged by.
    async fn learn(&self) -> Result<(), Error> {
        let known = Known::read(&self.0.pool).await?;
        // Replaced whole, so a panic elsewhere leaves nothing half done.
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn access_life(&self) -> TimeDelta {
        let life = self.0.settings.access_life.min(ACCESS_LIFE_MAX);
        TimeDelta::from_std(life).unwrap_or(TimeDelta::minutes(15))
    }
}

/// The key of an e-mail address: how people write it does not tell addresses apart.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}
