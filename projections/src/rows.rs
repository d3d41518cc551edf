//! Read models as tables, whole, for whoever takes them away: all rows of one moment, and the
//! position that they stand at.
//!
//! A row is told as a JSON object with a member for each column. Amounts are in minor units, because
//! whoever takes a table away computes with it.

use sqlx::{PgPool, Postgres, Transaction};

use crate::error::Error;
use crate::marks;
use crate::{
    categories, customers, delivery, guests, listings, milestones, orders, payments, products,
    promotions, sales, settlement, stock, timeline, vendor_orders, vendors,
};

/// Rows that are in memory at a time: the largest is an order of 2,000 lines, some 200 KB.
const ROWS_MAX: u32 = 200;

/// A table that can be taken away.
#[derive(Debug)]
pub struct Table {
    /// What it is called.
    pub name: &'static str,
    /// The read model that it is of.
    pub model: &'static str,
    /// Its columns, in order.
    pub columns: &'static [(&'static str, Kind)],
    /// Selects the columns, in an order that does not change.
    select: &'static str,
}

/// What a column holds, or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Int,
    /// Text.
    Text,
    /// Yes or no.
    Bool,
    /// An instant.
    Time,
    /// A day.
    Date,
    /// JSON.
    Json,
    /// The lines of an order, a list of objects.
    Lines,
}

