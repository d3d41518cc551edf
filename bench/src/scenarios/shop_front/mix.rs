//! Who asks for what: each connection draws its requests from a seed of its own, so that it sends the
//! same however fast the others are answered.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::looks::{Keeping, Kind, Looks};
use crate::http::Answer;
use crate::load::{Next, Outcome, Work};
use crate::requests;
use crate::shop::{self, ARTICLES, CUSTOMERS, CUSTOMERS_BEHIND, counted_if};

/// What is begun, of ten thousand.
const DRAWS: [(Draw, u32); 9] = [
    (Draw::Look(Kind::List), 3_000),
    (Draw::Look(Kind::Page), 3_300),
    (Draw::Look(Kind::Product), 500),
    (Draw::Look(Kind::Category), 700),
    (Draw::Look(Kind::Promotions), 400),
    (Draw::Look(Kind::Availability), 1_968),
    (Draw::Cart, 120),
    (Draw::Order, 10),
    (Draw::Price, 2),
];
const ALL_DRAWS: u32 = 10_000;
/// Requests of a visitor before the next one comes.
const VISIT: u32 = 25;
/// Of so many who look at their cart one orders what is in it.
const LOOKS_PER_CHECKOUT: u32 = 4;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Look(Kind),
    /// A cart, from its opening on.
    Cart,
    /// An order without one.
    Order,
    /// Staff change a price.
    Price,
}

/// The last price that was acknowledged.
#[derive(Debug)]
pub(super) struct Priced {
    pub(super) article: u32,
    pub(super) amount: String,
    pub(super) position: u64,
}

/// What a connection has asked for.
#[derive(Debug, Clone)]
enum Ask {
    /// This among all that can be looked at.
    Look(usize),
    OpenCart,
    FillCart,
    ShowCart,
    CheckOut,
    Order,
    Price {
        article: u32,
        amount: String,
    },
}

/// All connections.
pub(super) struct Mix {
    keeping: Keeping,
    token: String,
    /// Sets these requests apart from all others in this log, in their idempotency keys.
    name: u64,
    looks: Looks,
    callers: Vec<Caller>,
    /// Commands that were written.
    written: u64,
    /// Orders that were acknowledged.
    pub(super) orders: u64,
    /// Prices that were.
    pub(super) prices: u64,
    pub(super) priced: Option<Priced>,
}

/// One connection.
struct Caller {
    rng: StdRng,
    is_cdn: bool,
    /// Of what was looked at.
    tags: HashMap<usize, String>,
    /// Requests until the next visitor comes.
    left: u32,
    cart: Option<String>,
    /// What follows from the last answer.
    then: Option<Ask>,
    asked: Option<Ask>,
}

impl Mix {
    pub(super) fn new(
        keeping: Keeping,
        connections: usize,
        name: u64,
        seed: u64,
        token: String,
    ) -> Self {
        let caller = |(number, is_cdn)| Caller {
            rng: StdRng::seed_from_u64(seed.rotate_left(32) ^ number),
            is_cdn,
            tags: HashMap::new(),
            left: VISIT,
            cart: None,
            then: None,
            asked: None,
        };
        let numbers = (0..).zip([true, false].into_iter().cycle());
        Self {
            keeping,
            token,
            name,
            looks: Looks::of(keeping),
            callers: numbers.take(connections).map(caller).collect(),
            written: 0,
            orders: 0,
            prices: 0,
            priced: None,
        }
    }

    fn key(&mut self) -> String {
        self.written += 1;
        format!("{:016x}{:016x}", self.name, self.written)
    }

    fn write(&mut self, caller: usize, ask: &Ask) -> Vec<u8> {
        let key = self.key();
        let number = self.written;
        let caller = &mut self.callers[caller];
        let cart = caller.cart.clone().unwrap_or_default();
        let cart = ("daybook-cart-token", cart.as_str());
        let key = ("idempotency-key", key.as_str());
        match ask {
            Ask::Look(place) => {
                let token = (self.keeping == Keeping::Nothing).then_some(self.token.as_str());
                let tag = caller.tags.get(place);
                let tag = tag.map(|tag| ("if-none-match", tag.as_str()));
                let path = &self.looks.paths[*place];
                requests::get(path, token, tag.as_slice())
            }
            Ask::OpenCart => {
                requests::bought("/api/v1/carts", &[], &json!({"currency": "GBP"}).to_string())
            }
            Ask::FillCart => {
                let sku = shop::sku(caller.article());
                let items = json!({"items": shop::lines(&[(&sku, 1)])}).to_string();
                requests::bought("/api/v1/cart/items", &[key, cart], &items)
            }
            Ask::ShowCart => requests::get("/api/v1/cart", None, &[cart]),
            Ask::CheckOut => {
                let order = by_customer(number, &shop::order_of_a_cart().to_string());
                requests::bought("/api/v1/cart/checkout", &[key, cart], &order)
            }
            Ask::Order => {
                let first = caller.article();
                let second = (first + caller.rng.random_range(1..ARTICLES)) % ARTICLES;
                let order = shop::body(&[(&shop::sku(first), 2), (&shop::sku(second), 1)]);
                requests::order(&[key], &by_customer(number, &order))
            }
            Ask::Price { article, amount } => {
                let sku = shop::sku(*article);
                let price = json!({"amount": amount, "currency": "GBP"});
                let name = format!("Article {sku}");
                let body = json!({"name": name, "price": price, "active": true}).to_string();
                let path = format!("/api/v1/products/{sku}");
                requests::command("PUT", &path, &self.token, key.1, &body)
            }
        }
    }

