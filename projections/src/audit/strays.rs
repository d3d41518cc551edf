//! Rows of those who never were: no event names them, so no block would look them up.
//!
//! Behind the row of each of a block's own, in the order of the table's index, stands the next row:
//! its owner must have begun as well. The first block looks at the table's first row besides. All
//! blocks together so find the first of each run of strays.

use sqlx::PgConnection;

use super::snapshot::{KeyColumns, Keys, Rows};
use crate::error::Error;
use crate::marks::LIVE;
use crate::projection::{Audited, By};

/// How the owner of a row is known to have begun.
struct Owner {
    /// The type of the column that says whose a row is.
    column: &'static str,
    /// A query of the owner, with `$2` for the types of streams that it may have.
    known: String,
    types: &'static [&'static str],
}

impl Owner {
    fn of(audited: &Audited) -> Option<Self> {
        let Audited { column, by, narrowed, .. } = *audited;
        if narrowed.is_some() {
            // No index has its rows in this order.
            return None;
        }
        let in_log = |of: &'static str, types: &'static [&'static str]| Self {
            column: of,
            known: format!(
                "select from public.events where aggregate_type = any($2) \
                 and aggregate_id = t.{column}::text and sequence = 1"
            ),
            types,
        };
        let in_table = |table: &str| Self {
            column: "text",
            known: format!(
                "select from {LIVE}.{table} as of where of.{column} = t.{column} \
                 and $2::text[] is not null"
            ),
            types: &[],
        };
        Some(match by {
            By::Order => in_log("uuid", &["order"]),
            By::Payment => in_log("uuid", &["payment"]),
            By::Vendor => in_log("uuid", &["vendor"]),
            By::Sku => in_log("text", &["inventory", "product"]),
            By::Listing => in_log("text", &["listing"]),
            By::Promotion => in_log("text", &["promotion"]),
            By::Guest => in_table("guest_orders"),
            By::Variant => in_table("listing_claims"),
            // Stock may be held for an order that was never placed, and the timeline tells; of the
            // shop every row is looked at anyway.
            By::Event | By::Shop | By::Sum => return None,
        })
    }

    /// What is before every key.
    fn before_all(&self) -> &'static str {
        match self.column {
            "uuid" => "00000000-0000-0000-0000-000000000000",
            _ => "",
        }
    }
}

/// Looks in the caller's transaction.
pub(super) async fn of(
    connection: &mut PgConnection,
    audited: &Audited,
    columns: &KeyColumns,
    keys: &Keys,
) -> Result<Rows, Error> {
    let Some(owner) = Owner::of(audited) else {
        return Ok(Rows::new());
    };
    let mut after = keys.of_kind(audited.by);
    if keys.is_first {
        after.push(owner.before_all().to_owned());
    }
    if after.is_empty() {
        return Ok(Rows::new());
    }
    let Audited { table, column, .. } = *audited;
    let key: Vec<String> = columns[table]
        .iter()
        .map(|column| format!("'{column}', t.{column}"))
        .collect();
    let select = format!(
        "select json_build_object({})::text, row_to_json(t)::text \
         from unnest($1::text[]) as own (id) \
         cross join lateral ( \
            select * from {LIVE}.{table} as next where own.id::{of} < next.{column} \
            order by next.{column} limit 1 \
         ) as t \
         where not exists ({})",
        key.join(", "),
        owner.known,
        of = owner.column,
    );
    let rows: Vec<(String, String)> = sqlx::query_as(&select)
        .bind(after)
        .bind(owner.types)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}
