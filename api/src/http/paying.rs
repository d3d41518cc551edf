//! How a customer means to pay, as bodies say it; read when an order is placed and when a payment
//! is tried again.

use domain::money::Currency;
use domain::placing::{PaymentChoice, PaymentMethod};
use gateways::capabilities::Capabilities;
use gateways::{registry, sandbox};

use super::fields::Fields;

/// What the sandbox can be told to do.
pub(crate) const SANDBOX_TOKENS: [&str; 10] = [
    "ok",
    "declined",
    "silent",
    "late",
    "twice",
    "wrong_amount",
    "poll_only",
    "refund_fails",
    "elevated_risk",
    "highest_risk",
];
/// Longest token of a provider.
const TOKEN_CHARS_MAX: usize = 255;

/// Reads `payment_method`, `gateway` and `payment_token`, for money of this currency if it is known.
pub(crate) fn read(fields: &mut Fields<'_>, currency: Option<Currency>) -> Option<PaymentChoice> {
    let method = fields.one_of("payment_method", &PaymentMethod::NAMES);
    let gateway = gateway(fields);
    let token = fields.optional_text("payment_token", TOKEN_CHARS_MAX);
    if gateway.as_deref() == Some(sandbox::NAME)
        && let Some(token) = &token
        && !SANDBOX_TOKENS.contains(&token.as_str())
    {
        let detail = format!("the sandbox knows {}", SANDBOX_TOKENS.join(", "));
        fields.flaw("payment_token", detail);
        return None;
    }
    let choice = PaymentChoice { method: method?, gateway: gateway?, token };
    is_possible(fields, &choice, currency)?;
    Some(choice)
}

/// What the provider could only refuse is refused before anything is promised.
fn is_possible(
    fields: &Fields<'_>,
    choice: &PaymentChoice,
    currency: Option<Currency>,
) -> Option<()> {
    let Some(provider) = registry::provider(&choice.gateway) else {
        return Some(());
    };
    let Capabilities { currencies, .. } = provider.capabilities;
    let takes_currency = currency.is_none_or(|currency| currencies.contain(currency.code()));
    let flaw = |name: &str, detail: String| {
        fields.flaw(name, format!("{} {detail}", provider.name));
        None
    };
    if let Err(detail) = provider.capabilities.takes(currency, choice.method) {
        return flaw(
            if takes_currency {
                "payment_method"
            } else {
                "currency"
            },
            detail,
        );
    }
    (provider.accepts_token)(choice.token.as_deref())
        .map_err(|detail| fields.flaw("payment_token", detail))
        .ok()
}

fn gateway(fields: &mut Fields<'_>) -> Option<String> {
    let known = fields.gateways();
    if !fields.has("gateway") {
        return Some(registry::DEFAULT.to_owned());
    }
    fields.of("gateway", |name| {
        if known.iter().any(|known| known == name) {
            Ok(name.to_owned())
        } else {
            Err(format!("must be one of {}", known.join(", ")))
        }
    })
}
