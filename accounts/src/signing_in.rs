//! Registering, signing in, and proving an address.

use chrono::Utc;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::attempts::{self, Attempt, Kind};
use crate::error::Error;
use crate::mail::{self, Purpose};
use crate::passwords::{self, Password};
use crate::role::Role;
use crate::sessions::{self, Tokens};
use crate::{Accounts, email_key};

/// Claims to one address that a sign-in is compared with. Registering one address again and again is
/// slowed to a hundred a day, and the oldest claims are looked at first: whoever has signed in once is
/// never crowded out by others.
const CANDIDATES_MAX: i64 = 1_000;

/// An account that an address may mean.
#[derive(FromRow)]
struct Candidate {
    account_id: Uuid,
    role: String,
    email: String,
    password_hash: Option<String>,
    is_proved: bool,
}

impl Candidate {
    /// The one who has proved the address first, then claims, the oldest first.
    async fn of(connection: &mut PgConnection, email_key: &str) -> Result<Vec<Self>, Error> {
        Ok(sqlx::query_as(
            "select account_id, role, email, password_hash, \
                    email_verified_at is not null as is_proved \
             from accounts where email_key = $1 and closed_at is null \
             order by email_verified_at is null, created_at, account_id limit $2",
        )
        .bind(email_key)
        .bind(CANDIDATES_MAX)
        .fetch_all(connection)
        .await?)
    }

    fn role(&self) -> Result<Role, Error> {
        self.role
            .parse()
            .map_err(|_| Error::Broken("an unknown role is stored"))
    }
}

/// Salt and costs that all claims to an address share.
fn setting(candidates: &[Candidate]) -> Option<&str> {
    candidates
        .iter()
        .find_map(|candidate| candidate.password_hash.as_deref())
}

impl Accounts {
    /// Opens an account that claims an address, and signs it in. The same whether or not the
    /// address is claimed or proved already; then its owner is told by mail.
    pub async fn register(
        &self,
        email: &str,
        password: &Password,
        name: Option<&str>,
        role: Role,
    ) -> Result<Tokens, Error> {
        let key = email_key(email);
        let mut connection = self.0.pool.acquire().await?;
        let _counted = attempts::begin(&mut connection, Kind::Registration, &key).await?;
        let candidates = Candidate::of(&mut connection, &key).await?;
        drop(connection);
        let hash = self
            .0
            .passwords
            .hash(password, setting(&candidates))
            .await?;
        let owner = candidates.iter().find(|candidate| candidate.is_proved);

        let (account_id, now) = (Uuid::now_v7(), Utc::now());
        let mut transaction = self.0.pool.begin().await?;
        sqlx::query(
            "insert into accounts \
             (account_id, role, email, email_key, name, password_hash, created_at, updated_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $7)",
        )
        .bind(account_id)
        .bind(role.name())
        .bind(email)
        .bind(&key)
        .bind(name)
        .bind(&hash)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        // The owner of the address is offered a new password, a newcomer the proof of the address.
        let (to, purpose, kind) = match owner {
            Some(owner) => {
                let to = (owner.account_id, owner.email.as_str());
                (to, Purpose::ResetPassword, "already_registered")
            }
            None => ((account_id, email), Purpose::VerifyEmail, "verify_email"),
        };
        mail::send_token(&mut transaction, &self.0.settings, Some(to), purpose, kind).await?;
        let tokens = self
            .begin_session(&mut transaction, account_id, role)
            .await?;
        transaction.commit().await?;
        Ok(tokens)
    }

    /// Signs somebody in.
    pub async fn login(&self, email: &str, password: &Password) -> Result<Tokens, Error> {
        let key = email_key(email);
        let mut connection = self.0.pool.acquire().await?;
        let attempt = attempts::begin(&mut connection, Kind::Login, &key).await?;
        let candidates = Candidate::of(&mut connection, &key).await?;
        drop(connection);
        let found = self.recognise(&candidates, password).await?;
        let renewed = self.renewed(&candidates, found, password).await;

        let mut transaction = self.0.pool.begin().await?;
        let tokens = self
            .begin_session(&mut transaction, found.account_id, found.role()?)
            .await?;
        let others = candidates.len().saturating_sub(1);
        succeeded(&mut transaction, &attempt, found, others).await?;
        if let Some(hash) = renewed {
            renew(&mut transaction, found, &hash).await?;
        }
        transaction.commit().await?;
        metrics::counter!("daybook_auth_logins_total").increment(1);
        Ok(tokens)
    }

