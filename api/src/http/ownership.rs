//! Whose an order is. What is not yours does not exist: 404, never 403.
//!
//! | caller | may see | may act on |
//! | --- | --- | --- |
//! | administrators | every order | every order |
//! | analysts, auditors | every order | none |
//! | who has signed in | what they placed, and what was placed under their proved address without an account | the same |
//! | whoever shows an order's token | that order | that order |

use accounts::{Role, email_key};
use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use domain::event::Event;
use domain::ids::{CustomerId, OrderId};
use domain::order;
use projections::orders::{Audience, Owner};
use uuid::Uuid;

use super::App;
use super::identity::Caller;
use super::problem::Problem;

/// Opens a guest's order; also `?token=` of queries, so that a link can carry it.
const DAYBOOK_ORDER_TOKEN: HeaderName = HeaderName::from_static("daybook-order-token");
/// Who looks at every order.
const SEE_ALL: &[Role] = &[Role::Admin, Role::Analyst, Role::Auditor];
/// Who changes every order.
const ACT_ON_ALL: &[Role] = &[Role::Admin];

/// Whoever would look at an order, and what they show for it.
#[derive(Debug)]
pub(crate) struct ToSee(Claim);

/// Whoever would change an order, and what they show for it.
#[derive(Debug)]
pub(crate) struct ToAct(Claim);

#[derive(Debug)]
struct Claim {
    caller: Caller,
    token: Option<String>,
}

impl FromRequestParts<App> for ToSee {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Claim::of(parts, app, SEE_ALL).await.map(Self)
    }
}

impl FromRequestParts<App> for ToAct {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Claim::of(parts, app, ACT_ON_ALL).await.map(Self)
    }
}

impl ToSee {
    /// Lets pass whose order it is, and says what they may see of it; `link` is the token of a link,
    /// if there is one.
    pub(crate) async fn order(
        mut self,
        app: &App,
        order_id: OrderId,
        link: Option<String>,
    ) -> Result<Audience, Problem> {
        self.0.token = link.or(self.0.token);
        self.0.must_cover(app, order_id, SEE_ALL).await?;
        Ok(if self.0.caller.is_any_of(SEE_ALL) {
            Audience::Staff
        } else {
            Audience::Customer
        })
    }
}

impl ToAct {
    /// Lets pass whose order it is.
    pub(crate) async fn on(&self, app: &App, order_id: OrderId) -> Result<(), Problem> {
        self.0.must_cover(app, order_id, ACT_ON_ALL).await
    }
}

impl Claim {
    /// Of somebody with these roles, or of whoever may have orders of their own.
    async fn of(parts: &mut Parts, app: &App, all: &[Role]) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let may_own = caller == Caller::Guest || caller.customer_id().is_some();
        if !may_own && !caller.is_any_of(all) {
            return Err(Problem::forbidden("this is for staff and for whose order it is"));
        }
        let shown = parts.headers.get(DAYBOOK_ORDER_TOKEN);
        let token = shown.and_then(|value| value.to_str().ok());
        Ok(Self { caller, token: token.map(str::to_owned) })
    }

    async fn must_cover(&self, app: &App, order_id: OrderId, all: &[Role]) -> Result<(), Problem> {
        if self.caller.is_any_of(all) {
            return Ok(());
        }
        let shown = self.token.as_deref().unwrap_or_default();
        let is_theirs = match self.caller.customer_id() {
            _ if app.accounts.is_link_token(order_id.0, shown) => true,
            Some(customer) => is_of(app, order_id, customer.0).await?,
            None => false,
        };
        if is_theirs {
            Ok(())
        } else {
            Err(Problem::not_found("order"))
        }
    }
}

/// What belongs to an account.
pub(crate) async fn owner(app: &App, account_id: Uuid) -> Result<Owner, Problem> {
    let (accounts, email) = app.accounts.belongings(account_id).await?;
    Ok(Owner { accounts, email })
}

/// Asks the log, which is never behind: an order can be acted on as soon as it is placed.
async fn is_of(app: &App, order_id: OrderId, account_id: Uuid) -> Result<bool, Problem> {
    let events = store::log::of_aggregate(&app.pool, "order", &order_id.to_string()).await?;
    let Some(Event::Order(order::Event::Placed(placing))) =
        events.first().map(|first| &first.event)
    else {
        return Ok(false);
    };
    if placing.customer_id == Some(CustomerId(account_id)) {
        return Ok(true);
    }
    let owner = owner(app, account_id).await?;
    Ok(if let Some(customer) = placing.customer_id {
        owner.accounts.contains(&customer.0)
    } else {
        let ordered = email_key(&placing.customer.email);
        owner
            .email
            .is_some_and(|proved| email_key(&proved) == ordered)
    })
}
