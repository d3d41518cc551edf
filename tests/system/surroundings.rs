//! What is around the business: health, metrics, the document and its page.

use reqwest::Method;
use serde_json::Value;
use tests::World;
use tests::world::{an_order, send};

const NOBODY: &str = "01890000-0000-7000-8000-000000000000";

async fn fetched(world: &World, path: &str) -> tests::Answer {
    send(world.guest(Method::GET, path)).await.expect(200)
}

#[tokio::test]
async fn health_says_of_each_part_whether_it_is_ready() {
    let world = World::new().await;
    let _alive = fetched(&world, "/health/live").await;

    let health = fetched(&world, "/health/ready").await.json();

    assert_eq!(health["ready"], true);
    let parts = health["parts"].as_array().unwrap();
    for name in [
        "database",
        "nats",
        "relay",
        "projection orders",
        "projection sales",
    ] {
        let part = parts.iter().find(|part| part["name"] == name);
        assert_eq!(part.unwrap()["ready"], true, "{name}");
    }
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_never_by_path() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let _placed = world
        .post("/api/v1/orders", an_order(&[("cup", 1)]))
        .await
        .expect(201);
    let _missing = send(world.guest(Method::GET, &format!("/api/v1/orders/{NOBODY}"))).await;
    let _missing = send(world.guest(Method::GET, "/no/such/place")).await;
    let odd = Method::from_bytes(b"BREW").unwrap();
    let _odd = send(world.guest(odd, "/health/live")).await;

    let metrics = fetched(&world, "/metrics").await;

    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    let counted = |labels: &[&str]| {
        metrics
            .text
            .lines()
            .filter(|line| line.starts_with("http_requests_total{"))
            .any(|line| labels.iter().all(|label| line.contains(label)))
    };
    for labels in [
        [
            "method=\"POST\"",
            "route=\"/api/v1/orders\"",
            "status=\"201\"",
        ],
        [
            "method=\"GET\"",
            "route=\"/api/v1/orders/{id}\"",
            "status=\"404\"",
        ],
        ["method=\"GET\"", "route=\"none\"", "status=\"404\""],
        [
            "method=\"other\"",
            "route=\"/health/live\"",
            "status=\"405\"",
        ],
    ] {
        assert!(counted(&labels), "{labels:?} of {}", metrics.text);
    }
    assert!(metrics.text.contains("http_request_seconds"), "durations");
    for path in [NOBODY, "/no/such/place", "BREW"] {
        assert!(!metrics.text.contains(path), "{path} would be a label of its own");
    }
}

fn of_an_account(path: &str) -> bool {
    ["/profile", "/cart", "/vendors/me", "/wishlists"]
        .iter()
        .any(|own| path.contains(own))
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_every_path_of_it_answers() {
    let world = World::new().await;
    let document = fetched(&world, "/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    for (path, item) in document["paths"].as_object().unwrap() {
        let address = path
            .replace("{id}", NOBODY)
            .replace("{sku}", "cup")
            .replace("{handle}", "nothing")
            .replace("{code}", "NOTHING")
            .replace("{name}", "nothing");
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let is_query = method == Method::GET;
            let query = if address.ends_with("/sales") {
                "?group_by=day"
            } else if address.ends_with("/reports/customers") {
                "?group_by=month"
            } else if address.ends_with("/choice") {
                "?currency=GBP&country=GB&method=credit_card&amount=4.50"
            } else if address.ends_with("/stream") {
                // It would go on for ever.
                "?to=0"
            } else {
                ""
            };
            let answer = send(world.staff(method.clone(), &format!("{address}{query}"))).await;
            let status = answer.status.as_str();
            let documented = &operation["responses"][status];
            assert!(documented.is_object(), "{method} {path}: {status} is not in the document");
            // This log is not sealed; `proving` asks one that is.
            let is_proof = path.contains("/log/");
            if is_proof {
                assert!(answer.status.is_client_error() || answer.status == 503, "{path}");
            } else if of_an_account(path) {
                // Staff with the token have no account of their own.
                assert!(answer.status.is_client_error(), "{path}: {}", answer.text);
            } else if is_query && !path.contains('{') {
                assert_eq!(status, "200", "{path}: {}", answer.text);
            } else if is_query {
                assert_eq!(answer.problem(404), "not_found", "{path}");
            } else if operation["parameters"]
                .to_string()
                .contains("IdempotencyKey")
            {
                // Without a key every command is refused, which shows that it is there.
                assert_eq!(answer.problem(400), "idempotency_key_missing", "{path}");
            }
            for name in ["x-request-id", "traceparent"] {
                assert!(answer.header(name).is_some(), "{method} {path}: no {name}");
            }
        }
    }
}

/// Every address that a page, a style sheet or a script would load by itself.
fn loaded(text: &str) -> Vec<&str> {
    [
        "src=\"",
        "href=\"",
        "url(",
        "@import \"",
        "url\": \"",
        "Url\": \"",
    ]
    .into_iter()
    .flat_map(|before| text.split(before).skip(1))
    .map(|rest| rest.trim_start_matches(['"', '\'']))
    .filter_map(|rest| rest.split(['"', ')', '\'']).next())
    .collect()
}

#[tokio::test]
async fn the_page_works_without_any_other_host() {
    let world = World::new().await;
    let page = fetched(&world, "/docs").await;
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let names: Vec<&str> = loaded(&page.text);
    assert!(
        names
            .iter()
            .any(|name| name.contains("swagger-initializer.js")),
        "{names:?}"
    );
    for name in names {
        assert!(!name.contains("//"), "the page loads {name}");
        let part = fetched(&world, &format!("/docs/{}", name.trim_start_matches("./"))).await;
        if part.header("content-type").unwrap().starts_with("text/css") {
            for address in loaded(&part.text) {
                assert!(address.starts_with("data:"), "{name} loads {address}");
            }
        }
    }
    let initializer = fetched(&world, "/docs/swagger-initializer.js").await.text;
    assert!(initializer.contains("\"/openapi.json\""), "{initializer}");
    assert!(!initializer.contains("://"), "{initializer}");
    // Left out, it would be a service on the internet, asked with the whole document.
    assert!(initializer.contains("\"validatorUrl\": \"none\""), "{initializer}");
    let document: Value = fetched(&world, "/openapi.json").await.json();
    assert!(!document["servers"].to_string().contains("://"), "{}", document["servers"]);
    let missing = send(world.guest(Method::GET, "/docs/no-such-file.js")).await;
    assert_eq!(missing.status.as_u16(), 404);
}
