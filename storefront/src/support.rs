//! Support: tickets, and the messages in them between whoever asks and staff.
//!
//! ```text
//!          ┌───── asks on ──────┐
//! open ──▶ Open ── answers ──▶ Answered
//!          ▲ └──── closes ──┬────┘
//!          └── asks on ── Closed ── answers ──▶ Answered
//! ```
//!
//! 1. A ticket is an account's, or a guest's, who gives an address to be answered at.
//! 2. A message is named by whoever sends it, so that a repetition adds none.
//! 3. Who asks is told by mail that there is an answer, not what it says: mail goes astray.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// Tickets that one asker has open at once: more are a conversation, or a flood.
pub const OPEN_MAX: i64 = 20;
/// Messages of one ticket: it is shown as a whole.
pub const MESSAGES_MAX: i64 = 100;
/// Longest subject, in characters.
pub const SUBJECT_CHARS_MAX: usize = 200;
/// Longest message, in characters: two pages.
pub const BODY_CHARS_MAX: usize = 4_000;
/// What the mail that announces an answer is called.
const ANSWERED_MAIL: &str = "ticket_answered";

/// How far a ticket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Staff are asked.
    Open,
    /// Staff have answered.
    Answered,
    /// Nobody waits for anything.
    Closed,
}

impl Status {
    /// All of them, by name.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("open", Self::Open),
        ("answered", Self::Answered),
        ("closed", Self::Closed),
    ];

    /// Its name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Closed => "closed",
        }
    }
}

/// Why nothing can be asked or answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no such ticket")]
    NoSuchTicket,
    /// A bound.
    #[error("{OPEN_MAX} tickets are open already; write to one of them, or close one")]
    TooManyOpen,
    /// A bound.
    #[error("this ticket has {MESSAGES_MAX} messages; open another one")]
    TooLong,
    /// The database.
    #[error("support: {0}")]
    Database(#[from] sqlx::Error),
}

/// A guest, as they say themselves.
#[derive(Debug, Clone)]
pub struct Guest {
    /// What to call them.
    pub name: Option<String>,
    /// Where to answer.
    pub email: String,
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Asker {
    /// Somebody who has signed in.
    Account(Uuid),
    /// Somebody who has not.
    Guest(Guest),
}

/// A ticket as it is opened.
#[derive(Debug, Clone)]
pub struct NewTicket {
    /// Its name.
    pub ticket_id: Uuid,
    /// Whose it is.
    pub asker: Asker,
    /// The order that it is about.
    pub order_id: Option<Uuid>,
    /// In few words.
    pub subject: String,
    /// Its first message.
    pub message: NewMessage,
}

/// A message as it is sent.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its name.
    pub message_id: Uuid,
    /// Whether staff send it.
    pub from_staff: bool,
    /// Who, as in events.
    pub written_by: String,
    /// What it says.
    pub body: String,
}

/// A ticket as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct Ticket {
    /// Its name.
    pub ticket_id: Uuid,
    /// Whose it is; `None` for guests.
    pub account_id: Option<Uuid>,
    /// What a guest is called.
    pub name: Option<String>,
    /// Where a guest is answered.
    pub email: Option<String>,
    /// The address in lower case.
    pub email_key: Option<String>,
    /// The order that it is about.
    pub order_id: Option<Uuid>,
    /// In few words.
    pub subject: String,
    /// The name of a [`Status`].
    pub status: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

/// A message as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct Message {
    /// Its name.
    pub message_id: Uuid,
    /// Whether staff sent it.
    pub from_staff: bool,
    /// Who, as in events.
    pub written_by: String,
    /// What it says.
    pub body: String,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
}

/// Somebody with an account, and the tickets that are theirs.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Their account, and those that were merged into it.
    pub accounts: Vec<Uuid>,
    /// The key of the address that they have proved: what they asked under it as a guest is theirs.
    pub email_key: Option<String>,
}

