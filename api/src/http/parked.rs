//! Facts that the checkout process could not make sense of, for a person to look at.

use std::fmt;
use std::str::FromStr;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use projections::BadCursor;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::parked::{self, ParkedFact};

use super::App;
use super::identity::Readers;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::{self, Asking};

/// A fact that no rule expected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ParkedView {
    /// Its name
    id: Uuid,
    /// The order it is about
    order_id: Uuid,
    /// The event that brought it; null for deadlines
    position: Option<i64>,
    /// The fact
    #[schema(value_type = Object)]
    fact: Value,
    /// Why no rule took it
    reason: String,
    /// When it was parked
    parked_at: DateTime<Utc>,
}

impl From<ParkedFact> for ParkedView {
    fn from(parked: ParkedFact) -> Self {
        Self {
            id: parked.parked_id,
            order_id: parked.order_id,
            position: parked.position,
            fact: parked.fact,
            reason: parked.reason,
            parked_at: parked.parked_at,
        }
    }
}

/// List parked facts
///
/// Newest first.
#[utoipa::path(
    get, path = "/parked-facts", tag = "audit", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = projections::Page<ParkedView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    let position = asking.log_position(&app).await?;
    Ok(queries::show(position, &page(&app.pool, limit, cursor).await?))
}

async fn page(
    pool: &PgPool,
    limit: i64,
    after: Option<Cursor>,
) -> sqlx::Result<projections::Page<ParkedView>> {
    let after = after.map(|cursor| (cursor.at, cursor.id));
    // One more than asked for tells whether there is a next page.
    let found = parked::list(pool, limit.saturating_add(1), after).await?;
    let mut items: Vec<ParkedView> = found.into_iter().map(Into::into).collect();
    let more = usize::try_from(limit).is_ok_and(|limit| limit < items.len());
    items.pop_if(|_| more);
    let cursor = |last: &ParkedView| Cursor { at: last.parked_at, id: last.id }.to_string();
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Ok(projections::Page { items, next_cursor })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: Uuid,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.at.timestamp_micros(), self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (at, id) = text.split_once('_').ok_or(BadCursor)?;
        let at = at.parse().ok().and_then(DateTime::from_timestamp_micros);
        Ok(Self { at: at.ok_or(BadCursor)?, id: id.parse().map_err(|_| BadCursor)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let at = "2026-11-21T09:30:00.123456Z".parse().unwrap();
        let cursor = Cursor { at, id: Uuid::from_u128(7) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "_", "1", "x_y", "99999999999999999999_0"] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
