//! What providers are told by environment variables, and by nothing else.
//!
//! A provider without credentials is off. One with half of them is a mistake, and said to be one:
//! nobody should find out by a payment that is never confirmed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use url::Url;

use crate::registry::{Provider, providers};
use crate::secret::Secret;

/// Where customers come back to from a provider's page.
pub const RETURN_URL: &str = "DAYBOOK_RETURN_URL";
/// Where this Daybook is reached from the internet, for callbacks.
pub const PUBLIC_URL: &str = "DAYBOOK_PUBLIC_URL";
/// How long a provider may take to answer, in milliseconds.
pub const TIMEOUT: &str = "DAYBOOK_GATEWAY_TIMEOUT_MS";
/// Within [`crate::gateway::CALL_TIMEOUT`], so that the client says what happened.
const TIMEOUT_MS_DEFAULT: u64 = 15_000;
const TIMEOUT_MS_MAX: u64 = 19_000;
/// Webhook secrets that whoever runs the shop chooses, and tells the provider; others are made by the
/// provider.
const CHOSEN: [&str; 3] = [
    "FLUTTERWAVE_SECRET_HASH",
    "FLUTTERWAVE_V4_SECRET_HASH",
    "SANDBOX_WEBHOOK_SECRET",
];
/// What is no single provider's begins like this.
const PREFIX: &str = "DAYBOOK_";

/// The environment as it concerns providers. Printed, it shows names only.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Secret>);

/// Why a provider cannot be switched on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// Something that goes with what is set is not.
    #[error("{name} is not set: {because}")]
    Missing {
        /// Which.
        name: &'static str,
        /// What it is for.
        because: &'static str,
    },
    /// Half of a provider's credentials.
    #[error("{name} is not set: it goes with {set}, and without it the provider is off")]
    Half {
        /// Which is missing.
        name: &'static str,
        /// Which is there.
        set: &'static str,
    },
    /// An address that is none.
    #[error("{name} is not an address such as https://example.com")]
    NotAnAddress {
        /// Which.
        name: &'static str,
    },
    /// None of the values that it can have.
    #[error("{name} must be one of {values}")]
    NotOneOf {
        /// Which.
        name: &'static str,
        /// What it can be.
        values: &'static str,
    },
}

