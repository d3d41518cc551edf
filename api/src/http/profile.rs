//! What somebody who has signed in is called, and where they are to be called.

use accounts::Person;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::bodies::{AmendProfile, DescribeProfile};
use super::fields::{Body, Fields};
use super::identity::SignedIn;
use super::order_body::NAME_CHARS_MAX;
use super::parameters::Parameters;
use super::phone;
use super::problem::Problem;
use super::said::{Said, tell};

/// Somebody who has an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonView {
    /// Their name for us, and in the events that they cause
    id: Uuid,
    /// What they are
    #[schema(example = "customer")]
    role: String,
    #[schema(example = "ada@example.org")]
    email: String,
    /// Whether they have proved that they read what is sent there
    email_verified: bool,
    /// What they are called
    name: Option<String>,
    /// Where to call
    phone: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Person> for PersonView {
    fn from(person: Person) -> Self {
        Self {
            id: person.account_id,
            role: person.role,
            email: person.email,
            email_verified: person.email_verified_at.is_some(),
            name: person.name,
            phone: person.phone,
            created_at: person.created_at,
            updated_at: person.updated_at,
        }
    }
}

/// The body of [`describe`] and [`amend`].
#[derive(Debug)]
pub(crate) struct Describing {
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
}

impl Body for Describing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.optional_text("name", NAME_CHARS_MAX);
        let phone = fields.optional_of("phone", |text| phone::parse(text, None));
        Some(Self { name, phone })
    }
}

/// Show the profile
///
/// Of whoever has signed in.
#[utoipa::path(
    get, path = "/profile", tag = "accounts",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    responses(
        (status = 200, description = "The profile", body = PersonView),
        (status = 404, description = "The account was closed a moment ago", body = ()),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let person = app.accounts.person(id).await?;
    let person = person.ok_or_else(|| Problem::not_found("account"))?;
    Ok(tell(StatusCode::OK, &PersonView::from(person)))
}

/// Replace the profile
///
/// What is not given is deleted. The address and the password have endpoints of their own.
#[utoipa::path(
    put, path = "/profile", tag = "accounts", request_body = DescribeProfile,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    responses(
        (status = 200, description = "The profile is now this", body = PersonView),
        (status = 404, description = "The account was closed a moment ago", body = ()),
    )
)]
pub(crate) async fn describe(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    Said(Describing { name, phone }): Said<Describing>,
) -> Result<Response, Problem> {
    let person = app.accounts.describe(id, name.as_deref(), phone.as_deref());
    Ok(tell(StatusCode::OK, &PersonView::from(person.await?)))
}

/// Amend the profile
///
/// What is not given stays as it is.
#[utoipa::path(
    patch, path = "/profile", tag = "accounts", request_body = AmendProfile,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    responses(
        (status = 200, description = "The profile is now this", body = PersonView),
        (status = 404, description = "The account was closed a moment ago", body = ()),
    )
)]
pub(crate) async fn amend(
    State(app): State<App>,
    SignedIn { id }: SignedIn,
    Said(Describing { name, phone }): Said<Describing>,
) -> Result<Response, Problem> {
    let person = app.accounts.amend(id, name.as_deref(), phone.as_deref());
    Ok(tell(StatusCode::OK, &PersonView::from(person.await?)))
}
