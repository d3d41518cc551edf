//! How often anybody may ask, which pages may, what browsers are told, and who holds connections.

use api::http::protection::{Rates, Settings};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::World;
use tests::telling::keyed;
use tests::wire::{bare, speak};
use tests::world::{Answer, an_order, send, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PRODUCTS: &str = "/api/v1/products";
const PHRASE: &str = "a phrase of some words";

/// A Daybook behind a proxy on this machine, with these rates and no others.
async fn world(rates: &str) -> World {
    let rates = Rates::default().changed_by(&rates.parse().unwrap());
    World::with(|settings| {
        let proxies = "127.0.0.0/8".parse().unwrap();
        settings.protection = Settings { rates, proxies, ..Settings::default() };
    })
    .await
}

/// The request as it comes from somebody.
fn from(address: &str, request: RequestBuilder) -> RequestBuilder {
    request.header("x-forwarded-for", address)
}

async fn list(world: &World, address: &str) -> Answer {
    send(from(address, world.guest(Method::GET, PRODUCTS))).await
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_again_and_nobody_else_is_hindered() {
    let world = world("guest.query=3/h").await;
    for left in [2, 1, 0] {
        let answer = list(&world, "192.0.2.1").await.expect(200);
        assert_eq!(answer.header("ratelimit-policy").unwrap(), "\"guest.query\";q=3;w=3600");
        let told = answer.header("ratelimit").unwrap();
        assert!(told.starts_with(&format!("\"guest.query\";r={left};t=")), "{told}");
    }
    let denied = list(&world, "192.0.2.1").await;
    assert_eq!(denied.problem(429), "too_many_requests");
    let wait: u64 = denied.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1_200).contains(&wait), "{wait}");
    let told = denied.header("ratelimit").unwrap();
    assert!(told.starts_with("\"guest.query\";r=0;t="), "{told}");
    assert_eq!(denied.json()["violated-policies"], json!(["guest.query"]));
    assert!(denied.header("x-request-id").is_some());

    // Written by the caller, not by the proxy.
    assert_eq!(list(&world, "203.0.113.9, 192.0.2.1").await.problem(429), "too_many_requests");
    let _another = list(&world, "192.0.2.2").await.expect(200);
    // Another class of routes.
    let order = keyed(world.guest(Method::POST, "/api/v1/orders")).json(&an_order(&[("x", 1)]));
    assert_eq!(send(from("192.0.2.1", order)).await.problem(422), "unknown_product");
    for _ in 0..20 {
        let _staff = send(from("192.0.2.1", world.staff(Method::GET, PRODUCTS)))
            .await
            .expect(200);
        let health = from("192.0.2.1", world.guest(Method::GET, "/health/live"));
        assert_eq!(send(health).await.expect(200).header("ratelimit"), None);
    }
    let metrics = send(from("192.0.2.1", world.guest(Method::GET, "/metrics")))
        .await
        .expect(200);
    let counted = metrics.text.lines().find(|line| {
        line.starts_with("http_requests_limited_total{")
            && line.contains("role=\"guest\"")
            && line.contains("class=\"query\"")
    });
    assert!(counted.is_some(), "{}", metrics.text);
}

#[tokio::test]
async fn an_answer_that_is_a_problem_tells_what_is_left_as_well() {
    let world = world("guest.query=3/h").await;
    let request = world.guest(Method::GET, "/api/v1/products?limit=0");
    let answer = send(from("192.0.2.1", request)).await;
    assert_eq!(answer.problem(400), "invalid_parameters");
    assert!(
        answer
            .header("ratelimit")
            .unwrap()
            .starts_with("\"guest.query\";r=2;")
    );
    assert!(
        answer
            .header("content-length")
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > 100
    );
}

