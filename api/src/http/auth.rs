//! Signing in: registering, tokens, passwords, and proof of an address.

use accounts::{Password, Role, Tokens};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{
    ChangePassword, ForgotPassword, Login, Proof, Refresh, Register, ResetPassword,
};
use super::fields::{Body, Fields};
use super::identity::{Anybody, Caller, SignedIn};
use super::leaving::{self, Because};
use super::moves::Empty;
use super::occurrence::Occurrence;
use super::order_body::NAME_CHARS_MAX;
use super::problem::Problem;
use super::said::{Said, done, tell};
use super::{App, carts, email};

/// What a cart's token does where somebody signs in.
const CART: &str = "A guest's cart, to be merged into the account's; what opens no cart is ignored";
/// Longest token that is looked at.
const TOKEN_CHARS_MAX: usize = 200;

/// Tokens of somebody who has signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokensView {
    /// For `Authorization: Bearer`
    access: String,
    /// For one `POST /auth/refresh`, within 7 days
    refresh: String,
    /// Seconds until the access token expires
    #[schema(example = 900)]
    expires_in: u64,
    /// How to send the access token
    #[schema(example = "Bearer")]
    token_type: &'static str,
}

impl From<Tokens> for TokensView {
    fn from(Tokens { access, refresh, expires_in }: Tokens) -> Self {
        Self { access, refresh, expires_in: expires_in.as_secs(), token_type: "Bearer" }
    }
}

/// The body of [`register`].
#[derive(Debug)]
pub(crate) struct Registration {
    email: String,
    password: Password,
    name: Option<String>,
}

impl Body for Registration {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.of("email", email::parse);
        let password = chosen(fields, "password", email.as_deref());
        let name = fields.optional_text("name", NAME_CHARS_MAX);
        Some(Self { email: email?, password: password?, name })
    }
}

/// The body of [`login`].
#[derive(Debug)]
pub(crate) struct Credentials {
    email: String,
    password: Password,
}

impl Body for Credentials {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.of("email", email::parse);
        let password = fields.of("password", Password::shown);
        Some(Self { email: email?, password: password? })
    }
}

/// The body of [`refresh`] and [`logout`].
pub(crate) struct RefreshToken(String);

impl Body for RefreshToken {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.text("refresh", TOKEN_CHARS_MAX).map(Self)
    }
}

/// The body of [`change_password`].
#[derive(Debug)]
pub(crate) struct PasswordChange {
    current: Password,
    chosen: Password,
}

impl Body for PasswordChange {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let current = fields.of("current_password", Password::shown);
        let chosen = chosen(fields, "new_password", None);
        Some(Self { current: current?, chosen: chosen? })
    }
}

/// The body of [`forgot_password`].
#[derive(Debug)]
pub(crate) struct Address(String);

impl Body for Address {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.of("email", email::parse).map(Self)
    }
}

/// The body of [`reset_password`].
pub(crate) struct Reset {
    token: String,
    password: Password,
}

impl Body for Reset {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let token = fields.text("token", TOKEN_CHARS_MAX);
        let password = chosen(fields, "password", None);
        Some(Self { token: token?, password: password? })
    }
}

/// The body of [`verify_email`].
pub(crate) struct MailedToken(String);

impl Body for MailedToken {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.text("token", TOKEN_CHARS_MAX).map(Self)
    }
}

/// A password to be used from now on, by whoever has this address.
fn chosen(fields: &mut Fields<'_>, name: &'static str, email: Option<&str>) -> Option<Password> {
    fields.of(name, |text| {
        let password = Password::chosen(text)?;
        match email {
            Some(email) if password.is_of(email) => Err("must not be the email address".to_owned()),
            Some(_) | None => Ok(password),
        }
    })
}

/// Register
///
/// Opens an account and signs it in. A mail proves the address: until then the account claims it
/// only. The answer is the same if the address has an account already; then its owner is told.
#[utoipa::path(
    post, path = "/auth/register", tag = "accounts", request_body = Register,
    params(("Daybook-Cart-Token" = Option<String>, Header, description = CART)),
    responses((status = 201, description = "Signed in", body = TokensView))
)]
pub(crate) async fn register(
    State(app): State<App>,
    headers: HeaderMap,
    Said(Registration { email, password, name }): Said<Registration>,
) -> Result<Response, Problem> {
    let tokens = app
        .accounts
        .register(&email, &password, name.as_deref(), Role::Customer)
        .await?;
    carts::bring(&app, &headers, &tokens.access).await;
    Ok(tell(StatusCode::CREATED, &TokensView::from(tokens)))
}

/// Log in
///
/// The same answer in the same time whether the address or the password is wrong. After five
/// attempts in a row each has to wait longer than the one before: 429.
#[utoipa::path(
    post, path = "/auth/login", tag = "accounts", request_body = Login,
    params(("Daybook-Cart-Token" = Option<String>, Header, description = CART)),
    responses((status = 200, description = "Signed in", body = TokensView))
)]
pub(crate) async fn login(
    State(app): State<App>,
    headers: HeaderMap,
    Said(Credentials { email, password }): Said<Credentials>,
) -> Result<Response, Problem> {
    let tokens = app.accounts.login(&email, &password).await?;
    carts::bring(&app, &headers, &tokens.access).await;
    Ok(tell(StatusCode::OK, &TokensView::from(tokens)))
}

