//! What a read model must be to be kept up to date, rebuilt and waited for.

use std::sync::Arc;

use futures::future::BoxFuture;
use sqlx::PgConnection;
use store::recorded::RecordedEvent;

use crate::error::Error;
use crate::{orders, payments, products, sales, settlement, stock, timeline};

/// One read model. Its tables are found by the connection's search path.
pub(crate) trait Projection: Send + Sync {
    /// Its name in statuses, marks and commands.
    fn name(&self) -> &'static str;

    /// Changes whenever tables or fold change: the tables are then made and filled anew.
    fn version(&self) -> i32;

    /// How many times as long as a batch took its projector rests after it. What comes meanwhile is
    /// one batch, in which the events of one order meet and cost one row instead of several. Whoever
    /// asks an idle shop waits for nothing: the first event after a rest is taken at once.
    fn rest(&self) -> u32 {
        4
    }

    /// Its tables, in the order in which its queries name them: whoever locks all of them keeps
    /// to that order, or would deadlock with a query.
    fn tables(&self) -> &'static [&'static str];

    /// The statements that create the tables.
    fn ddl(&self) -> &'static str;

    /// Brings the tables from one position to a later one. The caller's transaction holds the
    /// lock on the mark and commits the mark with the rows.
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>>;
}

/// Every read model there is.
pub(crate) const ALL: [&dyn Projection; 7] = [
    &orders::Orders,
    &timeline::Timeline,
    &payments::Payments,
    &stock::Stock,
    &products::Products,
    &sales::Sales,
    &settlement::Settlement,
];

/// The names of all read models, as queries wait for them.
pub const NAMES: [&str; 7] = [
    orders::NAME,
    timeline::NAME,
    payments::NAME,
    stock::NAME,
    products::NAME,
    sales::NAME,
    settlement::NAME,
];
