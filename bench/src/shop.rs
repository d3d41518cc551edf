//! What is sold, and the orders for it.
//!
//! Articles and their stock are set up over HTTP as staff would; orders come from guests, have two
//! lines out of a catalogue, and are priced by it. Which lines, is decided by the seed.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::daybook::Daybook;
use crate::error::Error;
use crate::http::Answer;
use crate::load::{self, Next, Outcome, Plan, Work};
use crate::requests;

/// Articles in the catalogue. Enough that two orders seldom meet at one shelf, few enough that all
/// are known to a shop that has been open for a while.
pub(crate) const ARTICLES: u32 = 1_000;
/// More than any run sells of one article; the most that one delivery may bring.
pub(crate) const DEEP_STOCK: u32 = 1_000_000;
/// Different customers, and what stands before their four digits.
pub(crate) const CUSTOMERS: u64 = 10_000;
pub(crate) const CUSTOMERS_BEHIND: [&str; 2] = ["Ada Byron ", "ada."];
/// Connections of the set-up.
const SETUP_CONNECTIONS: usize = 32;

/// Stand-ins in a rendered order, replaced byte for byte; each is as long as what it stands for.
const KEY: &str = "KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK";
const LINES: [&str; 2] = ["BENCH-L1L1", "BENCH-L2L2"];

/// The SKU of an article of the catalogue.
pub(crate) fn sku(article: u32) -> String {
    format!("BENCH-{article:04}")
}

/// Offers the catalogue with deep stock. Where that has been done, nothing is done again.
pub(crate) async fn open(daybook: &Daybook) -> Result<(), Error> {
    let articles: Vec<_> = (0..ARTICLES)
        .map(|number| (sku(number), DEEP_STOCK))
        .collect();
    offer(daybook, &articles).await
}

/// Offers articles, each with so many pieces in stock.
pub(crate) async fn offer(daybook: &Daybook, articles: &[(String, u32)]) -> Result<(), Error> {
    let token = &daybook.token;
    let offers = articles.iter().map(|(sku, _)| {
        let body = format!(
            r#"{{"name": "Article {sku}", "price": {{"amount": "4.50", "currency": "GBP"}}, "active": true}}"#
        );
        let path = format!("/api/v1/products/{sku}");
        requests::command("PUT", &path, token, &format!("offer-{sku}"), &body)
    });
    let deliveries = articles.iter().map(|(sku, pieces)| {
        let body = format!(r#"{{"quantity": {pieces}, "reference": "opening stock"}}"#);
        let path = format!("/api/v1/inventory/{sku}/receipts");
        requests::command("POST", &path, token, &format!("deliver-{sku}"), &body)
    });
    let work = Each { requests: offers.chain(deliveries).collect() };
    let connections = SETUP_CONNECTIONS.min(work.requests.len());
    let (loaded, _) = load::run(daybook.address, Plan::all(connections), work).await?;
    loaded.must_be_clean("the articles cannot be set up")
}

/// Different requests, each once.
pub(crate) struct Each {
    pub(crate) requests: Vec<Vec<u8>>,
}

impl Work for Each {
    fn next(&mut self, _: usize, request: &mut Vec<u8>) -> Next {
        match self.requests.pop() {
            Some(next) => {
                request.extend_from_slice(&next);
                Next::Paced
            }
            None => Next::Finished,
        }
    }

    fn take(&mut self, _: usize, answer: &Answer<'_>) -> Outcome {
        counted_if(answer.is_success())
    }
}

/// Which orders are placed.
#[derive(Debug, Clone)]
pub(crate) struct Placing {
    /// Sets these orders apart from all others in this log, in their idempotency keys.
    pub(crate) name: u64,
    pub(crate) seed: u64,
    /// How many; none for as many as there is time for.
    pub(crate) orders: Option<u64>,
    pub(crate) basket: Basket,
    pub(crate) answered: Answered,
}

/// What an order asks for.
#[derive(Debug, Clone)]
pub(crate) enum Basket {
    /// Two different articles of the catalogue, two pieces and one.
    TwoOfMany,
    /// One piece of this article.
    OneOf(String),
}

/// When an order is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// As soon as it is accepted.
    Accepted,
    /// Once it is confirmed.
    Confirmed,
}

/// Places orders. What an order asks for follows from the seed and its number, so that one which is
/// told to come back comes back as the same.
pub(crate) struct Orders {
    template: Vec<u8>,
    key_at: usize,
    customers_at: Vec<usize>,
    lines_at: Vec<usize>,
    placing: Placing,
    /// Orders that were written; the last ones may have come too late to be sent.
    written: u64,
    /// By connection: the order under way.
    under_way: HashMap<usize, u64>,
    /// Told to come back, where so many are to be placed.
    again: Vec<u64>,
}

impl Orders {
    pub(crate) fn new(placing: Placing) -> Self {
        let body = match &placing.basket {
            Basket::TwoOfMany => body(&[(LINES[0], 2), (LINES[1], 1)]),
            Basket::OneOf(sku) => body(&[(sku, 1)]),
        };
        let mut headers = vec![("idempotency-key", KEY)];
        if placing.answered == Answered::Confirmed {
            headers.push(("prefer", "wait=30"));
        }
        let template = requests::order(&headers, &body);
        let at = |what: &str| find(&template, what.as_bytes());
        let customers_at = CUSTOMERS_BEHIND
            .iter()
            .filter_map(|before| Some(at(before)? + before.len()));
        Self {
            key_at: at(KEY).expect("the key is in the head"),
            customers_at: customers_at.collect(),
            lines_at: LINES.iter().filter_map(|line| at(line)).collect(),
            template,
            placing,
            written: 0,
            under_way: HashMap::new(),
            again: Vec::new(),
        }
    }

