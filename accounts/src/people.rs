//! Accounts as administrators see them, and as their owners do.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use crate::error::Error;
use crate::mail::{self, Purpose};
use crate::passwords::Password;
use crate::role::Role;
use crate::{Accounts, email_key, sessions};

/// Somebody who has an account.
#[derive(Debug, Clone, FromRow)]
pub struct Person {
    /// Their name for us.
    pub account_id: Uuid,
    /// What they are: the name of a role.
    pub role: String,
    /// Where to write to.
    pub email: String,
    /// When they proved that they read what is sent there.
    pub email_verified_at: Option<DateTime<Utc>>,
    /// What they are called.
    pub name: Option<String>,
    /// Where to call.
    pub phone: Option<String>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When anything of it last changed.
    pub updated_at: DateTime<Utc>,
}

const COLUMNS: &str =
    "account_id, role, email, email_verified_at, name, phone, created_at, updated_at";

impl Accounts {
    /// Somebody with an open account.
    pub async fn person(&self, account_id: Uuid) -> Result<Option<Person>, Error> {
        let select =
            format!("select {COLUMNS} from accounts where account_id = $1 and closed_at is null");
        Ok(sqlx::query_as(&select)
            .bind(account_id)
            .fetch_optional(&self.0.pool)
            .await?)
    }

    /// The accounts that are somebody's own, and the address that they have proved.
    pub async fn belongings(&self, account_id: Uuid) -> Result<(Vec<Uuid>, Option<String>), Error> {
        let merged: Vec<Uuid> =
            sqlx::query_scalar("select account_id from accounts where merged_into = $1")
                .bind(account_id)
                .fetch_all(&self.0.pool)
                .await?;
        let email: Option<String> = sqlx::query_scalar(
            "select email from accounts where account_id = $1 and closed_at is null \
             and email_verified_at is not null",
        )
        .bind(account_id)
        .fetch_optional(&self.0.pool)
        .await?;
        Ok((merged.into_iter().chain([account_id]).collect(), email))
    }

    /// Whether somebody has proved that they read what is sent to this address.
    pub async fn has_proved(&self, email: &str) -> Result<bool, Error> {
        Ok(sqlx::query_scalar(
            "select exists (select from accounts where email_key = $1 \
             and email_verified_at is not null and closed_at is null)",
        )
        .bind(email_key(email))
        .fetch_one(&self.0.pool)
        .await?)
    }

    /// Makes an administrator with a proved address: the first one, by whoever runs the server.
    pub async fn create_admin(
        &self,
        email: &str,
        password: &Password,
        name: Option<&str>,
    ) -> Result<Uuid, Error> {
        let hash = self.0.passwords.hash(password, None).await?;
        let account_id = Uuid::now_v7();
        let inserted = sqlx::query(
            "insert into accounts (account_id, role, email, email_key, name, password_hash, \
             email_verified_at, created_at, updated_at) \
             values ($1, 'admin', $2, $3, $4, $5, now(), now(), now())",
        )
        .bind(account_id)
        .bind(email)
        .bind(email_key(email))
        .bind(name)
        .bind(&hash)
        .execute(&self.0.pool)
        .await;
        inserted.map_err(taken)?;
        Ok(account_id)
    }

    /// Opens an account under this name for somebody, who is mailed the means to choose a password.
    /// Where it is open already, it stays as it is, and no other mail is sent.
    pub async fn invite(
        &self,
        account_id: Uuid,
        email: &str,
        name: Option<&str>,
        phone: Option<&str>,
        role: Role,
    ) -> Result<Person, Error> {
        let key = email_key(email);
        if let Some(invited) = self.person(account_id).await? {
            return Ok(invited);
        }
        let mut transaction = self.0.pool.begin().await?;
        let insert = format!(
            "insert into accounts (account_id, role, email, email_key, name, phone, created_at, \
             updated_at) select $1, $2, $3, $4, $5, $6, now(), now() \
             where not exists (select from accounts where email_key = $4 and closed_at is null \
             and email_verified_at is not null) returning {COLUMNS}"
        );
        let person: Option<Person> = sqlx::query_as(&insert)
            .bind(account_id)
            .bind(role.name())
            .bind(email)
            .bind(&key)
            .bind(name)
            .bind(phone)
            .fetch_optional(&mut *transaction)
            .await?;
        let person = person.ok_or(Error::EmailTaken)?;
        let to = Some((account_id, email));
        let purpose = Purpose::ResetPassword;
        mail::send_token(&mut transaction, &self.0.settings, to, purpose, "invitation").await?;
        transaction.commit().await?;
        Ok(person)
    }

