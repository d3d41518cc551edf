//! `DELETE /customers/{id}/personal-data`: somebody is forgotten, and the shop's history stays.
//!
//! 1. What is kept beside the log is removed first; that can be repeated. The keys are destroyed in
//!    the transaction that says so in the log. So whoever was answered has been forgotten, and
//!    whoever was not sends the request again.
//! 2. Their accounts are closed last, so that a customer can send it again. A vendor sells no more
//!    before that.
//! 3. No answer that is kept names them.

use accounts::{Role, Somebody, Whom};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use domain::ids::{OrderId, PaymentId};
use domain::person::{self, ORDERS_MAX, Person};
use projections::orders;
use serde::Serialize;
use store::personal;
use storefront::{addresses, reviews, support, wishlists};
use utoipa::ToSchema;
use uuid::Uuid;
use workers::forgetting::{self, Traces};

use super::App;
use super::bodies::ForgetPerson;
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::identity::Caller;
use super::leaving::{self, Because};
use super::moves::REASON_CHARS_MAX;
use super::problem::{Flaw, Problem};
use super::queries::CATCH_UP_MAX;
use super::{customers, email};

/// Somebody who was forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForgottenView {
    /// Of the fact in the log, which names orders and nobody
    id: Uuid,
    /// Orders whose personal data is gone
    orders: usize,
    /// Of those, how many were placed before personal data was sealed: read models have forgotten
    /// them, the log holds them in clear
    in_clear: usize,
    /// Accounts that were closed
    accounts: usize,
    /// Tickets that were deleted, with all that was said in them
    tickets: i64,
}

/// The body of [`forget`].
#[derive(Debug)]
pub(crate) struct Forgetting {
    reason: String,
}

impl Body for Forgetting {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { reason: fields.text("reason", REASON_CHARS_MAX)? })
    }
}

/// Whoever may ask: staff about anybody, customers about themselves.
pub(crate) struct ToForget(Caller);

impl FromRequestParts<App> for ToForget {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Guest => Err(Problem::unauthenticated(
                "sign in to be forgotten, or ask the shop: send Authorization: Bearer and a token",
            )),
            caller if caller.is_any_of(&[Role::Admin]) || caller.customer_id().is_some() => {
                Ok(Self(caller))
            }
            _ => Err(Problem::forbidden("this is for staff and for whose data it is")),
        }
    }
}

/// Forget a person
///
/// Destroys the keys of the personal data of all their orders, and closes their accounts: name,
/// address, email address and telephone number are gone from the log, read models, stream and
/// exports. Their address books, tickets, reviews and wishlists are deleted. Orders, totals and proofs
/// stay. It cannot be undone. Orders that are still to be sent lose their address as well.
#[utoipa::path(
    delete, path = "/customers/{id}/personal-data", tag = "accounts", request_body = ForgetPerson,
    security(("bearer" = ["customer", "vendor", "admin"])),
    extensions(("x-own" = json!(["customer", "vendor"]))),
    params(("id" = String, Path, description = "An email address, or the UUID of a customer")),
    responses((status = 200, description = "The person is forgotten", body = ForgottenView))
)]
pub(crate) async fn forget(
    State(app): State<App>,
    whose: ToForget,
    Path(id): Path<String>,
    asked: Asked<Forgetting>,
) -> Result<Response, Problem> {
    let told = asked.told_before(&app).await?;
    let somebody = match (whose.somebody(&app, &id).await, &told) {
        (Ok(somebody), _) => somebody,
        // A guest who was forgotten is found by the record's id no more.
        (Err(_), Some(_)) => return told.ok_or_else(nobody),
        (Err(problem), None) => return Err(problem),
    };
    let response = match told {
        Some(told) => told,
        None => forget_now(&app, &asked, &somebody).await?,
    };
    if response.status().is_success() {
        for account_id in &somebody.open {
            let step = asked.step(&format!("deactivate {account_id}"));
            leaving::sells_no_more(&app, *account_id, Because::Forgotten, step).await?;
        }
        app.accounts
            .forget(&somebody, &asked.caller.to_string())
            .await?;
        // Once more: what they have written until the moment in which their accounts were closed.
        forget_words(&app, &somebody).await?;
        app.carts.forget(&all_accounts(&somebody)).await?;
        // After the fact: what is filled from now on finds no keys.
        app.read_models.drop_personal_replays().await?;
    }
    Ok(response)
}

async fn forget_now(
    app: &App,
    asked: &Asked<Forgetting>,
    somebody: &Somebody,
) -> Result<Response, Problem> {
    if !app.journal.seals_personal_data() {
        return Err(in_clear());
    }
    let Theirs { orders, payments } = belongings(app, asked.caller, somebody).await?;
    let tickets = support::count_of(&app.pool, &all_accounts(somebody), &somebody.emails).await?;
    if orders.is_empty() && somebody.open.is_empty() && tickets == 0 {
        return Err(nobody());
    }
    must_name_nobody(&asked.body.reason, somebody)?;
    let traces = Traces { orders: &orders, payments: &payments, emails: &somebody.emails };
    forgetting::remove(&app.pool, traces).await?;
    forget_words(app, somebody).await?;

    let sealed = personal::sealed_among(&app.pool, &orders).await?;
    let id = Uuid::now_v7();
    let (count, accounts) = (orders.len(), somebody.open.len());
    let in_clear = count.saturating_sub(usize::try_from(sealed).unwrap_or(0));
    let wording = asked.wording(StatusCode::OK, |_: Accepted<'_, Person>| ForgottenView {
        id,
        orders: count,
        in_clear,
        accounts,
        tickets,
    });
    let command = person::Command::Forget { orders, reason: asked.body.reason.clone() };
    let receipt = app
        .journal
        .execute::<Person>(&id.to_string(), command, asked.alone(), wording)
        .await?;
    Ok(respond(receipt))
}

