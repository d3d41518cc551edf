//! What is said about accounts: a body without an `Idempotency-Key`.
//!
//! These requests change ordinary rows and no aggregate: passwords and tokens must not be kept with
//! a receipt for ever. So the first answer cannot be given again; each says what a repetition does.

use std::fmt::Display;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use projections::Page;
use serde::Serialize;

use super::App;
use super::command;
use super::fields::Body;
use super::parameters::Parameters;
use super::problem::Problem;

/// A body with the fields of `B`.
pub(crate) struct Said<B>(pub(crate) B);

impl<B: Body + Send> FromRequest<App> for Said<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Parameters::of(parts.uri.query().unwrap_or_default()).finish()?;
        command::read_body(&parts.headers, body, &app.settings.gateways)
            .await
            .map(Self)
    }
}

/// An answer of what is no part of the log.
pub(crate) fn tell(status: StatusCode, view: &impl Serialize) -> Response {
    let body = serde_json::to_vec(view).expect("our views have string keys only");
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

/// Makes a page of what was found when asking for one more than `limit`.
pub(crate) fn paged<T, C: Display>(
    mut items: Vec<T>,
    limit: i64,
    cursor: impl Fn(&T) -> C,
) -> Page<T> {
    let more = usize::try_from(limit).is_ok_and(|limit| limit < items.len());
    items.pop_if(|_| more);
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| cursor(last).to_string());
    Page { items, next_cursor }
}

/// Done; there is nothing to tell.
pub(crate) fn done(status: StatusCode) -> Response {
    status.into_response()
}
