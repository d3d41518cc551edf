//! What is blocked, as administrators keep it. A fraud rule says what follows from it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::identifiers::{Identifier, Kind};
use projections::Page;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::fraud::{BlockedEntry, NewEntry};

use super::App;
use super::bodies::Block;
use super::fields::{Body, Fields};
use super::fraud_rules;
use super::identity::{Caller, Staff};
use super::moves::REASON_CHARS_MAX;
use super::parameters::{OfId, Parameters};
use super::parked::Cursor;
use super::problem::Problem;
use super::said::{Said, done, tell};

/// Something that is blocked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlockedView {
    /// Its name in reasons
    id: Uuid,
    /// What it is
    #[schema(value_type = String, example = "email")]
    kind: Kind,
    /// As it is compared
    value: String,
    /// Why
    note: String,
    /// Who blocked it
    created_by: String,
    created_at: DateTime<Utc>,
    /// When it ends by itself
    expires_at: Option<DateTime<Utc>>,
}

impl From<BlockedEntry> for BlockedView {
    fn from(kept: BlockedEntry) -> Self {
        let NewEntry { identifier: Identifier { kind, value }, note, expires_at } = kept.entry;
        Self {
            id: kept.entry_id,
            kind,
            value,
            note,
            created_by: kept.created_by,
            created_at: kept.created_at,
            expires_at,
        }
    }
}

/// The body of [`block`].
#[derive(Debug)]
pub(crate) struct Blocking(NewEntry);

impl Body for Blocking {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let identifier = fraud_rules::identifier(fields, "kind");
        let note = fields.text("note", REASON_CHARS_MAX);
        let expires_at = fields.optional_instant("expires_at");
        Some(Self(NewEntry { identifier: identifier?, note: note?, expires_at }))
    }
}

/// List what is blocked
///
/// Newest first, with what has expired. `value` is compared as it would be with an order's.
#[utoipa::path(
    get, path = "/blocklist", tag = "fraud", security(("staff" = [])),
    params(
        ("kind" = Option<String>, Query, description = "Only entries of this kind"),
        ("value" = Option<String>, Query, description = "Only about this; together with `kind`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<BlockedView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let kind = parameters.optional("kind", |text| {
        let known = Kind::NAMES.iter().find(|(name, _)| *name == text);
        let known = known.map(|(_, kind)| *kind);
        known.ok_or("is no kind of entry")
    });
    let value = parameters.optional("value", |text| {
        let kind = kind.ok_or("goes together with kind")?;
        Ok::<_, &'static str>(Identifier::listed(kind, text)?.value)
    });
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<Cursor>());
    parameters.finish()?;
    let after = cursor.map(|cursor| (cursor.at, cursor.id));
    // One more than asked for tells whether there is a next page.
    let found = app
        .fraud
        .blocklist(limit.saturating_add(1), after, kind, value.as_deref());
    let mut items: Vec<BlockedView> = found.await?.into_iter().map(Into::into).collect();
    let more = usize::try_from(limit).is_ok_and(|limit| limit < items.len());
    items.pop_if(|_| more);
    let cursor = |last: &BlockedView| Cursor { at: last.created_at, id: last.id }.to_string();
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Ok(tell(StatusCode::OK, &Page { items, next_cursor }))
}

/// Block something
///
/// It has an effect where a fraud rule of the kind `blocked` says what follows. A repetition is
/// refused, because everything is blocked once.
#[utoipa::path(
    post, path = "/blocklist", tag = "fraud", security(("staff" = [])),
    request_body = Block,
    responses((status = 201, description = "It is blocked", body = BlockedView))
)]
pub(crate) async fn block(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    Said(Blocking(new)): Said<Blocking>,
) -> Result<Response, Problem> {
    let entry = app.fraud.block(&new, &caller.to_string()).await?;
    Ok(tell(StatusCode::CREATED, &BlockedView::from(entry)))
}

/// Block something no longer
#[utoipa::path(
    delete, path = "/blocklist/{id}", tag = "fraud", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The entry")),
    responses((status = 204, description = "It is blocked no more"))
)]
pub(crate) async fn unblock(
    State(app): State<App>,
    _: Staff,
    OfId(entry_id): OfId,
) -> Result<Response, Problem> {
    if app.fraud.unblock(entry_id).await? {
        Ok(done(StatusCode::NO_CONTENT))
    } else {
        Err(Problem::not_found("entry of the blocklist"))
    }
}
