//! Carts: what somebody means to buy, until they order it or forget about it.
//!
//! 1. A cart is an account's, which has one at most, or belongs to whoever shows its token. Of the
//!    token, a digest is kept.
//! 2. From the first try to order it on, a cart keeps the name of its order, so that one order at
//!    most comes of it, whoever tries and however often. Once that is placed, what was ordered is
//!    taken out and the name forgotten, both at once: a repetition takes nothing out.
//! 3. A cart has at most as many lines and pieces as an order may have.
//! 4. A cart that nobody changes expires.

mod changing;
mod merging;
mod token;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{OrderId, Sku};
use domain::money::Currency;
use domain::placing::{LINES_MAX, QUANTITY_MAX};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

pub use self::changing::Change;
pub use self::merging::{Merged, MergedLine};

/// How long a guest's cart is kept after its last change: as long as people come back for one.
pub const GUEST_LIFE: TimeDelta = TimeDelta::days(30);
/// How long an account's is: it is found again wherever its owner signs in.
pub const ACCOUNT_LIFE: TimeDelta = TimeDelta::days(180);
/// How long a guest's cart is kept into which nothing was ever put: anybody can make them.
const EMPTY_LIFE: TimeDelta = TimeDelta::days(1);
/// How often carts that have expired are deleted.
const TIDY_EVERY: Duration = Duration::from_hours(1);
/// Carts that are deleted at a time, each with up to 2,000 lines.
const TIDY_MAX: i64 = 1_000;

/// Whose cart is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// This account's.
    Account(Uuid),
    /// Whoever's shows this token.
    Token(&'a str),
}

/// A cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// Its name for us.
    pub cart_id: Uuid,
    /// What prices are shown in.
    pub currency: Currency,
    /// The order that is being made of it.
    pub order_id: Option<OrderId>,
    /// What is in it, in the order in which it was put there.
    pub items: Vec<CartItem>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it is forgotten, unless it is changed before.
    pub expires_at: DateTime<Utc>,
}

/// So many pieces of an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartItem {
    /// Which.
    pub sku: Sku,
    /// How many, 1 to [`QUANTITY_MAX`].
    pub quantity: u32,
}

