//! Support: what customers and guests ask, and what staff answer.
//!
//! Tickets are rows, and what is asked has to be deletable; but a question that is sent twice must
//! not be two. So a ticket and a message are named by their `Idempotency-Key`, and the receipt holds
//! an answer in which nothing is personal.

use accounts::{Role, email_key};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::ids::OrderId;
use projections::Page;
use serde::Serialize;
use serde_json::json;
use storefront::support::{
    self, Asker, BODY_CHARS_MAX, Filter, Guest, Message, NewMessage, NewTicket, Owner,
    SUBJECT_CHARS_MAX, Status, Ticket,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{OpenTicket, WriteMessage};
use super::command::{Asked, answer};
use super::fields::{Body, Fields};
use super::identity::Caller;
use super::keys::named;
use super::moves::Empty;
use super::order_body::NAME_CHARS_MAX;
use super::ownership::ToAct;
use super::parameters::{OfId, Parameters};
use super::parked::Cursor;
use super::problem::{Flaw, Problem};
use super::said::{paged, tell};
use super::{App, BASE, email, tables};

/// Opens a guest's ticket; also `?token=` of queries, so that a link can carry it.
const DAYBOOK_TICKET_TOKEN: HeaderName = HeaderName::from_static("daybook-ticket-token");

/// A ticket that was opened.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenedView {
    /// Its name from now on
    id: Uuid,
    #[schema(example = "open")]
    status: &'static str,
    /// For guests: opens this ticket without an account, as `?token=` or `Daybook-Ticket-Token`
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_token: Option<String>,
}

/// A message that was sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct SentView {
    /// Its name
    id: Uuid,
    /// The ticket's
    #[schema(example = "answered")]
    status: &'static str,
}

/// A ticket that was closed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClosedView {
    id: Uuid,
    #[schema(example = "closed")]
    status: &'static str,
}

/// A ticket.
#[derive(Serialize, ToSchema)]
pub(crate) struct TicketView {
    id: Uuid,
    /// Whose it is; null for guests
    account_id: Option<Uuid>,
    /// What a guest is called
    name: Option<String>,
    /// Where a guest is answered
    email: Option<String>,
    /// The order that it is about
    order_id: Option<Uuid>,
    #[schema(example = "A cup arrived broken")]
    subject: String,
    /// `open`: staff are asked; `answered`; `closed`
    #[schema(example = "open")]
    status: String,
    created_at: DateTime<Utc>,
    /// When it last moved
    updated_at: DateTime<Utc>,
}

/// A ticket with all that was said in it.
#[derive(Serialize, ToSchema)]
pub(crate) struct WholeTicketView {
    #[serde(flatten)]
    ticket: TicketView,
    /// The first one first
    messages: Vec<MessageView>,
}

/// A message.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageView {
    id: Uuid,
    /// `customer` or `staff`
    #[schema(example = "staff")]
    from: &'static str,
    /// Who exactly, for staff
    #[serde(skip_serializing_if = "Option::is_none")]
    written_by: Option<String>,
    body: String,
    created_at: DateTime<Utc>,
}

impl From<Ticket> for TicketView {
    fn from(ticket: Ticket) -> Self {
        Self {
            id: ticket.ticket_id,
            account_id: ticket.account_id,
            name: ticket.name,
            email: ticket.email,
            order_id: ticket.order_id,
            subject: ticket.subject,
            status: ticket.status,
            created_at: ticket.created_at,
            updated_at: ticket.updated_at,
        }
    }
}

impl MessageView {
    fn of(message: Message, to_staff: bool) -> Self {
        Self {
            id: message.message_id,
            from: if message.from_staff {
                "staff"
            } else {
                "customer"
            },
            written_by: Some(message.written_by).filter(|_| to_staff),
            body: message.body,
            created_at: message.created_at,
        }
    }
}

/// The body of [`open`].
#[derive(Debug)]
pub(crate) struct Opening {
    subject: String,
    message: String,
    order_id: Option<OrderId>,
    name: Option<String>,
    email: Option<String>,
}

