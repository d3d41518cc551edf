//! The address book of whoever has signed in, and what an order that names an address of it makes of
//! that: a copy, which nothing changes any more.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::placing::Address;
use projections::Page;
use projections::orders::AddressView;
use serde::Serialize;
use storefront::addresses::{self, Entry, Kept, LABEL_CHARS_MAX};
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::bodies::WriteAddress;
use super::fields::{Body, Fields};
use super::identity::{Caller, SignedIn};
use super::order_body::{self, Destination};
use super::parameters::{OfId, Parameters};
use super::problem::{Flaw, Problem};
use super::said::{Said, done, tell};

/// An address in a book.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeptAddressView {
    /// Its name for us, and for orders (`address_id`)
    id: Uuid,
    /// What its owner calls it
    #[schema(example = "At home")]
    label: Option<String>,
    #[serde(flatten)]
    address: AddressView,
    /// Whether things are sent there if nothing else is said; of one address at most
    is_for_delivery: bool,
    /// Whether bills are; of one address at most
    is_for_billing: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Kept> for KeptAddressView {
    fn from(kept: Kept) -> Self {
        let Kept { address_id, entry, created_at, updated_at } = kept;
        Self {
            id: address_id,
            label: entry.label,
            address: entry.address.into(),
            is_for_delivery: entry.is_for_delivery,
            is_for_billing: entry.is_for_billing,
            created_at,
            updated_at,
        }
    }
}

/// The body of [`add`] and [`replace`].
#[derive(Debug)]
pub(crate) struct Writing(Entry);

impl Body for Writing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let label = fields.optional_text("label", LABEL_CHARS_MAX);
        let address = order_body::address(fields);
        let is_for_delivery = fields.optional_flag("is_for_delivery").unwrap_or(false);
        let is_for_billing = fields.optional_flag("is_for_billing").unwrap_or(false);
        Some(Self(Entry { label, address: address?, is_for_delivery, is_for_billing }))
    }
}

/// Where an order goes: as it says, or as the caller's book has it at this moment.
pub(crate) async fn destination(
    app: &App,
    caller: Caller,
    destination: &Destination,
) -> Result<Result<Address, Problem>, Problem> {
    let address_id = match destination {
        Destination::Given(address) => return Ok(Ok(address.clone())),
        Destination::Kept(address_id) => *address_id,
    };
    // Nobody else has a book.
    let Caller::Account { id, .. } = caller else {
        return Ok(Err(unknown()));
    };
    match addresses::by_id(&app.pool, id, address_id).await {
        Ok(kept) => Ok(Ok(kept.entry.address)),
        Err(addresses::Error::NoSuchAddress) => Ok(Err(unknown())),
        Err(error) => Err(error.into()),
    }
}

fn unknown() -> Problem {
    let detail = "there is no such address in the book of whoever asks";
    let flaw = Flaw { pointer: "/address_id".to_owned(), detail: detail.to_owned() };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_address", detail).with_flaws(vec![flaw])
}

/// List your addresses
///
/// Newest first. Orders name one by its `id`, as `address_id`.
#[utoipa::path(
    get, path = "/profile/addresses", tag = "accounts",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    responses((status = 200, description = "The book, on one page", body = Page<KeptAddressView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let book = addresses::of_owner(&app.pool, id).await?;
    let items: Vec<_> = book.into_iter().map(KeptAddressView::from).collect();
    Ok(tell(StatusCode::OK, &Page { items, next_cursor: None }))
}

/// Keep an address
///
/// The first one is the default for delivery and for billing, whatever is said of it; another that is
/// to be one takes its place. A repetition is 409 `address_stands`.
#[utoipa::path(
    post, path = "/profile/addresses", tag = "accounts", request_body = WriteAddress,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    responses((status = 201, description = "The address", body = KeptAddressView))
)]
pub(crate) async fn add(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    Said(Writing(entry)): Said<Writing>,
) -> Result<Response, Problem> {
    let kept = addresses::add(&app.pool, id, &entry).await?;
    Ok(tell(StatusCode::CREATED, &KeptAddressView::from(kept)))
}

/// Show one of your addresses
#[utoipa::path(
    get, path = "/profile/addresses/{id}", tag = "accounts",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("id" = Uuid, Path, description = "The address")),
    responses((status = 200, description = "The address", body = KeptAddressView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfId(address_id): OfId,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let kept = addresses::by_id(&app.pool, id, address_id).await?;
    Ok(tell(StatusCode::OK, &KeptAddressView::from(kept)))
}

/// Replace one of your addresses
///
/// What is not given is deleted; that it is a default, too. Orders that named it keep what it was.
#[utoipa::path(
    put, path = "/profile/addresses/{id}", tag = "accounts", request_body = WriteAddress,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("id" = Uuid, Path, description = "The address")),
    responses((status = 200, description = "The address is now this", body = KeptAddressView))
)]
pub(crate) async fn replace(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfId(address_id): OfId,
    Said(Writing(entry)): Said<Writing>,
) -> Result<Response, Problem> {
    let kept = addresses::replace(&app.pool, id, address_id, &entry).await?;
    Ok(tell(StatusCode::OK, &KeptAddressView::from(kept)))
}

/// Delete one of your addresses
///
/// Orders that named it keep it. If it was a default, there is none until another is named. A
/// repetition is 404.
#[utoipa::path(
    delete, path = "/profile/addresses/{id}", tag = "accounts",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor", "admin", "analyst", "auditor"]))),
    params(("id" = Uuid, Path, description = "The address")),
    responses((status = 204, description = "There is no such address any more"))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    OfId(address_id): OfId,
) -> Result<Response, Problem> {
    addresses::delete(&app.pool, id, address_id).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

impl From<addresses::Error> for Problem {
    fn from(error: addresses::Error) -> Self {
        use addresses::Error as E;

        let conflict = |code| Self::new(StatusCode::CONFLICT, code, error.to_string());
        match &error {
            E::Standing => conflict("address_stands"),
            E::TooMany => conflict("too_many_addresses"),
            E::NoSuchAddress => Self::not_found("address"),
            E::Database(cause) => Self::accident("ask for addresses", cause),
        }
    }
}
