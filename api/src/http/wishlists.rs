//! Wishlists of whoever has signed in; a link shows one to anybody else.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::ids::Sku;
use projections::Page;
use serde::Serialize;
use storefront::wishlists::{self, Item, NAME_CHARS_MAX, NOTE_CHARS_MAX, Wishlist};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{WishFor, WriteWishlist};
use super::command::{Asked, telling};
use super::fields::{Body, Fields};
use super::identity::{Caller, SignedIn};
use super::moves::Empty;
use super::parameters::{OfId, Parameters};
use super::problem::{Flaw, Problem};
use super::said::{Said, done, tell};
use super::{App, keys};

/// A wishlist.
#[derive(Serialize, ToSchema)]
pub(crate) struct WishlistView {
    /// Its name for us
    id: Uuid,
    /// Its name for people
    #[schema(example = "For the kitchen")]
    name: String,
    /// How many articles are on it
    count: i64,
    /// Opens it to anybody, as `?token=`; null while it is not shared, and for whoever is shown it
    token: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A wishlist with what is on it.
#[derive(Serialize, ToSchema)]
pub(crate) struct WholeWishlistView {
    #[serde(flatten)]
    list: WishlistView,
    /// Newest first
    items: Vec<WishView>,
}

/// An article on a wishlist.
#[derive(Serialize, ToSchema)]
pub(crate) struct WishView {
    #[schema(example = "CUP-RED")]
    sku: String,
    /// What its owner says of it
    note: Option<String>,
    added_at: DateTime<Utc>,
}

impl From<Item> for WishView {
    fn from(item: Item) -> Self {
        Self { sku: item.sku, note: item.note, added_at: item.added_at }
    }
}

fn view(app: &App, list: Wishlist) -> WishlistView {
    WishlistView {
        id: list.wishlist_id,
        name: list.name,
        count: list.items,
        token: list
            .share_id
            .map(|share_id| app.accounts.link_token(share_id)),
        created_at: list.created_at,
        updated_at: list.updated_at,
    }
}

/// The body of [`create`] and [`rename`].
#[derive(Debug)]
pub(crate) struct Naming(String);

impl Body for Naming {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.text("name", NAME_CHARS_MAX).map(Self)
    }
}

/// The body of [`put`].
#[derive(Debug)]
pub(crate) struct Wishing(Option<String>);

impl Body for Wishing {
    const OPTIONAL: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self(fields.optional_text("note", NOTE_CHARS_MAX)))
    }
}

/// The list and the article that a path names. What cannot be one is on no list.
pub(crate) struct OfWish(Uuid, Sku);

impl<S: Send + Sync> FromRequestParts<S> for OfWish {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let named = path.ok().and_then(|Path((id, sku))| {
            let id: Uuid = id.parse().ok()?;
            Some((id, Sku::try_from(sku)))
        });
        match named {
            Some((id, Ok(sku))) => Ok(Self(id, sku)),
            Some((_, Err(bad))) => {
                let flaw = Flaw { pointer: "{sku}".to_owned(), detail: bad.to_string() };
                Err(Problem::invalid_parameters(vec![flaw]))
            }
            None => Err(Problem::not_found("list")),
        }
    }
}

/// The accounts whose lists are the caller's own.
async fn owner(app: &App, account_id: Uuid) -> Result<Vec<Uuid>, Problem> {
    Ok(app.accounts.belongings(account_id).await?.0)
}

/// List your wishlists
///
/// Newest first, without what is on them.
#[utoipa::path(
    get, path = "/wishlists", tag = "community",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    responses((status = 200, description = "The lists, on one page", body = Page<WishlistView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let lists = wishlists::of_owner(&app.pool, &owner(&app, id).await?).await?;
    let items: Vec<_> = lists.into_iter().map(|list| view(&app, list)).collect();
    Ok(tell(StatusCode::OK, &Page { items, next_cursor: None }))
}

/// Make a wishlist
///
/// No two lists of an account have the same name: 409 `wishlist_name_taken`. A repetition makes no
/// second list; it is told the list as it is by then, because nothing personal is kept with a receipt,
/// and 404 once it is deleted.
#[utoipa::path(
    post, path = "/wishlists", tag = "community", request_body = WriteWishlist,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    responses((status = 201, description = "The list", body = WishlistView))
)]
pub(crate) async fn create(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    asked: Asked<Naming>,
) -> Result<Response, Problem> {
    let wishlist_id = keys::named(asked.command_id, "wishlist");
    let told = if let Some(told) = asked.told_before(&app).await? {
        told
    } else {
        let (owner, name) = (owner(&app, id).await?, &asked.body.0);
        let _made = wishlists::create(&app.pool, wishlist_id, id, &owner, name).await?;
        asked.remember_name(&app, wishlist_id).await?
    };
    let made = wishlists::by_id(&app.pool, wishlist_id).await?;
    let made = made.ok_or(wishlists::Error::NoSuchList)?;
    Ok(telling(told, &view(&app, made)))
}

