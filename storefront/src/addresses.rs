//! Address books: where somebody with an account has things sent, so that they need not say it again.
//!
//! 1. An address is its owner's; a book holds it once: a repetition adds nothing.
//! 2. One at most is the default for delivery, and one for billing. The first of a book is both.
//! 3. An order copies the address that it names: what becomes of the book changes no order.
//!
//! An owner is an account. A book is not merged as orders are when an account is merged into the one
//! whose owner has proved the address: whoever opened the other may have been somebody else, who
//! mistyped theirs, and where they live is nobody's business.

use chrono::{DateTime, Utc};
use domain::placing::Address;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// Addresses of one owner: a family, its friends, and an office or two. The book is shown as a whole.
pub const ADDRESSES_MAX: i64 = 50;
/// Longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 100;

/// Why a book cannot be changed like this.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invariant 1.
    #[error("this address is in the book already")]
    Standing,
    /// A bound.
    #[error("there are {ADDRESSES_MAX} addresses already; delete one first")]
    TooMany,
    /// No such address, or somebody else's.
    #[error("there is no such address")]
    NoSuchAddress,
    /// The database.
    #[error("addresses: {0}")]
    Database(#[from] sqlx::Error),
}

/// What its owner says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What they call it.
    pub label: Option<String>,
    /// Where it is.
    pub address: Address,
    /// Whether things are sent there if nothing else is said.
    pub is_for_delivery: bool,
    /// Whether bills are.
    pub is_for_billing: bool,
}

/// An address in a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name for us.
    pub address_id: Uuid,
    /// What its owner says of it.
    pub entry: Entry,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, FromRow)]
struct Row {
    address_id: Uuid,
    label: Option<String>,
    line1: String,
    line2: Option<String>,
    city: Option<String>,
    postcode: Option<String>,
    country: String,
    is_for_delivery: bool,
    is_for_billing: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

const COLUMNS: &str = "address_id, label, line1, line2, city, postcode, country, \
     is_for_delivery, is_for_billing, created_at, updated_at";

/// All of an owner's addresses, newest first.
pub async fn of_owner(pool: &PgPool, owner: Uuid) -> Result<Vec<Kept>, Error> {
    let select = format!(
        "select {COLUMNS} from addresses where account_id = $1 \
         order by created_at desc, address_id desc limit {ADDRESSES_MAX}"
    );
    let rows: Vec<Row> = sqlx::query_as(&select).bind(owner).fetch_all(pool).await?;
    Ok(rows.into_iter().map(Kept::from).collect())
}

/// One of an owner's addresses; nobody else's exists.
pub async fn by_id(pool: &PgPool, owner: Uuid, address_id: Uuid) -> Result<Kept, Error> {
    let select =
        format!("select {COLUMNS} from addresses where address_id = $2 and account_id = $1");
    let row: Option<Row> = sqlx::query_as(&select)
        .bind(owner)
        .bind(address_id)
        .fetch_optional(pool)
        .await?;
    row.map(Kept::from).ok_or(Error::NoSuchAddress)
}

/// Puts an address into a book. An account that is closed has none.
pub async fn add(pool: &PgPool, owner: Uuid, entry: &Entry) -> Result<Kept, Error> {
    let mut transaction = pool.begin().await?;
    alone(&mut transaction, owner).await?;
    let count = "select count(*) from addresses where account_id = $1";
    let there: i64 = sqlx::query_scalar(count)
        .bind(owner)
        .fetch_one(&mut *transaction)
        .await?;
    if ADDRESSES_MAX <= there {
        return Err(Error::TooMany);
    }
    let is_first = there == 0;
    let entry = Entry {
        is_for_delivery: entry.is_for_delivery || is_first,
        is_for_billing: entry.is_for_billing || is_first,
        ..entry.clone()
    };
    let address_id = Uuid::now_v7();
    make_way(&mut transaction, owner, &entry, address_id).await?;
    // Locked, so that whoever closes the account deletes this with the rest of its book, however late
    // another process hears that its sessions have ended.
    let insert = format!(
        "insert into addresses (account_id, {COLUMNS}) \
         select owner.account_id, $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11 \
         from (select account_id from accounts where account_id = $2 and closed_at is null for share) \
         as owner returning {COLUMNS}"
    );
    let kept = written(&mut transaction, &insert, owner, address_id, &entry).await?;
    transaction.commit().await?;
    kept.ok_or(Error::NoSuchAddress)
}

/// Says all of an address anew.
pub async fn replace(
    pool: &PgPool,
    owner: Uuid,
    address_id: Uuid,
    entry: &Entry,
) -> Result<Kept, Error> {
    let mut transaction = pool.begin().await?;
    alone(&mut transaction, owner).await?;
    make_way(&mut transaction, owner, entry, address_id).await?;
    let update = format!(
        "update addresses set label = $3, line1 = $4, line2 = $5, city = $6, postcode = $7, \
         country = $8, is_for_delivery = $9, is_for_billing = $10, updated_at = $11 \
         where address_id = $1 and account_id = $2 returning {COLUMNS}"
    );
    let kept = written(&mut transaction, &update, owner, address_id, entry).await?;
    // Before the commit: an address that is not there takes no default from another.
    let kept = kept.ok_or(Error::NoSuchAddress)?;
    transaction.commit().await?;
    Ok(kept)
}

/// Takes an address out of a book. If it was a default, there is none until its owner names another.
pub async fn delete(pool: &PgPool, owner: Uuid, address_id: Uuid) -> Result<(), Error> {
    let delete = "delete from addresses where address_id = $2 and account_id = $1";
    let deleted = sqlx::query(delete)
        .bind(owner)
        .bind(address_id)
        .execute(pool)
        .await?;
    if deleted.rows_affected() == 0 {
        return Err(Error::NoSuchAddress);
    }
    Ok(())
}

/// Deletes the books of somebody who is forgotten, or whose accounts were closed.
pub async fn forget(pool: &PgPool, accounts: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query("delete from addresses where account_id = any($1)")
        .bind(accounts)
        .execute(pool)
        .await?;
    Ok(())
}

/// Changes of a book happen one after another, so that its bound is one, and so that of two who name
/// a default at the same moment neither is refused.
async fn alone(connection: &mut PgConnection, owner: Uuid) -> Result<(), Error> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('addresses:' || $1::text, 0))")
        .bind(owner)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes from the others what this one is to be.
