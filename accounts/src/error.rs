//! Why somebody is not let in, or something about an account cannot be done.

use std::time::Duration;

/// Refusals first; accidents keep their cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The same whether or not there is such an account.
    #[error("email or password are wrong")]
    WrongPassword,
    /// Too many attempts in a row.
    #[error("too many attempts; try again later")]
    TooManyAttempts {
        /// When the next one is looked at.
        retry_after: Duration,
    },
    /// Unknown, expired, used or revoked.
    #[error("this token is not valid, or not any more")]
    BadToken,
    /// A refresh token was shown twice; its session has been ended.
    #[error("this refresh token was used before; its session has been ended for safety")]
    TokenReused,
    /// Another account has proved the address.
    #[error("another account has this email address")]
    EmailTaken,
    /// No such account, or a closed one.
    #[error("there is no such account")]
    NoSuchAccount,
    /// A bound on what is kept in memory.
    #[error("there are too many API keys; revoke one first")]
    TooManyKeys,
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked; try again")]
    Overloaded,
    /// The database.
    #[error("the database did not do as asked: {0}")]
    Database(#[from] sqlx::Error),
    /// A mistake of ours.
    #[error("{0}")]
    Broken(&'static str),
}
