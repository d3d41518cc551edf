//! Carts over HTTP: of whoever has signed in, or of whoever shows a cart's token. Prices are those
//! of the moment, and nothing is held for a cart.
//!
//! What was ordered is taken out of a cart by whoever touches it next, should the process that
//! placed the order not have come to it: see [`settle`].

pub(crate) mod checkout;
mod view;

use accounts::{Identity, Role};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::event::Event;
use domain::ids::{CustomerId, OrderId, Sku};
use domain::money::Currency;
use domain::order;
use domain::placing::{LINES_MAX, QUANTITY_MAX};
use domain::promotion::Code;
use storefront::carts::{Cart, Change, Error, Merged, Whose};
use uuid::Uuid;

use super::App;
use super::buying_bodies::{AddToCart, ChangeCart, MergeCart, OpenCart, SetCartItem};
use super::catalogue;
use super::command::{Asked, DAYBOOK_CART_TOKEN, answer};
use super::fields::{Body, Fields};
use super::identity::Caller;
use super::order_body::Item;
use super::parameters::{OfSku, Parameters};
use super::problem::Problem;
use super::protection::guesses::Guesser;
use super::said::{Said, done, tell};

pub(crate) use self::view::{CartView, MergedView};

const TOKEN_CHARS_MAX: usize = 100;

/// Whoever has a cart: who has signed in and may buy, or a guest, by the token that they show.
#[derive(Debug)]
pub(crate) enum Shopping {
    Account {
        id: Uuid,
        /// Whose the order is: staff, who may buy as well, are no customers.
        customer_id: Option<CustomerId>,
    },
    Guest(Option<String>),
}

impl FromRequestParts<App> for Shopping {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        match caller {
            Caller::Guest => {
                let shown = parts.headers.get(DAYBOOK_CART_TOKEN);
                let token = shown.and_then(|value| value.to_str().ok());
                Ok(Self::Guest(token.map(str::to_owned)))
            }
            Caller::Account { id, role } if may_buy(role) => {
                Ok(Self::Account { id, customer_id: caller.customer_id() })
            }
            Caller::Staff | Caller::Account { .. } | Caller::Machine { .. } => {
                Err(Problem::forbidden("carts are for guests and for people who sign in to buy"))
            }
        }
    }
}

/// Whoever has signed in and may buy.
#[derive(Debug)]
pub(crate) struct Owner {
    id: Uuid,
    customer_id: Option<CustomerId>,
}

impl FromRequestParts<App> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Shopping::from_request_parts(parts, app).await? {
            Shopping::Account { id, customer_id } => Ok(Self { id, customer_id }),
            Shopping::Guest(_) => Err(Problem::unauthenticated(
                "sign in to merge a guest's cart into yours: send Authorization: Bearer and an \
                 access token",
            )),
        }
    }
}

impl Shopping {
    /// Whose cart it is; a guest without a token has none.
    fn whose(&self) -> Result<Whose<'_>, Problem> {
        match self {
            Self::Account { id, .. } => Ok(Whose::Account(*id)),
            Self::Guest(Some(token)) => Ok(Whose::Token(token)),
            Self::Guest(None) => Err(no_cart()),
        }
    }

    /// Whose the order of it would be.
    pub(crate) fn customer_id(&self) -> Option<CustomerId> {
        match self {
            Self::Account { customer_id, .. } => *customer_id,
            Self::Guest(_) => None,
        }
    }
}

/// What is in somebody's cart by now.
pub(crate) async fn current(app: &App, shopping: &Shopping) -> Result<Cart, Problem> {
    let whose = shopping.whose()?;
    settle(app, whose).await?;
    Ok(app.carts.find(whose).await?)
}

pub(crate) fn nothing_in_it() -> Problem {
    let detail = "there is nothing in the cart";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "cart_empty", detail)
}

fn no_cart() -> Problem {
    let detail = "there is no such cart; POST /carts makes one, and a guest shows its token as \
        Daybook-Cart-Token";
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

/// The body of [`open`].
#[derive(Debug)]
pub(crate) struct Opening {
    currency: Currency,
}

impl Body for Opening {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { currency: fields.currency("currency")? })
    }
}

