//! Protection: how often anybody may ask, which web pages may, and what browsers are told.
//!
//! It stands around every route ([`super::layered`]), so that a new route falls under it by itself:
//! [`classes`] says what kind of route it is, [`rates`] how often which role may ask for that kind,
//! [`buckets`] who has asked how often. What a request turns out to be once its handler has looked is
//! counted there ([`guesses`]).
//!
//! 1. Memory is bounded whatever addresses and tokens are made up ([`buckets::CALLERS_MAX`]).
//! 2. Whoever is denied costs no query, no body and no line in the log.

pub(crate) mod addresses;
pub(crate) mod buckets;
pub(crate) mod classes;
pub(crate) mod connections;
pub(crate) mod guesses;
pub(crate) mod headers;
pub(crate) mod origins;
pub(crate) mod rates;

use axum::extract::{MatchedPath, Request};
use store::pace::Pace;

pub(crate) use self::addresses::Peer;
pub use self::addresses::Proxies;
pub use self::origins::Origins;
pub use self::rates::{Changes, Rates};

use self::buckets::{Admitted, Buckets, Who};
use super::app::App;
use super::identity::{Caller, Judged};
use super::problem::Problem;

/// Connections that one address may hold open, of the 800 that a process takes: without it, one
/// slow machine could hold them all.
pub const CONNECTIONS_PER_ADDRESS_DEFAULT: usize = 200;

/// How HTTP is protected (docs/OPERATIONS.md).
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// How often who may ask, where that is not the default: role.class=count/s, /m or /h, or
    /// =none, separated by commas; none alone lifts all limits
    #[arg(
        long,
        env = "DAYBOOK_RATE_LIMITS",
        value_name = "RATES",
        default_value = "",
        hide_default_value = true
    )]
    pub rate_limits: Changes,
    /// Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto count,
    /// separated by commas
    #[arg(
        long,
        env = "DAYBOOK_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: Proxies,
    /// Origins of web pages that may ask (CORS), such as `https://shop.example`, separated by
    /// commas
    #[arg(
        long,
        env = "DAYBOOK_CORS_ORIGINS",
        value_name = "ORIGINS",
        default_value = "",
        hide_default_value = true
    )]
    pub cors_origins: Origins,
    /// Connections that one address may hold, trusted proxies aside; 0 for as many as there are
    #[arg(
        long, env = "DAYBOOK_CONNECTIONS_PER_ADDRESS", value_name = "CONNECTIONS",
        default_value_t = CONNECTIONS_PER_ADDRESS_DEFAULT
    )]
    pub connections_per_address: usize,
}

impl Flags {
    /// The settings, with these rates where the flags say nothing of them.
    pub fn over(&self, rates: Rates) -> Settings {
        Settings {
            rates: rates.changed_by(&self.rate_limits),
            proxies: self.trusted_proxies.clone(),
            origins: self.cors_origins.clone(),
            connections_per_address: (0 < self.connections_per_address)
                .then_some(self.connections_per_address),
        }
    }
}

/// How HTTP is protected; by default, not at all.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How often who may ask.
    pub rates: Rates,
    /// Whose word counts about where a request comes from.
    pub proxies: Proxies,
    /// Web pages of other origins that may ask.
    pub origins: Origins,
    /// Connections that one address may hold; `None` for as many as there are.
    pub connections_per_address: Option<usize>,
}

/// Who stands around the routes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) pace: Pace,
    /// Without, nobody is limited: nothing but health and metrics is served.
    app: Option<App>,
}

impl Guard {
    pub(crate) fn of(app: &App) -> Self {
        Self { pace: app.journal.pace().clone(), app: Some(app.clone()) }
    }

    /// Around health and metrics.
    pub(crate) fn of_operation(pace: Pace) -> Self {
        Self { pace, app: None }
    }

    /// Lets a request in, or says when to come again. Whom its token names is judged here once, and
    /// found again by its handler.
    pub(crate) fn admit(&self, request: &mut Request) -> Result<Option<Admitted>, Problem> {
        let Some(app) = &self.app else {
            return Ok(None);
        };
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or("", MatchedPath::as_str);
        let Some(class) = classes::of(request.method(), route) else {
            return Ok(None);
        };
        let judged = Judged::of(request.headers(), app);
        let caller = judged.as_ref().map_or(Caller::Guest, Judged::caller);
        if let Some(judged) = judged {
            request.extensions_mut().insert(judged);
        }
        let peer = request.extensions().get::<Peer>().copied();
        let who = Who::of(caller, class, || {
            addresses::of_client(peer, request.headers(), &app.settings.protection.proxies)
        });
        app.buckets.take(who, class)
    }

    /// Whether the request came to a proxy of ours by TLS.
    pub(crate) fn is_secure(&self, request: &Request) -> bool {
        self.app.as_ref().is_some_and(|app| {
            let peer = request.extensions().get::<Peer>().copied();
            addresses::is_secure(peer, request.headers(), &app.settings.protection.proxies)
        })
    }
}

impl Settings {
    /// Who has asked how often: nobody yet.
    pub(crate) fn buckets(&self) -> Buckets {
        Buckets::new(&self.rates)
    }
}
