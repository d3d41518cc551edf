//! Security schemes: who is asking, and the secrets that open one thing to whoever shows them.
//!
//! An order, a cart, a ticket and a wishlist each have a token of their own, which guests are told once.
//! It goes into a header, and for what links lead to into the query. Where a guest gets nowhere without
//! one, the document says so in place of "nobody needs to say anything".

use serde_json::{Map, Value, json};

/// A secret of one thing.
struct Secret {
    /// Of the scheme.
    name: &'static str,
    /// `header` or `query`.
    place: &'static str,
    shown_as: &'static str,
    /// What it opens: addresses that are these, or lie below them.
    opens: &'static str,
    /// Links are followed, and change nothing.
    to_see_only: bool,
    description: &'static str,
}

const SECRETS: [Secret; 6] = [
    Secret {
        name: "orderToken",
        place: "header",
        shown_as: "Daybook-Order-Token",
        opens: "/orders/{id}",
        to_see_only: false,
        description: "Opens a guest's order: `order_token` of the answer that placed it.",
    },
    Secret {
        name: "orderLink",
        place: "query",
        shown_as: "token",
        opens: "/orders/{id}",
        to_see_only: true,
        description: "The same in the address of a link, to look at the order.",
    },
    Secret {
        name: "cartToken",
        place: "header",
        shown_as: "Daybook-Cart-Token",
        opens: "/cart",
        to_see_only: false,
        description: "Opens a guest's cart: `cart_token` of the answer that made it.",
    },
    Secret {
        name: "ticketToken",
        place: "header",
        shown_as: "Daybook-Ticket-Token",
        opens: "/tickets/{id}",
        to_see_only: false,
        description: "Opens a guest's ticket: `ticket_token` of the answer that opened it.",
    },
    Secret {
        name: "ticketLink",
        place: "query",
        shown_as: "token",
        opens: "/tickets/{id}",
        to_see_only: true,
        description: "The same in the address of a link, to read the ticket.",
    },
    Secret {
        name: "wishlistLink",
        place: "query",
        shown_as: "token",
        opens: "/wishlists/{id}",
        to_see_only: true,
        description: "Opens a wishlist that its owner shares: `token` of the answer that shared it.",
    },
];

/// All schemes, by name.
pub(super) fn schemes() -> Value {
    let mut schemes = Map::new();
    schemes.insert(
        "bearer".to_owned(),
        json!({
            "type": "http", "scheme": "bearer",
            "description": "An access token of `POST /auth/login`, an API key, or the staff \
                token, which is an administrator's. The scopes are the roles that may."
        }),
    );
    for Secret { name, place, shown_as, description, .. } in SECRETS {
        let scheme =
            json!({"type": "apiKey", "in": place, "name": shown_as, "description": description});
        schemes.insert(name.to_owned(), scheme);
    }
    schemes.into()
}

/// Who may, where guests may: with a secret, if there is one for what lies there. `path` is without the
/// base.
pub(super) fn in_place_of_nothing(method: &str, path: &str, who: Value) -> Value {
    let secrets = SECRETS.iter().filter(|secret| secret.is_for(method, path));
    let secrets: Vec<Value> = secrets.map(|secret| json!({(secret.name): []})).collect();
    let Value::Array(alternatives) = who else {
        return who;
    };
    if secrets.is_empty() {
        return alternatives.into();
    }
    let nothing = json!({});
    let (open, closed): (Vec<Value>, Vec<Value>) =
        alternatives.into_iter().partition(|one| *one == nothing);
    if open.is_empty() {
        return closed.into();
    }
    secrets.into_iter().chain(closed).collect()
}

impl Secret {
    fn is_for(&self, method: &str, path: &str) -> bool {
        let below = path.strip_prefix(self.opens);
        let is_there = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_there && (method == "get" || !self.to_see_only)
    }
}

#[cfg(test)]
mod tests {
    use crate::http::document;

    fn schemes_of(method: &str, path: &str) -> Vec<String> {
        let document = document();
        let security = document["paths"][format!("/api/v1{path}")][method]["security"].clone();
        let alternatives = security.as_array().unwrap().iter();
        alternatives
            .map(|one| {
                let names: Vec<&str> = one
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(String::as_str)
                    .collect();
                names.join("+")
            })
            .collect()
    }

    #[test]
    fn guests_show_the_secret_of_what_they_ask_for() {
        for (method, path, expected) in [
            ("get", "/orders/{id}", &["orderToken", "orderLink", "bearer"][..]),
            ("get", "/orders/{id}/timeline", &["orderToken", "orderLink", "bearer"]),
            ("post", "/orders/{id}/cancel", &["orderToken", "bearer"]),
            ("post", "/orders/{id}/refunds", &["bearer"]),
            ("get", "/tickets/{id}", &["ticketToken", "ticketLink", "bearer"]),
            ("post", "/tickets/{id}/messages", &["ticketToken", "bearer"]),
            ("get", "/cart", &["cartToken", "bearer"]),
            ("put", "/cart/items/{sku}", &["cartToken", "bearer"]),
            ("post", "/cart/merge", &["bearer"]),
            ("get", "/wishlists/{id}", &["wishlistLink", "bearer"]),
            ("put", "/wishlists/{id}", &["bearer"]),
            // Nothing is there yet that could have a secret.
            ("post", "/orders", &["", "bearer"]),
            ("post", "/carts", &["", "bearer"]),
            ("post", "/tickets", &["", "bearer"]),
            ("get", "/products", &["", "bearer"]),
        ] {
            assert_eq!(schemes_of(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn each_scheme_that_is_named_is_there_and_each_that_is_there_is_named() {
        let document = document();
        let there = document["components"]["securitySchemes"]
            .as_object()
            .unwrap();
        for name in there.keys() {
            let named = format!("{{\"{name}\":[");
            assert!(document["paths"].to_string().contains(&named), "nobody names {name}");
        }
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let alternatives = operation["security"].as_array().into_iter().flatten();
                for name in alternatives.flat_map(|one| one.as_object().unwrap().keys()) {
                    assert!(there.contains_key(name), "there is no {name}");
                }
            }
        }
    }
}
