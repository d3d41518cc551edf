//! Accounts as administrators see them.

use accounts::Role;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use utoipa::ToSchema;

use super::bodies::{DescribeCustomer, OpenAccount};
use super::fields::{Body, Fields};
use super::identity::{Caller, Staff};
use super::parameters::{OfId, Parameters};
use super::parked::Cursor;
use super::problem::Problem;
use super::profile::{Describing, PersonView};
use super::said::{Said, done, tell};
use super::{App, BASE, email, tables};

/// The body of [`open`].
#[derive(Debug)]
pub(crate) struct Opening {
    email: String,
    described: Describing,
    role: Role,
}

impl Body for Opening {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.of("email", email::parse);
        let described = Describing::read(fields);
        let role = role(fields).unwrap_or(Some(Role::Customer));
        Some(Self { email: email?, described: described?, role: role? })
    }
}

/// The body of [`describe`].
#[derive(Debug)]
pub(crate) struct Redescribing {
    described: Describing,
    role: Option<Role>,
}

impl Body for Redescribing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let described = Describing::read(fields);
        let role = role(fields).unwrap_or_default();
        Some(Self { described: described?, role })
    }
}

/// `None` if it is not given; a role that is none is a flaw, and `Some(None)`.
#[expect(clippy::option_option, reason = "absent and wrong are not the same")]
fn role(fields: &mut Fields<'_>) -> Option<Option<Role>> {
    let roles = Role::OF_ACCOUNTS.map(|role| (role.name(), role));
    fields.has("role").then(|| fields.one_of("role", &roles))
}

/// A page of accounts.
#[derive(serde::Serialize, ToSchema)]
pub(crate) struct CustomersView {
    /// Newest first
    items: Vec<PersonView>,
    /// Where the next page begins; null on the last one
    next_cursor: Option<String>,
}

/// List accounts
///
/// Newest first; closed ones are gone. `Accept: text/csv` gives every row that the filters leave.
#[utoipa::path(
    get, path = "/customers", tag = "accounts", security(("staff" = [])),
    params(
        ("search" = Option<String>, Query, description = "Part of the address or of the name"),
        ("role" = Option<String>, Query, description = "customer, vendor, admin, analyst, auditor"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((CustomersView = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let as_table = tables::wanted(&headers);
    if as_table {
        parameters.whole();
    }
    let search = parameters.text("search");
    let role = parameters.one_of("role", &Role::OF_ACCOUNTS.map(Role::name));
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<Cursor>());
    parameters.finish()?;
    if as_table {
        return tables::of_people(&app, search, role);
    }
    let after = cursor.map(|cursor| (cursor.at, cursor.id));
    // One more than asked for tells whether there is a next page.
    let people = app
        .accounts
        .people(search.as_deref(), role.as_deref(), limit + 1, after);
    let mut people = people.await?;
    let more = usize::try_from(limit).is_ok_and(|limit| limit < people.len());
    people.pop_if(|_| more);
    let last = people.last().filter(|_| more);
    let next_cursor =
        last.map(|last| Cursor { at: last.created_at, id: last.account_id }.to_string());
    let items = people.into_iter().map(PersonView::from).collect();
    Ok(tell(StatusCode::OK, &CustomersView { items, next_cursor }))
}

/// Open an account for somebody
///
/// Who is mailed the means to choose a password, which proves the address. 409 if somebody has proved
/// it already.
#[utoipa::path(
    post, path = "/customers", tag = "accounts", security(("staff" = [])),
    request_body = OpenAccount,
    responses((status = 201, description = "The account", body = PersonView))
)]
pub(crate) async fn open(
    State(app): State<App>,
    _: Staff,
    Said(Opening { email, described, role }): Said<Opening>,
) -> Result<Response, Problem> {
    let Describing { name, phone } = described;
    let invited = app
        .accounts
        .invite(&email, name.as_deref(), phone.as_deref(), role);
    let person = invited.await?;
    let location = HeaderValue::from_str(&format!("{BASE}/customers/{}", person.account_id)).ok();
    let mut response = tell(StatusCode::CREATED, &PersonView::from(person));
    let headers = response.headers_mut();
    headers.extend(location.map(|location| (header::LOCATION, location)));
    Ok(response)
}

/// Show an account
#[utoipa::path(
    get, path = "/customers/{id}", tag = "accounts", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The account", body = PersonView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Staff,
    OfId(account_id): OfId,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let person = app.accounts.person(account_id).await?;
    let person = person.ok_or_else(|| Problem::not_found("account"))?;
    Ok(tell(StatusCode::OK, &PersonView::from(person)))
}

/// Describe an account
///
/// Name and telephone that are not given are deleted. Another role ends the account's sessions:
/// tokens name the role.
#[utoipa::path(
    put, path = "/customers/{id}", tag = "accounts", security(("staff" = [])),
    request_body = DescribeCustomer,
    params(("id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The account is now this", body = PersonView))
)]
pub(crate) async fn describe(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfId(account_id): OfId,
    Said(Redescribing { described, role }): Said<Redescribing>,
) -> Result<Response, Problem> {
    let Describing { name, phone } = described;
    let described = app
        .accounts
        .describe(account_id, name.as_deref(), phone.as_deref());
    let mut person = described.await?;
    if let Some(role) = role.filter(|role| role.name() != person.role) {
        let by = caller.to_string();
        person = app.accounts.change_role(account_id, role, &by).await?;
    }
    Ok(tell(StatusCode::OK, &PersonView::from(person)))
}

/// Close an account
///
/// Its sessions end, and name, address and password are deleted. What was ordered stays in the log. A
/// repetition is 404.
#[utoipa::path(
    delete, path = "/customers/{id}", tag = "accounts", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The account")),
    responses((status = 204, description = "The account is closed"))
)]
pub(crate) async fn close(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    OfId(account_id): OfId,
) -> Result<Response, Problem> {
    if app.accounts.close(account_id, &caller.to_string()).await? {
        Ok(done(StatusCode::NO_CONTENT))
    } else {
        Err(Problem::not_found("account"))
    }
}
