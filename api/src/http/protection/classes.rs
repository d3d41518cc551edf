//! Classes of routes: what has a limit of its own. A new route is a query or a command by its
//! method; whatever sends mail or looks at secrets is named here.

use axum::http::Method;

use super::super::BASE;

/// A class of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Reads.
    Query,
    /// Changes something.
    Command,
    /// Looks at a password or a token that might be guessed, at the price of a hash.
    SignIn,
    /// Sends mail to an address that the caller names.
    Mail,
    /// Names a code that does not exist: no route is of this class, a request turns out to be.
    Guess,
    /// A payment provider's word: it knows no token, and many come at once.
    Webhook,
}

impl Class {
    pub(crate) const ALL: [Self; 6] = [
        Self::Query,
        Self::Command,
        Self::SignIn,
        Self::Mail,
        Self::Guess,
        Self::Webhook,
    ];

    /// Its name in settings, headers and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Command => "command",
            Self::SignIn => "sign_in",
            Self::Mail => "mail",
            Self::Guess => "guess",
            Self::Webhook => "webhook",
        }
    }

    /// What is counted, for people.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Guess => "codes that do not exist",
            Self::Query | Self::Command | Self::SignIn | Self::Mail | Self::Webhook => {
                "requests of this kind"
            }
        }
    }
}

/// Routes that send mail. Whoever adds one that writes to `notifications` for somebody whom the
/// caller names adds it here.
pub(crate) const MAIL: [(&str, &str); 4] = [
    ("POST", "/auth/register"),
    ("POST", "/auth/password/forgot"),
    ("POST", "/auth/verify-email/mail"),
    ("POST", "/customers"),
];

/// What a route is, as the table of routes writes it; none where nobody is to be hindered: health
/// and metrics.
pub(crate) fn of(method: &Method, route: &str) -> Option<Class> {
    if route.starts_with("/health/") || route == "/metrics" {
        return None;
    }
    let path = route.strip_prefix(BASE).unwrap_or(route);
    let changes = !method.is_safe();
    Some(if MAIL.iter().any(|mail| *mail == (method.as_str(), path)) {
        Class::Mail
    } else if changes && path.starts_with("/auth/") {
        Class::SignIn
    } else if changes && path == "/webhooks/{name}" {
        Class::Webhook
    } else if changes {
        Class::Command
    } else {
        Class::Query
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_what_its_method_says_unless_it_is_named() {
        let of = |method: Method, path: &str| of(&method, path).map(Class::name);
        for (method, path, class) in [
            (Method::GET, "/api/v1/orders", Some("query")),
            (Method::HEAD, "/api/v1/orders", Some("query")),
            (Method::POST, "/api/v1/orders", Some("command")),
            (Method::DELETE, "/api/v1/blocklist/{id}", Some("command")),
            (Method::POST, "/api/v1/auth/login", Some("sign_in")),
            (Method::POST, "/api/v1/auth/register", Some("mail")),
            (Method::POST, "/api/v1/customers", Some("mail")),
            (Method::GET, "/api/v1/customers", Some("query")),
            (Method::POST, "/api/v1/webhooks/{name}", Some("webhook")),
            (Method::POST, "/api/v1/webhooks/{id}/refund", Some("command")),
            (Method::POST, "/api/v1/webhooks/{id}/resolve", Some("command")),
            (Method::POST, "/api/v1/webhooks/{id}/retry", Some("command")),
            (Method::GET, "/docs/{*rest}", Some("query")),
            (Method::GET, "", Some("query")),
            (Method::GET, "/health/ready", None),
            (Method::GET, "/metrics", None),
        ] {
            assert_eq!(of(method.clone(), path), class, "{method} {path}");
        }
    }
}