/// Show a wishlist
///
/// To whoever it belongs to, and to whoever shows the token of its link.
#[utoipa::path(
    get, path = "/wishlists/{id}", tag = "community",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    extensions(("x-own" = json!([
        "guest", "customer", "vendor", "admin", "analyst", "auditor", "importer"
    ]))),
    params(
        ("id" = Uuid, Path, description = "The list"),
        ("token" = Option<String>, Query, description = "Of the list's link"),
    ),
    responses((status = 200, description = "The list", body = WholeWishlistView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    OfId(wishlist_id): OfId,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let shown = parameters.text("token");
    parameters.finish()?;
    let list = wishlists::by_id(&app.pool, wishlist_id).await?;
    let list = list.ok_or(wishlists::Error::NoSuchList)?;
    let is_own = match caller {
        Caller::Account { id, .. } => owner(&app, id).await?.contains(&list.account_id),
        Caller::Staff | Caller::Guest | Caller::Machine { .. } => false,
    };
    let is_shown = list.share_id.is_some_and(|share_id| {
        app.accounts
            .is_link_token(share_id, shown.as_deref().unwrap_or_default())
    });
    if !is_own && !is_shown {
        return Err(wishlists::Error::NoSuchList.into());
    }
    let items = wishlists::items(&app.pool, wishlist_id).await?;
    let mut list = view(&app, list);
    list.token = list.token.filter(|_| is_own);
    let items = items.into_iter().map(WishView::from).collect();
    Ok(tell(StatusCode::OK, &WholeWishlistView { list, items }))
}

/// Rename a wishlist
#[utoipa::path(
    put, path = "/wishlists/{id}", tag = "community", request_body = WriteWishlist,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("id" = Uuid, Path, description = "The list")),
    responses((status = 200, description = "The list", body = WishlistView))
)]
pub(crate) async fn rename(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfId(wishlist_id): OfId,
    Said(Naming(name)): Said<Naming>,
) -> Result<Response, Problem> {
    let owner = owner(&app, id).await?;
    let renamed = wishlists::rename(&app.pool, &owner, wishlist_id, &name).await?;
    Ok(tell(StatusCode::OK, &view(&app, renamed)))
}

/// Delete a wishlist
///
/// With all that is on it. A repetition is 404.
#[utoipa::path(
    delete, path = "/wishlists/{id}", tag = "community",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("id" = Uuid, Path, description = "The list")),
    responses((status = 204, description = "There is no such list any more"))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfId(wishlist_id): OfId,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    wishlists::delete(&app.pool, &owner(&app, id).await?, wishlist_id).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// Wish for an article
///
/// Puts it on the list; where it is there, the note is replaced. 422 `unknown_product` if there is no
/// such article.
#[utoipa::path(
    put, path = "/wishlists/{id}/items/{sku}", tag = "community",
    request_body = Option<WishFor>,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(
        ("id" = Uuid, Path, description = "The list"),
        ("sku" = String, Path, description = "The article"),
    ),
    responses((status = 204, description = "It is on the list"))
)]
pub(crate) async fn put(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfWish(wishlist_id, sku): OfWish,
    Said(Wishing(note)): Said<Wishing>,
) -> Result<Response, Problem> {
    if !is_offered(&app, &sku).await? {
        return Err(unknown_product());
    }
    let owner = owner(&app, id).await?;
    wishlists::put(&app.pool, &owner, wishlist_id, &sku, note.as_deref()).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// Wish for an article no longer
#[utoipa::path(
    delete, path = "/wishlists/{id}/items/{sku}", tag = "community",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(
        ("id" = Uuid, Path, description = "The list"),
        ("sku" = String, Path, description = "The article"),
    ),
    responses((status = 204, description = "It is not on the list"))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfWish(wishlist_id, sku): OfWish,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    wishlists::remove(&app.pool, &owner(&app, id).await?, wishlist_id, &sku).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// Share a wishlist
///
/// Whoever shows `token` reads the list. Shared again, it has another token, and the one before ends.
#[utoipa::path(
    post, path = "/wishlists/{id}/share", tag = "community",
    request_body = Option<super::bodies::Nothing>,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("id" = Uuid, Path, description = "The list")),
    responses((status = 200, description = "The list with its token", body = WishlistView))
)]
pub(crate) async fn share(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfId(wishlist_id): OfId,
    Said(Empty): Said<Empty>,
) -> Result<Response, Problem> {
    let owner = owner(&app, id).await?;
    let shared = wishlists::share(&app.pool, &owner, wishlist_id).await?;
    Ok(tell(StatusCode::OK, &view(&app, shared)))
}

/// Share a wishlist no longer
///
/// Its link ends at once.
#[utoipa::path(
    delete, path = "/wishlists/{id}/share", tag = "community",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("id" = Uuid, Path, description = "The list")),
    responses((status = 204, description = "Nobody else reads it"))
)]
pub(crate) async fn unshare(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfId(wishlist_id): OfId,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    wishlists::unshare(&app.pool, &owner(&app, id).await?, wishlist_id).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// Whether there is such an article, on sale or not.
async fn is_offered(app: &App, sku: &Sku) -> Result<bool, Problem> {
    let offers = app.offers.of(&app.journal, &[sku.as_str()]).await?;
    Ok(offers.contains_key(sku.as_str()))
}

fn unknown_product() -> Problem {
    let detail = "there is no such product";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_product", detail)
}

impl From<wishlists::Error> for Problem {
    fn from(error: wishlists::Error) -> Self {
        use wishlists::Error as E;

        let conflict = |code| Self::new(StatusCode::CONFLICT, code, error.to_string());
        match &error {
            E::NameTaken => conflict("wishlist_name_taken"),
            E::TooManyLists => conflict("too_many_wishlists"),
            E::TooManyItems => conflict("wishlist_full"),
            E::NoSuchList => Self::not_found("list"),
            E::Database(cause) => Self::accident("ask for wishlists", cause),
        }
    }
}
