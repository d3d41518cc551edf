//! Categories: the shelves of the shop. All of them are one aggregate, so that they stay a tree.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::categories::{Categories, Category, Command, NAME_CHARS_MAX, SHOP};
use domain::ids::Handle;
use projections::categories::{self, CategoryView};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::{Computed, Of};
use super::catalogue_bodies::PutCategory;
use super::command::{Asked, respond};
use super::fields::{Body, Fields};
use super::identity::Importers;
use super::moves::Empty;
use super::parameters::{OfHandle, Parameters};
use super::problem::Problem;
use super::queries::Asking;

/// All categories.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CategoriesView {
    /// Each followed by those below it, by name
    items: Vec<CategoryView>,
}

/// A category as it is from now on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PutView {
    /// Its name in addresses
    #[schema(example = "tea-cups")]
    handle: String,
    /// What it is called
    name: String,
    /// The one above it; null at the top
    parent: Option<String>,
    /// Of all categories, for `If-Match`
    version: i64,
}

/// A category that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedView {
    /// Which
    handle: String,
    /// Of all categories, for `If-Match`
    version: i64,
}

/// The body of [`put`].
#[derive(Debug)]
pub(crate) struct Putting(Category);

impl Body for Putting {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text("name", NAME_CHARS_MAX);
        let parent = fields.optional_of("parent", str::parse::<Handle>);
        Some(Self(Category { name: name?, parent }))
    }
}

/// List categories
///
/// All of them, each followed by those below it.
#[utoipa::path(
    get, path = "/categories", tag = "products",
    responses((status = 200, description = "All of them", body = CategoriesView))
)]
pub(crate) async fn list(
    State(app): State<App>,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("categories");
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[categories::NAME]).await?;
        let items = categories::all(app.read_models.reads()).await?;
        Ok(Computed::new(position, vec![Of::Categories], &CategoriesView { items }))
    };
    app.answers.tell(&asking, key, compute).await
}

/// Show a category
///
/// With where it is.
#[utoipa::path(
    get, path = "/categories/{handle}", tag = "products",
    params(("handle" = String, Path, description = "Which")),
    responses((status = 200, description = "The category", body = CategoryView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    OfHandle(handle): OfHandle,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key(&format!("categories/{handle}"));
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[categories::NAME]).await?;
        let category = categories::by_handle(app.read_models.reads(), &handle).await?;
        let category = category.ok_or_else(|| Problem::not_found("category").at(position))?;
        Ok(Computed::versioned(position, vec![Of::Categories], category.version, &category))
    };
    app.answers.tell(&asking, key, compute).await
}

/// Put a category
///
/// There from now on, called and placed like this; what is below it moves along. `If-Match` names the
/// version of all categories, because nobody may be below itself.
#[utoipa::path(
    put, path = "/categories/{handle}", tag = "products",
    security(("bearer" = ["admin", "importer"])), request_body = PutCategory,
    params(("handle" = String, Path, description = "Its name in addresses: a to z, digits, hyphens")),
    responses((status = 200, description = "The category", body = PutView))
)]
pub(crate) async fn put(
    State(app): State<App>,
    _: Importers,
    OfHandle(handle): OfHandle,
    asked: Asked<Putting>,
) -> Result<Response, Problem> {
    let category = asked.body.0.clone();
    let command = Command::Put { handle: handle.clone(), category: category.clone() };
    let wording = asked.wording(StatusCode::OK, |accepted| PutView {
        handle: handle.to_string(),
        name: category.name.clone(),
        parent: category.parent.as_ref().map(ToString::to_string),
        version: accepted.version,
    });
    let envelope = asked.alone();
    let receipt = app
        .journal
        .execute::<Categories>(SHOP, command, envelope, wording)
        .await?;
    Ok(respond(receipt))
}

/// Remove a category
///
/// It must have none below it. Listings that stood in it stand nowhere until somebody moves them.
#[utoipa::path(
    delete, path = "/categories/{handle}", tag = "products",
    security(("bearer" = ["admin", "importer"])),
    params(("handle" = String, Path, description = "Which")),
    responses((status = 200, description = "It is gone", body = RemovedView))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    _: Importers,
    OfHandle(handle): OfHandle,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    let command = Command::Remove { handle: handle.clone() };
    let wording = asked.wording(StatusCode::OK, |accepted| RemovedView {
        handle: handle.to_string(),
        version: accepted.version,
    });
    let envelope = asked.alone();
    let receipt = app
        .journal
        .execute::<Categories>(SHOP, command, envelope, wording)
        .await?;
    Ok(respond(receipt))
}