impl Body for Opening {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let subject = fields.text("subject", SUBJECT_CHARS_MAX);
        let message = fields.prose("message", BODY_CHARS_MAX);
        let order_id = fields
            .optional_of("order_id", |text| text.parse().map_err(|_| "must be the id of an order"));
        let name = fields.optional_text("name", NAME_CHARS_MAX);
        let email = fields.optional_of("email", email::parse);
        Some(Self { subject: subject?, message: message?, order_id, name, email })
    }
}

/// The body of [`write`].
#[derive(Debug)]
pub(crate) struct Writing(String);

impl Body for Writing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.prose("message", BODY_CHARS_MAX).map(Self)
    }
}

/// Whoever may have tickets, and what they show for one.
pub(crate) struct ToTicket {
    caller: Caller,
    token: Option<String>,
}

impl FromRequestParts<App> for ToTicket {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let may_own = caller == Caller::Guest || caller.customer_id().is_some();
        if !may_own && !is_staff(caller) {
            return Err(Problem::forbidden("this is for staff and for whoever asks them"));
        }
        let shown = parts.headers.get(DAYBOOK_TICKET_TOKEN);
        let token = shown.and_then(|value| value.to_str().ok());
        Ok(Self { caller, token: token.map(str::to_owned) })
    }
}

impl ToTicket {
    /// The ticket, if it is the caller's to see.
    async fn find(&self, app: &App, ticket_id: Uuid) -> Result<Ticket, Problem> {
        let ticket = support::by_id(&app.pool, ticket_id).await?;
        let ticket = ticket.ok_or(support::Error::NoSuchTicket)?;
        let shown = self.token.as_deref().unwrap_or_default();
        let is_theirs = match self.caller.customer_id() {
            _ if is_staff(self.caller) => true,
            // An account's ticket has no token: what is shown for it is somebody's guess.
            _ if ticket.account_id.is_none()
                && app.accounts.is_link_token(link_id(ticket_id), shown) =>
            {
                true
            }
            Some(customer) => ticket.is_of(&owner(app, customer.0).await?),
            None => false,
        };
        is_theirs
            .then_some(ticket)
            .ok_or_else(|| support::Error::NoSuchTicket.into())
    }
}

fn is_staff(caller: Caller) -> bool {
    caller.is_any_of(&[Role::Admin])
}

/// What belongs to an account.
async fn owner(app: &App, account_id: Uuid) -> Result<Owner, Problem> {
    let (accounts, email) = app.accounts.belongings(account_id).await?;
    Ok(Owner { accounts, email_key: email.as_deref().map(email_key) })
}

/// What tokens of tickets are computed from: no order's id, or its token would open both.
fn link_id(ticket_id: Uuid) -> Uuid {
    Uuid::new_v5(&ticket_id, b"ticket")
}

/// Open a ticket
///
/// The contact form, too: a guest gives an `email` and is told a token that opens the ticket.
/// Whoever has signed in is known already. An order is named only by whose it is; a guest shows its
/// `Daybook-Order-Token`. 409 `too_many_tickets` while 20 of one asker are open.
#[utoipa::path(
    post, path = "/tickets", tag = "community", request_body = OpenTicket,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    params(("Daybook-Order-Token" = Option<String>, Header, description = "Of a guest's order")),
    responses(
        (status = 201, description = "The ticket is open", body = OpenedView),
        (status = 404, description = "There is no such order, or it is somebody else's", body = ()),
    )
)]
pub(crate) async fn open(
    State(app): State<App>,
    whose: ToAct,
    asked: Asked<Opening>,
) -> Result<Response, Problem> {
    let ticket_id = named(asked.command_id, "ticket");
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(located(told, ticket_id));
    }
    if let Some(order_id) = asked.body.order_id {
        whose.on(&app, order_id).await?;
    }
    let new = NewTicket {
        ticket_id,
        asker: asker(asked.caller, &asked.body)?,
        order_id: asked.body.order_id.map(|order_id| order_id.0),
        subject: asked.body.subject.clone(),
        message: NewMessage {
            message_id: named(asked.command_id, "message"),
            from_staff: false,
            written_by: asked.caller.to_string(),
            body: asked.body.message.clone(),
        },
    };
    support::open(&app.pool, &new, email_key).await?;
    let is_guest = asked.caller == Caller::Guest;
    let ticket_token = is_guest.then(|| app.accounts.link_token(link_id(ticket_id)));
    let view = OpenedView { id: ticket_id, status: Status::Open.name(), ticket_token };
    let told = answer(StatusCode::CREATED, &view);
    Ok(located(asked.remember(&app, asked.alone(), told).await?, ticket_id))
}