/// Why a cart is not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None, or none any more.
    #[error("there is no such cart, or not any more")]
    NoSuchCart,
    /// Bounds the order that comes of it.
    #[error("a cart has at most {LINES_MAX} lines")]
    TooManyLines,
    /// Bounds a line.
    #[error("there would be more than {QUANTITY_MAX} pieces of {sku}")]
    TooManyPieces {
        /// Of which article.
        sku: Sku,
    },
    /// The database.
    #[error("the database did not do as asked: {0}")]
    Database(#[from] sqlx::Error),
    /// A row that nobody can have written.
    #[error("a cart holds what it cannot hold: {0}")]
    Broken(&'static str),
}

/// Where carts are kept; clones share it.
#[derive(Debug, Clone)]
pub struct Carts {
    pool: PgPool,
}

#[derive(FromRow)]
struct Row {
    cart_id: Uuid,
    account_id: Option<Uuid>,
    currency: String,
    order_id: Option<Uuid>,
    updated_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

const COLUMNS: &str = "cart_id, account_id, currency, order_id, updated_at, expires_at";

impl Carts {
    /// Those of a migrated database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// A new cart for somebody without an account, and the token that opens it, kept nowhere.
    pub async fn open(&self, currency: Currency) -> Result<(Cart, String), Error> {
        let token = token::new();
        let now = Utc::now();
        let insert = format!(
            "insert into carts (cart_id, token_hash, currency, created_at, updated_at, expires_at) \
             values ($1, $2, $3, $4, $4, $5) returning {COLUMNS}"
        );
        let row: Row = sqlx::query_as(&insert)
            .bind(Uuid::now_v7())
            .bind(token::digest(&token).as_slice())
            .bind(currency.code())
            .bind(now)
            .bind(now + EMPTY_LIFE)
            .fetch_one(&self.pool)
            .await?;
        Ok((row.with(Vec::new())?, token))
    }

    /// Makes the account's cart, in this currency, if it has none.
    pub async fn open_account(&self, account_id: Uuid, currency: Currency) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        ensure(&mut transaction, account_id, currency).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// A cart as it is.
    pub async fn find(&self, whose: Whose<'_>) -> Result<Cart, Error> {
        let mut connection = self.pool.acquire().await?;
        let row = find(&mut connection, whose, "").await?;
        filled(&mut connection, row).await
    }

    /// Throws a cart away. Its token opens nothing from then on.
    pub async fn throw_away(&self, whose: Whose<'_>) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        let row = find(&mut transaction, whose, FOR_UPDATE).await?;
        sqlx::query("delete from carts where cart_id = $1")
            .bind(row.cart_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The order that is being made of a cart, if somebody has tried, and the cart.
    pub async fn being_ordered(&self, whose: Whose<'_>) -> Result<Option<(Uuid, OrderId)>, Error> {
        let mut connection = self.pool.acquire().await?;
        let row = find(&mut connection, whose, "").await?;
        Ok(row
            .order_id
            .map(|order_id| (row.cart_id, OrderId(order_id))))
    }

    /// The name of the order that is to be made of a cart: this one, unless somebody has tried
    /// before and what came of it has not been taken out yet.
    pub async fn name_order(&self, cart_id: Uuid, new: OrderId) -> Result<OrderId, Error> {
        let update = "update carts set order_id = coalesce(order_id, $2) where cart_id = $1 \
                      returning order_id";
        let named: Option<Uuid> = sqlx::query_scalar(update)
            .bind(cart_id)
            .bind(new.0)
            .fetch_optional(&self.pool)
            .await?;
        named.map(OrderId).ok_or(Error::NoSuchCart)
    }

    /// Takes out what was ordered, once the order is in the log; what was put in meanwhile stays.
    /// Whether that was still to be done.
    pub async fn take_out(
        &self,
        cart_id: Uuid,
        order_id: OrderId,
        ordered: &[(Sku, u64)],
    ) -> Result<bool, Error> {
        let mut transaction = self.pool.begin().await?;
        // Locks the cart as well.
        let forget = "update carts set order_id = null, updated_at = now() \
                      where cart_id = $1 and order_id = $2";
        let done = sqlx::query(forget)
            .bind(cart_id)
            .bind(order_id.0)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let pieces = |quantity: u64| i64::try_from(quantity).unwrap_or(i64::MAX);
        let skus: Vec<&str> = ordered.iter().map(|(sku, _)| sku.as_str()).collect();
        let quantities: Vec<i64> = ordered.iter().map(|(_, count)| pieces(*count)).collect();
        for statement in [
            "delete from cart_items i using unnest($2::text[], $3::bigint[]) as o (sku, quantity) \
             where i.cart_id = $1 and i.sku = o.sku and i.quantity <= o.quantity",
            // What the first statement has left of what was ordered: lines that have grown since.
            "update cart_items i set quantity = i.quantity - o.quantity \
             from unnest($2::text[], $3::bigint[]) as o (sku, quantity) \
             where i.cart_id = $1 and i.sku = o.sku and o.quantity < i.quantity",
        ] {
            sqlx::query(statement)
                .bind(cart_id)
                .bind(&skus)
                .bind(&quantities)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Deletes the carts of accounts that are forgotten.
    pub async fn forget(&self, accounts: &[Uuid]) -> Result<(), Error> {
        sqlx::query("delete from carts where account_id = any($1) or merged_into = any($1)")
            .bind(accounts)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Deletes what has expired, for ever.
    pub async fn keep_tidy(self) {
        let mut ticks = tokio::time::interval(TIDY_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.tidy().await {
                Ok(0) => {}
                Ok(carts) => tracing::info!(carts, "carts that had expired were deleted"),
                Err(error) => tracing::warn!(%error, "expired carts are deleted later"),
            }
        }
    }

    /// Deletes what has expired; how many carts that were.
    pub async fn tidy(&self) -> Result<u64, Error> {
        let delete = "delete from carts where cart_id in \
                      (select cart_id from carts where expires_at <= now() \
                       order by expires_at limit $1 for update skip locked)";
        let mut deleted = 0;
        loop {
            let done = sqlx::query(delete)
                .bind(TIDY_MAX)
                .execute(&self.pool)
                .await?;
            deleted += done.rows_affected();
            if done.rows_affected() < TIDY_MAX.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }
}

const FOR_UPDATE: &str = "for update";

/// A cart without what is in it; `lock` is [`FOR_UPDATE`] or nothing.
async fn find(
    connection: &mut PgConnection,
    whose: Whose<'_>,
    lock: &'static str,
) -> Result<Row, Error> {
    let row = match whose {
        Whose::Account(account_id) => {
            let select = format!(
                "select {COLUMNS} from carts where account_id = $1 and now() < expires_at {lock}"
            );
            sqlx::query_as(&select)
                .bind(account_id)
                .fetch_optional(connection)
                .await?
        }
        Whose::Token(token) => {
            let select = format!(
                "select {COLUMNS} from carts where token_hash = $1 and merged_into is null \
                 and now() < expires_at {lock}"
            );
            sqlx::query_as(&select)
                .bind(token::digest(token).as_slice())
                .fetch_optional(connection)
                .await?
        }
    };
    row.ok_or(Error::NoSuchCart)
}

/// The account's cart, locked; made if there is none.
async fn ensure(
    connection: &mut PgConnection,
    account_id: Uuid,
    currency: Currency,
) -> Result<Row, Error> {
    let now = Utc::now();
    sqlx::query("delete from carts where account_id = $1 and expires_at <= now()")
        .bind(account_id)
        .execute(&mut *connection)
        .await?;
    // Whoever makes it at the same time is waited for, and its cart is found then.
    sqlx::query(
        "insert into carts (cart_id, account_id, currency, created_at, updated_at, expires_at) \
         values ($1, $2, $3, $4, $4, $5) \
         on conflict (account_id) where account_id is not null do nothing",
    )
    .bind(Uuid::now_v7())
    .bind(account_id)
    .bind(currency.code())
    .bind(now)
    .bind(now + ACCOUNT_LIFE)
    .execute(&mut *connection)
    .await?;
    find(connection, Whose::Account(account_id), FOR_UPDATE).await
}

/// A cart with what is in it.
async fn filled(connection: &mut PgConnection, row: Row) -> Result<Cart, Error> {
    let items = items(connection, row.cart_id).await?;
    row.with(items)
}

async fn items(connection: &mut PgConnection, cart_id: Uuid) -> Result<Vec<CartItem>, Error> {
    let select = "select sku, quantity from cart_items where cart_id = $1 order by entry";
    let rows: Vec<(String, i32)> = sqlx::query_as(select)
        .bind(cart_id)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|(sku, quantity)| {
            let sku = sku.try_into().map_err(|_| Error::Broken("a SKU"))?;
            let quantity = u32::try_from(quantity).map_err(|_| Error::Broken("a quantity"))?;
            Ok(CartItem { sku, quantity })
        })
        .collect()
}

/// Marks a cart as changed; it is kept for as long again.
async fn touch(connection: &mut PgConnection, row: &Row) -> Result<Row, Error> {
    let life = if row.account_id.is_some() {
        ACCOUNT_LIFE
    } else {
        GUEST_LIFE
    };
    let now = Utc::now();
    let update = format!(
        "update carts set updated_at = $2, expires_at = $3 where cart_id = $1 returning {COLUMNS}"
    );
    Ok(sqlx::query_as(&update)
        .bind(row.cart_id)
        .bind(now)
        .bind(now + life)
        .fetch_one(connection)
        .await?)
}

impl Row {
    fn with(self, items: Vec<CartItem>) -> Result<Cart, Error> {
        let currency = self.currency.parse();
        Ok(Cart {
            cart_id: self.cart_id,
            currency: currency.map_err(|_| Error::Broken("a currency"))?,
            order_id: self.order_id.map(OrderId),
            items,
            updated_at: self.updated_at,
            expires_at: self.expires_at,
        })
    }
}
