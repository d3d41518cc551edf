//! What the self-audit has checked, and what it found.

use axum::extract;
use axum::response::Response;
use chrono::{DateTime, Utc};
use projections::FieldDifference;
use projections::audit::{Auditor, BLOCK_EVENTS};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::App;
use super::identity::Readers;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::{self, Asking};
use crate::self_audit::OF_NO_BLOCK;

/// Newest alarms that are shown.
const ALARMS_MAX: i64 = 20;
/// Slices that are looked at once more for an answer: each takes some hundredths of a second.
const BLOCKS_MAX: usize = 3;

/// What was checked, and what was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SelfAuditView {
    /// When the present round through history began; nothing if none ever did
    since: Option<DateTime<Utc>>,
    /// Share of history that was checked in this round, 0 to 1
    #[schema(example = 0.42)]
    share_checked: f64,
    /// Orders that were checked in this round
    orders_checked: i64,
    /// Rounds that were finished before
    rounds: i64,
    /// When the last slice was checked
    updated_at: Option<DateTime<Utc>>,
    /// Alarms ever raised
    alarms_raised: i64,
    /// The newest of them
    alarms: Vec<AlarmView>,
    /// What differs now, in the slices of the newest alarms; empty if it has been mended
    differs_now: Vec<MismatchView>,
}

/// One alarm.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct AlarmView {
    /// When it was raised
    raised_at: DateTime<Utc>,
    /// Up to where the read model had been brought, or where the log is wrong
    position: i64,
    /// The slice of the log that shows it
    #[serde(skip)]
    block: i64,
    /// Of which read model; `log` where what must hold of stock or money does not
    #[schema(example = "orders")]
    read_model: String,
    /// In which table
    #[schema(example = "order_progress")]
    table_name: String,
    /// The row's key, as JSON
    row_key: String,
    /// In which fields
    fields: Vec<String>,
}

/// A row that differs now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MismatchView {
    /// Of which read model
    read_model: &'static str,
    /// In which table
    table: &'static str,
    /// Its key, as JSON
    key: String,
    /// Field by field
    fields: Vec<FieldDifference>,
}

#[derive(FromRow)]
struct Kept {
    since: DateTime<Utc>,
    blocks: i64,
    blocks_checked: i64,
    orders_checked: i64,
    rounds: i64,
    updated_at: DateTime<Utc>,
}

/// Show the self-audit
///
/// Slices of history are folded again, one after another, and compared with every read model: how
/// much of it was compared, and what was not what it should be, field by field.
#[utoipa::path(
    get, path = "/self-audit", tag = "operation",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    responses((status = 200, description = "What was checked and found", body = SelfAuditView))
)]
pub(crate) async fn show(
    extract::State(app): extract::State<App>,
    _: Readers,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let position = asking.log_position(&app).await?;
    let select = "select since, blocks, blocks_checked, orders_checked, rounds, updated_at \
                  from self_audit";
    let kept: Option<Kept> = sqlx::query_as(select).fetch_optional(&app.pool).await?;
    let select = "select raised_at, position, block, read_model, table_name, row_key, fields \
                  from self_audit_alarms order by alarm_id desc limit $1";
    let alarms: Vec<AlarmView> = sqlx::query_as(select)
        .bind(ALARMS_MAX)
        .fetch_all(&app.pool)
        .await?;
    let alarms_raised: i64 = sqlx::query_scalar("select count(*) from self_audit_alarms")
        .fetch_one(&app.pool)
        .await?;
    let differs_now = differs_now(&app, &alarms).await?;
    let share = |kept: &Kept| {
        let number = |count: i64| f64::from(i32::try_from(count).unwrap_or(i32::MAX));
        number(kept.blocks_checked) / number(kept.blocks.max(1))
    };
    let view = SelfAuditView {
        since: kept.as_ref().map(|kept| kept.since),
        share_checked: kept.as_ref().map_or(0.0, share),
        orders_checked: kept.as_ref().map_or(0, |kept| kept.orders_checked),
        rounds: kept.as_ref().map_or(0, |kept| kept.rounds),
        updated_at: kept.as_ref().map(|kept| kept.updated_at),
        alarms_raised,
        alarms,
        differs_now,
    };
    Ok(queries::show(position, &view))
}

async fn differs_now(app: &App, alarms: &[AlarmView]) -> Result<Vec<MismatchView>, Problem> {
    let mut blocks: Vec<i64> = Vec::new();
    for AlarmView { block, .. } in alarms {
        if *block != OF_NO_BLOCK && !blocks.contains(block) && blocks.len() < BLOCKS_MAX {
            blocks.push(*block);
        }
    }
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    tracing::debug!(?blocks, events = BLOCK_EVENTS, "looked at once more");
    let mut auditor = Auditor::open(&app.pool).await?;
    let mut found = Vec::new();
    for block in blocks {
        let mismatches = auditor.check(block).await?.mismatches;
        found.extend(mismatches.into_iter().map(|mismatch| MismatchView {
            read_model: mismatch.read_model,
            table: mismatch.table,
            key: mismatch.key,
            fields: mismatch.fields,
        }));
    }
    Ok(found)
}