/// Every table that says something by itself. Sales by country and by SKU make two; those by vendor are
/// a report only.
pub const TABLES: [Table; 20] = [
    Table {
        name: orders::NAME,
        model: orders::NAME,
        columns: &[
            ("order_id", Kind::Text),
            ("status", Kind::Text),
            ("payment_status", Kind::Text),
            ("customer_name", Kind::Text),
            ("customer_email", Kind::Text),
            ("customer_id", Kind::Text),
            ("country", Kind::Text),
            ("currency", Kind::Text),
            ("total_minor", Kind::Int),
            ("shipping_minor", Kind::Int),
            ("refunded_minor", Kind::Int),
            ("payment_id", Kind::Text),
            ("placed_at", Kind::Time),
            ("updated_at", Kind::Time),
            ("version", Kind::Int),
            ("lines", Kind::Lines),
        ],
        select: "select order_id, status, payment_status, customer_name, customer_email, customer_id, \
                 country, currency, total_minor, placed->'shipping_minor' as shipping_minor, \
                 refunded_minor, placed->'payment_id' as payment_id, orders.placed_at, updated_at, \
                 version, placed->'lines' as lines \
                 from orders join order_progress using (order_id) \
                 order by orders.placed_at, order_id",
    },
    Table {
        name: payments::NAME,
        model: payments::NAME,
        columns: &[
            ("payment_id", Kind::Text),
            ("order_id", Kind::Text),
            ("amount_minor", Kind::Int),
            ("currency", Kind::Text),
            ("captured_minor", Kind::Int),
            ("refunded_minor", Kind::Int),
            ("opened_at", Kind::Time),
            ("updated_at", Kind::Time),
            ("version", Kind::Int),
            ("attempts", Kind::Json),
            ("refunds", Kind::Json),
        ],
        select: "select payment_id, payment->'order_id' as order_id, \
                 payment->'amount'->'minor' as amount_minor, \
                 payment->'amount'->'currency' as currency, \
                 payment->'paying'->'captured_minor' as captured_minor, \
                 payment->'paying'->'refunded_minor' as refunded_minor, opened_at, updated_at, \
                 version, payment->'attempts' as attempts, payment->'refunds' as refunds \
                 from payments order by opened_at, payment_id",
    },
    Table {
        name: stock::NAME,
        model: stock::NAME,
        columns: &[
            ("sku", Kind::Text),
            ("on_hand", Kind::Int),
            ("reserved", Kind::Int),
            ("available", Kind::Int),
            ("version", Kind::Int),
            ("updated_at", Kind::Time),
        ],
        select: "select sku, on_hand, reserved, on_hand - reserved as available, version, updated_at \
                 from stock order by sku",
    },
    Table {
        name: products::NAME,
        model: products::NAME,
        columns: &[
            ("sku", Kind::Text),
            ("name", Kind::Text),
            ("price_minor", Kind::Int),
            ("currency", Kind::Text),
            ("active", Kind::Bool),
            ("version", Kind::Int),
            ("updated_at", Kind::Time),
            ("vendor_id", Kind::Text),
            ("weight_grams", Kind::Int),
        ],
        select: "select sku, name, price_minor, currency, active, version, updated_at, vendor_id, \
                 weight_grams::bigint from products order by sku",
    },
    Table {
        name: listings::NAME,
        model: listings::NAME,
        columns: &[
            ("handle", Kind::Text),
            ("title", Kind::Text),
            ("category", Kind::Text),
            ("tags", Kind::Json),
            ("vendor", Kind::Text),
            ("active", Kind::Bool),
            ("listed_at", Kind::Time),
            ("version", Kind::Int),
            ("updated_at", Kind::Time),
        ],
        select: "select handle, title, category, tags, vendor, active, listed_at, version, \
                 updated_at from listings order by handle",
    },
    Table {
        name: "listing_variants",
        model: listings::NAME,
        columns: &[
            ("sku", Kind::Text),
            ("handle", Kind::Text),
            ("place", Kind::Int),
            ("options", Kind::Json),
        ],
        select: "select sku, handle, place, options from listing_variants order by handle, place",
    },
    Table {
        name: categories::NAME,
        model: categories::NAME,
        columns: &[
            ("handle", Kind::Text),
            ("name", Kind::Text),
            ("parent", Kind::Text),
            ("version", Kind::Int),
            ("updated_at", Kind::Time),
        ],
        select: "select handle, name, parent, version, updated_at from categories order by handle",
    },
    Table {
        name: "shipping_methods",
        model: delivery::NAME,
        columns: &[
            ("method_id", Kind::Text),
            ("method", Kind::Json),
            ("active", Kind::Bool),
            ("version", Kind::Int),
            ("updated_at", Kind::Time),
        ],
        select: "select method_id, method, active, version, updated_at from shipping_methods \
                 order by method_id",
    },
    Table {
        name: "pickup_points",
        model: delivery::NAME,
        columns: &[
            ("point_id", Kind::Text),
            ("point", Kind::Json),
            ("active", Kind::Bool),
            ("country", Kind::Text),
            ("version", Kind::Int),
            ("updated_at", Kind::Time),
        ],
        select: "select point_id, point, active, country, version, updated_at from pickup_points \
                 order by point_id",
    },
    Table {
        name: sales::NAME,
        model: sales::NAME,
        columns: &[
            ("day", Kind::Date),
            ("country", Kind::Text),
            ("currency", Kind::Text),
            ("orders", Kind::Int),
            ("units", Kind::Int),
            ("gross_minor", Kind::Int),
            ("refunded_minor", Kind::Int),
            ("net_minor", Kind::Int),
        ],
        select: "select day, country, currency, orders, units, gross_minor, refunded_minor, \
                 gross_minor - refunded_minor as net_minor \
                 from sales_by_country order by day, country, currency",
    },
    Table {
        name: "sales_by_sku",
        model: sales::NAME,
        columns: &[
            ("day", Kind::Date),
            ("sku", Kind::Text),
            ("currency", Kind::Text),
            ("orders", Kind::Int),
            ("units", Kind::Int),
            ("gross_minor", Kind::Int),
            ("refunded_minor", Kind::Int),
            ("net_minor", Kind::Int),
        ],
        select: "select day, sku, currency, orders, units, gross_minor, refunded_minor, \
                 gross_minor - refunded_minor as net_minor \
                 from sales_by_sku order by day, sku, currency",
    },
    Table {
        name: timeline::NAME,
        model: timeline::NAME,
        columns: &[
            ("order_id", Kind::Text),
            ("position", Kind::Int),
            ("recorded_at", Kind::Time),
            ("aggregate", Kind::Text),
            ("aggregate_id", Kind::Text),
            ("sequence", Kind::Int),
            ("event", Kind::Text),
        ],
        select: "select order_id, position, recorded_at, aggregate_type as aggregate, \
                 aggregate_id, sequence, event_type as event \
                 from timeline join events using (position) order by order_id, position",
    },
    Table {
        name: milestones::NAME,
        model: milestones::NAME,
        columns: &[
            ("order_id", Kind::Text),
            ("placed_at", Kind::Time),
            ("reserved_at", Kind::Time),
            ("paid_at", Kind::Time),
            ("completed_at", Kind::Time),
            ("cancelled_at", Kind::Time),
            ("failed_at", Kind::Time),
        ],
        select: "select order_id, placed_at, reserved_at, paid_at, completed_at, cancelled_at, \
                 failed_at from milestones order by order_id",
    },
    Table {
        name: settlement::NAME,
        model: settlement::NAME,
        columns: &[
            ("day", Kind::Date),
            ("gateway", Kind::Text),
            ("currency", Kind::Text),
            ("captures", Kind::Int),
            ("captured_minor", Kind::Int),
            ("repeated", Kind::Int),
            ("repeated_minor", Kind::Int),
            ("mismatched", Kind::Int),
            ("mismatched_minor", Kind::Int),
            ("other_currency", Kind::Int),
            ("other_currency_minor", Kind::Int),
            ("unmatched", Kind::Int),
            ("unmatched_minor", Kind::Int),
            ("refunds", Kind::Int),
            ("refunded_minor", Kind::Int),
            ("chargebacks", Kind::Int),
            ("charged_back_minor", Kind::Int),
            ("pending", Kind::Int),
            ("pending_minor", Kind::Int),
        ],
        select: "select day, gateway, currency, captures, captured_minor, repeated, repeated_minor, \
                 mismatched, mismatched_minor, other_currency, other_currency_minor, unmatched, \
                 unmatched_minor, refunds, refunded_minor, chargebacks, charged_back_minor, pending, \
                 pending_minor from settlement_days order by day, gateway, currency",
    },
    Table {
        name: vendors::NAME,
        model: vendors::NAME,
        columns: &[
            ("vendor_id", Kind::Text),
            ("standing", Kind::Text),
            ("business_name", Kind::Text),
            ("address", Kind::Json),
            ("reason", Kind::Text),
            ("version", Kind::Int),
            ("registered_at", Kind::Time),
            ("updated_at", Kind::Time),
            ("description", Kind::Text),
            ("shows_place", Kind::Bool),
        ],
        select: "select vendor_id, standing, business_name, address, reason, version, registered_at, \
                 updated_at, description, shows_place from vendors order by vendor_id",
    },
    Table {
        name: vendor_orders::NAME,
        model: vendor_orders::NAME,
        columns: &[
            ("vendor_id", Kind::Text),
            ("order_id", Kind::Text),
            ("placed_at", Kind::Time),
            ("is_paid", Kind::Bool),
            ("is_shipped", Kind::Bool),
            ("currency", Kind::Text),
            ("lines", Kind::Json),
        ],
        select: "select vendor_id, order_id, placed_at, is_paid, is_shipped, currency, lines \
                 from vendor_orders order by vendor_id, order_id",
    },
    Table {
        name: promotions::NAME,
        model: promotions::NAME,
        columns: &[
            ("code", Kind::Text),
            ("terms", Kind::Json),
            ("automatic", Kind::Bool),
            ("listed", Kind::Bool),
            ("active", Kind::Bool),
            ("starts_at", Kind::Time),
            ("ends_at", Kind::Time),
            ("held", Kind::Int),
            ("used", Kind::Int),
            ("version", Kind::Int),
            ("updated_at", Kind::Time),
        ],
        select: "select code, terms, automatic, listed, active, starts_at, ends_at, held, used, \
                 version, updated_at from promotions order by code",
    },
    Table {
        name: guests::NAME,
        model: guests::NAME,
        columns: &[
            ("guest_id", Kind::Text),
            ("name", Kind::Text),
            ("email", Kind::Text),
            ("phone", Kind::Text),
            ("country", Kind::Text),
            ("orders", Kind::Int),
            ("created_at", Kind::Time),
            ("updated_at", Kind::Time),
        ],
        select: "select guest_id, name, email, phone, country, orders, created_at, updated_at \
                 from guests order by guest_id",
    },
    Table {
        name: "guest_orders",
        model: guests::NAME,
        columns: &[
            ("order_id", Kind::Text),
            ("position", Kind::Int),
            ("name", Kind::Text),
            ("email", Kind::Text),
            ("phone", Kind::Text),
            ("country", Kind::Text),
            ("placed_at", Kind::Time),
        ],
        select: "select order_id, position, name, email, phone, country, placed_at \
                 from guest_orders order by position",
    },
    // Whoever ordered is told apart by a digest, and not named.
    Table {
        name: "customer_orders",
        model: customers::NAME,
        columns: &[
            ("order_id", Kind::Text),
            ("customer", Kind::Text),
            ("placed_at", Kind::Time),
            ("day", Kind::Date),
            ("currency", Kind::Text),
            ("gross_minor", Kind::Int),
            ("refunded_minor", Kind::Int),
            ("is_booked", Kind::Bool),
        ],
        select: "select order_id, encode(customer, 'hex') as customer, placed_at, day, currency, \
                 gross_minor, refunded_minor, is_booked \
                 from customer_orders order by placed_at, order_id",
    },
];