async fn make_way(
    connection: &mut PgConnection,
    owner: Uuid,
    entry: &Entry,
    address_id: Uuid,
) -> Result<(), Error> {
    sqlx::query(
        "update addresses set is_for_delivery = is_for_delivery and not $3, \
         is_for_billing = is_for_billing and not $4 \
         where account_id = $1 and address_id <> $2 \
         and (is_for_delivery and $3 or is_for_billing and $4)",
    )
    .bind(owner)
    .bind(address_id)
    .bind(entry.is_for_delivery)
    .bind(entry.is_for_billing)
    .execute(connection)
    .await?;
    Ok(())
}

async fn written(
    connection: &mut PgConnection,
    sql: &str,
    owner: Uuid,
    address_id: Uuid,
    entry: &Entry,
) -> Result<Option<Kept>, Error> {
    let Entry { label, address, is_for_delivery, is_for_billing } = entry;
    let row: Option<Row> = sqlx::query_as(sql)
        .bind(address_id)
        .bind(owner)
        .bind(label)
        .bind(&address.line1)
        .bind(&address.line2)
        .bind(&address.city)
        .bind(&address.postcode)
        .bind(&address.country)
        .bind(is_for_delivery)
        .bind(is_for_billing)
        .bind(Utc::now())
        .fetch_optional(connection)
        .await
        .map_err(standing)?;
    Ok(row.map(Kept::from))
}

fn standing(error: sqlx::Error) -> Error {
    match error.as_database_error().and_then(|e| e.constraint()) {
        Some("addresses_stand_in_a_book_once") => Error::Standing,
        _ => Error::Database(error),
    }
}

impl From<Row> for Kept {
    fn from(row: Row) -> Self {
        Self {
            address_id: row.address_id,
            entry: Entry {
                label: row.label,
                address: Address {
                    line1: row.line1,
                    line2: row.line2,
                    city: row.city,
                    postcode: row.postcode,
                    country: row.country,
                },
                is_for_delivery: row.is_for_delivery,
                is_for_billing: row.is_for_billing,
            },
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