/// Refresh the tokens
///
/// Each refresh token works once. One that is shown again has been stolen, or its thief was faster:
/// its session ends.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "accounts", request_body = Refresh,
    responses((status = 200, description = "New tokens", body = TokensView))
)]
pub(crate) async fn refresh(
    State(app): State<App>,
    Said(RefreshToken(token)): Said<RefreshToken>,
) -> Result<Response, Problem> {
    let tokens = app.accounts.refresh(&token).await?;
    Ok(tell(StatusCode::OK, &TokensView::from(tokens)))
}

/// Log out
///
/// Ends the session: its tokens work no more. A repetition changes nothing.
#[utoipa::path(
    post, path = "/auth/logout", tag = "accounts", request_body = Refresh,
    responses((status = 204, description = "The session has ended"))
)]
pub(crate) async fn logout(
    State(app): State<App>,
    Said(RefreshToken(token)): Said<RefreshToken>,
) -> Result<Response, Problem> {
    app.accounts.logout(&token).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// Change the password
///
/// Ends every session of the account and begins a new one.
#[utoipa::path(
    post, path = "/auth/password", tag = "accounts", request_body = ChangePassword,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    responses((status = 200, description = "Signed in anew", body = TokensView))
)]
pub(crate) async fn change_password(
    State(app): State<App>,
    SignedIn { id, .. }: SignedIn,
    Said(PasswordChange { current, chosen }): Said<PasswordChange>,
) -> Result<Response, Problem> {
    let tokens = app.accounts.change_password(id, &current, &chosen).await?;
    Ok(tell(StatusCode::OK, &TokensView::from(tokens)))
}

/// Forget the password
///
/// Mails a token that works once, within an hour. The same answer if there is no such account.
#[utoipa::path(
    post, path = "/auth/password/forgot", tag = "accounts", request_body = ForgotPassword,
    responses((status = 202, description = "If there is such an account, a mail is under way"))
)]
pub(crate) async fn forgot_password(
    State(app): State<App>,
    Said(Address(email)): Said<Address>,
) -> Result<Response, Problem> {
    app.accounts.forgot_password(&email).await?;
    Ok(done(StatusCode::ACCEPTED))
}

/// Reset the password
///
/// With a mailed token, which proves the address as well. Ends every session of the account.
#[utoipa::path(
    post, path = "/auth/password/reset", tag = "accounts", request_body = ResetPassword,
    responses((status = 204, description = "The password is set; log in"))
)]
pub(crate) async fn reset_password(
    State(app): State<App>,
    Anybody(caller): Anybody,
    occurrence: Occurrence,
    Said(Reset { token, password }): Said<Reset>,
) -> Result<Response, Problem> {
    let merged = app.accounts.reset_password(&token, &password).await?;
    sell_no_more(&app, &merged, caller, &occurrence).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// Verify the email address
///
/// With a mailed token, which works once, within a day, by the account that it was mailed for: the
/// mail shows who reads it, the access token who chose the password. Orders that were placed under
/// this address without an account belong to this account from then on. Whoever cannot sign in resets
/// the password, which proves the address as well.
#[utoipa::path(
    post, path = "/auth/verify-email", tag = "accounts", request_body = Proof,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    responses((status = 204, description = "The address is proved"))
)]
pub(crate) async fn verify_email(
    State(app): State<App>,
    SignedIn { id, .. }: SignedIn,
    caller: Caller,
    occurrence: Occurrence,
    Said(MailedToken(token)): Said<MailedToken>,
) -> Result<Response, Problem> {
    let merged = app.accounts.verify_email(id, &token).await?;
    sell_no_more(&app, &merged, caller, &occurrence).await?;
    Ok(done(StatusCode::NO_CONTENT))
}

/// Nobody signs in to accounts that were merged into another.
async fn sell_no_more(
    app: &App,
    merged: &[Uuid],
    caller: Caller,
    occurrence: &Occurrence,
) -> Result<(), Problem> {
    for account_id in merged {
        let envelope = leaving::envelope(caller, occurrence);
        leaving::sells_no_more(app, *account_id, Because::Merged, envelope).await?;
    }
    Ok(())
}

/// Ask for another verification mail
///
/// Does nothing once the address is proved.
#[utoipa::path(
    post, path = "/auth/verify-email/mail", tag = "accounts",
    request_body = Option<super::bodies::Nothing>,
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    responses((status = 202, description = "A mail is under way, if one is needed"))
)]
pub(crate) async fn ask_for_proof(
    State(app): State<App>,
    SignedIn { id, .. }: SignedIn,
    Said(Empty): Said<Empty>,
) -> Result<Response, Problem> {
    app.accounts.ask_for_proof(id).await?;
    Ok(done(StatusCode::ACCEPTED))
}
