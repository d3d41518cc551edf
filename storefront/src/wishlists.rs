//! Wishlists: what somebody with an account would like to have, in lists with names.
//!
//! 1. A list is its owner's. Whoever is shown its link reads it and changes nothing; sharing it anew,
//!    or no longer, ends the link.
//! 2. Names of one owner's lists differ, and a list holds an article once: a repetition changes
//!    nothing.
//!
//! An owner is a set of accounts: one, and those that were merged into it.

use chrono::{DateTime, Utc};
use domain::ids::Sku;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Lists of one owner: for each birthday of a large family.
pub const LISTS_MAX: i64 = 20;
/// Articles of one list: it is shown as a whole.
pub const ITEMS_MAX: i64 = 100;
/// Longest name of a list, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest note beside an article, in characters.
pub const NOTE_CHARS_MAX: usize = 200;

/// Why something cannot be wished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invariant 2.
    #[error("there is a list with this name")]
    NameTaken,
    /// A bound.
    #[error("there are {LISTS_MAX} lists already; delete one first")]
    TooManyLists,
    /// A bound.
    #[error("there are {ITEMS_MAX} articles on this list already; remove one first")]
    TooManyItems,
    /// No such list, or somebody else's.
    #[error("there is no such list")]
    NoSuchList,
    /// The database.
    #[error("wishlists: {0}")]
    Database(#[from] sqlx::Error),
}

