//! Whoever tries codes of promotions until one fits is soon told none; whoever uses one that they were
//! given is not held up by how often they do.

use api::http::protection::{Rates, Settings};
use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::people::{PHRASE, said};
use tests::telling::keyed;
use tests::world::{STAFF, an_order, send};
use tests::{Answer, World};

/// A shop behind a proxy on this machine, with a promotion, and with this rate and no others.
async fn a_shop(rates: &str) -> World {
    let rates = Rates::default().changed_by(&rates.parse().unwrap());
    let world = World::with(|settings| {
        let proxies = "127.0.0.0/8".parse().unwrap();
        settings.protection = Settings { rates, proxies, ..Settings::default() };
    })
    .await;
    world.article("cup", "4.50", 1_000).await;
    let terms = json!({"name": "Spring", "percentage": "10"});
    let path = "/api/v1/promotions/SPRING";
    let _offered = said(&world, Some(STAFF), Method::PUT, path, terms)
        .await
        .expect(200);
    let post = json!({"name": "Post", "rates": [
        {"currency": "GBP", "bands": [{"price": {"amount": "1.00", "currency": "GBP"}}]}
    ]});
    let path = "/api/v1/shipping/methods/post";
    let _offered = said(&world, Some(STAFF), Method::PUT, path, post)
        .await
        .expect(200);
    world
}

/// A guest with a cup in the cart.
struct Guest<'w> {
    world: &'w World,
    address: &'static str,
    cart: String,
}

impl<'w> Guest<'w> {
    async fn at(world: &'w World, address: &'static str) -> Self {
        let currency = json!({"currency": "GBP"});
        let opened = send(world.guest(Method::POST, "/api/v1/carts").json(&currency)).await;
        let cart = opened.expect(201).json()["cart_token"].clone();
        let guest = Self { world, address, cart: cart.as_str().unwrap().to_owned() };
        let items = json!({"items": [{"sku": "cup", "quantity": 1}]});
        let fill = guest.asks(Method::POST, "/cart/items").json(&items);
        let _filled = send(fill).await.expect(200);
        guest
    }

    fn asks(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.world.guest(method, &format!("/api/v1{path}"));
        keyed(request)
            .header("x-forwarded-for", self.address)
            .header("daybook-cart-token", &self.cart)
    }

    async fn looks(&self, query: &str) -> Answer {
        send(self.asks(Method::GET, &format!("/cart{query}"))).await
    }

    /// What each way of naming a code is answered.
    async fn names(&self, code: &str) -> Vec<Answer> {
        let mut order = an_order(&[("cup", 1)]);
        order["promotion_code"] = code.into();
        let mut checkout = order.clone();
        checkout.as_object_mut().unwrap().remove("items");
        let quote = json!({
            "country": "GB", "currency": "GBP", "promotion_code": code, "items": order["items"]
        });
        let asked = [
            self.asks(Method::GET, &format!("/cart?promotion_code={code}")),
            self.asks(Method::GET, &format!("/cart/shipping?country=GB&promotion_code={code}")),
            self.asks(Method::POST, "/orders").json(&order),
            self.asks(Method::POST, "/shipping/quotes").json(&quote),
            self.asks(Method::POST, "/cart/checkout").json(&checkout),
        ];
        let mut answers = Vec::new();
        for request in asked {
            answers.push(send(request).await);
        }
        answers
    }
}

#[track_caller]
fn is_held_up(answer: &Answer) {
    assert_eq!(answer.problem(429), "too_many_requests");
    assert_eq!(answer.json()["violated-policies"], json!(["guest.guess"]));
    assert!(answer.header("retry-after").is_some());
    let detail = answer.json()["detail"].clone();
    let says = "no more than 5 codes that do not exist in 3600 s";
    assert!(detail.as_str().unwrap().starts_with(says), "{detail}");
    let told = answer.header("ratelimit").unwrap();
    assert!(told.starts_with("\"guest.guess\";r=0;t="), "{told}");
    let policy = answer.header("ratelimit-policy").unwrap();
    assert_eq!(policy, "\"guest.guess\";q=5;w=3600");
}

