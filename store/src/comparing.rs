//! Whether snapshots are what their streams add up to: for `daybook verify`, and for tests.

use cqrs_es::Aggregate as _;
use domain::categories::Categories;
use domain::delivery::Delivery;
use domain::inventory::Inventory;
use domain::listing::Listing;
use domain::order::Order;
use domain::payment::Payment;
use domain::person::Person;
use domain::product::Product;
use domain::promotion::Promotion;
use domain::vendor::Vendor;
use sqlx::{FromRow, PgPool};

use crate::command::ExecuteError;
use crate::loading::Folded;
use crate::states::Kept;
use crate::streams::Streams;

/// How the snapshots of a database compare with its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Those that are what their streams add up to.
    pub equal: usize,
    /// Those of other programs, which this one neither uses nor understands.
    pub of_other_schemas: usize,
    /// Those that are not what their streams add up to, the first of them.
    pub differences: Vec<Difference>,
}

/// A snapshot that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub aggregate_type: String,
    /// Of which.
    pub aggregate_id: String,
    /// The state as it is stored.
    pub stored: String,
    /// What the stream adds up to, if the snapshot is of this log at all.
    pub folded: Option<String>,
    /// Where the event is that it ends with; 0 if there is none.
    pub position: i64,
    /// What is wrong, as a sentence.
    pub what: String,
}

#[derive(Debug, Default, FromRow)]
struct Row {
    aggregate_type: String,
    aggregate_id: String,
    version: i64,
    state: String,
    state_schema: String,
    /// Of the event at its version, if there is one.
    position: Option<i64>,
    /// Whether that is the event that it was taken at.
    is_of_this_log: bool,
}

/// Folds the stream of each snapshot from its first event, until so many differ.
pub async fn compare(pool: &PgPool, differences_max: usize) -> Result<Comparison, ExecuteError> {
    let streams = Streams::start(pool);
    let mut comparison = Comparison::default();
    let mut last = Row::default();
    while let Some(row) = next(pool, &last)
        .await
        .map_err(|error| ExecuteError::Unavailable(error.to_string()))?
    {
        let verdict = match row.aggregate_type.as_str() {
            Order::TYPE => judge::<Order>(&streams, &row).await?,
            Payment::TYPE => judge::<Payment>(&streams, &row).await?,
            Inventory::TYPE => judge::<Inventory>(&streams, &row).await?,
            Product::TYPE => judge::<Product>(&streams, &row).await?,
            Person::TYPE => judge::<Person>(&streams, &row).await?,
            Listing::TYPE => judge::<Listing>(&streams, &row).await?,
            Categories::TYPE => judge::<Categories>(&streams, &row).await?,
            Vendor::TYPE => judge::<Vendor>(&streams, &row).await?,
            Promotion::TYPE => judge::<Promotion>(&streams, &row).await?,
            Delivery::TYPE => judge::<Delivery>(&streams, &row).await?,
            _ => Verdict::OfAnotherSchema,
        };
        match verdict {
            Verdict::Equal => comparison.equal += 1,
            Verdict::OfAnotherSchema => comparison.of_other_schemas += 1,
            Verdict::Wrong { why, folded } => {
                let Row { aggregate_type, aggregate_id, version, .. } = &row;
                comparison.differences.push(Difference {
                    aggregate_type: aggregate_type.clone(),
                    aggregate_id: aggregate_id.clone(),
                    stored: row.state.clone(),
                    folded,
                    position: row.position.unwrap_or(0),
                    what: format!(
                        "the snapshot of {aggregate_type} {aggregate_id} at version {version} {why}"
                    ),
                });
                if differences_max <= comparison.differences.len() {
                    break;
                }
            }
        }
        last = row;
    }
    Ok(comparison)
}

async fn next(pool: &PgPool, last: &Row) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select s.aggregate_type, s.aggregate_id, s.version, s.state::text as state, \
                s.state_schema, e.position, coalesce(e.event_id = s.event_id, false) \
                    as is_of_this_log \
         from snapshots s \
         left join events e \
             on e.aggregate_type = s.aggregate_type \
             and e.aggregate_id = s.aggregate_id \
             and e.sequence = s.version \
         where (s.aggregate_type, s.aggregate_id) > ($1, $2) \
         order by s.aggregate_type, s.aggregate_id \
         limit 1",
    )
    .bind(&last.aggregate_type)
    .bind(&last.aggregate_id)
    .fetch_optional(pool)
    .await
}

enum Verdict {
    Equal,
    OfAnotherSchema,
    Wrong {
        /// The rest of the sentence.
        why: &'static str,
        folded: Option<String>,
    },
}

async fn judge<A: Kept>(streams: &Streams, row: &Row) -> Result<Verdict, ExecuteError> {
    if row.state_schema != A::STATE_SCHEMA {
        return Ok(Verdict::OfAnotherSchema);
    }
    if !row.is_of_this_log {
        return Ok(Verdict::Wrong { why: "is not of this log", folded: None });
    }
    let state = serde_json::from_str::<A>(&row.state).ok();
    let mut folded = Folded::<A>::default();
    let from_the_start = None;
    folded
        .catch_up(streams, &row.aggregate_id, from_the_start, row.version)
        .await?;
    let why = match state {
        Some(state) if folded.version == row.version && folded.state == state => {
            return Ok(Verdict::Equal);
        }
        Some(_) => "is not what its stream adds up to",
        None => "cannot be read",
    };
    Ok(Verdict::Wrong { why, folded: serde_json::to_string(&folded.state).ok() })
}
