//! Marks: how far each read model has been brought, and in which version its tables are.
//!
//! A mark is committed with the rows it speaks of. Its row lock is the one lock that everyone who
//! writes a read model takes first: projectors of all processes, and a rebuild when it swaps.

use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

use crate::error::Error;
use crate::projection::Projection;

/// Where live tables are.
pub(crate) const LIVE: &str = "read";
/// Where a rebuild fills its copy.
pub(crate) const COPY: &str = "rebuild";

/// Held while schemas or tables are made: several processes may start at once. "daybook", in hex.
const MAKING_LOCK: i64 = 0x0064_6179_626f_6f6b;

/// A row of the marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Mark {
    pub(crate) position: i64,
    pub(crate) version: i32,
}

/// Makes both schemas with their marks, where missing.
pub(crate) async fn make_schemas(pool: &PgPool) -> Result<(), Error> {
    let mut transaction = pool.begin().await?;
    lock_making(&mut transaction).await?;
    transaction.execute(include_str!("marks.sql")).await?;
    Ok(transaction.commit().await?)
}

/// Makes the tables of a read model anew, unless they are there in this version.
pub(crate) async fn make_tables_once(
    connection: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<(), Error> {
    let mut transaction = connection.begin().await?;
    lock_making(&mut transaction).await?;
    let mark = find(&mut transaction, projection.name()).await?;
    if mark.is_none_or(|mark| mark.version != projection.version()) {
        make_tables(&mut transaction, projection).await?;
    }
    Ok(transaction.commit().await?)
}

/// Makes the tables of a read model anew, at position 0, wherever the search path leads.
pub(crate) async fn make_tables(
    connection: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<(), Error> {
    let upsert = "insert into marks (name, version, position) values ($1, $2, 0) \
                  on conflict (name) do update set version = excluded.version, position = 0";
    // Before the tables, as everyone does: who holds the mark may be writing them.
    sqlx::query(upsert)
        .bind(projection.name())
        .bind(projection.version())
        .execute(&mut *connection)
        .await?;
    // A copy must not drop what it finds further down its search path: the live tables.
    let schema: String = sqlx::query_scalar("select current_schema")
        .fetch_one(&mut *connection)
        .await?;
    projection.make(connection, &schema).await
}

/// The tables of a read model with their schema, in its own order.
pub(crate) fn qualified(schema: &str, projection: &dyn Projection) -> Vec<String> {
    projection
        .tables()
        .iter()
        .map(|table| format!("{schema}.{table}"))
        .collect()
}

/// The mark, as last committed.
pub(crate) async fn position(
    connection: &mut PgConnection,
    name: &'static str,
) -> Result<i64, Error> {
    let mark = find(connection, name).await?;
    mark.map(|mark| mark.position).ok_or(Error::NoMark { name })
}

/// Takes the mark's lock until the transaction ends; its position.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<i64, Error> {
    let select = "select position, version from marks where name = $1 for update";
    let mark: Option<Mark> = sqlx::query_as(select)
        .bind(projection.name())
        .fetch_optional(connection)
        .await?;
    let Mark { position, version: stored } =
        mark.ok_or(Error::NoMark { name: projection.name() })?;
    let own = projection.version();
    if stored != own {
        return Err(Error::OtherVersion { stored, own });
    }
    Ok(position)
}

/// Moves the mark; it commits with the rows.
pub(crate) async fn move_to(
    connection: &mut PgConnection,
    name: &str,
    position: i64,
) -> Result<(), Error> {
    let update = "update marks set position = $2 where name = $1";
    sqlx::query(update)
        .bind(name)
        .bind(position)
        .execute(connection)
        .await?;
    Ok(())
}

async fn find(connection: &mut PgConnection, name: &str) -> Result<Option<Mark>, Error> {
    let select = "select position, version from marks where name = $1";
    Ok(sqlx::query_as(select)
        .bind(name)
        .fetch_optional(connection)
        .await?)
}

async fn lock_making(connection: &mut PgConnection) -> Result<(), Error> {
    let lock = "select pg_advisory_xact_lock($1)";
    sqlx::query(lock)
        .bind(MAKING_LOCK)
        .execute(connection)
        .await?;
    Ok(())
}