#[tokio::test]
async fn who_has_signed_in_is_counted_wherever_they_are_but_buys_no_attempts() {
    let world = world("customer.query=2/h,guest.sign_in=2/h,guest.mail=3/h").await;
    let say = async |address: &str, token: Option<&str>, path: &str, body: Value| {
        let mut request = world
            .guest(Method::POST, &format!("/api/v1/auth/{path}"))
            .json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        send(from(address, request)).await
    };
    let register = async |address: &str, email: &str| {
        let body = json!({"email": email, "password": PHRASE});
        say(address, None, "register", body).await
    };
    let ada = register("192.0.2.1", "ada@example.org")
        .await
        .expect(201)
        .json();
    let bob = register("192.0.2.2", "bob@example.org")
        .await
        .expect(201)
        .json();
    let token = |tokens: &Value| tokens["access"].as_str().unwrap().to_owned();
    let (ada, bob) = (token(&ada), token(&bob));

    let list = async |address: &str, token: &str| {
        send(from(address, world.guest(Method::GET, PRODUCTS).bearer_auth(token))).await
    };
    let _first = list("192.0.2.10", &ada).await.expect(200);
    let _second = list("192.0.2.11", &ada).await.expect(200);
    let denied = list("192.0.2.12", &ada).await;
    assert_eq!(denied.json()["violated-policies"], json!(["customer.query"]));
    let _bob = list("192.0.2.12", &bob).await.expect(200);

    // Passwords are guessed from an address, whatever token is shown beside, and whose it is.
    let guess = json!({"email": "eve@example.org", "password": "wrong words"});
    for token in [None, Some(ada.as_str())] {
        let answer = say("192.0.2.20", token, "login", guess.clone()).await;
        assert_eq!(answer.problem(401), "wrong_credentials");
    }
    for token in [None, Some(ada.as_str()), Some(bob.as_str())] {
        let answer = say("192.0.2.20", token, "login", guess.clone()).await;
        assert_eq!(answer.problem(429), "too_many_requests");
    }
    let elsewhere = say("192.0.2.21", None, "login", guess).await;
    assert_eq!(elsewhere.problem(401), "wrong_credentials");
    // A token that nobody knows makes nobody another caller.
    let orders = world.guest(Method::GET, "/api/v1/orders").bearer_auth("x");
    assert_eq!(send(from("192.0.2.30", orders)).await.problem(401), "unauthenticated");

    // Mail is what strangers would have sent to others.
    for email in ["a@example.org", "b@example.org"] {
        let body = json!({"email": email});
        let _sent = say("192.0.2.1", None, "password/forgot", body)
            .await
            .expect(202);
    }
    let denied = register("192.0.2.1", "c@example.org").await;
    assert_eq!(denied.json()["violated-policies"], json!(["guest.mail"]));
}

#[tokio::test]
async fn whoever_guesses_a_code_a_link_or_a_mailed_token_is_soon_told_to_wait() {
    let world = world("guest.query=2/h,guest.command=2/h,guest.sign_in=2/h").await;
    let id = uuid::Uuid::now_v7();
    let guess = "dbc_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    let mut order = an_order(&[("x", 1)]);
    order["promotion_code"] = "SPRING".into();
    let cases = [
        ("query", Method::GET, format!("/orders/{id}"), "daybook-order-token", None),
        ("query", Method::GET, format!("/tickets/{id}"), "daybook-ticket-token", None),
        ("query", Method::GET, format!("/wishlists/{id}?token=x"), "x-none", None),
        ("query", Method::GET, "/cart".to_owned(), "daybook-cart-token", None),
        (
            "query",
            Method::GET,
            "/cart?promotion_code=A".to_owned(),
            "daybook-cart-token",
            None,
        ),
        ("command", Method::POST, "/orders".to_owned(), "x-none", Some(order)),
        ("command", Method::DELETE, "/cart".to_owned(), "daybook-cart-token", None),
        (
            "sign_in",
            Method::POST,
            "/auth/password/reset".to_owned(),
            "x-none",
            Some(json!({"token": guess, "password": PHRASE})),
        ),
        (
            "sign_in",
            Method::POST,
            "/auth/verify-email".to_owned(),
            "x-none",
            Some(json!({"token": guess})),
        ),
        (
            "sign_in",
            Method::POST,
            "/auth/refresh".to_owned(),
            "x-none",
            Some(json!({"refresh": guess})),
        ),
    ];
    for (number, (class, method, path, header, body)) in cases.into_iter().enumerate() {
        let ask = async |address: String| {
            let request = world.guest(method.clone(), &format!("/api/v1{path}"));
            let mut request = keyed(from(&address, request)).header(header, guess);
            if let Some(body) = &body {
                request = request.json(body);
            }
            send(request).await
        };
        let what = format!("{method} {path}");
        for _ in 0..2 {
            let refused = ask(format!("192.0.2.{number}")).await;
            assert!(refused.status.is_client_error() && refused.status != 429, "{what}");
            assert!(refused.header("ratelimit").is_some(), "{what}");
        }
        let denied = ask(format!("192.0.2.{number}")).await;
        assert_eq!(denied.problem(429), "too_many_requests", "{what}");
        assert_eq!(denied.json()["violated-policies"], json!([format!("guest.{class}")]), "{what}");
        assert!(denied.header("ratelimit").unwrap().contains(";r=0;"), "{what}");
        assert!(denied.header("retry-after").is_some(), "{what}");
        assert_ne!(ask(format!("198.51.100.{number}")).await.status, 429, "{what}");
    }
}