/// The body of [`add`].
#[derive(Debug)]
pub(crate) struct Adding(Vec<(Sku, u32)>);

impl Body for Adding {
    const BYTES_MAX: usize = 1024 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let items = fields.list("items", LINES_MAX, |item| {
            let (sku, quantity) = (item.sku("sku"), item.pieces("quantity", QUANTITY_MAX));
            Some((sku?, quantity?))
        });
        items.map(Self)
    }
}

/// The body of [`amend`].
#[derive(Debug)]
pub(crate) struct Amending {
    currency: Option<Currency>,
    items: Vec<(Sku, u32)>,
}

impl Body for Amending {
    const BYTES_MAX: usize = 1024 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let currency = fields.optional_of("currency", str::parse);
        let items = fields
            .list_up_to("items", LINES_MAX, |item| Some((item.sku("sku")?, pieces_or_none(item)?)));
        Some(Self { currency, items: items? })
    }
}

/// The body of [`set`].
#[derive(Debug)]
pub(crate) struct Setting(u32);

impl Body for Setting {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        pieces_or_none(fields).map(Self)
    }
}

fn pieces_or_none(fields: &mut Fields<'_>) -> Option<u32> {
    let quantity = fields.integer("quantity", 0..=i64::from(QUANTITY_MAX))?;
    u32::try_from(quantity).ok()
}

/// The body of [`merge`].
#[derive(Debug)]
pub(crate) struct Merging(String);

impl Body for Merging {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.text("cart_token", TOKEN_CHARS_MAX).map(Self)
    }
}

/// Open a cart
///
/// Whoever has signed in gets theirs, made if there is none: there is one at most. A guest gets a new
/// one, and a token that opens it, shown this once.
#[utoipa::path(
    post, path = "/carts", tag = "carts", request_body = OpenCart,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    responses((status = 201, description = "The cart", body = CartView))
)]
pub(crate) async fn open(
    State(app): State<App>,
    shopping: Shopping,
    Said(Opening { currency }): Said<Opening>,
) -> Result<Response, Problem> {
    let view = match &shopping {
        Shopping::Account { id, .. } => {
            let whose = Whose::Account(*id);
            app.carts.open_account(*id, currency).await?;
            settle(&app, whose).await?;
            view::of(&app, app.carts.find(whose).await?, shopping.customer_id()).await?
        }
        Shopping::Guest(_) => {
            let (cart, token) = app.carts.open(currency).await?;
            let view = view::of(&app, cart, shopping.customer_id()).await?;
            view.opened_by(token)
        }
    };
    Ok(tell(StatusCode::CREATED, &view))
}

/// Show the cart
///
/// At the prices of the moment, with what can be had of each article; nothing is held for it.
#[utoipa::path(
    get, path = "/cart", tag = "carts",
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    params((
        "promotion_code" = Option<String>, Query,
        description = "What the promotion would take off that an order would name"
    )),
    responses(
        (status = 200, description = "The cart", body = CartView),
        (status = 404, description = "There is none", body = ()),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    shopping: Shopping,
    guesser: Guesser,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let code: Option<Code> = parameters.optional("promotion_code", str::parse);
    parameters.finish()?;
    let cart = current(&app, &shopping).await?;
    let customer_id = shopping.customer_id();
    let promotion = code.map(|code| (code, guesser));
    Ok(tell(
        StatusCode::OK,
        &view::with_promotion(&app, cart, customer_id, promotion).await?,
    ))
}

