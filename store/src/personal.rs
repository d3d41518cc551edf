//! Keys of personal data: made with each event that holds some, found for whoever reads, destroyed
//! when somebody is forgotten.
//!
//! Invariants:
//! 1. A key is committed in the statement that commits what it seals, so neither is there without
//!    the other.
//! 2. Keys are destroyed in the transaction that says so in the log.
//! 3. No key is kept in memory: whoever reads the log asks for the keys of what it reads, in one
//!    query. So what is destroyed is gone for every process at once.
//! 4. What is given for an order whose person was forgotten already is born forgotten.

use std::collections::HashMap;

use domain::event::Event;
use domain::ids::OrderId;
use domain::person;
use domain::personal::Hidden;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::masters::{self, CannotUnwrap, MasterKeys, Unwrapped};
use crate::sealed::{self, CannotOpen, KeyState, Place};

/// Keys that are wrapped anew in one transaction: a fraction of a second.
const REWRAPPED_MAX: i64 = 1_000;

/// Seals what a process writes.
#[derive(Debug, Clone)]
pub struct Sealer(MasterKeys);

/// A key on its way into the database, with what it seals.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    pub(crate) key_id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) wrapped: Vec<u8>,
    /// For an order that was placed before: its person may have been forgotten.
    pub(crate) is_late: bool,
}

/// Why a process cannot begin to read and write personal data.
#[derive(Debug, thiserror::Error)]
pub enum CannotBegin {
    /// The log was sealed, and there is nothing to open it with.
    #[error(
        "personal data in this log is sealed, and there is no master key: give DAYBOOK_MASTER_KEY \
         the key that was used before (fingerprint {0})"
    )]
    NoMasterKey(String),
    /// It was sealed with something else.
    #[error(
        "DAYBOOK_MASTER_KEY is not the key that personal data in this log is sealed with \
         (fingerprint {0}): give that key; to exchange it for another, give both, the new one first"
    )]
    WrongMasterKey(String),
    /// The database did not answer.
    #[error("the keys of personal data cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// A key cannot be wrapped anew.
    #[error("key {key_id}: {cause}")]
    Key {
        /// Which.
        key_id: Uuid,
        /// Why.
        cause: CannotUnwrap,
    },
}

/// Makes sure that a process can read what the log holds, before it reads or writes any of it. From
/// then on it seals with the first of the keys. Without keys nothing is sealed, which is well only
/// for a log in which nothing is.
pub async fn begin(
    pool: &PgPool,
    masters: Option<&MasterKeys>,
) -> Result<Option<Sealer>, CannotBegin> {
    let mut transaction = pool.begin().await?;
    // So that two processes with different keys cannot both be the first.
    sqlx::query("lock table master_keys in exclusive mode")
        .execute(&mut *transaction)
        .await?;
    let used: Vec<Vec<u8>> =
        sqlx::query_scalar("select fingerprint from master_keys order by since")
            .fetch_all(&mut *transaction)
            .await?;
    let Some(masters) = masters else {
        return match used.last() {
            Some(fingerprint) => Err(CannotBegin::NoMasterKey(hex::encode(fingerprint))),
            None => Ok(None),
        };
    };
    if let Some(unknown) = used.iter().find(|fingerprint| !masters.hold(fingerprint)) {
        return Err(CannotBegin::WrongMasterKey(hex::encode(unknown)));
    }
    sqlx::query("insert into master_keys (fingerprint) values ($1) on conflict do nothing")
        .bind(masters.fingerprint().0)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    masters::know(masters);
    Ok(Some(Sealer(masters.clone())))
}

/// Wraps every key with the first master key that is wrapped with another one, and then lets go of
/// those that are used no more. Returns how many were wrapped. Everything may go on meanwhile; what
/// is destroyed meanwhile stays so.
pub async fn rewrap(pool: &PgPool, masters: &MasterKeys) -> Result<u64, CannotBegin> {
    begin(pool, Some(masters)).await?;
    let first = masters.fingerprint().0;
    let (mut last, mut count) = (Uuid::nil(), 0);
    loop {
        let rows: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(
            "select key_id, wrapped from personal_keys \
             where $1 < key_id and wrapped is not null and substring(wrapped for 8) <> $2 \
             order by key_id limit $3",
        )
        .bind(last)
        .bind(first)
        .bind(REWRAPPED_MAX)
        .fetch_all(pool)
        .await?;
        let Some((newest, _)) = rows.last() else {
            break;
        };
        last = *newest;
        let (mut ids, mut olds, mut news) = (Vec::new(), Vec::new(), Vec::new());
        for (key_id, wrapped) in rows {
            let unwrapped = masters::unwrap(key_id, &wrapped);
            match unwrapped.map_err(|cause| CannotBegin::Key { key_id, cause })? {
                Unwrapped::Key(key) => news.push(masters.wrap(key_id, &key)),
                Unwrapped::Elsewhere => continue,
            }
            ids.push(key_id);
            olds.push(wrapped);
        }
        let rewrapped = sqlx::query(
            "update personal_keys set wrapped = r.new from ( \
                 select unnest($1::uuid[]) as key_id, unnest($2::bytea[]) as old, \
                     unnest($3::bytea[]) as new \
             ) as r where personal_keys.key_id = r.key_id and personal_keys.wrapped = r.old",
        )
        .bind(ids)
        .bind(olds)
        .bind(news)
        .execute(pool)
        .await?;
        count += rewrapped.rows_affected();
    }
    sqlx::query(
        "delete from master_keys where fingerprint <> $1 and not exists ( \
             select from personal_keys \
             where substring(wrapped for 8) = master_keys.fingerprint)",
    )
    .bind(first)
    .execute(pool)
    .await?;
    Ok(count)
}