    /// Somebody is called, and to be called, like this from now on.
    pub async fn describe(
        &self,
        account_id: Uuid,
        name: Option<&str>,
        phone: Option<&str>,
    ) -> Result<Person, Error> {
        let set = "name = $2, phone = $3";
        self.set(set, account_id, name, phone).await
    }

    /// The same, where what is not given stays as it is.
    pub async fn amend(
        &self,
        account_id: Uuid,
        name: Option<&str>,
        phone: Option<&str>,
    ) -> Result<Person, Error> {
        let set = "name = coalesce($2, name), phone = coalesce($3, phone)";
        self.set(set, account_id, name, phone).await
    }

    async fn set(
        &self,
        set: &'static str,
        account_id: Uuid,
        name: Option<&str>,
        phone: Option<&str>,
    ) -> Result<Person, Error> {
        let update = format!(
            "update accounts set {set}, updated_at = now() \
             where account_id = $1 and closed_at is null returning {COLUMNS}"
        );
        let person: Option<Person> = sqlx::query_as(&update)
            .bind(account_id)
            .bind(name)
            .bind(phone)
            .fetch_optional(&self.0.pool)
            .await?;
        person.ok_or(Error::NoSuchAccount)
    }

    /// Makes somebody something else. Their sessions end: tokens name the role.
    pub async fn change_role(
        &self,
        account_id: Uuid,
        role: Role,
        by: &str,
    ) -> Result<Person, Error> {
        let mut transaction = self.0.pool.begin().await?;
        let update = format!(
            "update accounts set role = $2, updated_at = now() \
             where account_id = $1 and closed_at is null returning {COLUMNS}"
        );
        let person: Option<Person> = sqlx::query_as(&update)
            .bind(account_id)
            .bind(role.name())
            .fetch_optional(&mut *transaction)
            .await?;
        let person = person.ok_or(Error::NoSuchAccount)?;
        sessions::end_all(&mut transaction, account_id).await?;
        transaction.commit().await?;
        self.learn().await?;
        tracing::info!(account.id = %account_id, %role, by, "a role was changed");
        Ok(person)
    }

    /// Makes a customer a vendor, who gains rights and loses none: their sessions go on, and whoever
    /// refreshes them is told the new role. False if there is no open account of a customer or vendor.
    pub async fn make_vendor(&self, account_id: Uuid, by: &str) -> Result<bool, Error> {
        let was: Option<String> = sqlx::query_scalar(
            "update accounts set role = $2, updated_at = now() from accounts as was \
             where accounts.account_id = $1 and accounts.closed_at is null \
             and accounts.role in ($2, $3) and was.account_id = accounts.account_id \
             returning was.role",
        )
        .bind(account_id)
        .bind(Role::Vendor.name())
        .bind(Role::Customer.name())
        .fetch_optional(&self.0.pool)
        .await?;
        if was.as_deref() == Some(Role::Customer.name()) {
            tracing::info!(account.id = %account_id, role = %Role::Vendor, by, "a role was changed");
        }
        Ok(was.is_some())
    }

    /// Closes an account: its sessions end, and what is personal is deleted. False if there is
    /// none.
    pub async fn close(&self, account_id: Uuid, by: &str) -> Result<bool, Error> {
        let mut transaction = self.0.pool.begin().await?;
        let closed = sqlx::query(
            "update accounts set closed_at = now(), updated_at = now(), email = null, \
             email_key = null, name = null, phone = null, password_hash = null \
             where account_id = $1 and closed_at is null",
        )
        .bind(account_id)
        .execute(&mut *transaction)
        .await?;
        sessions::end_all(&mut transaction, account_id).await?;
        transaction.commit().await?;
        self.learn().await?;
        tracing::info!(account.id = %account_id, by, "an account was closed");
        Ok(0 < closed.rows_affected())
    }
}

fn taken(error: sqlx::Error) -> Error {
    match error.as_database_error().and_then(|e| e.constraint()) {
        Some("accounts_email_is_proved_once") => Error::EmailTaken,
        _ => Error::Database(error),
    }
}
