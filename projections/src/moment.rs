//! Read models as they all stand at one moment, for whoever reads a list to its end.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::error::Error;
use crate::marks;

/// One moment. Holds a connection and a transaction until it is dropped.
pub struct Moment {
    transaction: Transaction<'static, Postgres>,
    position: i64,
}

impl Moment {
    /// Fixes it, in the pool where read models are asked.
    pub async fn of(reads: &PgPool, names: &[&'static str]) -> Result<Self, Error> {
        let mut transaction = reads.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only")
            .execute(&mut *transaction)
            .await?;
        let mut position: Option<i64> = None;
        for name in names {
            let mark = marks::position(&mut transaction, name).await?;
            position = Some(position.map_or(mark, |least| least.min(mark)));
        }
        Ok(Self { transaction, position: position.unwrap_or(0) })
    }

    /// The position of the log that all of them have reached.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Where they are asked.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}
