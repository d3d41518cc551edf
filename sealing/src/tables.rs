//! The tree and its heads in Postgres.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::head::{BadHead, SignedHead};
use crate::tree::StoredTile;

/// Heads that are read at a time.
const HEADS_MAX: i64 = 1_000;

/// Why heads cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer.
    #[error("the heads of the log cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// What is stored is no head.
    #[error("the stored head of size {size} cannot be read: {source}")]
    Head {
        /// Which.
        size: i64,
        /// What is wrong with it.
        source: BadHead,
    },
}

/// Which log this database holds.
pub async fn log_id(pool: &PgPool) -> sqlx::Result<Uuid> {
    sqlx::query_scalar("select log_id from log_head")
        .fetch_one(pool)
        .await
}

/// The newest head.
pub async fn newest(pool: &PgPool) -> Result<Option<SignedHead>, Error> {
    let sql = "select size, note from log_heads order by size desc limit 1";
    let row = sqlx::query_as(sql).fetch_optional(pool).await?;
    row.map(read).transpose()
}

/// The first head that covers this position.
pub async fn covering(pool: &PgPool, position: i64) -> Result<Option<SignedHead>, Error> {
    let sql = "select size, note from log_heads where $1 <= size order by size limit 1";
    let row = sqlx::query_as(sql)
        .bind(position)
        .fetch_optional(pool)
        .await?;
    row.map(read).transpose()
}

/// The head of exactly this size.
pub async fn of_size(pool: &PgPool, size: i64) -> Result<Option<SignedHead>, Error> {
    let head = covering(pool, size).await?;
    Ok(head.filter(|signed| i64::try_from(signed.head.size) == Ok(size)))
}

/// The heads of more than `size` events, in order, some at a time.
pub async fn notes_after(pool: &PgPool, size: i64) -> sqlx::Result<Vec<(i64, String)>> {
    sqlx::query_as("select size, note from log_heads where $1 < size order by size limit $2")
        .bind(size)
        .bind(HEADS_MAX)
        .fetch_all(pool)
        .await
}

fn read((size, note): (i64, String)) -> Result<SignedHead, Error> {
    SignedHead::read(&note).map_err(|source| Error::Head { size, source })
}

/// Keeps a head; fails if its predecessor has another successor already.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    signed: &SignedHead,
    previous_size: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into log_heads (size, previous_size, note, sealed_at) values ($1, $2, $3, $4)",
    )
    .bind(signed64(signed.head.size))
    .bind(previous_size)
    .bind(signed.note())
    .bind(signed.head.sealed_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps tiles; one that has grown takes the place of what it was.
pub(crate) async fn keep_tiles(
    connection: &mut PgConnection,
    tiles: &[StoredTile],
) -> sqlx::Result<()> {
    let levels: Vec<i16> = tiles.iter().map(|tile| tile.level.into()).collect();
    let numbers: Vec<i64> = tiles.iter().map(|tile| signed64(tile.tile)).collect();
    let hashes: Vec<&[u8]> = tiles.iter().map(|tile| tile.hashes.as_slice()).collect();
    sqlx::query(
        "insert into log_tiles (level, tile, hashes) \
         select * from unnest($1::smallint[], $2::bigint[], $3::bytea[]) \
         on conflict (level, tile) do update set hashes = excluded.hashes",
    )
    .bind(levels)
    .bind(numbers)
    .bind(hashes)
    .execute(connection)
    .await?;
    Ok(())
}

/// Some tiles, by level and number; what is not there is left out.
pub(crate) async fn tiles(pool: &PgPool, wanted: &[(u8, u64)]) -> sqlx::Result<Vec<StoredTile>> {
    let levels: Vec<i16> = wanted.iter().map(|(level, _)| (*level).into()).collect();
    let numbers: Vec<i64> = wanted.iter().map(|(_, tile)| signed64(*tile)).collect();
    let rows: Vec<(i16, i64, Vec<u8>)> = sqlx::query_as(
        "select level, tile, hashes \
         from log_tiles \
         join unnest($1::smallint[], $2::bigint[]) as wanted (level, tile) using (level, tile)",
    )
    .bind(levels)
    .bind(numbers)
    .fetch_all(pool)
    .await?;
    let stored = rows.into_iter().filter_map(|(level, tile, hashes)| {
        let (level, tile) = (u8::try_from(level).ok()?, u64::try_from(tile).ok()?);
        Some(StoredTile { level, tile, hashes })
    });
    Ok(stored.collect())
}

/// The hashes of a run of 256 leaves, or as many as there are.
pub(crate) async fn leaves(pool: &PgPool, tile: u64) -> sqlx::Result<Vec<u8>> {
    let tiles = tiles(pool, &[(0, tile)]).await?;
    Ok(tiles
        .into_iter()
        .next()
        .map_or_else(Vec::new, |tile| tile.hashes))
}

/// Postgres counts in signed numbers; a log of more events than they hold is not ours to see.
pub(crate) fn signed64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
