//! What Stripe documents that may be sent, field by field: `docs.stripe.com/api`, of the requests
//! that are simulated, and of their parameters those that a shop such as ours may want. Anything else
//! is refused, as Stripe does with a misspelt name.

use std::collections::BTreeMap;

/// A parameter by its name in a form; a `*` stands for whatever name one likes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    name: &'static str,
    kind: Kind,
    is_required: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Characters, at most.
    Text(usize),
    /// Characters, at most; none at all takes the name away.
    Metadata(usize),
    /// A whole number from one to another.
    Integer(i64, i64),
    /// Three small letters.
    Currency,
    Url,
    Boolean,
    OneOf(&'static [&'static str]),
    /// A name of Stripe's, by how it begins.
    Id(&'static str),
}

/// The largest amount: eight digits.
const AMOUNT: Kind = Kind::Integer(1, 99_999_999);
/// `metadata`: names have up to 40 characters, values up to 500, and there are up to 50.
const METADATA: Kind = Kind::Metadata(500);
const METADATA_NAME_MAX: usize = 40;
const METADATA_MAX: usize = 50;

const fn required(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, is_required: true }
}

const fn optional(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, is_required: false }
}

/// `POST /v1/checkout/sessions` in the mode `payment`.
pub(super) const SESSION: [Parameter; 15] = [
    required("mode", Kind::OneOf(&["payment"])),
    required("success_url", Kind::Url),
    required("line_items[0][quantity]", Kind::Integer(1, 999_999)),
    required("line_items[0][price_data][currency]", Kind::Currency),
    required("line_items[0][price_data][unit_amount]", AMOUNT),
    required("line_items[0][price_data][product_data][name]", Kind::Text(250)),
    optional("cancel_url", Kind::Url),
    optional("client_reference_id", Kind::Text(200)),
    optional("customer_email", Kind::Text(512)),
    optional("expires_at", Kind::Integer(0, i64::MAX)),
    optional("locale", Kind::Text(10)),
    optional("metadata[*]", METADATA),
    optional("payment_intent_data[metadata][*]", METADATA),
    optional("payment_intent_data[description]", Kind::Text(1_000)),
    optional(
        "payment_intent_data[capture_method]",
        Kind::OneOf(&["automatic", "automatic_async", "manual"]),
    ),
];

/// `POST /v1/payment_intents`.
pub(super) const INTENT: [Parameter; 10] = [
    required("amount", AMOUNT),
    required("currency", Kind::Currency),
    optional("payment_method", Kind::Id("pm_")),
    optional("confirm", Kind::Boolean),
    optional("automatic_payment_methods[enabled]", Kind::Boolean),
    optional("return_url", Kind::Url),
    optional("capture_method", Kind::OneOf(&["automatic", "automatic_async", "manual"])),
    optional("description", Kind::Text(1_000)),
    optional("expand[]", Kind::OneOf(&["latest_charge"])),
    optional("metadata[*]", METADATA),
];

/// `POST /v1/refunds`.
pub(super) const REFUND: [Parameter; 4] = [
    required("payment_intent", Kind::Id("pi_")),
    optional("amount", AMOUNT),
    optional("reason", Kind::OneOf(&["duplicate", "fraudulent", "requested_by_customer"])),
    optional("metadata[*]", METADATA),
];

/// What is wrong with a form, in words like Stripe's.
pub(super) fn judge(
    form: &BTreeMap<String, String>,
    documented: &[Parameter],
) -> Result<(), String> {
    for (name, value) in form {
        let parameter = documented.iter().find(|of| of.is_named(name));
        let parameter = parameter.ok_or_else(|| format!("Received unknown parameter: {name}"))?;
        parameter
            .kind
            .judge(value)
            .map_err(|what| format!("Invalid {name}: {what}"))?;
    }
    for parameter in documented.iter().filter(|of| of.is_required) {
        if !form.contains_key(parameter.name) {
            return Err(format!("Missing required param: {}.", parameter.name));
        }
    }
    let metadata = form.keys().filter(|name| name.starts_with("metadata["));
    if METADATA_MAX < metadata.count() {
        return Err(format!("Metadata has at most {METADATA_MAX} keys"));
    }
    Ok(())
}

impl Parameter {
    fn is_named(&self, name: &str) -> bool {
        let Some(before) = self.name.strip_suffix("[*]") else {
            return self.name == name;
        };
        let own = name
            .strip_prefix(before)
            .and_then(|rest| rest.strip_prefix('['))
            .and_then(|rest| rest.strip_suffix(']'));
        own.is_some_and(|own| {
            (1..=METADATA_NAME_MAX).contains(&own.len()) && !own.contains(['[', ']'])
        })
    }
}

impl Kind {
    fn judge(self, value: &str) -> Result<(), String> {
        let is_good = match self {
            Self::Text(max) => !value.is_empty() && value.chars().count() <= max,
            Self::Metadata(max) => value.chars().count() <= max,
            Self::Integer(min, max) => {
                let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse::<i64>();
                is_digits && number.is_ok_and(|number| (min..=max).contains(&number))
            }
            Self::Currency => {
                value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_lowercase())
            }
            Self::Url => value.starts_with("https://") || value.starts_with("http://"),
            Self::Boolean => value == "true" || value == "false",
            Self::OneOf(these) => these.contains(&value),
            Self::Id(prefix) => value.starts_with(prefix) && prefix.len() < value.len(),
        };
        if is_good {
            Ok(())
        } else {
            Err(format!("{value:?} is not {self:?}"))
        }
    }
}