impl Ticket {
    /// Whether it is somebody's.
    pub fn is_of(&self, owner: &Owner) -> bool {
        match self.account_id {
            Some(account_id) => owner.accounts.contains(&account_id),
            None => self.email_key.is_some() && self.email_key == owner.email_key,
        }
    }
}

/// Which tickets to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Somebody's.
    pub owner: Option<Owner>,
    /// As far as this.
    pub status: Option<Status>,
    /// About this order.
    pub order_id: Option<Uuid>,
    /// Of guests with this address, by its key.
    pub email_key: Option<String>,
    /// Opened then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Opened then or earlier.
    pub created_to: Option<DateTime<Utc>>,
}

/// Tickets, newest first, after a `(created_at, ticket_id)`.
pub async fn list(
    pool: &PgPool,
    filter: &Filter,
    limit: i64,
    after: Option<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<Ticket>, Error> {
    let (before_at, before_id) = after.unzip();
    let owner = filter.owner.as_ref();
    Ok(sqlx::query_as(
        "select * from tickets where ($1::uuid[] is null or account_id = any($1) \
             or account_id is null and email_key = $2) \
         and ($3::text is null or status = $3) and ($4::uuid is null or order_id = $4) \
         and ($5::text is null or email_key = $5) \
         and ($6::timestamptz is null or (created_at, ticket_id) < ($6, $7)) \
         and ($8::timestamptz is null or $8 <= created_at) \
         and ($9::timestamptz is null or created_at <= $9) \
         order by created_at desc, ticket_id desc limit $10",
    )
    .bind(owner.map(|owner| &owner.accounts))
    .bind(owner.and_then(|owner| owner.email_key.as_deref()))
    .bind(filter.status.map(Status::name))
    .bind(filter.order_id)
    .bind(&filter.email_key)
    .bind(before_at)
    .bind(before_id)
    .bind(filter.created_from)
    .bind(filter.created_to)
    .bind(limit)
    .fetch_all(pool)
    .await?)
}

/// A ticket, whoever's it is.
pub async fn by_id(pool: &PgPool, ticket_id: Uuid) -> Result<Option<Ticket>, Error> {
    Ok(sqlx::query_as("select * from tickets where ticket_id = $1")
        .bind(ticket_id)
        .fetch_optional(pool)
        .await?)
}

/// What was said in a ticket, the first message first.
pub async fn messages(pool: &PgPool, ticket_id: Uuid) -> Result<Vec<Message>, Error> {
    Ok(sqlx::query_as(
        "select message_id, from_staff, written_by, body, created_at from ticket_messages \
         where ticket_id = $1 order by created_at, message_id",
    )
    .bind(ticket_id)
    .fetch_all(pool)
    .await?)
}

/// Opens a ticket with its first message; one that is there already stays as it is. `email_key` is
/// how addresses are compared.
pub async fn open(
    pool: &PgPool,
    new: &NewTicket,
    email_key: impl Fn(&str) -> String,
) -> Result<(), Error> {
    let (account_id, guest) = match &new.asker {
        Asker::Account(account_id) => (Some(*account_id), None),
        Asker::Guest(guest) => (None, Some(guest)),
    };
    let key = guest.map(|guest| email_key(&guest.email));
    let now = Utc::now();
    let mut transaction = pool.begin().await?;
    // Requests at the same moment may exceed the bound by as many: it holds a flood up, no promise.
    let open: i64 = sqlx::query_scalar(
        "select count(*) from tickets where status <> 'closed' and ticket_id <> $1 \
         and (account_id = $2 or account_id is null and email_key = $3)",
    )
    .bind(new.ticket_id)
    .bind(account_id)
    .bind(&key)
    .fetch_one(&mut *transaction)
    .await?;
    if OPEN_MAX <= open {
        return Err(Error::TooManyOpen);
    }
    let opened = sqlx::query(
        "insert into tickets (ticket_id, account_id, name, email, email_key, order_id, subject, \
         status, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $8) \
         on conflict (ticket_id) do nothing",
    )
    .bind(new.ticket_id)
    .bind(account_id)
    .bind(guest.and_then(|guest| guest.name.as_deref()))
    .bind(guest.map(|guest| guest.email.as_str()))
    .bind(&key)
    .bind(new.order_id)
    .bind(&new.subject)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    if 0 < opened.rows_affected() {
        add(&mut transaction, new.ticket_id, &new.message, now).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Adds a message, and tells who asked that there is an answer: `mail` is where to, and what the
/// mail has to say beside the ticket. One that is there already changes nothing.
pub async fn write(
    pool: &PgPool,
    ticket_id: Uuid,
    message: &NewMessage,
    mail: Option<(&str, Value)>,
) -> Result<Status, Error> {
    let now = Utc::now();
    let status = if message.from_staff {
        Status::Answered
    } else {
        Status::Open
    };
    let mut transaction = pool.begin().await?;
    // Whoever writes holds the ticket, so that the bound is one and the last word sets the status.
    let held: Option<Uuid> =
        sqlx::query_scalar("select ticket_id from tickets where ticket_id = $1 for update")
            .bind(ticket_id)
            .fetch_optional(&mut *transaction)
            .await?;
    held.ok_or(Error::NoSuchTicket)?;
    let (count, is_there): (i64, bool) = sqlx::query_as(
        "select count(*), coalesce(bool_or(message_id = $2), false) from ticket_messages \
         where ticket_id = $1",
    )
    .bind(ticket_id)
    .bind(message.message_id)
    .fetch_one(&mut *transaction)
    .await?;
    if is_there {
        return Ok(status);
    }
    if MESSAGES_MAX <= count {
        return Err(Error::TooLong);
    }
    add(&mut transaction, ticket_id, message, now).await?;
    set_status(&mut transaction, ticket_id, status, now).await?;
    if let Some((recipient, payload)) = mail {
        sqlx::query(
            "insert into notifications (notification_id, kind, recipient, payload, created_at) \
             values ($1, $2, $3, $4, $5)",
        )
        .bind(Uuid::now_v7())
        .bind(ANSWERED_MAIL)
        .bind(recipient)
        .bind(payload)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(status)
}

/// Closes a ticket; one that is closed stays so.
pub async fn close(pool: &PgPool, ticket_id: Uuid) -> Result<(), Error> {
    let mut connection = pool.acquire().await?;
    set_status(&mut connection, ticket_id, Status::Closed, Utc::now()).await
}

/// How many tickets are somebody's, by their accounts and the keys of their addresses.
pub async fn count_of(pool: &PgPool, accounts: &[Uuid], keys: &[String]) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from tickets where account_id = any($1) or email_key = any($2)",
    )
    .bind(accounts)
    .bind(keys)
    .fetch_one(pool)
    .await
}

/// Deletes the tickets of somebody who is forgotten, with all that was said in them.
pub async fn forget(pool: &PgPool, accounts: &[Uuid], keys: &[String]) -> sqlx::Result<()> {
    sqlx::query("delete from tickets where account_id = any($1) or email_key = any($2)")
        .bind(accounts)
        .bind(keys)
        .execute(pool)
        .await?;
    Ok(())
}

async fn add(
    connection: &mut PgConnection,
    ticket_id: Uuid,
    message: &NewMessage,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(
        "insert into ticket_messages (message_id, ticket_id, from_staff, written_by, body, \
         created_at) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(message.message_id)
    .bind(ticket_id)
    .bind(message.from_staff)
    .bind(&message.written_by)
    .bind(&message.body)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_status(
    connection: &mut PgConnection,
    ticket_id: Uuid,
    status: Status,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query("update tickets set status = $2, updated_at = $3 where ticket_id = $1")
        .bind(ticket_id)
        .bind(status.name())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