/// How many of these orders have had personal data sealed: of the others the log holds it in clear.
pub async fn sealed_among(pool: &PgPool, orders: &[OrderId]) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(distinct order_id) from personal_keys where order_id = any($1)",
    )
    .bind(uuids(orders))
    .fetch_one(pool)
    .await
}

fn uuids(orders: &[OrderId]) -> Vec<Uuid> {
    orders.iter().map(|order| order.0).collect()
}

impl Sealer {
    /// What is to be stored in place of a payload, with its key; `None` where nothing is personal.
    pub(crate) fn seal(
        &self,
        place: Place<'_>,
        order_id: Uuid,
        payload: &str,
    ) -> Result<Option<(String, NewKey)>, serde_json::Error> {
        let Some(sealed) = sealed::seal(place, payload)? else {
            return Ok(None);
        };
        let key_id = sealed.key_id;
        let wrapped = self.0.wrap(key_id, &sealed.key);
        // An order's id was just made when its stream begins.
        let is_late = place.aggregate_type != "order";
        Ok(Some((sealed.payload, NewKey { key_id, order_id, wrapped, is_late })))
    }
}

/// The orders whose keys an event destroys.
pub(crate) fn forgets(event: &Event) -> &[OrderId] {
    match event {
        Event::Person(person::Event::Forgotten { orders, .. }) => orders,
        Event::Order(_)
        | Event::Payment(_)
        | Event::Inventory(_)
        | Event::Product(_)
        | Event::Listing(_)
        | Event::Categories(_)
        | Event::Vendor(_)
        | Event::Promotion(_)
        | Event::Delivery(_) => &[],
    }
}

/// Destroys the keys of these orders. Orders without any are marked as forgotten.
pub(crate) async fn destroy(connection: &mut PgConnection, orders: &[OrderId]) -> sqlx::Result<()> {
    sqlx::query(include_str!("personal_destroy.sql"))
        .bind(uuids(orders))
        .execute(connection)
        .await?;
    Ok(())
}

/// Keys as the database holds them, for some payloads.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<Uuid, Option<Vec<u8>>>);

impl Keys {
    /// The keys of these `(event type, payload)`: one query, and none where nothing is sealed.
    pub(crate) async fn of<'p>(
        database: impl PgExecutor<'_>,
        payloads: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> sqlx::Result<Self> {
        let ids: Vec<Uuid> = payloads
            .into_iter()
            .filter_map(|(event_type, payload)| sealed::key_of(event_type, payload))
            .collect();
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let found: Vec<(Uuid, Option<Vec<u8>>)> =
            sqlx::query_as("select key_id, wrapped from personal_keys where key_id = any($1)")
                .bind(ids)
                .fetch_all(database)
                .await?;
        Ok(Self(found.into_iter().collect()))
    }

    /// The payload as it reads; `None` where nothing is sealed in it.
    pub(crate) fn open(
        &self,
        place: Place<'_>,
        payload: &str,
    ) -> Result<Option<String>, CannotOpen> {
        let Some(key_id) = sealed::key_of(place.event_type, payload) else {
            return Ok(None);
        };
        let key = match self.0.get(&key_id) {
            None => return Err(CannotOpen::NoKey(key_id)),
            Some(None) => KeyState::Hidden(Hidden::Forgotten),
            Some(Some(wrapped)) => match masters::unwrap(key_id, wrapped)? {
                Unwrapped::Key(key) => KeyState::Live(key),
                Unwrapped::Elsewhere => KeyState::Hidden(Hidden::Sealed),
            },
        };
        sealed::open(place, payload, &key).map(Some)
    }
}