#[tokio::test]
async fn every_route_but_health_and_metrics_has_a_limit() {
    let world = world(
        "guest.query=1/h,guest.command=1/h,guest.sign_in=1/h,guest.mail=1/h,guest.webhook=1/h",
    )
    .await;
    let document = send(from("192.0.2.1", world.guest(Method::GET, "/openapi.json")));
    let document = document.await.expect(200).json();
    let mut addresses = 0..;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let (method, number): (Method, u16) =
                (method.to_uppercase().parse().unwrap(), addresses.next().unwrap());
            let [high, low] = number.to_be_bytes();
            let ask = || {
                let path = path.replace("/events/stream", "/events/stream?to=0");
                let request = world.guest(method.clone(), &path);
                send(from(&format!("198.18.{high}.{low}"), request))
            };
            let (first, second) = (ask().await, ask().await);
            let is_operation = path.starts_with("/health/") || path == "/metrics";
            let what = format!(
                "{method} {path}: {}; each route is in a class of protection/classes.rs",
                second.text
            );
            assert_ne!(first.status, 429, "{what}");
            assert_eq!(second.status == 429, !is_operation, "{what}");
            if !is_operation {
                assert!(operation["responses"]["429"].is_object(), "{what} (document)");
            }
        }
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_ask_if_a_setting_names_them() {
    const SHOP: &str = "https://shop.example";
    let world = World::with(|settings| {
        let rates = Rates::default().changed_by(&"guest.query=1/h".parse().unwrap());
        let origins = SHOP.parse().unwrap();
        settings.protection = Settings { rates, origins, ..Settings::default() };
    })
    .await;
    let preflight = async |world: &World, origin: &str| {
        let request = world
            .guest(Method::OPTIONS, "/api/v1/orders")
            .header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        send(request.header("access-control-request-headers", "authorization,idempotency-key"))
            .await
    };
    let allowed = preflight(&world, SHOP).await;
    assert!(allowed.status.is_success());
    assert_eq!(allowed.header("access-control-allow-origin").as_deref(), Some(SHOP));
    let headers = allowed.header("access-control-allow-headers").unwrap();
    for header in [
        "authorization",
        "daybook-cart-token",
        "daybook-order-token",
        "daybook-ticket-token",
        "idempotency-key",
        "last-event-id",
    ] {
        assert!(headers.contains(header), "{header} is not among {headers}");
    }
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    for origin in [
        "https://evil.example",
        "null",
        "https://shop.example.evil.example",
    ] {
        let refused = preflight(&world, origin).await;
        assert_eq!(refused.header("access-control-allow-origin"), None, "{origin}");
    }
    // Refusals can be read by the page as well.
    for status in [200, 429] {
        let request = world.guest(Method::GET, PRODUCTS).header("origin", SHOP);
        let answer = send(request).await.expect(status);
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(SHOP));
        let told = answer.header("access-control-expose-headers").unwrap();
        assert!(told.contains("daybook-position") && told.contains("ratelimit"), "{told}");
        let vary = answer.headers.get_all("vary");
        assert!(
            vary.iter()
                .any(|of| of.to_str().unwrap().contains("origin"))
        );
    }

    let plain = World::new().await;
    let refused = preflight(&plain, SHOP).await;
    assert_eq!(refused.header("access-control-allow-origin"), None);
    let answer = send(plain.guest(Method::GET, PRODUCTS).header("origin", SHOP))
        .await
        .expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn browsers_are_told_to_frame_and_guess_nothing() {
    let world = world("none").await;
    for (path, status) in [
        (PRODUCTS, 200),
        ("/api/v1/nothing", 404),
        ("/api/v1/orders", 401),
        ("/health/live", 200),
        ("/docs", 200),
        ("/docs/", 200),
        ("/openapi.json", 200),
    ] {
        let answer = send(world.guest(Method::GET, path)).await.expect(status);
        let header = |name: &str| answer.header(name).unwrap_or_default();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("script-src 'unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(policy.contains("script-src 'self'"), path.starts_with("/docs"), "{policy}");
        assert_eq!(answer.header("strict-transport-security"), None, "{path}");
        let secure = world
            .guest(Method::GET, path)
            .header("x-forwarded-proto", "https");
        let secure = send(secure).await;
        assert_eq!(secure.header("strict-transport-security").as_deref(), Some("max-age=31536000"));
    }
    // The word of anybody but a proxy of ours makes nothing secure.
    let open = World::new().await;
    let said = open
        .guest(Method::GET, PRODUCTS)
        .header("x-forwarded-proto", "https");
    assert_eq!(send(said).await.header("strict-transport-security"), None);
}

#[tokio::test]
async fn an_address_that_holds_too_many_connections_gets_no_more() {
    let world = World::with(|settings| {
        settings.protection = Settings { connections_per_address: Some(2), ..Settings::default() };
    })
    .await;
    let address = world.url.trim_start_matches("http://").to_owned();
    // Slow ones, that send a head and never end it.
    let slow = async || {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream
            .write_all(b"GET /health/live HTTP/1.1\r\nx: ")
            .await
            .unwrap();
        stream
    };
    let held = [slow().await, slow().await];
    let mut third = slow().await;
    let mut told = Vec::new();
    // Hung up on, with or without a reset.
    let _read = third.read_to_end(&mut told).await;
    assert!(told.is_empty(), "{told:?}");

    drop(held);
    until("there is room again", async || {
        let mut stream = TcpStream::connect(&address).await.ok()?;
        let request = bare("GET /health/live", &[]);
        stream.write_all(&request).await.ok()?;
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.ok()?;
        told.starts_with(b"HTTP/1.1 200").then_some(())
    })
    .await;
    let _alive = speak(&world, &bare("GET /health/live", &[]))
        .await
        .expect(200);
}
