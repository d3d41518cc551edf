//! How a customer means to pay, as bodies say it; read when an order is placed and when a payment
//! is tried again. Where they name no provider, one is chosen.

use axum::http::StatusCode;
use axum::response::Response;
use domain::money::{Currency, Money};
use domain::placing::{PaymentChoice, PaymentMethod};
use gateways::capabilities::Capabilities;
use gateways::registry;
use gateways::routing::{self, Wish};
use store::command::Envelope;

use super::App;
use super::command::Asked;
use super::fields::Fields;
use super::problem::Problem;

/// Longest token of a provider.
const TOKEN_CHARS_MAX: usize = 255;

/// How a customer means to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) method: PaymentMethod,
    /// The provider, if they named one.
    pub(crate) gateway: Option<String>,
    pub(crate) token: Option<String>,
}

/// Why nobody can be asked for a payment.
pub(crate) enum Nobody {
    /// Nobody takes it, now or later: remembered like any refusal.
    Never(Problem),
    /// Whoever takes it is not reached now: to be tried again, under the same key.
    Now(Problem),
}

/// Reads `payment_method`, `gateway` and `payment_token`, for money of this currency if it is known.
pub(crate) fn read(fields: &mut Fields<'_>, currency: Option<Currency>) -> Option<Wanted> {
    let method = fields.one_of("payment_method", &PaymentMethod::NAMES);
    let is_named = fields.has("gateway");
    let gateway = gateway(fields);
    let token = fields.optional_text("payment_token", TOKEN_CHARS_MAX);
    if !is_named {
        if let Some(token) = &token {
            // Whose it is will be found out; that it is nobody's is known now.
            routing::takes_token(fields.gateways(), token)
                .map_err(|detail| fields.flaw("payment_token", detail))
                .ok()?;
        }
        return Some(Wanted { method: method?, gateway: None, token });
    }
    let (method, gateway) = (method?, gateway?);
    is_possible(fields, (method, &gateway, token.as_deref()), currency)?;
    Some(Wanted { method, gateway: Some(gateway), token })
}

/// What the provider could only refuse is refused before anything is promised.
fn is_possible(
    fields: &Fields<'_>,
    (method, gateway, token): (PaymentMethod, &str, Option<&str>),
    currency: Option<Currency>,
) -> Option<()> {
    let Some(provider) = registry::provider(gateway) else {
        return Some(());
    };
    let Capabilities { currencies, .. } = provider.capabilities;
    let takes_currency = currency.is_none_or(|currency| currencies.contain(currency.code()));
    let flaw = |name: &str, detail: String| {
        fields.flaw(name, format!("{} {detail}", provider.name));
        None
    };
    if let Err(detail) = provider.capabilities.takes(currency, method) {
        return flaw(
            if takes_currency {
                "payment_method"
            } else {
                "currency"
            },
            detail,
        );
    }
    (provider.accepts_token)(token)
        .map_err(|detail| fields.flaw("payment_token", detail))
        .ok()
}

fn gateway(fields: &mut Fields<'_>) -> Option<String> {
    let known = fields.gateways();
    if !fields.has("gateway") {
        return None;
    }
    fields.of("gateway", |name| {
        if known.iter().any(|known| known == name) {
            Ok(name.to_owned())
        } else {
            Err(match known.join(", ") {
                none if none.is_empty() => "no payment provider is switched on".to_owned(),
                known => format!("must be one of {known}"),
            })
        }
    })
}

/// The provider that the customer named, or the first that the rules of routing lead to.
pub(crate) fn choose(
    app: &App,
    wanted: &Wanted,
    amount: Money,
    country: &str,
) -> Result<PaymentChoice, Nobody> {
    let Wanted { method, gateway, token } = wanted.clone();
    if let Some(gateway) = gateway {
        return Ok(PaymentChoice { method, gateway, token, routed_by: None });
    }
    let wish = Wish { amount, country, method, token: token.as_deref() };
    let route = app.routing.route(&wish);
    if let Some(first) = route.gateways.first() {
        let (gateway, routed_by) = ((*first).to_owned(), route.rule_id);
        return Ok(PaymentChoice { method, gateway, token, routed_by });
    }
    // Who there is and how they are is for staff; they can try the rules out.
    if route.is_only_away() {
        return Err(Nobody::Now(Problem::gateways_away()));
    }
    let mut names = PaymentMethod::NAMES.iter();
    let name = names
        .find(|(_, of)| *of == method)
        .map_or("", |(name, _)| *name);
    let advice = if token.is_some() {
        "name the gateway whose payment_token it is, or choose another payment_method"
    } else {
        "choose another payment_method"
    };
    let detail = format!(
        "no payment provider takes {amount} by {name} for goods that go to {country}; {advice}"
    );
    Err(Nobody::Never(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "no_gateway",
        detail,
    )))
}

impl Nobody {
    /// Says no, the first time and again.
    pub(crate) async fn answer<B>(
        self,
        app: &App,
        asked: &Asked<B>,
        envelope: Envelope,
    ) -> Result<Response, Problem> {
        match self {
            Self::Never(problem) => asked.turn_away(app, envelope, &problem).await,
            // Somebody may have been reached when this was asked for the first time.
            Self::Now(problem) => match asked.told_before(app).await? {
                Some(told) => Ok(told),
                None => Err(problem),
            },
        }
    }
}