impl Environment {
    /// What this process was started with.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os();
        let texts = variables.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::of(texts.filter(|(name, _)| is_ours(name)))
    }

    /// These variables.
    pub fn of<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let secret = |(name, value): (N, V)| (name.into(), Secret::new(value));
        Self(variables.into_iter().map(secret).collect())
    }

    /// The secrets that somebody has chosen, by name, for whoever judges whether they can be guessed.
    pub fn chosen_secrets(&self) -> impl Iterator<Item = (&'static str, &str)> {
        CHOSEN
            .into_iter()
            .filter_map(|name| Some((name, self.text(name)?)))
    }

    /// The same, with this where nobody has said anything about it.
    #[must_use]
    pub fn or(mut self, name: &str, value: &str) -> Self {
        if self.text(name).is_none() {
            self.0.insert(name.to_owned(), Secret::new(value));
        }
        self
    }

    /// A variable; one that is set to nothing is not set.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.reveal().trim();
        (!value.is_empty()).then_some(value)
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// What a provider cannot do without: all of it, or nothing if none of it is set, nor anything
    /// `more` that means nothing by itself.
    pub(crate) fn credentials<const N: usize>(
        &self,
        needed: [&'static str; N],
        more: &[&'static str],
    ) -> Result<Option<[Secret; N]>, BadSetting> {
        let is_set = |name: &&&'static str| self.text(name).is_some();
        let Some(set) = needed.iter().chain(more).find(is_set) else {
            return Ok(None);
        };
        if let Some(name) = needed.iter().find(|name| self.text(name).is_none()) {
            return Err(BadSetting::Half { name, set });
        }
        Ok(Some(needed.map(|name| self.secret(name).expect("all are set, checked above"))))
    }

    /// Whether something is switched on; it is off if nobody says so.
    pub(crate) fn switch(&self, name: &'static str) -> Result<bool, BadSetting> {
        match self.text(name) {
            None | Some("off") => Ok(false),
            Some("on") => Ok(true),
            Some(_) => Err(BadSetting::NotOneOf { name, values: "on, off" }),
        }
    }

    /// An address, without a slash at its end.
    pub(crate) fn address(&self, name: &'static str) -> Result<Option<Url>, BadSetting> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        read(text)
            .map(Some)
            .ok_or(BadSetting::NotAnAddress { name })
    }

    pub(crate) fn address_or(
        &self,
        name: &'static str,
        default: &'static str,
    ) -> Result<Url, BadSetting> {
        let address = self.address(name)?.or_else(|| read(default));
        address.ok_or(BadSetting::NotAnAddress { name })
    }

    /// How long a provider may take to answer.
    pub(crate) fn timeout(&self) -> Result<Duration, BadSetting> {
        let Some(text) = self.text(TIMEOUT) else {
            return Ok(Duration::from_millis(TIMEOUT_MS_DEFAULT));
        };
        let values = "a number of milliseconds up to 19000";
        let ms = text
            .parse()
            .ok()
            .filter(|ms| (1..=TIMEOUT_MS_MAX).contains(ms));
        ms.map(Duration::from_millis)
            .ok_or(BadSetting::NotOneOf { name: TIMEOUT, values })
    }

    /// Where customers come back to.
    pub(crate) fn return_url(&self) -> Result<Url, BadSetting> {
        let because = "customers come back there from the provider's page; the order's id is added \
                       as ?order_id=";
        let missing = BadSetting::Missing { name: RETURN_URL, because };
        self.address(RETURN_URL)?.ok_or(missing)
    }

    /// Where the provider's webhooks are to arrive.
    pub(crate) fn webhook_url(&self, gateway: &str) -> Result<Url, BadSetting> {
        let because = "the provider is told there to call back";
        let missing = BadSetting::Missing { name: PUBLIC_URL, because };
        let base = self.address(PUBLIC_URL)?.ok_or(missing)?;
        Ok(under(&base, &format!("/api/v1/webhooks/{gateway}")))
    }
}

/// A provider's variables begin with its name; those that begin otherwise are none of ours.
fn is_ours(name: &str) -> bool {
    let begins = |provider: &Provider| {
        let prefix = provider.name.to_uppercase().replace('-', "_");
        name.strip_prefix(&prefix)
            .is_some_and(|rest| rest.starts_with('_'))
    };
    name.starts_with(PREFIX) || providers().any(begins)
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// An address under a base, whose own path stays.
pub(crate) fn under(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Where a customer comes back to after paying for this order.
pub(crate) fn back_to(return_url: &Url, order_id: domain::ids::OrderId) -> Url {
    let mut url = return_url.clone();
    url.query_pairs_mut()
        .append_pair("order_id", &order_id.to_string());
    url
}

fn read(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_to_nothing_is_not_set() {
        let environment = Environment::of([("STRIPE_SECRET_KEY", " "), ("SANDBOX_A", "x ")]);
        assert_eq!(environment.text("STRIPE_SECRET_KEY"), None);
        assert_eq!(environment.text("SANDBOX_A"), Some("x"));
        let said = environment
            .or("SANDBOX_A", "y")
            .or("STRIPE_SECRET_KEY", "y");
        assert_eq!(said.text("SANDBOX_A"), Some("x"));
        assert_eq!(said.text("STRIPE_SECRET_KEY"), Some("y"));
    }

    #[test]
    fn credentials_are_all_there_or_none_of_them_and_the_missing_one_is_named() {
        let of = |set: &[&'static str]| {
            let environment = Environment::of(set.iter().map(|name| (*name, "x")));
            environment
                .credentials(["A", "B"], &["C"])
                .map(|all| all.is_some())
        };
        assert_eq!(
            (of(&[]), of(&["A", "B"]), of(&["A", "B", "C"])),
            (Ok(false), Ok(true), Ok(true))
        );
        for (set, missing) in [
            (&["A"][..], "B"),
            (&["B"], "A"),
            (&["C"], "A"),
            (&["A", "C"], "B"),
        ] {
            let half = of(set).unwrap_err();
            assert_eq!(half, BadSetting::Half { name: missing, set: set[0] });
        }
    }

    #[test]
    fn a_providers_variables_begin_with_its_name() {
        for ours in [
            "STRIPE_SECRET_KEY",
            "FLUTTERWAVE_V4_IDP_URL",
            "MTN_MOMO_API_KEY",
            "SANDBOX_WEBHOOK_SECRET",
            "DAYBOOK_RETURN_URL",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "STRIPE",
            "STRIPES_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "XSTRIPE_SECRET_KEY",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn an_environment_shows_names_only() {
        let shown = format!("{:?}", Environment::of([("STRIPE_SECRET_KEY", "sk_hunter2")]));
        assert!(shown.contains("STRIPE_SECRET_KEY") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn an_address_keeps_its_path_and_nothing_else_is_one() {
        let environment = Environment::of([
            ("DAYBOOK_PUBLIC_URL", "https://shop.example/daybook/"),
            ("STRIPE_BASE_URL", "ftp://x"),
        ]);
        let webhook = environment.webhook_url("stripe").unwrap();
        assert_eq!(webhook.as_str(), "https://shop.example/daybook/api/v1/webhooks/stripe");
        let bad = environment.address("STRIPE_BASE_URL").unwrap_err();
        assert_eq!(bad, BadSetting::NotAnAddress { name: "STRIPE_BASE_URL" });
        let missing = environment.return_url().unwrap_err().to_string();
        assert!(missing.contains("DAYBOOK_RETURN_URL"), "{missing}");
    }
}