/// A list, without what is on it.
#[derive(Debug, Clone, FromRow)]
pub struct Wishlist {
    /// Its name for us.
    pub wishlist_id: Uuid,
    /// Whose it is.
    pub account_id: Uuid,
    /// Its name for people.
    pub name: String,
    /// What its link is computed from, while it is shared.
    pub share_id: Option<Uuid>,
    /// How many articles are on it.
    pub items: i64,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// An article on a list.
#[derive(Debug, Clone, FromRow)]
pub struct Item {
    /// Which.
    pub sku: String,
    /// What its owner says of it.
    pub note: Option<String>,
    /// Since when.
    pub added_at: DateTime<Utc>,
}

const COLUMNS: &str = "wishlist_id, account_id, name, share_id, created_at, updated_at, \
     (select count(*) from wishlist_items \
      where wishlist_items.wishlist_id = wishlists.wishlist_id) as items";

/// Every list of an owner, newest first.
pub async fn of_owner(pool: &PgPool, owner: &[Uuid]) -> Result<Vec<Wishlist>, Error> {
    // Of merged accounts each may have as many.
    let select = format!(
        "select {COLUMNS} from wishlists where account_id = any($1) \
         order by created_at desc, wishlist_id desc limit {LISTS_MAX} * 5"
    );
    Ok(sqlx::query_as(&select).bind(owner).fetch_all(pool).await?)
}

/// A list, whoever's it is.
pub async fn by_id(pool: &PgPool, wishlist_id: Uuid) -> Result<Option<Wishlist>, Error> {
    let select = format!("select {COLUMNS} from wishlists where wishlist_id = $1");
    Ok(sqlx::query_as(&select)
        .bind(wishlist_id)
        .fetch_optional(pool)
        .await?)
}

/// What is on a list, newest first.
pub async fn items(pool: &PgPool, wishlist_id: Uuid) -> Result<Vec<Item>, Error> {
    Ok(sqlx::query_as(
        "select sku, note, added_at from wishlist_items where wishlist_id = $1 \
         order by added_at desc, sku",
    )
    .bind(wishlist_id)
    .fetch_all(pool)
    .await?)
}

/// Makes a list under this name for an account, which is among its owner's. One that is there already
/// stays as it is.
pub async fn create(
    pool: &PgPool,
    wishlist_id: Uuid,
    account_id: Uuid,
    owner: &[Uuid],
    name: &str,
) -> Result<Wishlist, Error> {
    // Requests at the same moment may exceed the bound by as many: it keeps tables small, no promise.
    let insert = format!(
        "insert into wishlists (wishlist_id, account_id, name, created_at, updated_at) \
         select $1, $2, $3, $4, $4 \
         where (select count(*) from wishlists where account_id = any($5)) < {LISTS_MAX} \
         on conflict (wishlist_id) do nothing returning {COLUMNS}"
    );
    let made: Option<Wishlist> = sqlx::query_as(&insert)
        .bind(wishlist_id)
        .bind(account_id)
        .bind(name)
        .bind(Utc::now())
        .bind(owner)
        .fetch_optional(pool)
        .await
        .map_err(taken)?;
    match made {
        Some(made) => Ok(made),
        None => by_id(pool, wishlist_id).await?.ok_or(Error::TooManyLists),
    }
}

/// Calls a list otherwise.
pub async fn rename(
    pool: &PgPool,
    owner: &[Uuid],
    wishlist_id: Uuid,
    name: &str,
) -> Result<Wishlist, Error> {
    let update = format!(
        "update wishlists set name = $3, updated_at = $4 \
         where wishlist_id = $2 and account_id = any($1) returning {COLUMNS}"
    );
    let renamed: Option<Wishlist> = sqlx::query_as(&update)
        .bind(owner)
        .bind(wishlist_id)
        .bind(name)
        .bind(Utc::now())
        .fetch_optional(pool)
        .await
        .map_err(taken)?;
    renamed.ok_or(Error::NoSuchList)
}

/// Deletes a list with all that is on it.
pub async fn delete(pool: &PgPool, owner: &[Uuid], wishlist_id: Uuid) -> Result<(), Error> {
    let deleted =
        sqlx::query("delete from wishlists where wishlist_id = $2 and account_id = any($1)")
            .bind(owner)
            .bind(wishlist_id)
            .execute(pool)
            .await?;
    found(deleted.rows_affected())
}

/// Gives a list a link, in place of the one that it may have.
pub async fn share(pool: &PgPool, owner: &[Uuid], wishlist_id: Uuid) -> Result<Wishlist, Error> {
    set_share(pool, owner, wishlist_id, Some(Uuid::new_v4())).await
}

/// Ends a list's link.
pub async fn unshare(pool: &PgPool, owner: &[Uuid], wishlist_id: Uuid) -> Result<Wishlist, Error> {
    set_share(pool, owner, wishlist_id, None).await
}

async fn set_share(
    pool: &PgPool,
    owner: &[Uuid],
    wishlist_id: Uuid,
    share_id: Option<Uuid>,
) -> Result<Wishlist, Error> {
    let update = format!(
        "update wishlists set share_id = $3, updated_at = $4 \
         where wishlist_id = $2 and account_id = any($1) returning {COLUMNS}"
    );
    let shared: Option<Wishlist> = sqlx::query_as(&update)
        .bind(owner)
        .bind(wishlist_id)
        .bind(share_id)
        .bind(Utc::now())
        .fetch_optional(pool)
        .await?;
    shared.ok_or(Error::NoSuchList)
}

/// Puts an article on a list, or says something else of it there.
pub async fn put(
    pool: &PgPool,
    owner: &[Uuid],
    wishlist_id: Uuid,
    sku: &Sku,
    note: Option<&str>,
) -> Result<(), Error> {
    let mut transaction = pool.begin().await?;
    // Whoever changes a list holds its row, so that the bound is one.
    let touched = sqlx::query(
        "update wishlists set updated_at = $3 where wishlist_id = $2 and account_id = any($1)",
    )
    .bind(owner)
    .bind(wishlist_id)
    .bind(Utc::now())
    .execute(&mut *transaction)
    .await?;
    found(touched.rows_affected())?;
    let put = sqlx::query(
        "insert into wishlist_items (wishlist_id, sku, note, added_at) select $1, $2, $3, $4 \
         where (select count(*) from wishlist_items where wishlist_id = $1 and sku <> $2) < $5 \
         on conflict (wishlist_id, sku) do update set note = excluded.note",
    )
    .bind(wishlist_id)
    .bind(sku.as_str())
    .bind(note)
    .bind(Utc::now())
    .bind(ITEMS_MAX)
    .execute(&mut *transaction)
    .await?;
    if put.rows_affected() == 0 {
        return Err(Error::TooManyItems);
    }
    transaction.commit().await?;
    Ok(())
}

/// Takes an article off a list; that it is not there is as asked for.
pub async fn remove(
    pool: &PgPool,
    owner: &[Uuid],
    wishlist_id: Uuid,
    sku: &Sku,
) -> Result<(), Error> {
    let mut transaction = pool.begin().await?;
    let touched = sqlx::query(
        "update wishlists set updated_at = $3 where wishlist_id = $2 and account_id = any($1)",
    )
    .bind(owner)
    .bind(wishlist_id)
    .bind(Utc::now())
    .execute(&mut *transaction)
    .await?;
    found(touched.rows_affected())?;
    sqlx::query("delete from wishlist_items where wishlist_id = $1 and sku = $2")
        .bind(wishlist_id)
        .bind(sku.as_str())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Deletes all lists of somebody who is forgotten.
pub async fn forget(pool: &PgPool, accounts: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query("delete from wishlists where account_id = any($1)")
        .bind(accounts)
        .execute(pool)
        .await?;
    Ok(())
}

fn found(rows: u64) -> Result<(), Error> {
    if rows == 0 {
        Err(Error::NoSuchList)
    } else {
        Ok(())
    }
}

fn taken(error: sqlx::Error) -> Error {
    match error.as_database_error().and_then(|e| e.constraint()) {
        Some("wishlists_have_names_of_their_own") => Error::NameTaken,
        _ => Error::Database(error),
    }
}