impl Table {
    /// The table of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }
}

/// All rows of a table as of one moment, to be read some at a time. Holds a connection and a
/// transaction until it is dropped.
pub struct Snapshot {
    transaction: Transaction<'static, Postgres>,
    position: i64,
    over: bool,
}

impl Snapshot {
    /// Fixes the moment.
    pub async fn of(pool: &PgPool, table: &'static Table) -> Result<Self, Error> {
        let mut transaction = pool.begin().await?;
        for setting in [
            "set transaction isolation level repeatable read, read only",
            // Wherever the pool leads, and whatever its other users want of their plans.
            "set local search_path to read, public",
            "set local enable_seqscan to on",
            "set local enable_hashjoin to on",
            "set local enable_mergejoin to on",
            // All of it is read.
            "set local cursor_tuple_fraction to 1.0",
            "set local timezone to 'UTC'",
        ] {
            sqlx::query(setting).execute(&mut *transaction).await?;
        }
        let position = marks::position(&mut transaction, table.model).await?;
        let declare = format!(
            "declare taken no scroll cursor for select row_to_json(rows)::text from ({}) as rows",
            table.select
        );
        sqlx::query(&declare).execute(&mut *transaction).await?;
        Ok(Self { transaction, position, over: false })
    }

    /// The position of the log that the rows are the fold of.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Some more rows, one a line, each with its line feed; nothing after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.over {
            return Ok(None);
        }
        let fetch = format!("fetch {ROWS_MAX} from taken");
        let rows: Vec<String> = sqlx::query_scalar(&fetch)
            .fetch_all(&mut *self.transaction)
            .await?;
        self.over = rows.len() < usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
        if rows.is_empty() {
            return Ok(None);
        }
        let mut lines = Vec::with_capacity(rows.iter().map(|row| row.len() + 1).sum());
        for row in rows {
            // Between members of stored JSON, where a blank does as well.
            lines.extend(
                row.bytes()
                    .map(|byte| if byte == b'\n' { b' ' } else { byte }),
            );
            lines.push(b'\n');
        }
        Ok(Some(lines))
    }
}
