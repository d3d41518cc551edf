//! Vendors: who asks to sell, who is let, and what is theirs.

use std::convert::Infallible;

use accounts::Role;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::ids::VendorId;
use domain::vendor::{self, DESCRIPTION_CHARS_MAX, Profile, Standing, Vendor};
use projections::orders::AddressView;
use projections::vendors::{self, Filter, STANDINGS, VendorView};
use serde::Serialize;
use store::command::{Envelope, Verdict};
use utoipa::ToSchema;
use uuid::Uuid;

use super::answers::{Computed, Of};
use super::bodies::{CancelOrder, DescribeVendor, Nothing, RegisterVendor};
use super::caching::for_staff;
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::identity::{Caller, Readers, Staff};
use super::moves::{Cancellation, Empty};
use super::order_body::{self, NAME_CHARS_MAX};
use super::parameters::{OfId, Parameters};
use super::problem::{Flaw, Problem};
use super::queries::{self, Asking};
use super::{App, leaving, tables};

/// A vendor after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedVendorView {
    /// Which: the id of the account that signs in for it
    id: Uuid,
    /// `applied`, `active` or `inactive`
    #[schema(value_type = String, example = "applied")]
    status: Standing,
    /// What it trades as
    #[schema(example = "Potts Pottery")]
    business_name: String,
    /// Where it is
    address: AddressView,
    /// What it tells customers of itself
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether customers are told its town and country
    shows_place: bool,
    /// Its version, for `If-Match`
    version: i64,
}

/// A vendor: to customers what it has agreed to show, to staff all of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeenVendorView {
    /// Which; `GET /listings?vendor=` lists what it sells
    id: Uuid,
    /// What it trades as
    #[schema(example = "Potts Pottery")]
    business_name: String,
    /// What it tells of itself
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Where it is, if it shows that
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<PlaceView>,
    /// Staff only: `applied`, `active` or `inactive`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    status: Option<Standing>,
    /// Staff only: where it is
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<AddressView>,
    /// Staff only: whether customers are told its town and country
    #[serde(skip_serializing_if = "Option::is_none")]
    shows_place: Option<bool>,
    /// Staff only: why it may not sell
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Staff only: its version, for `If-Match`
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    /// Staff only: since when
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_at: Option<DateTime<Utc>>,
    /// Staff only: when it last changed
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<DateTime<Utc>>,
}

/// A town and its country.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Stoke-on-Trent")]
    city: Option<String>,
    /// ISO 3166-1 alpha-2
    #[schema(example = "GB")]
    country: String,
}

impl SeenVendorView {
    /// As customers see it.
    fn public(vendor: VendorView) -> Self {
        let AddressView { city, country, .. } = vendor.address;
        Self {
            id: vendor.id.0,
            business_name: vendor.business_name,
            description: vendor.description,
            place: vendor.shows_place.then_some(PlaceView { city, country }),
            status: None,
            address: None,
            shows_place: None,
            reason: None,
            version: None,
            registered_at: None,
            updated_at: None,
        }
    }

    /// As staff see it.
    fn whole(vendor: VendorView) -> Self {
        Self {
            status: Some(vendor.status),
            address: Some(vendor.address.clone()),
            shows_place: Some(vendor.shows_place),
            reason: vendor.reason.clone(),
            version: Some(vendor.version),
            registered_at: Some(vendor.registered_at),
            updated_at: Some(vendor.updated_at),
            ..Self::public(vendor)
        }
    }
}

/// Whether the caller is shown all of a vendor; whoever shows a token that nobody knows is a customer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsReader(bool);

impl FromRequestParts<App> for IsReader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(Readers::from_request_parts(parts, app).await.is_ok()))
    }
}

/// The body of [`describe_own`].
#[derive(Debug)]
pub(crate) struct Describing(Profile);

impl Body for Describing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        profile(fields).map(Self)
    }
}

/// The body of [`register`].
#[derive(Debug)]
pub(crate) struct Registering {
    profile: Profile,
    account_id: Option<Uuid>,
}

impl Body for Registering {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let profile = profile(fields);
        let account_id = fields.optional_of("account_id", str::parse::<Uuid>);
        Some(Self { profile: profile?, account_id })
    }
}

fn profile(fields: &mut Fields<'_>) -> Option<Profile> {
    let business_name = fields.text("business_name", NAME_CHARS_MAX);
    let address = fields.object("address", order_body::address);
    let description = fields.optional_prose("description", DESCRIPTION_CHARS_MAX);
    let shows_place = fields.optional_flag("shows_place").unwrap_or(false);
    Some(Profile { business_name: business_name?, address: address?, description, shows_place })
}

/// A vendor who has signed in, active or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oneself(pub(crate) VendorId);

impl FromRequestParts<App> for Oneself {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Account { id, role: Role::Vendor } => Ok(Self(VendorId(id))),
            Caller::Guest => Err(Problem::unauthenticated(
                "this is for vendors: send Authorization: Bearer and an access token",
            )),
            _ => Err(Problem::forbidden("this is for vendors")),
        }
    }
}