/// Who asks. Staff open tickets for whoever has rung them up.
fn asker(caller: Caller, body: &Opening) -> Result<Asker, Problem> {
    let flaw =
        |name: &str, detail: &str| Flaw { pointer: format!("/{name}"), detail: detail.to_owned() };
    match (caller.customer_id(), &body.email) {
        (Some(customer), None) if body.name.is_none() => Ok(Asker::Account(customer.0)),
        (Some(_), _) => {
            let known = "is known of whoever has signed in";
            let given = [
                ("name", body.name.is_some()),
                ("email", body.email.is_some()),
            ];
            let flaws = given.iter().filter(|(_, is_given)| *is_given);
            Err(Problem::invalid_fields(flaws.map(|(name, _)| flaw(name, known)).collect()))
        }
        (None, Some(email)) => {
            Ok(Asker::Guest(Guest { name: body.name.clone(), email: email.clone() }))
        }
        (None, None) => Err(Problem::invalid_fields(vec![flaw("email", "is missing")])),
    }
}

/// List tickets
///
/// Newest first. Whoever has signed in sees their own, and what they asked as a guest under the
/// address that they have proved; staff see all, and with `Accept: text/csv` every row that the filters
/// leave, as a table without what was said.
#[utoipa::path(
    get, path = "/tickets", tag = "community",
    security(("bearer" = ["customer", "vendor", "admin"])),
    extensions(("x-own" = json!(["customer", "vendor"]))),
    params(
        ("status" = Option<String>, Query, description = "`open`, `answered` or `closed`"),
        ("order_id" = Option<Uuid>, Query, description = "About this order"),
        ("email" = Option<String>, Query, description = "Of guests with this address"),
        ("created_from" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("created_to" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((Page<TicketView> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    whose: ToTicket,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    if whose.caller == Caller::Guest {
        return Err(Problem::unauthenticated(
            "sign in to see your tickets: send Authorization: Bearer and an access token",
        ));
    }
    // A table is for whoever sees all tickets.
    let as_table = tables::wanted(&headers) && whose.caller.customer_id().is_none();
    if as_table {
        parameters.whole();
    }
    let mut filter = Filter {
        owner: None,
        status: parameters.named("status", &Status::NAMES),
        order_id: parameters.optional("order_id", str::parse::<Uuid>),
        email_key: parameters.text("email").as_deref().map(email_key),
        created_from: parameters.instant("created_from"),
        created_to: parameters.end("created_to"),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<Cursor>());
    parameters.finish()?;
    if as_table {
        let position = store::log::head(&app.pool).await?;
        return tables::of_tickets(&app, position, filter);
    }
    if let Some(customer) = whose.caller.customer_id() {
        filter.owner = Some(owner(&app, customer.0).await?);
    }
    let after = cursor.map(|cursor| (cursor.at, cursor.id));
    // One more than asked for tells whether there is a next page.
    let found = support::list(&app.pool, &filter, limit.saturating_add(1), after).await?;
    let items: Vec<_> = found.into_iter().map(TicketView::from).collect();
    let at = |last: &TicketView| Cursor { at: last.created_at, id: last.id };
    Ok(tell(StatusCode::OK, &paged(items, limit, at)))
}

/// Show a ticket
///
/// With all that was said in it. A guest shows the ticket's token.
#[utoipa::path(
    get, path = "/tickets/{id}", tag = "community",
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(
        ("id" = Uuid, Path, description = "The ticket"),
        ("token" = Option<String>, Query, description = "The ticket's token, for guests"),
        ("Daybook-Ticket-Token" = Option<String>, Header, description = "The same"),
    ),
    responses((status = 200, description = "The ticket", body = WholeTicketView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    mut whose: ToTicket,
    OfId(ticket_id): OfId,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    whose.token = parameters.text("token").or(whose.token);
    parameters.finish()?;
    let ticket = whose.find(&app, ticket_id).await?;
    let messages = support::messages(&app.pool, ticket_id).await?;
    let to_staff = is_staff(whose.caller);
    let messages = messages.into_iter();
    let view = WholeTicketView {
        ticket: ticket.into(),
        messages: messages
            .map(|message| MessageView::of(message, to_staff))
            .collect(),
    };
    Ok(tell(StatusCode::OK, &view))
}

/// Write in a ticket
///
/// Whoever asks opens it again, also where it is closed. When staff write, it is answered, and whoever
/// asks is told by mail that there is an answer. 409 `ticket_full` after 100 messages.
#[utoipa::path(
    post, path = "/tickets/{id}/messages", tag = "community", request_body = WriteMessage,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(
        ("id" = Uuid, Path, description = "The ticket"),
        ("Daybook-Ticket-Token" = Option<String>, Header, description = "For guests"),
    ),
    responses((status = 201, description = "The message is sent", body = SentView))
)]
pub(crate) async fn write(
    State(app): State<App>,
    whose: ToTicket,
    OfId(ticket_id): OfId,
    asked: Asked<Writing>,
) -> Result<Response, Problem> {
    let ticket = whose.find(&app, ticket_id).await?;
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(located(told, ticket_id));
    }
    let from_staff = is_staff(asked.caller);
    let message = NewMessage {
        message_id: named(asked.command_id, "message"),
        from_staff,
        written_by: asked.caller.to_string(),
        body: asked.body.0.clone(),
    };
    let recipient = if from_staff {
        recipient(&app, &ticket).await?
    } else {
        None
    };
    let mail = recipient
        .as_deref()
        .map(|recipient| (recipient, json!({"ticket_id": ticket_id})));
    let status = support::write(&app.pool, ticket_id, &message, mail).await?;
    let view = SentView { id: message.message_id, status: status.name() };
    let told = answer(StatusCode::CREATED, &view);
    Ok(located(asked.remember(&app, asked.alone(), told).await?, ticket_id))
}

/// Where to write to whoever asks; nowhere, once their account is closed.
async fn recipient(app: &App, ticket: &Ticket) -> Result<Option<String>, Problem> {
    match ticket.account_id {
        Some(account_id) => Ok(app.accounts.person(account_id).await?.map(|it| it.email)),
        None => Ok(ticket.email.clone()),
    }
}

/// Close a ticket
///
/// Nobody waits for anything any more; a message opens it again.
#[utoipa::path(
    post, path = "/tickets/{id}/close", tag = "community",
    request_body = Option<super::bodies::Nothing>,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(
        ("id" = Uuid, Path, description = "The ticket"),
        ("Daybook-Ticket-Token" = Option<String>, Header, description = "For guests"),
    ),
    responses((status = 200, description = "The ticket is closed", body = ClosedView))
)]
pub(crate) async fn close(
    State(app): State<App>,
    whose: ToTicket,
    OfId(ticket_id): OfId,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    whose.find(&app, ticket_id).await?;
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    support::close(&app.pool, ticket_id).await?;
    let view = ClosedView { id: ticket_id, status: Status::Closed.name() };
    let told = answer(StatusCode::OK, &view);
    asked.remember(&app, asked.alone(), told).await
}

/// Says where the ticket is; the journal, which keeps the answer, knows of no ticket.
fn located(mut response: Response, ticket_id: Uuid) -> Response {
    let place = HeaderValue::from_str(&format!("{BASE}/tickets/{ticket_id}")).ok();
    let created = response.status() == StatusCode::CREATED;
    let headers = response.headers_mut();
    headers.extend(
        place
            .filter(|_| created)
            .map(|place| (header::LOCATION, place)),
    );
    response
}

impl From<support::Error> for Problem {
    fn from(error: support::Error) -> Self {
        use support::Error as E;

        let conflict = |code| Self::new(StatusCode::CONFLICT, code, error.to_string());
        match &error {
            E::NoSuchTicket => Self::not_found("ticket"),
            E::TooManyOpen => conflict("too_many_tickets"),
            E::TooLong => conflict("ticket_full"),
            E::Database(cause) => Self::accident("ask support", cause),
        }
    }
}