    fn fill_in(&self, request: &mut [u8], number: u64) {
        let key = format!("{:016x}{number:016x}", self.placing.name);
        overwrite(request, self.key_at, &key);
        let customer = format!("{:04}", number % CUSTOMERS);
        for at in &self.customers_at {
            overwrite(request, *at, &customer);
        }
        if let [first_at, second_at] = self.lines_at[..] {
            let seed = self.placing.seed ^ self.placing.name.rotate_left(32) ^ number;
            let mut rng = StdRng::seed_from_u64(seed);
            let first = rng.random_range(0..ARTICLES);
            let second = (first + rng.random_range(1..ARTICLES)) % ARTICLES;
            overwrite(request, first_at, &sku(first));
            overwrite(request, second_at, &sku(second));
        }
    }

    fn next_number(&mut self) -> Option<u64> {
        self.again.pop().or_else(|| {
            let more = self
                .placing
                .orders
                .is_none_or(|orders| self.written < orders);
            more.then(|| {
                self.written += 1;
                self.written - 1
            })
        })
    }
}

impl Work for Orders {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> Next {
        let Some(number) = self.next_number() else {
            return Next::Finished;
        };
        request.extend_from_slice(&self.template);
        self.fill_in(request, number);
        self.under_way.insert(connection, number);
        Next::Paced
    }

    fn take(&mut self, connection: usize, answer: &Answer<'_>) -> Outcome {
        let done = match self.placing.answered {
            Answered::Accepted => true,
            Answered::Confirmed => find(answer.body, br#""status":"confirmed""#).is_some(),
        };
        if answer.status != 503 {
            return counted_if(answer.status == 201 && done);
        }
        if self.placing.orders.is_some() {
            self.again.extend(self.under_way.get(&connection));
        }
        Outcome::Passed
    }
}

/// An order by customer 0000 for these articles.
pub(crate) fn body(items: &[(&str, u32)]) -> String {
    let mut order = order_of_a_cart();
    order["items"] = lines(items);
    order.to_string()
}

/// The same for what is in a cart.
pub(crate) fn order_of_a_cart() -> Value {
    json!({
        "customer": {
            "name": "Ada Byron 0000",
            "email": "ada.0000@example.com",
            "phone": "+44 20 7946 0000",
        },
        "shipping_address": {
            "line1": "12 St James's Square",
            "city": "London",
            "postcode": "SW1Y 4JH",
            "country": "GB",
        },
        "currency": "GBP",
        "payment_method": "credit_card",
        "payment_token": "ok",
    })
}

/// Articles, as orders and carts name them.
pub(crate) fn lines(items: &[(&str, u32)]) -> Value {
    let items = items.iter();
    items
        .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}))
        .collect()
}

/// The id in the answer to a placed order.
pub(crate) fn id_in(answer: &Answer<'_>) -> Option<String> {
    const BEFORE: &[u8] = br#""id":""#;
    let at = find(answer.body, BEFORE)? + BEFORE.len();
    let id = answer.body.get(at..at + 36)?;
    Some(std::str::from_utf8(id).ok()?.to_owned())
}

pub(crate) fn counted_if(good: bool) -> Outcome {
    if good {
        Outcome::Counted
    } else {
        Outcome::Failed
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn overwrite(request: &mut [u8], at: usize, with: &str) {
    request[at..at + with.len()].copy_from_slice(with.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(basket: Basket, orders: u64) -> Orders {
        let answered = Answered::Accepted;
        Orders::new(Placing { name: 7, seed: 1, orders: Some(orders), basket, answered })
    }

    fn requests(mut orders: Orders) -> Vec<String> {
        std::iter::from_fn(|| {
            let mut request = Vec::new();
            let more = orders.next(0, &mut request) != Next::Finished;
            more.then(|| String::from_utf8(request).unwrap())
        })
        .collect()
    }

    #[test]
    fn every_order_has_its_own_key_and_two_different_lines() {
        let requests = requests(orders(Basket::TwoOfMany, 100));

        assert_eq!(requests.len(), 100);
        for (number, request) in requests.iter().enumerate() {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("idempotency-key: {:016x}{number:016x}", 7)), "{head}");
            assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let items = body["items"].as_array().unwrap();
            assert_eq!(items.len(), 2);
            assert_ne!(items[0]["sku"], items[1]["sku"]);
            assert!(!request.contains(LINES[0]) && !request.contains(LINES[1]));
        }
    }

    #[test]
    fn the_same_seed_asks_for_the_same() {
        let once = requests(orders(Basket::TwoOfMany, 5));
        assert_eq!(once, requests(orders(Basket::TwoOfMany, 5)));
        assert!(requests(orders(Basket::OneOf("HOT".into()), 1))[0].contains(r#""sku":"HOT""#));
    }

    #[test]
    fn an_order_that_is_told_to_come_back_comes_back_as_the_same() {
        let mut orders = orders(Basket::TwoOfMany, 1);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let busy = Answer { status: 503, position: None, tag: None, body: b"{}" };

        assert_eq!(orders.next(3, &mut first), Next::Paced);
        assert_eq!(orders.take(3, &busy), Outcome::Passed);

        assert_eq!(orders.next(4, &mut second), Next::Paced);
        assert_eq!(first, second);
        assert_eq!(orders.next(3, &mut Vec::new()), Next::Finished);
    }

    #[test]
    fn the_id_is_read_from_the_answer() {
        let body = br#"{"id":"01a1fc71-14f6-733d-9833-c083518e1e25","status":"pending"}"#;
        let answer = Answer { status: 201, position: Some(5), tag: None, body };
        assert_eq!(id_in(&answer).unwrap(), "01a1fc71-14f6-733d-9833-c083518e1e25");
        assert_eq!(id_in(&Answer { body: b"{}", ..answer }), None);
    }
}