/// Whoever may register a vendor: somebody for themselves, staff for somebody.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Registrar {
    Oneself(Uuid),
    Staff,
}

impl FromRequestParts<App> for Registrar {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Account { id, role: Role::Customer | Role::Vendor } => Ok(Self::Oneself(id)),
            caller if caller.is_any_of(&[Role::Admin]) => Ok(Self::Staff),
            Caller::Guest => Err(Problem::unauthenticated(
                "sign in to register as a vendor: send Authorization: Bearer and an access token",
            )),
            _ => Err(Problem::forbidden("this is for customers, vendors and staff")),
        }
    }
}

impl Registrar {
    /// Whose vendor it is to be.
    fn account(self, given: Option<Uuid>) -> Result<Uuid, Problem> {
        let flaw = |detail: &str| {
            let flaw = Flaw { pointer: "/account_id".to_owned(), detail: detail.to_owned() };
            Problem::invalid_fields(vec![flaw])
        };
        match (self, given) {
            (Self::Oneself(id), None) => Ok(id),
            (Self::Oneself(id), Some(given)) if given == id => Ok(id),
            (Self::Oneself(_), Some(_)) => {
                Err(Problem::staff_only_fields(vec!["/account_id".to_owned()]))
            }
            (Self::Staff, Some(given)) => Ok(given),
            (Self::Staff, None) => Err(flaw("is missing: whose vendor is it to be?")),
        }
    }
}

/// Register a vendor
///
/// Whoever has signed in asks to sell under the name of their business; staff do so for the owner of
/// an account. The account is a vendor's from then on: whoever was signed in as a customer refreshes
/// their tokens, or signs in again, to act as one. Products may be offered once staff have activated
/// the vendor.
#[utoipa::path(
    post, path = "/vendors", tag = "vendors", request_body = RegisterVendor,
    security(("bearer" = ["customer", "vendor", "admin"])),
    responses((status = 201, description = "The vendor is registered", body = ChangedVendorView))
)]
pub(crate) async fn register(
    State(app): State<App>,
    registrar: Registrar,
    asked: Asked<Registering>,
) -> Result<Response, Problem> {
    let account_id = registrar.account(asked.body.account_id)?;
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    // Before the log has it: should only this be done, registering again does the rest.
    if !app
        .accounts
        .make_vendor(account_id, &asked.caller.to_string())
        .await?
    {
        let flaw = Flaw {
            pointer: "/account_id".to_owned(),
            detail: "is not the open account of a customer or vendor".to_owned(),
        };
        return Err(Problem::invalid_fields(vec![flaw]));
    }
    let command = vendor::Command::Register(asked.body.profile.clone());
    change(&app, VendorId(account_id), &asked, StatusCode::CREATED, command, None).await
}

/// Replace one's vendor profile
///
/// What the business is called, and where it is; also before staff have activated it.
#[utoipa::path(
    put, path = "/vendors/me", tag = "vendors", request_body = DescribeVendor,
    security(("bearer" = ["vendor"])), extensions(("x-own" = json!(["vendor"]))),
    responses(
        (status = 200, description = "The vendor is now this", body = ChangedVendorView),
        (status = 404, description = "Not registered yet: `POST /vendors`", body = ()),
    )
)]
pub(crate) async fn describe_own(
    State(app): State<App>,
    Oneself(vendor): Oneself,
    asked: Asked<Describing>,
) -> Result<Response, Problem> {
    let command = vendor::Command::Describe(asked.body.0.clone());
    change(&app, vendor, &asked, StatusCode::OK, command, None).await
}

/// Activate a vendor
///
/// They may offer products from now on, and what they have offered before can be bought again. 409
/// `vendor_without_account` where their account is closed or has another role: nobody could sign in to
/// send what is bought.
#[utoipa::path(
    post, path = "/vendors/{id}/activate", tag = "vendors", security(("staff" = [])),
    request_body = Option<Nothing>,
    params(("id" = Uuid, Path, description = "The vendor")),
    responses((status = 200, description = "The vendor is active", body = ChangedVendorView))
)]
pub(crate) async fn activate(
    State(app): State<App>,
    _: Staff,
    OfId(id): OfId,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    leaving::must_have_an_account(&app, VendorId(id)).await?;
    change(&app, VendorId(id), &asked, StatusCode::OK, vendor::Command::Activate, None).await
}

/// Deactivate a vendor
///
/// Their products cannot be bought any more, at once. Orders that are placed stay, and the vendor
/// still sees and ships their lines of them.
#[utoipa::path(
    post, path = "/vendors/{id}/deactivate", tag = "vendors", security(("staff" = [])),
    request_body = CancelOrder,
    params(("id" = Uuid, Path, description = "The vendor")),
    responses((status = 200, description = "The vendor is inactive", body = ChangedVendorView))
)]
pub(crate) async fn deactivate(
    State(app): State<App>,
    _: Staff,
    OfId(id): OfId,
    asked: Asked<Cancellation>,
) -> Result<Response, Problem> {
    let reason = asked.body.reason.clone();
    let command = vendor::Command::Deactivate { reason: reason.clone() };
    change(&app, VendorId(id), &asked, StatusCode::OK, command, Some(reason)).await
}

