//! The names of what has succeeded at the provider: in a table that ends with its connection.

use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

/// The names that were listed.
pub(super) struct Listed(PgConnection);

impl Listed {
    /// An empty one, on a connection of its own.
    pub(super) async fn open(pool: &PgPool) -> sqlx::Result<Self> {
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        connection
            .execute("create temporary table listed (name text primary key)")
            .await?;
        Ok(Self(connection))
    }

    pub(super) async fn add(&mut self, names: &[String]) -> sqlx::Result<()> {
        sqlx::query("insert into listed select unnest($1::text[]) on conflict do nothing")
            .bind(names)
            .execute(&mut self.0)
            .await?;
        Ok(())
    }

    /// Those that were not listed.
    pub(super) async fn lacking(&mut self, names: &[String]) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "select distinct name from unnest($1::text[]) as asked (name) \
             where not exists (select from listed where listed.name = asked.name)",
        )
        .bind(names)
        .fetch_all(&mut self.0)
        .await
    }
}