    /// What an answer counts as, and what follows from it.
    fn took(&mut self, caller: usize, ask: Ask, answer: &Answer<'_>) -> Outcome {
        let place = |caller: &mut Caller, then| caller.then = then;
        let caller = &mut self.callers[caller];
        match (ask, answer.status) {
            // Told to come back, which visitors do not.
            (_, 503) => return Outcome::Passed,
            (Ask::Look(_), 304) | (Ask::ShowCart, 200) => {}
            (Ask::Look(look), 200) => {
                if self.keeping == Keeping::Tags {
                    let tag = answer.tag.map(|tag| (look, tag.to_owned()));
                    caller.tags.extend(tag);
                }
            }
            (Ask::OpenCart, 201) => {
                let cart: Value = serde_json::from_slice(answer.body).unwrap_or_default();
                caller.cart = cart["cart_token"].as_str().map(str::to_owned);
                place(caller, Some(Ask::FillCart));
            }
            (Ask::FillCart, 200) => place(caller, Some(Ask::ShowCart)),
            (Ask::CheckOut | Ask::Order, 201) => self.orders += 1,
            (Ask::Price { article, amount }, 200) => {
                self.prices += 1;
                let position = answer.position.unwrap_or(0);
                if self
                    .priced
                    .as_ref()
                    .is_none_or(|last| last.position < position)
                {
                    self.priced = Some(Priced { article, amount, position });
                }
            }
            _ => return Outcome::Failed,
        }
        Outcome::Counted
    }
}

impl Work for Mix {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> Next {
        let ask = self.callers[connection].draw(&self.looks);
        request.extend_from_slice(&self.write(connection, &ask));
        self.callers[connection].asked = Some(ask);
        Next::Paced
    }

    fn take(&mut self, connection: usize, answer: &Answer<'_>) -> Outcome {
        let Some(ask) = self.callers[connection].asked.take() else {
            return counted_if(false);
        };
        let was_shown = matches!(ask, Ask::ShowCart);
        let outcome = self.took(connection, ask, answer);
        let caller = &mut self.callers[connection];
        if was_shown && caller.rng.random_ratio(1, LOOKS_PER_CHECKOUT) {
            caller.then = Some(Ask::CheckOut);
        }
        outcome
    }
}

impl Caller {
    fn draw(&mut self, looks: &Looks) -> Ask {
        if let Some(then) = self.then.take() {
            return then;
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 && !self.is_cdn {
            self.tags.clear();
            self.left = VISIT;
        }
        let mut drawn = self.rng.random_range(0..ALL_DRAWS);
        let draw = DRAWS.iter().find(|(_, weight)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        match draw.map_or(Draw::Cart, |(draw, _)| *draw) {
            Draw::Look(kind) => {
                let places = looks.places_of(kind);
                Ask::Look(places.start + self.popular(places.len()))
            }
            Draw::Cart => Ask::OpenCart,
            Draw::Order => Ask::Order,
            Draw::Price => {
                let article = self.article();
                let amount = format!("4.{:02}", self.rng.random_range(0..100));
                Ask::Price { article, amount }
            }
        }
    }

    fn article(&mut self) -> u32 {
        self.rng.random_range(0..ARTICLES)
    }

    /// One of so many, of which a tenth get nearly half of the looks.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "there are a thousand at most, and a share is between nought and one"
    )]
    fn popular(&mut self, many: usize) -> usize {
        let share: f64 = self.rng.random();
        ((share.powi(3) * many as f64) as usize).min(many.saturating_sub(1))
    }
}