/// Whoever is closed with them is forgotten with them.
fn all_accounts(somebody: &Somebody) -> Vec<Uuid> {
    somebody
        .accounts
        .iter()
        .chain(&somebody.open)
        .copied()
        .collect()
}

/// What they have said beside their orders.
async fn forget_words(app: &App, somebody: &Somebody) -> Result<(), Problem> {
    let accounts = all_accounts(somebody);
    addresses::forget(&app.pool, &accounts).await?;
    wishlists::forget(&app.pool, &accounts).await?;
    reviews::forget(&app.pool, &accounts).await?;
    support::forget(&app.pool, &accounts, &somebody.emails).await?;
    Ok(())
}

impl ToForget {
    /// Whoever is named; others than oneself exist for staff only.
    async fn somebody(&self, app: &App, named: &str) -> Result<Somebody, Problem> {
        let account_id: Option<Uuid> = named.parse().ok();
        let address = email::parse(named).ok();
        let own = self.0.customer_id().map(|customer| customer.0);
        let whom = match (account_id, &address, own) {
            (Some(account_id), _, None) => Whom::Account(account_id),
            (Some(account_id), _, Some(own)) if account_id == own => Whom::Account(own),
            (None, Some(address), None) => Whom::Email(address),
            (None, Some(address), Some(own)) => {
                let (_, proved) = app.accounts.belongings(own).await?;
                let is_own = proved.is_some_and(|proved| {
                    accounts::email_key(&proved) == accounts::email_key(address)
                });
                if !is_own {
                    return Err(nobody());
                }
                Whom::Account(own)
            }
            (Some(_), _, Some(_)) | (None, None, _) => return Err(nobody()),
        };
        let known = app.accounts.somebody(whom).await?;
        match (whom, own) {
            // No account, so perhaps a guest.
            (Whom::Account(id), None) if known == Somebody::default() => {
                let guest = customers::guest(app, id).await?.ok_or_else(nobody)?;
                Ok(app.accounts.somebody(Whom::Email(&guest.email)).await?)
            }
            (Whom::Account(_) | Whom::Email(_), _) => Ok(known),
        }
    }
}

struct Theirs {
    orders: Vec<OrderId>,
    payments: Vec<PaymentId>,
}

/// By the read model, once that has heard of everything that is in the log by now: only there is an
/// order found by its address.
async fn belongings(app: &App, asked_by: Caller, somebody: &Somebody) -> Result<Theirs, Problem> {
    let head = store::log::head(&app.pool).await?;
    app.read_models
        .wait_for(&[orders::NAME], head, CATCH_UP_MAX)
        .await?;
    let reads = app.read_models.reads();
    // One more than may be shows that there are too many.
    let limit = i64::try_from(ORDERS_MAX)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let person = orders::Person {
        emails: &somebody.emails,
        accounts: &somebody.accounts,
        // Staff forget a person wherever they are named; a customer has no say about what somebody
        // else has ordered for them.
        whoever_placed: asked_by.customer_id().is_none(),
    };
    let found = orders::of_person(reads, person, limit).await?;
    Ok(Theirs {
        orders: found.iter().map(|found| found.order_id).collect(),
        payments: found.iter().map(|found| found.payment_id).collect(),
    })
}

/// The reason stays in the log.
fn must_name_nobody(reason: &str, somebody: &Somebody) -> Result<(), Problem> {
    let reason = reason.to_lowercase();
    if somebody.emails.iter().all(|email| !reason.contains(email)) {
        return Ok(());
    }
    let detail = "names the person; it stays in the log for ever".to_owned();
    Err(Problem::invalid_fields(vec![Flaw { pointer: "/reason".to_owned(), detail }]))
}

/// Whom was asked about is not told: the answer may be logged.
fn nobody() -> Problem {
    Problem::not_found("customer")
}

fn in_clear() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "personal_data_in_clear",
        "this Daybook keeps personal data in clear, so nothing can be forgotten; give it a \
         DAYBOOK_MASTER_KEY, and what is ordered from then on can be",
    )
}

impl From<&person::Refusal> for Problem {
    fn from(refusal: &person::Refusal) -> Self {
        use person::Refusal as R;

        let (status, code) = match refusal {
            R::AlreadyForgotten => (StatusCode::CONFLICT, "already_forgotten"),
            R::TooManyOrders { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_many_orders"),
        };
        Self::new(status, code, refusal.to_string())
    }
}
