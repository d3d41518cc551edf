//! How a customer means to pay, as bodies say it; read when an order is placed and when a payment
//! is tried again.

use domain::placing::{PaymentChoice, PaymentMethod};
use gateways::{registry, sandbox};

use super::fields::Fields;

/// What the sandbox can be told to do.
pub(crate) const SANDBOX_TOKENS: [&str; 8] = [
    "ok",
    "declined",
    "silent",
    "late",
    "twice",
    "wrong_amount",
    "poll_only",
    "refund_fails",
];
/// Longest token of a provider.
const TOKEN_CHARS_MAX: usize = 255;

/// Reads `payment_method`, `gateway` and `payment_token`.
pub(crate) fn read(fields: &mut Fields<'_>) -> Option<PaymentChoice> {
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
    Some(PaymentChoice { method: method?, gateway: gateway?, token })
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
