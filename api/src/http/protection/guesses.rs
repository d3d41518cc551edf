//! Guesses: codes that are short enough to be tried until one fits, such as those of promotions.
//!
//! Every look at a code is counted before anybody is told whether there is one, and taken back if there
//! is: so many who try at the same time are told no more than one after the other, and whoever names
//! what exists counts for nothing. Once too many were wrong, no code is looked at, right or wrong:
//! whoever were still told which are right would go on.
//!
//! Tokens of orders, carts, tickets and wish lists need no such limit: each is 256 bits of chance, or a
//! keyed hash as long.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::addresses::{self, Peer};
use super::buckets::Who;
use super::classes::Class;
use crate::http::app::App;
use crate::http::identity::Caller;
use crate::http::problem::Problem;

/// Whose guess it is, should it be one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guesser(Who);

impl Guesser {
    /// Whoever has sent this.
    pub(crate) fn of(parts: &Parts, caller: Caller, app: &App) -> Self {
        let peer = parts.extensions.get::<Peer>().copied();
        let proxies = &app.settings.protection.proxies;
        let address = || addresses::of_client(peer, &parts.headers, proxies);
        Self(Who::of(caller, Class::Guess, address))
    }

    /// Counts a look at a code, or says when one will be taken again.
    pub(crate) fn look(self, app: &App) -> Result<Guess<'_>, Problem> {
        let Self(who) = self;
        app.buckets.take(who, Class::Guess)?;
        Ok(Guess { app, who, is_wrong: false })
    }
}

impl FromRequestParts<App> for Guesser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        Ok(Self::of(parts, caller, app))
    }
}

/// A look at a code, counted until it ends, and for good if there is no such code.
#[must_use = "it counts only while it lasts"]
pub(crate) struct Guess<'a> {
    app: &'a App,
    who: Who,
    is_wrong: bool,
}

impl Guess<'_> {
    /// There is no such code.
    pub(crate) fn was_wrong(mut self) {
        self.is_wrong = true;
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        if !self.is_wrong {
            self.app.buckets.give_back(self.who, Class::Guess);
        }
    }
}
