//! API keys: what machines show instead of signing in.

use accounts::{ApiKey, NewApiKey, Role};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::bodies::MakeApiKey;
use super::fields::{Body, Fields};
use super::identity::{Caller, Staff};
use super::order_body::NAME_CHARS_MAX;
use super::parameters::{OfId, Parameters};
use super::problem::Problem;
use super::said::{Said, done, tell};

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyView {
    /// Its name for us, and in the events that it causes
    id: Uuid,
    /// Its name for people
    name: String,
    /// What it may do
    #[schema(example = "analyst")]
    role: String,
    /// Who made it
    created_by: String,
    created_at: DateTime<Utc>,
    /// When it stops working by itself
    expires_at: Option<DateTime<Utc>>,
    /// When somebody stopped it
    revoked_at: Option<DateTime<Utc>>,
}

/// An API key as it is shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeApiKeyView {
    /// For `Authorization: Bearer`; it cannot be shown again
    key: String,
    #[serde(flatten)]
    about: ApiKeyView,
}

/// All API keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeysView {
    /// The newest first, ended ones included
    items: Vec<ApiKeyView>,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.key_id,
            name: key.name,
            role: key.role,
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// The body of [`make`].
#[derive(Debug)]
pub(crate) struct Making(NewApiKey);

impl Body for Making {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text("name", NAME_CHARS_MAX);
        let role = fields.one_of("role", &Role::OF_KEYS.map(|role| (role.name(), role)));
        let expires_at = fields.optional_instant("expires_at");
        Some(Self(NewApiKey { name: name?, role: role?, expires_at }))
    }
}

/// Make an API key
///
/// The key is shown in this answer and never again. A repetition makes another key.
#[utoipa::path(
    post, path = "/api-keys", tag = "accounts", security(("staff" = [])),
    request_body = MakeApiKey,
    responses((status = 201, description = "The key", body = MadeApiKeyView))
)]
pub(crate) async fn make(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    Said(Making(new)): Said<Making>,
) -> Result<Response, Problem> {
    let (about, key) = app.accounts.make_key(&new, &caller.to_string()).await?;
    Ok(tell(StatusCode::CREATED, &MadeApiKeyView { key, about: about.into() }))
}

/// List API keys
///
/// Newest first, revoked ones included; none of them in full.
#[utoipa::path(
    get, path = "/api-keys", tag = "accounts", security(("staff" = [])),
    responses((status = 200, description = "The keys", body = ApiKeysView))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let keys = app.accounts.keys().await?;
    let items = keys.into_iter().map(ApiKeyView::from).collect();
    Ok(tell(StatusCode::OK, &ApiKeysView { items }))
}

/// Revoke an API key
///
/// At once; other processes hear of it within seconds. A repetition changes nothing.
#[utoipa::path(
    delete, path = "/api-keys/{id}", tag = "accounts", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The key's id")),
    responses((status = 204, description = "The key works no more"))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfId(key_id): OfId,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    if app.accounts.revoke_key(key_id, &caller.to_string()).await? {
        Ok(done(StatusCode::NO_CONTENT))
    } else {
        Err(Problem::not_found("API key"))
    }
}