async fn change<B: Sync>(
    app: &App,
    vendor: VendorId,
    asked: &Asked<B>,
    status: StatusCode,
    command: vendor::Command,
    reason: Option<String>,
) -> Result<Response, Problem> {
    let envelope = Envelope { reason, ..asked.alone() };
    // Whether it may sell is told on as it was decided, and not as somebody else has left it since.
    let stands = std::sync::OnceLock::new();
    let wording = asked.wording(status, |accepted: Accepted<'_, Vendor>| {
        let _once = stands.set(accepted.state.standing() == Standing::Active);
        let profile = accepted.state.profile().cloned();
        let profile = profile.expect("a vendor that was changed has registered");
        ChangedVendorView {
            id: vendor.0,
            status: accepted.state.standing(),
            business_name: profile.business_name,
            address: profile.address.into(),
            description: profile.description,
            shows_place: profile.shows_place,
            version: accepted.version,
        }
    });
    let receipt = app
        .journal
        .execute::<Vendor>(&vendor.to_string(), command, envelope, wording)
        .await?;
    if receipt.verdict == Verdict::Accepted && !receipt.replayed {
        let is_active = stands.get().copied().unwrap_or(false);
        app.sellers.stands(vendor, receipt.version, is_active);
    }
    Ok(respond(receipt))
}

/// Show one's vendor profile
#[utoipa::path(
    get, path = "/vendors/me", tag = "vendors",
    security(("bearer" = ["vendor"])), extensions(("x-own" = json!(["vendor"]))),
    responses(
        (status = 200, description = "The vendor", body = VendorView),
        (status = 404, description = "Not registered yet: `POST /vendors`", body = ()),
    )
)]
pub(crate) async fn show_own(
    State(app): State<App>,
    Oneself(vendor): Oneself,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let (position, _seat) = asking.seat(&app, &[vendors::NAME]).await?;
    let view = vendors::by_id(app.read_models.reads(), vendor).await?;
    let view = view.ok_or_else(|| Problem::not_found("vendor").at(position))?;
    Ok(asking.show_versioned(position, view.version, &view))
}

/// List vendors
///
/// Newest first. `Accept: text/csv` gives every row that the filters leave, as a table of one moment.
#[utoipa::path(
    get, path = "/vendors", tag = "vendors", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("status" = Option<String>, Query, description = "`applied`, `active` or `inactive`"),
        ("search" = Option<String>, Query, description = "Part of the name"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((projections::Page<VendorView> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let as_table = tables::wanted(&headers);
    if as_table {
        parameters.whole();
    }
    let filter = Filter {
        status: parameters.optional("status", standing),
        search: parameters.text("search"),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    if as_table {
        return tables::of_vendors(&app, &asking, filter).await;
    }
    let (position, _seat) = asking.seat(&app, &[vendors::NAME]).await?;
    let page = vendors::list(app.read_models.reads(), &filter, limit, cursor).await?;
    Ok(queries::show(position, &page))
}

fn standing(text: &str) -> Result<Standing, &'static str> {
    let known = STANDINGS.iter().find(|(name, _)| *name == text);
    let known = known.map(|(_, standing)| *standing);
    known.ok_or("must be one of applied, active, inactive")
}

/// Show a vendor
///
/// To everybody what an active vendor has agreed to show: its name, what it says of itself, its town
/// and country. To staff, analysts and auditors all that is known of any.
#[utoipa::path(
    get, path = "/vendors/{id}", tag = "vendors",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(("id" = Uuid, Path, description = "The vendor")),
    responses((status = 200, description = "The vendor", body = SeenVendorView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    IsReader(is_reader): IsReader,
    OfId(id): OfId,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let find = || async {
        let (position, _seat) = asking.seat(&app, &[vendors::NAME]).await?;
        let found = vendors::by_id(app.read_models.reads(), VendorId(id)).await?;
        let found = found.filter(|vendor| is_reader || vendor.status == Standing::Active);
        let found = found.ok_or_else(|| Problem::not_found("vendor").at(position))?;
        Ok::<_, Problem>((position, found))
    };
    if is_reader {
        let (position, vendor) = find().await?;
        let (version, view) = (vendor.version, SeenVendorView::whole(vendor));
        return Ok(for_staff(asking.show_versioned(position, version, &view)));
    }
    let compute = || async {
        let (position, vendor) = find().await?;
        Ok(Computed::new(position, vec![Of::Vendors], &SeenVendorView::public(vendor)))
    };
    app.answers
        .tell(&asking, format!("vendors/{id}"), compute)
        .await
}
