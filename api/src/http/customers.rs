//! Customers as administrators see them: whoever has an account, and guests who have ordered without.
//!
//! Accounts are rows, guests are a read model; only here is it known that both are customers.

use accounts::{Person, Role, email_key};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use projections::Page;
use projections::guests::{self, Guest};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{DescribeCustomer, OpenAccount};
use super::command::{Asked, telling};
use super::fields::{Body, Fields};
use super::identity::{Caller, Staff};
use super::leaving::{self, Because};
use super::occurrence::Occurrence;
use super::parameters::{OfId, Parameters};
use super::parked::Cursor;
use super::problem::Problem;
use super::profile::{Describing, PersonView};
use super::queries::{self, Asking};
use super::said::{Said, done, paged, tell};
use super::{App, BASE, email, keys, tables};

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

/// A customer: somebody with an account, or a guest.
#[derive(Debug, serde::Serialize, FromRow, ToSchema)]
pub(crate) struct CustomerRecord {
    /// Of the account; of a guest, of their first order
    id: Uuid,
    /// `account` or `guest`
    #[schema(example = "account")]
    kind: String,
    /// What an account is; null for guests
    #[schema(example = "customer")]
    role: Option<String>,
    #[schema(example = "ada@example.org")]
    email: String,
    /// Whether they have proved that they read what is sent there
    email_verified: bool,
    /// What they are called; a guest, as their newest order says
    name: Option<String>,
    /// Where to call; likewise
    phone: Option<String>,
    /// Where a guest's newest order goes; null for accounts
    #[schema(example = "GB")]
    country: Option<String>,
    /// How many orders a guest has placed; null for accounts, whose orders `GET /orders` lists
    orders: Option<i64>,
    /// When the account was opened; of a guest, when their first order was placed
    created_at: DateTime<Utc>,
    /// When anything of the account last changed; of a guest, when their newest order was placed
    updated_at: DateTime<Utc>,
}

impl CustomerRecord {
    /// Where the page after it begins.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { at: self.created_at, id: self.id }
    }
}

impl From<Person> for CustomerRecord {
    fn from(person: Person) -> Self {
        Self {
            id: person.account_id,
            kind: "account".to_owned(),
            role: Some(person.role),
            email: person.email,
            email_verified: person.email_verified_at.is_some(),
            name: person.name,
            phone: person.phone,
            country: None,
            orders: None,
            created_at: person.created_at,
            updated_at: person.updated_at,
        }
    }
}

impl From<Guest> for CustomerRecord {
    fn from(guest: Guest) -> Self {
        Self {
            id: guest.guest_id,
            kind: "guest".to_owned(),
            role: None,
            email: guest.email,
            email_verified: false,
            name: Some(guest.name),
            phone: guest.phone,
            country: Some(guest.country),
            orders: Some(guest.orders),
            created_at: guest.created_at,
            updated_at: guest.updated_at,
        }
    }
}

/// Which customers to list. What is not given does not restrict.
pub(crate) struct Filter {
    kind: Option<String>,
    search: Option<String>,
    role: Option<String>,
    email: Option<String>,
    email_verified: Option<bool>,
    created_from: Option<DateTime<Utc>>,
    created_to: Option<DateTime<Utc>>,
}

impl Filter {
    fn read(parameters: &mut Parameters) -> Self {
        let flag = |text: &str| text.parse::<bool>().map_err(|_| "must be true or false");
        Self {
            kind: parameters.one_of("kind", &["account", "guest"]),
            search: parameters.text("search"),
            role: parameters.one_of("role", &Role::OF_ACCOUNTS.map(Role::name)),
            email: parameters.text("email"),
            email_verified: parameters.optional("email_verified", flag),
            created_from: parameters.instant("created_from"),
            created_to: parameters.end("created_to"),
        }
    }

    pub(crate) async fn find(
        &self,
        app: &App,
        limit: i64,
        after: Option<Cursor>,
    ) -> Result<Vec<CustomerRecord>, Problem> {
        // A search reads every record: it is for people, who search now and then.
        Ok(sqlx::query_as(include_str!("customers/list.sql"))
            .bind(&self.kind)
            .bind(self.search.as_deref().map(email_key))
            .bind(&self.role)
            .bind(self.email.as_deref().map(email_key))
            .bind(self.email_verified)
            .bind(self.created_from)
            .bind(self.created_to)
            .bind(after.map(|cursor| cursor.at))
            .bind(after.map(|cursor| cursor.id))
            .bind(limit)
            .fetch_all(&app.pool)
            .await?)
    }
}

