//! What a read model must be to be kept up to date, rebuilt and waited for.

use std::sync::Arc;

use futures::future::BoxFuture;
use sqlx::{Executor as _, PgConnection};
use store::recorded::RecordedEvent;

use crate::error::Error;
use crate::{
    categories, customers, delivery, guests, listings, milestones, orders, payments, products,
    promotions, sales, settlement, stock, timeline, vendor_orders, vendors,
};

/// Which events the rows of a table come of, so that the self-audit can fold them again by
/// themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Audited {
    pub(crate) table: &'static str,
    /// The column that says whose a row is.
    pub(crate) column: &'static str,
    pub(crate) by: By,
    /// What else finds the rows, where no index begins with the column: a condition on `t`, with $2
    /// for the SKUs that the orders name and $3 for when they were placed.
    pub(crate) narrowed: Option<&'static str>,
}

impl Audited {
    pub(crate) const fn new(table: &'static str, column: &'static str, by: By) -> Self {
        Self { table, column, by, narrowed: None }
    }

    /// Sums over many streams, which `audit::sums` or `audit::days` adds up again.
    pub(crate) const fn sums(table: &'static str) -> Self {
        Self::new(table, "", By::Sum)
    }
}

/// Whose a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    /// An order's, made of its events and those of its payment.
    Order,
    /// A payment's, made of its events.
    Payment,
    /// A SKU's, made of the events of its stock and of its product.
    Sku,
    /// An order's again, but there is one for each event that is about the order, those of stock
    /// included; the table's column `position` says which.
    Event,
    /// A guest's, by address: made of all orders that the guest has placed.
    Guest,
    /// A listing's, made of its events.
    Listing,
    /// A variant's, by SKU: made of the events of every listing that ever named the SKU.
    Variant,
    /// A vendor's, made of its events.
    Vendor,
    /// A promotion's, made of its events.
    Promotion,
    /// The shop's, made of the streams of which it has one each: of categories, and of delivery.
    Shop,
    /// A sum over many streams, added up again by other means.
    Sum,
}

/// One read model. Its tables are found by the connection's search path.
pub(crate) trait Projection: Send + Sync {
    /// Its name in statuses, marks and commands.
    fn name(&self) -> &'static str;

    /// Changes whenever tables or fold change: the tables are then made and filled anew.
    fn version(&self) -> i32;

    /// Its tables, in the order in which its queries name them: whoever locks all of them keeps
    /// to that order, or would deadlock with a query.
    fn tables(&self) -> &'static [&'static str];

    /// The statements that create the tables.
    fn ddl(&self) -> &'static str;

    /// How the self-audit finds the rows of its tables again, of each table: whoever adds a table says
    /// here what it is made of, or a test fails.
    fn audited(&self) -> Vec<Audited>;

    /// Makes its tables anew, empty, in the schema that the search path begins with.
    fn make<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        schema: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let tables: Vec<String> = self
            .tables()
            .iter()
            .map(|table| format!("{schema}.{table}"))
            .collect();
        let drop = format!("drop table if exists {}", tables.join(", "));
        Box::pin(async move {
            connection.execute(drop.as_str()).await?;
            connection.execute(self.ddl()).await?;
            Ok(())
        })
    }

    /// Brings the tables from one position to a later one. The caller's transaction holds the
    /// lock on the mark and commits the mark with the rows.
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>>;
}

macro_rules! read_models {
    ($($module:ident::$projection:ident),+ $(,)?) => {
        const COUNT: usize = [$($module::NAME),+].len();

        /// Every read model there is.
        pub(crate) const ALL: [&dyn Projection; COUNT] = [$(&$module::$projection),+];

        /// The names of all read models, as queries wait for them.
        pub const NAMES: [&str; COUNT] = [$($module::NAME),+];
    };
}

// A new read model is a line here; docs/PROJECTIONS.md says what else it is.
read_models! {
    orders::Orders,
    timeline::Timeline,
    payments::Payments,
    stock::Stock,
    products::Products,
    sales::Sales,
    settlement::Settlement,
    milestones::Milestones,
    guests::Guests,
    listings::Listings,
    categories::Categories,
    customers::Customers,
    vendors::Vendors,
    vendor_orders::VendorOrders,
    promotions::Promotions,
    delivery::Deliveries,
}
