//! What is mailed: kept as a row in the transaction that causes it, for whatever sends mail.

use chrono::{TimeDelta, Utc};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::{Settings, secrets};

/// How long an address can be proved.
const VERIFY_LIFE: TimeDelta = TimeDelta::hours(24);
/// How long a password can be reset.
const RESET_LIFE: TimeDelta = TimeDelta::hours(1);
/// Of tokens that are mailed.
const PREFIX: &str = "dbm_";

/// What a mailed token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    VerifyEmail,
    ResetPassword,
}

impl Purpose {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }

    const fn life(self) -> TimeDelta {
        match self {
            Self::VerifyEmail => VERIFY_LIFE,
            Self::ResetPassword => RESET_LIFE,
        }
    }
}

/// Mails a token that proves, once, that whoever shows it reads this mail. `kind` is what the mail
/// is to say. Nothing happens where there is no account, in the same time.
pub(crate) async fn send_token(
    connection: &mut PgConnection,
    settings: &Settings,
    account: Option<(Uuid, &str)>,
    purpose: Purpose,
    kind: &str,
) -> Result<(), Error> {
    let token = secrets::token(PREFIX);
    let now = Utc::now();
    let (account_id, recipient) = account.unzip();
    sqlx::query(include_str!("mail/send.sql"))
        .bind(account_id)
        .bind(secrets::digest(&token).as_slice())
        .bind(purpose.name())
        .bind(now)
        .bind(now + purpose.life())
        .bind(Uuid::now_v7())
        .bind(kind)
        .bind(recipient)
        .bind(json!({"token": token, "expires_at": now + purpose.life()}))
        .execute(connection)
        .await?;
    if let Some(recipient) = recipient.filter(|_| settings.log_mail) {
        tracing::info!(recipient, kind, token, "to be mailed");
    }
    Ok(())
}

/// Uses a token up and says whose it is; one that is not of this account, where one is named, stays as
/// it is.
pub(crate) async fn redeem(
    connection: &mut PgConnection,
    purpose: Purpose,
    token: &str,
    shown_by: Option<Uuid>,
) -> Result<Uuid, Error> {
    let account_id = sqlx::query_scalar(
        "update mailed_tokens set used_at = now() \
         where token_hash = $1 and purpose = $2 and used_at is null and now() < expires_at \
         and ($3::uuid is null or account_id = $3) \
         returning account_id",
    )
    .bind(secrets::digest(token).as_slice())
    .bind(purpose.name())
    .bind(shown_by)
    .fetch_optional(connection)
    .await?;
    account_id.ok_or(Error::BadToken)
}