/// List customers
///
/// Accounts, and guests who have ordered without one, newest first; closed accounts and forgotten
/// guests are gone. Whoever proves an address takes over what a guest has ordered under it, so that
/// only the account is listed then. `Accept: text/csv` gives every row that
/// the filters leave.
#[utoipa::path(
    get, path = "/customers", tag = "accounts", security(("staff" = [])),
    params(
        ("kind" = Option<String>, Query, description = "`account` or `guest`"),
        ("search" = Option<String>, Query, description = "Part of the address or of the name"),
        ("role" = Option<String>, Query, description = "customer, vendor, admin, analyst, auditor"),
        ("email" = Option<String>, Query, description = "The whole address, however it is written"),
        ("email_verified" = Option<bool>, Query, description = "Whether the address is proved"),
        ("created_from" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("created_to" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((Page<CustomerRecord> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let as_table = tables::wanted(&headers);
    if as_table {
        parameters.whole();
    }
    let filter = Filter::read(&mut parameters);
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<Cursor>());
    parameters.finish()?;
    // That of the guests; accounts are not in the log, and are read as they are.
    let position = asking.position(&app, &[guests::NAME]).await?;
    if as_table {
        return tables::of_customers(&app, position, filter);
    }
    // One more than asked for tells whether there is a next page.
    let items = filter.find(&app, limit.saturating_add(1), cursor).await?;
    Ok(queries::show(position, &paged(items, limit, CustomerRecord::cursor)))
}

/// Open an account for somebody
///
/// Who is mailed the means to choose a password, which proves the address. 409 if somebody has proved
/// it already. A repetition opens no second account and sends no second mail; it is told the account as
/// it is by then, because nothing personal is kept with a receipt, and 404 once it is closed.
#[utoipa::path(
    post, path = "/customers", tag = "accounts", security(("staff" = [])),
    request_body = OpenAccount,
    responses((status = 201, description = "The account", body = PersonView))
)]
pub(crate) async fn open(
    State(app): State<App>,
    _: Staff,
    asked: Asked<Opening>,
) -> Result<Response, Problem> {
    let account_id = keys::named(asked.command_id, "account");
    let told = if let Some(told) = asked.told_before(&app).await? {
        told
    } else {
        let Opening { email, described: Describing { name, phone }, role } = &asked.body;
        let invited =
            app.accounts
                .invite(account_id, email, name.as_deref(), phone.as_deref(), *role);
        let _invited = invited.await?;
        asked.remember_name(&app, account_id).await?
    };
    let person = app.accounts.person(account_id).await?;
    let person = person.ok_or_else(|| Problem::not_found("account"))?;
    let location = HeaderValue::from_str(&format!("{BASE}/customers/{}", person.account_id)).ok();
    let mut response = telling(told, &PersonView::from(person));
    let headers = response.headers_mut();
    headers.extend(location.map(|location| (header::LOCATION, location)));
    Ok(response)
}

/// Show a customer
///
/// An account, or a guest by the id of their first order.
#[utoipa::path(
    get, path = "/customers/{id}", tag = "accounts", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The account, or the guest")),
    responses((status = 200, description = "The customer", body = CustomerRecord))
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Staff,
    OfId(id): OfId,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let position = asking.position(&app, &[guests::NAME]).await?;
    if let Some(person) = app.accounts.person(id).await? {
        return Ok(queries::show(position, &CustomerRecord::from(person)));
    }
    let guest = guest(&app, id).await?;
    let guest = guest.ok_or_else(|| Problem::not_found("customer").at(position))?;
    Ok(queries::show(position, &CustomerRecord::from(guest)))
}

/// A guest whose record has not become an account's.
pub(crate) async fn guest(app: &App, guest_id: Uuid) -> Result<Option<Guest>, Problem> {
    let Some(guest) = guests::by_id(app.read_models.reads(), guest_id).await? else {
        return Ok(None);
    };
    let is_adopted = app.accounts.has_proved(&guest.email).await?;
    Ok((!is_adopted).then_some(guest))
}

/// Why nothing can be done to an account that there is not.
async fn no_account(app: &App, id: Uuid) -> Problem {
    match guest(app, id).await {
        Ok(None) => Problem::not_found("account"),
        Ok(Some(_)) => Problem::new(
            StatusCode::CONFLICT,
            "customer_is_a_guest",
            "this customer has no account: what is known of them stands in their orders; \
             DELETE /customers/{id}/personal-data forgets them",
        ),
        Err(problem) => problem,
    }
}

/// Describe an account
///
/// Name and telephone that are not given are deleted. Another role ends the account's sessions:
/// tokens name the role. A vendor who becomes something else is deactivated: their products cannot be
/// bought any more. A guest has no account to describe: 409 `customer_is_a_guest`.
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
    occurrence: Occurrence,
    OfId(account_id): OfId,
    Said(Redescribing { described, role }): Said<Redescribing>,
) -> Result<Response, Problem> {
    let Describing { name, phone } = described;
    let described = app
        .accounts
        .describe(account_id, name.as_deref(), phone.as_deref());
    let mut person = match described.await {
        Err(accounts::Error::NoSuchAccount) => return Err(no_account(&app, account_id).await),
        described => described?,
    };
    if let Some(role) = role.filter(|role| role.name() != person.role) {
        if role != Role::Vendor {
            let envelope = leaving::envelope(caller, &occurrence);
            leaving::sells_no_more(&app, account_id, Because::AnotherRole, envelope).await?;
        }
        let by = caller.to_string();
        person = app.accounts.change_role(account_id, role, &by).await?;
    }
    Ok(tell(StatusCode::OK, &PersonView::from(person)))
}

/// Close an account
///
/// Its sessions end, and name, address, password and address book are deleted. What was ordered stays
/// in the log. A vendor is deactivated by it: their products cannot be bought any more. A repetition is
/// 404, a guest 409 `customer_is_a_guest`.
#[utoipa::path(
    delete, path = "/customers/{id}", tag = "accounts", security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The account")),
    responses((status = 204, description = "The account is closed"))
)]
pub(crate) async fn close(
    State(app): State<App>,
    _: Staff,
    caller: Caller,
    occurrence: Occurrence,
    OfId(account_id): OfId,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let envelope = leaving::envelope(caller, &occurrence);
    leaving::sells_no_more(&app, account_id, Because::Closed, envelope).await?;
    let is_closed = app.accounts.close(account_id, &caller.to_string()).await?;
    // Whether it was open or not: so whoever was not answered sends it again, and nothing is left.
    let (accounts, _) = app.accounts.belongings(account_id).await?;
    storefront::addresses::forget(&app.pool, &accounts).await?;
    if is_closed {
        Ok(done(StatusCode::NO_CONTENT))
    } else {
        Err(no_account(&app, account_id).await)
    }
}
