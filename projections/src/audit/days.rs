//! The days of settlement: sums over all payments, so that no block can answer for one.
//!
//! ```text
//! days and mark, one snapshot ─▶ every payment's stream, up to the mark, a page a time ─▶ equal?
//! ```
//!
//! 1. The days are held against exactly the events that are in them, however long a pass takes:
//!    what is recorded meanwhile is behind the mark, and left out.
//! 2. Sums do not depend on the order of payments, so streams are read in the order of the log's
//!    primary key, and no index is needed for this.

use sqlx::{Connection as _, PgConnection, PgPool};
use store::log::{self, Place};

use super::snapshot::{self, KeyColumns, Rows};
use crate::error::Error;
use crate::marks::LIVE;
use crate::projection::Audited;
use crate::scratch::{self, SCRATCH};
use crate::settlement::{DAYS, Ledger, NAME};

/// Events of a page: about as much as a block reads of its orders.
const PAGE_EVENTS: i64 = 250;
/// Days that are compared at most, each of a provider and a currency: 25 years of ten of them. They
/// are held in memory for the length of a pass, 50 MB.
const DAYS_MAX: usize = 100_000;

/// One way through all payments.
pub(super) struct Pass {
    stored: Rows,
    mark: i64,
    ledger: Ledger,
    place: Place,
}

/// What a pass has come to.
pub(super) struct Passed {
    pub(super) stored: Rows,
    pub(super) folded: Rows,
    pub(super) mark: i64,
}

impl Pass {
    /// Sees the days of one moment; `None` if there are too many.
    pub(super) async fn begin(
        connection: &mut PgConnection,
        columns: &KeyColumns,
    ) -> Result<Option<Self>, Error> {
        let mut transaction = scratch::one_moment(connection).await?;
        let select = format!("select position from {LIVE}.marks where name = $1");
        let mark: Option<i64> = sqlx::query_scalar(&select)
            .bind(NAME)
            .fetch_optional(&mut *transaction)
            .await?;
        let mark = mark.ok_or(Error::NoMark { name: NAME })?;
        let select = format!("select count(*) from {LIVE}.{DAYS}");
        let days: i64 = sqlx::query_scalar(&select)
            .fetch_one(&mut *transaction)
            .await?;
        if !usize::try_from(days).is_ok_and(|days| days <= DAYS_MAX) {
            return Ok(None);
        }
        let audited = Audited::sums(DAYS);
        let stored = snapshot::rows(&mut transaction, LIVE, &audited, columns, None).await?;
        transaction.commit().await?;
        Ok(Some(Self { stored, mark, ledger: Ledger::default(), place: Place::default() }))
    }

    /// Takes the next page; whether it was the last.
    pub(super) async fn go_on(&mut self, log: &PgPool) -> Result<bool, Error> {
        let page = log::of_type_after(log, "payment", &self.place, PAGE_EVENTS).await?;
        if let Some(last) = page.events.last() {
            self.place.aggregate_id.clone_from(&last.aggregate_id);
            self.place.sequence = last.sequence;
        }
        let within = page.events.iter().map(AsRef::as_ref);
        self.ledger
            .take(within.filter(|event| event.position <= self.mark));
        Ok(!page.more)
    }

    /// What the days come to, as rows.
    pub(super) async fn end(
        self,
        connection: &mut PgConnection,
        columns: &KeyColumns,
    ) -> Result<Passed, Error> {
        let Self { stored, mark, ledger, .. } = self;
        let mut transaction = connection.begin().await?;
        ledger.book(&mut transaction).await?;
        let audited = Audited::sums(DAYS);
        let folded = snapshot::rows(&mut transaction, SCRATCH, &audited, columns, None).await?;
        transaction.rollback().await?;
        Ok(Passed { stored, folded, mark })
    }
}