/// The same by another customer.
fn by_customer(number: u64, order: &str) -> String {
    let customer = number % CUSTOMERS;
    CUSTOMERS_BEHIND
        .iter()
        .fold(order.to_owned(), |order, before| {
            order.replace(&format!("{before}0000"), &format!("{before}{customer:04}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(keeping: Keeping) -> Mix {
        Mix::new(keeping, 4, 7, 1, "secret".to_owned())
    }

    fn next(mix: &mut Mix, connection: usize) -> String {
        let mut request = Vec::new();
        assert_eq!(mix.next(connection, &mut request), Next::Paced);
        String::from_utf8(request).unwrap()
    }

    fn answer<'a>(status: u16, tag: Option<&'a str>, body: &'a [u8]) -> Answer<'a> {
        Answer { status, position: Some(5), tag, body }
    }

    /// Sends requests of a connection, each answered well, until one begins like this.
    fn until(mix: &mut Mix, connection: usize, begins: &str) -> String {
        for _ in 0..100_000 {
            let request = next(mix, connection);
            if request.starts_with(begins) {
                return request;
            }
            let good = match mix.callers[connection].asked {
                Some(Ask::OpenCart | Ask::CheckOut | Ask::Order) => 201,
                _ => 200,
            };
            let told = answer(good, None, br#"{"cart_token": "mine"}"#);
            assert_eq!(mix.take(connection, &told), Outcome::Counted, "{request}");
        }
        panic!("nothing begins with {begins}");
    }

    #[test]
    fn all_that_is_drawn_adds_up() {
        let weights = DRAWS.iter().map(|(_, weight)| weight);
        assert_eq!(weights.sum::<u32>(), ALL_DRAWS);
    }

    #[test]
    fn the_same_seed_asks_for_the_same_whatever_others_do() {
        let (mut one, mut other) = (mix(Keeping::Tags), mix(Keeping::Tags));
        for _ in 0..200 {
            let _another = next(&mut other, 1);
            let ask = format!("{:?}", one.callers[0].draw(&one.looks));
            assert_eq!(ask, format!("{:?}", other.callers[0].draw(&other.looks)));
        }
    }

    #[test]
    fn what_was_seen_is_asked_for_again_with_its_tag_until_another_visitor_comes() {
        for (connection, is_kept) in [(0, true), (1, false)] {
            let mut mix = mix(Keeping::Tags);
            mix.callers[connection].asked = Some(Ask::Look(0));
            let seen = answer(200, Some("\"7\""), b"{}");
            assert_eq!(mix.take(connection, &seen), Outcome::Counted);
            let again = mix.write(connection, &Ask::Look(0));
            assert!(
                String::from_utf8(again)
                    .unwrap()
                    .contains("if-none-match: \"7\"\r\n")
            );
            mix.callers[connection].asked = Some(Ask::Look(0));
            let same = answer(304, Some("\"7\""), b"");
            assert_eq!(mix.take(connection, &same), Outcome::Counted);
            for _ in 0..VISIT {
                let _ask = mix.callers[connection].draw(&mix.looks);
            }
            assert_eq!(mix.callers[connection].tags.contains_key(&0), is_kept);
        }
    }

    #[test]
    fn staff_show_their_token_and_keep_nothing() {
        let mut mix = mix(Keeping::Nothing);
        mix.callers[0].asked = Some(Ask::Look(0));
        let _counted = mix.take(0, &answer(200, Some("\"7\""), b"{}"));
        let again = String::from_utf8(mix.write(0, &Ask::Look(0))).unwrap();
        assert!(again.contains("authorization: Bearer secret\r\n"), "{again}");
        assert!(!again.contains("if-none-match"), "{again}");
    }

    #[test]
    fn a_cart_is_opened_filled_looked_at_and_sometimes_ordered() {
        let mut mix = mix(Keeping::Tags);
        let filled = until(&mut mix, 0, "POST /api/v1/cart/items ");
        assert!(filled.contains("daybook-cart-token: mine\r\n"), "{filled}");
        let ordered = until(&mut mix, 0, "POST /api/v1/cart/checkout ");
        assert!(ordered.contains("daybook-cart-token: mine\r\n"), "{ordered}");
        let number = mix.written % CUSTOMERS;
        assert!(ordered.contains(&format!("ada.{number:04}@")) && !ordered.contains("items"));
        let before = mix.orders;
        assert_eq!(mix.take(0, &answer(201, None, b"{}")), Outcome::Counted);
        assert_eq!(mix.orders, before + 1);
    }

    #[test]
    fn the_newest_price_is_remembered_and_what_should_not_be_has_failed() {
        let mut mix = mix(Keeping::Tags);
        let _request = until(&mut mix, 0, "PUT /api/v1/products/BENCH-");
        let Some(Ask::Price { article, .. }) = mix.callers[0].asked.clone() else {
            panic!("it is about a price");
        };
        assert_eq!(mix.take(0, &answer(200, None, b"{}")), Outcome::Counted);
        let priced = mix.priced.as_ref().unwrap();
        assert_eq!((priced.article, priced.position, mix.prices), (article, 5, 1));

        for (status, outcome) in [
            (404, Outcome::Failed),
            (503, Outcome::Passed),
            (500, Outcome::Failed),
        ] {
            mix.callers[2].asked = Some(Ask::Look(0));
            assert_eq!(mix.take(2, &answer(status, None, b"{}")), outcome);
        }
    }
}