    /// Whose password this is, by one hash, whoever there is.
    async fn recognise<'c>(
        &self,
        candidates: &'c [Candidate],
        password: &Password,
    ) -> Result<&'c Candidate, Error> {
        let hash = self.0.passwords.hash(password, setting(candidates)).await?;
        let found = candidates.iter().find(|candidate| {
            let known = candidate.password_hash.as_deref().unwrap_or_default();
            passwords::is_same(known, &hash)
        });
        found.ok_or_else(|| {
            metrics::counter!("daybook_auth_failed_total").increment(1);
            tracing::warn!("somebody could not sign in: email or password are wrong");
            Error::WrongPassword
        })
    }

    /// The same password at today's costs, where its hash was made at lower ones. Claims to an address
    /// share salt and costs, so that one hash judges a sign-in whoever there is: one of several is
    /// renewed once it is alone.
    async fn renewed(
        &self,
        candidates: &[Candidate],
        found: &Candidate,
        password: &Password,
    ) -> Option<String> {
        let with_password = candidates
            .iter()
            .filter(|candidate| candidate.password_hash.is_some());
        let is_alone = with_password.count() == 1;
        let is_outdated = found
            .password_hash
            .as_deref()
            .is_some_and(passwords::is_outdated);
        if !is_alone || !is_outdated {
            return None;
        }
        // Where too many wait, at the next sign-in: this one has succeeded.
        self.0.passwords.hash(password, None).await.ok()
    }

    /// Replaces a password by whoever knows it, ends every session and begins a new one.
    pub async fn change_password(
        &self,
        account_id: Uuid,
        current: &Password,
        chosen: &Password,
    ) -> Result<Tokens, Error> {
        let mut connection = self.0.pool.acquire().await?;
        let key = key_of(&mut connection, account_id).await?;
        let attempt = attempts::begin(&mut connection, Kind::Login, &key).await?;
        let candidates = Candidate::of(&mut connection, &key).await?;
        drop(connection);
        let (own, others): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|candidate| candidate.account_id == account_id);
        let found = self.recognise(&own, current).await?;
        let hash = self.0.passwords.hash(chosen, setting(&others)).await?;

        let mut transaction = self.0.pool.begin().await?;
        set_password(&mut transaction, account_id, &hash).await?;
        succeeded(&mut transaction, &attempt, found, others.len()).await?;
        let tokens = self
            .begin_session(&mut transaction, account_id, found.role()?)
            .await?;
        transaction.commit().await?;
        self.learn().await?;
        Ok(tokens)
    }

    /// Mails the means to choose another password, if there is such an account.
    pub async fn forgot_password(&self, email: &str) -> Result<(), Error> {
        let key = email_key(email);
        let mut transaction = self.0.pool.begin().await?;
        let _counted = attempts::begin(&mut transaction, Kind::Mail, &key).await?;
        let candidates = Candidate::of(&mut transaction, &key).await?;
        // The owner, or whoever claimed the address first: no later claim takes their place.
        let to = candidates
            .first()
            .map(|candidate| (candidate.account_id, candidate.email.as_str()));
        let purpose = Purpose::ResetPassword;
        mail::send_token(&mut transaction, &self.0.settings, to, purpose, purpose.name()).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Sets a password by whoever reads the account's mail, which proves the address as well. Tells
    /// which accounts were merged into it by that.
    pub async fn reset_password(&self, token: &str, chosen: &Password) -> Result<Vec<Uuid>, Error> {
        // Before the token is used up: what can fail without a reason of the caller's comes first.
        let hash = self.0.passwords.hash(chosen, None).await?;
        let mut transaction = self.0.pool.begin().await?;
        let account_id =
            mail::redeem(&mut transaction, Purpose::ResetPassword, token, None).await?;
        let key = key_of(&mut transaction, account_id).await?;
        let merged = prove(&mut transaction, account_id, &key).await?;
        set_password(&mut transaction, account_id, &hash).await?;
        attempts::succeed(&mut transaction, Kind::Login, &key).await?;
        transaction.commit().await?;
        self.learn().await?;
        Ok(merged)
    }

    /// Mails the means to prove the account's address again; does nothing once it is proved.
    pub async fn ask_for_proof(&self, account_id: Uuid) -> Result<(), Error> {
        let mut transaction = self.0.pool.begin().await?;
        let key = key_of(&mut transaction, account_id).await?;
        let _counted = attempts::begin(&mut transaction, Kind::Mail, &key).await?;
        let email: Option<String> = sqlx::query_scalar(
            "select email from accounts where account_id = $1 and email_verified_at is null \
             and not exists (select from accounts as owner where owner.email_key = $2 \
             and owner.email_verified_at is not null and owner.closed_at is null)",
        )
        .bind(account_id)
        .bind(&key)
        .fetch_optional(&mut *transaction)
        .await?;
        let to = email.as_deref().map(|email| (account_id, email));
        let purpose = Purpose::VerifyEmail;
        mail::send_token(&mut transaction, &self.0.settings, to, purpose, purpose.name()).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Proves an address by what was mailed there, shown by the account that it was mailed for: from
    /// now on it is this account's alone. Tells which accounts were merged into it by that.
    ///
    /// The mail alone shows who reads it, and not who chose the account's password: that may be a
    /// stranger, who registered somebody else's address and waits for them to open the mail.
    pub async fn verify_email(&self, account_id: Uuid, token: &str) -> Result<Vec<Uuid>, Error> {
        let mut transaction = self.0.pool.begin().await?;
        let purpose = Purpose::VerifyEmail;
        let account_id = mail::redeem(&mut transaction, purpose, token, Some(account_id)).await?;
        let key = key_of(&mut transaction, account_id).await?;
        let merged = prove(&mut transaction, account_id, &key).await?;
        attempts::succeed(&mut transaction, Kind::Registration, &key).await?;
        transaction.commit().await?;
        self.learn().await?;
        Ok(merged)
    }
}

/// Somebody was recognised. Failed attempts are forgotten where they were aimed at nobody else: anybody
/// may register a claim, and must not reset by it what slows guesses at the others.
async fn succeeded(
    connection: &mut PgConnection,
    attempt: &Attempt,
    found: &Candidate,
    others: usize,
) -> Result<(), Error> {
    if found.is_proved || others == 0 {
        attempt.forgive_all(connection).await
    } else {
        attempt.take_back(connection).await
    }
}

/// The address of an open account.
async fn key_of(connection: &mut PgConnection, account_id: Uuid) -> Result<String, Error> {
    let key = sqlx::query_scalar(
        "select email_key from accounts where account_id = $1 and closed_at is null",
    )
    .bind(account_id)
    .fetch_optional(connection)
    .await?;
    key.ok_or(Error::NoSuchAccount)
}

/// Makes the address this account's; other claims to it are merged into it, and their sessions end.
async fn prove(
    connection: &mut PgConnection,
    account_id: Uuid,
    email_key: &str,
) -> Result<Vec<Uuid>, Error> {
    let proved = sqlx::query(
        "update accounts set email_verified_at = coalesce(email_verified_at, now()), \
         updated_at = now() where account_id = $1 and closed_at is null",
    )
    .bind(account_id)
    .execute(&mut *connection)
    .await;
    proved.map_err(|error| match error.as_database_error().and_then(|e| e.constraint()) {
        // Somebody proved it meanwhile: this token has nothing to give any more.
        Some("accounts_email_is_proved_once") => Error::BadToken,
        _ => Error::Database(error),
    })?;
    let merged: Vec<Uuid> = sqlx::query_scalar(
        "update accounts set merged_into = $1, closed_at = now(), updated_at = now(), \
         email = null, email_key = null, password_hash = null \
         where email_key = $2 and account_id <> $1 and closed_at is null \
         and email_verified_at is null returning account_id",
    )
    .bind(account_id)
    .bind(email_key)
    .fetch_all(&mut *connection)
    .await?;
    for account_id in &merged {
        sessions::end_all(connection, *account_id).await?;
    }
    Ok(merged)
}

/// Stores the same password at other costs, unless it has been replaced meanwhile.
async fn renew(connection: &mut PgConnection, found: &Candidate, hash: &str) -> Result<(), Error> {
    sqlx::query(
        "update accounts set password_hash = $3 where account_id = $1 and password_hash = $2",
    )
    .bind(found.account_id)
    .bind(&found.password_hash)
    .bind(hash)
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores a new password: whoever was signed in, or held the means to choose one, no longer is.
async fn set_password(
    connection: &mut PgConnection,
    account_id: Uuid,
    hash: &str,
) -> Result<(), Error> {
    sqlx::query("update accounts set password_hash = $2, updated_at = now() where account_id = $1")
        .bind(account_id)
        .bind(hash)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "update mailed_tokens set used_at = now() where account_id = $1 and used_at is null \
         and purpose = 'reset_password'",
    )
    .bind(account_id)
    .execute(&mut *connection)
    .await?;
    sessions::end_all(connection, account_id).await
}