/// Amend the cart
///
/// Lines that are named have so many pieces from then on, none with `quantity` 0; others stay as they
/// are. All of it happens or nothing; a repetition changes nothing more.
#[utoipa::path(
    patch, path = "/cart", tag = "carts", request_body = ChangeCart,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    responses(
        (status = 200, description = "The cart", body = CartView),
        (status = 404, description = "There is none", body = ()),
    )
)]
pub(crate) async fn amend(
    State(app): State<App>,
    shopping: Shopping,
    Said(Amending { currency, items }): Said<Amending>,
) -> Result<Response, Problem> {
    let whose = shopping.whose()?;
    settle(&app, whose).await?;
    let cart = app.carts.find(whose).await?;
    must_be_sold(&app, &items, currency.unwrap_or(cart.currency)).await?;
    let changes: Vec<_> = items
        .into_iter()
        .map(|(sku, quantity)| (sku, Change::Set(quantity)))
        .collect();
    let cart = app.carts.amend(whose, currency, &changes).await?;
    Ok(tell(StatusCode::OK, &view::of(&app, cart, shopping.customer_id()).await?))
}

/// Throw the cart away
///
/// With everything in it; a guest's token opens nothing from then on.
#[utoipa::path(
    delete, path = "/cart", tag = "carts",
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    responses(
        (status = 204, description = "There is no such cart any more"),
        (status = 404, description = "There was none", body = ()),
    )
)]
pub(crate) async fn throw_away(
    State(app): State<App>,
    shopping: Shopping,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    app.carts.throw_away(shopping.whose()?).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// Put articles into the cart
///
/// So many more pieces of each, all of them or none. A repetition under the same key puts nothing more
/// in, and is told the same.
#[utoipa::path(
    post, path = "/cart/items", tag = "carts", request_body = AddToCart,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    responses(
        (status = 200, description = "The cart", body = CartView),
        (status = 404, description = "There is none", body = ()),
    )
)]
pub(crate) async fn add(
    State(app): State<App>,
    shopping: Shopping,
    asked: Asked<Adding>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let (whose, Adding(items)) = (shopping.whose()?, &asked.body);
    settle(&app, whose).await?;
    let cart = app.carts.find(whose).await?;
    must_be_sold(&app, items, cart.currency).await?;
    let cart = app.carts.add(whose, asked.command_id, items).await?;
    let told = answer(StatusCode::OK, &view::of(&app, cart, shopping.customer_id()).await?);
    asked.remember(&app, asked.alone(), told).await
}

/// Set an article's pieces in the cart
///
/// So many from then on, none with `quantity` 0. A repetition changes nothing more.
#[utoipa::path(
    put, path = "/cart/items/{sku}", tag = "carts", request_body = SetCartItem,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "The cart", body = CartView))
)]
pub(crate) async fn set(
    State(app): State<App>,
    shopping: Shopping,
    OfSku(sku): OfSku,
    Said(Setting(quantity)): Said<Setting>,
) -> Result<Response, Problem> {
    let whose = shopping.whose()?;
    settle(&app, whose).await?;
    let cart = app.carts.find(whose).await?;
    let items = [(sku.clone(), quantity)];
    must_be_sold(&app, &items, cart.currency).await?;
    let cart = app
        .carts
        .change(whose, &[(sku, Change::Set(quantity))])
        .await?;
    Ok(tell(StatusCode::OK, &view::of(&app, cart, shopping.customer_id()).await?))
}

/// Take an article out of the cart
///
/// All of its pieces; what is not in it stays out.
#[utoipa::path(
    delete, path = "/cart/items/{sku}", tag = "carts",
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "The cart", body = CartView))
)]
pub(crate) async fn take_out(
    State(app): State<App>,
    shopping: Shopping,
    OfSku(sku): OfSku,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let whose = shopping.whose()?;
    settle(&app, whose).await?;
    let cart = app.carts.change(whose, &[(sku, Change::Set(0))]).await?;
    Ok(tell(StatusCode::OK, &view::of(&app, cart, shopping.customer_id()).await?))
}