#[tokio::test]
async fn wrong_codes_count_however_they_are_named_and_then_no_code_is_looked_at() {
    let world = a_shop("guest.guess=5/h,guest.query=1000/h,guest.command=1000/h").await;
    let eve = Guest::at(&world, "192.0.2.1").await;
    let told = eve.names("SPRINT").await;
    let codes: Vec<_> = told
        .iter()
        .map(|answer| match answer.status.as_u16() {
            200 => answer.json()["promotion_problem"]["code"].clone(),
            _ => Value::from(answer.problem(422)),
        })
        .collect();
    assert_eq!(codes, vec![json!("promotion_unknown"); 5]);

    // Whether a code is right is told no more; and nothing else is withheld.
    for code in ["SPRUNG", "SPRING"] {
        eve.names(code).await.iter().for_each(is_held_up);
    }
    let shown = eve.looks("").await.expect(200);
    assert!(
        shown
            .header("ratelimit")
            .unwrap()
            .starts_with("\"guest.query\";")
    );
    let order = eve
        .asks(Method::POST, "/orders")
        .json(&an_order(&[("cup", 1)]));
    let _placed = send(order).await.expect(201);

    // Nor does an account, a forwarded address of one's own making or another cart buy more tries.
    let body = json!({"email": "eve@example.org", "password": PHRASE});
    let registered = said(&world, None, Method::POST, "/api/v1/auth/register", body).await;
    let access = registered.expect(201).json()["access"].clone();
    let mut order = an_order(&[("cup", 1)]);
    order["promotion_code"] = "SPRUNG".into();
    let as_customer = keyed(world.guest(Method::POST, "/api/v1/orders"))
        .bearer_auth(access.as_str().unwrap())
        .header("x-forwarded-for", "203.0.113.9, 192.0.2.1")
        .json(&order);
    is_held_up(&send(as_customer).await);
    let another_cart = Guest::at(&world, "192.0.2.1").await;
    is_held_up(&another_cart.looks("?promotion_code=SPRING").await);

    // Somebody else is somebody else, and staff are not counted with guests.
    let ada = Guest::at(&world, "192.0.2.2").await;
    let _shown = ada.looks("?promotion_code=SPRING").await.expect(200);
    for _ in 0..10 {
        let as_staff = keyed(world.staff(Method::POST, "/api/v1/orders"))
            .header("x-forwarded-for", "192.0.2.1")
            .json(&order);
        assert_eq!(send(as_staff).await.problem(422), "promotion_unknown");
    }
    let metrics = send(world.guest(Method::GET, "/metrics")).await;
    let is_counted = |line: &str| {
        line.starts_with("http_requests_limited_total{") && line.contains("class=\"guess\"")
    };
    assert!(metrics.text.lines().any(is_counted));
}

#[tokio::test]
async fn a_code_that_exists_can_be_used_without_end_and_typing_errors_are_few() {
    let world = a_shop("guest.guess=5/h").await;
    let ada = Guest::at(&world, "192.0.2.1").await;
    for _ in 0..20 {
        let shown = ada.looks("?promotion_code=spring").await.expect(200);
        assert_eq!(shown.json()["discount"]["amount"]["amount"], "0.45");
    }
    let over = json!({"name": "Spring", "percentage": "10", "active": false});
    let path = "/api/v1/promotions/AUTUMN";
    let _off = said(&world, Some(STAFF), Method::PUT, path, over)
        .await
        .expect(200);
    // One that does not apply is no guess.
    for _ in 0..20 {
        let shown = ada.looks("?promotion_code=AUTUMN").await.expect(200);
        assert_eq!(shown.json()["promotion_problem"]["code"], "promotion_not_applicable");
    }
    for _ in 0..4 {
        let _mistyped = ada.looks("?promotion_code=SPIRNG").await.expect(200);
    }
    let placed = ada.names("SPRING").await;
    assert!(placed.iter().all(|answer| answer.status.is_success()));
}

#[tokio::test]
async fn so_many_at_the_same_time_have_no_more_tries_than_one_after_the_other() {
    let world = a_shop("guest.guess=5/h").await;
    let eve = Guest::at(&world, "192.0.2.1").await;
    let codes: Vec<String> = (0..60)
        .map(|number| format!("?promotion_code=GUESS-{number}"))
        .collect();
    let answers = join_all(codes.iter().map(|code| eve.looks(code))).await;
    let told = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(told.count(), 5);
    answers
        .iter()
        .filter(|answer| answer.status != 200)
        .for_each(is_held_up);
}