/// Merge a guest's cart into one's own
///
/// For whoever had signed in before, or did so without showing the cart's token. Pieces are summed, up to what a line may have; what became of each
/// line is told. The guest's cart is closed by it. A repetition finds nothing more to merge.
#[utoipa::path(
    post, path = "/cart/merge", tag = "carts", request_body = MergeCart,
    security(("bearer" = ["customer", "vendor", "admin"])),
    responses(
        (status = 200, description = "The account's cart", body = MergedView),
        (status = 404, description = "The token opens no cart", body = ()),
    )
)]
pub(crate) async fn merge(
    State(app): State<App>,
    Owner { id: account_id, customer_id }: Owner,
    Said(Merging(token)): Said<Merging>,
) -> Result<Response, Problem> {
    let merged = merged(&app, &token, account_id).await?;
    Ok(tell(StatusCode::OK, &MergedView::of(&app, merged, customer_id).await?))
}

async fn merged(app: &App, token: &str, account_id: Uuid) -> Result<Merged, Problem> {
    for whose in [Whose::Token(token), Whose::Account(account_id)] {
        match settle(app, whose).await {
            // Merged before, or none made yet.
            Ok(()) => {}
            Err(problem) if problem.is_accident() => return Err(problem),
            Err(_none) => {}
        }
    }
    Ok(app.carts.merge(token, account_id).await?)
}

/// Merges the cart whose token a guest shows when they sign in into that of the account whose access
/// token they are given. They are signed in whatever becomes of it: what is not merged here can be
/// merged later ([`merge`]).
pub(crate) async fn bring(app: &App, headers: &HeaderMap, access: &str) {
    let shown = headers.get(DAYBOOK_CART_TOKEN);
    let Some(token) = shown.and_then(|value| value.to_str().ok()) else {
        return;
    };
    let Some(Identity::Account { account_id, role, .. }) = app.accounts.identify(access) else {
        return;
    };
    if !may_buy(role) {
        return;
    }
    match merged(app, token, account_id).await {
        Err(problem) if problem.is_accident() => {
            tracing::warn!("a guest's cart could not be merged when they signed in");
        }
        Ok(_) | Err(_) => {}
    }
}

fn may_buy(role: Role) -> bool {
    matches!(role, Role::Customer | Role::Vendor | Role::Admin)
}

/// Refuses articles that nobody sells, or not in this currency.
async fn must_be_sold(app: &App, items: &[(Sku, u32)], currency: Currency) -> Result<(), Problem> {
    let items: Vec<Item> = items
        .iter()
        .map(|(sku, quantity)| Item::new(sku.clone(), *quantity))
        .collect();
    let priced = catalogue::quote(app, &items, currency).await?;
    let pairs = priced.iter().zip(&items);
    // What goes out may be anything.
    let reasons = pairs.map(|(priced, item)| {
        let why = priced.as_ref().err();
        why.filter(|_| 0 < item.quantity)
    });
    match catalogue::refused(reasons) {
        None => Ok(()),
        Some(problem) => Err(problem),
    }
}

/// Takes out of a cart what an order has been made of, if that is in the log by now.
async fn settle(app: &App, whose: Whose<'_>) -> Result<(), Problem> {
    let Some((cart_id, order_id)) = app.carts.being_ordered(whose).await? else {
        return Ok(());
    };
    if let Some(ordered) = ordered(app, order_id).await? {
        app.carts.take_out(cart_id, order_id, &ordered).await?;
    }
    Ok(())
}

/// What was ordered, if anything was. Asks the log, which is never behind.
async fn ordered(app: &App, order_id: OrderId) -> Result<Option<Vec<(Sku, u64)>>, Problem> {
    let events = store::log::of_aggregate(&app.pool, "order", &order_id.to_string()).await?;
    Ok(match events.first().map(|first| &first.event) {
        Some(Event::Order(order::Event::Placed(placing))) => Some(placing.pieces_by_sku()),
        Some(_) | None => None,
    })
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        const REFUSED: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

        match &error {
            Error::NoSuchCart => no_cart(),
            Error::TooManyLines => {
                Self::new(REFUSED, "line_count_out_of_bounds", error.to_string())
            }
            Error::TooManyPieces { .. } => {
                Self::new(REFUSED, "quantity_out_of_bounds", error.to_string())
            }
            Error::Database(cause) => Self::accident("ask for a cart", cause),
            Error::Broken(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "carts are broken");
                Self::internal()
            }
        }
    }
}
