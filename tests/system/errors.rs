//! What is refused is refused in one form, with the status of its kind.

use reqwest::Method;
use serde_json::json;
use tests::World;
use tests::telling::{a_world_with_cups, keyed, names_of, pointers, these};
use tests::wire::{bare, speak, with_length};
use tests::world::{STAFF, an_order, send};

const NOBODY: &str = "01890000-0000-7000-8000-000000000000";
const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_problem_has_the_members_that_were_promised_and_no_others() {
    let world = World::new().await;
    let path = format!("/api/v1/orders/{NOBODY}");

    let answer = send(
        world
            .guest(Method::GET, &path)
            .header("x-request-id", "r-17"),
    )
    .await;

    assert_eq!(answer.problem(404), "not_found");
    let problem = answer.json();
    let members = [
        "code",
        "detail",
        "instance",
        "request_id",
        "status",
        "title",
        "type",
    ];
    assert_eq!(names_of(&problem), members);
    assert_eq!(problem["instance"], path.as_str());
    assert_eq!(problem["request_id"], "r-17");
    assert_eq!(problem["status"], 404);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_400_and_uses_up_no_key() {
    let world = a_world_with_cups().await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let lines = ["idempotency-key: key-1", JSON];
    let bodies: [&[u8]; 12] = [
        b"",
        b"{",
        b"{} {}",
        b"{'a': 1}",
        b"{\"a\": NaN}",
        b"{\"a\": 1e999}",
        b"{\"reason\": \"x\", \"reason\": \"y\"}",
        b"{\"reason\": \"\xff\xfe\"}",
        b"{\"reason\": \"\x00\"}",
        b"{\"reason\": \"\\ud800\"}",
        b"\xef\xbb\xbf{}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let answer = speak(&world, &with_length("POST /api/v1/orders", &lines, body)).await;
        assert_eq!(answer.problem(400), "malformed_json", "{body:?}");
    }
    // Without a length there is no body.
    let answer = speak(&world, &bare("POST /api/v1/orders", &lines)).await;
    assert_eq!(answer.problem(400), "malformed_json");

    let order = an_order(&[("cup", 1)]).to_string();
    let order = with_length("POST /api/v1/orders", &lines, order.as_bytes());
    let _placed = speak(&world, &order).await.expect(201);
    // An escaped NUL is well-formed JSON, and no text of ours.
    let order = an_order(&[("cup", 1)])
        .to_string()
        .replace("Ada", "\\u0000");
    let lines = ["idempotency-key: key-2", JSON];
    let answer = speak(&world, &with_length("POST /api/v1/orders", &lines, order.as_bytes())).await;
    assert_eq!(answer.problem(422), "invalid_fields");
    assert_eq!(pointers(&answer), these(&["/customer/name"]));
}

#[tokio::test]
async fn a_body_that_is_not_called_json_is_415() {
    let world = a_world_with_cups().await;
    let order = an_order(&[("cup", 1)]).to_string();
    for kind in [
        "x-no: content-type",
        "content-type: text/plain",
        "content-type: text/json",
    ] {
        let lines = ["idempotency-key: key-1", kind];
        let request = with_length("POST /api/v1/orders", &lines, order.as_bytes());
        let answer = speak(&world, &request).await;
        assert_eq!(answer.problem(415), "unsupported_media_type", "{kind}");
    }
    for kind in [
        "Application/JSON; charset=utf-8",
        "application/merge-patch+json",
    ] {
        let kind = format!("content-type: {kind}");
        let lines = ["idempotency-key: key-1", kind.as_str()];
        let request = with_length("POST /api/v1/orders", &lines, order.as_bytes());
        let _placed = speak(&world, &request).await.expect(201);
    }
}

#[tokio::test]
async fn a_body_beyond_its_bound_is_413_however_it_comes() {
    let world = a_world_with_cups().await;
    let lines = ["idempotency-key: key-1", JSON];
    let padded = |bytes: usize| {
        let order = an_order(&[("cup", 1)]).to_string();
        format!("{order}{}", " ".repeat(bytes - order.len())).into_bytes()
    };
    let mib = 1024 * 1024;
    for bytes in [mib + 1, 8 * mib] {
        let request = with_length("POST /api/v1/orders", &lines, &padded(bytes));
        assert_eq!(speak(&world, &request).await.problem(413), "body_too_large", "{bytes}");
    }
    // In chunks, so that nobody knows how much will come.
    let chunked = ["idempotency-key: key-1", JSON, "transfer-encoding: chunked"];
    let mut request = bare("POST /api/v1/orders", &chunked);
    let chunk = padded(mib);
    for _ in 0..2 {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(&chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(speak(&world, &request).await.problem(413), "body_too_large");
    // Where nothing needs more, less is taken.
    let cancel = format!("POST /api/v1/orders/{NOBODY}/cancel");
    let request = with_length(&cancel, &lines, &padded(64 * 1024 + 1));
    assert_eq!(speak(&world, &request).await.problem(413), "body_too_large");

    let request = with_length("POST /api/v1/orders", &lines, &padded(mib));
    let _placed = speak(&world, &request).await.expect(201);
}

#[tokio::test]
async fn nobody_without_the_token_comes_near_what_is_for_staff() {
    let world = World::new().await;
    let order = format!("/api/v1/orders/{NOBODY}");
    for (method, path) in [
        ("GET", "/api/v1/orders"),
        ("POST", &format!("{order}/refunds")),
        ("POST", &format!("{order}/complete")),
        ("GET", "/api/v1/payments"),
        ("GET", &format!("/api/v1/payments/{NOBODY}")),
        ("PUT", "/api/v1/products/cup"),
        ("POST", "/api/v1/inventory/cup/receipts"),
        ("POST", "/api/v1/inventory/cup/adjustments"),
        ("GET", "/api/v1/inventory"),
        ("GET", "/api/v1/inventory/cup"),
        ("GET", "/api/v1/events"),
        ("GET", "/api/v1/reports/sales?group_by=day"),
        ("GET", "/api/v1/projections"),
        ("POST", "/api/v1/projections/orders/rebuild"),
        ("GET", "/api/v1/parked-facts"),
    ] {
        let method: Method = method.parse().unwrap();
        let nobody = || keyed(world.guest(method.clone(), path)).json(&json!({}));
        let long = format!("{STAFF}x");
        for request in [
            nobody(),
            nobody().bearer_auth("wrong"),
            nobody().bearer_auth(&STAFF[1..]),
            nobody().bearer_auth(&long),
            nobody().bearer_auth(""),
            nobody().header("authorization", STAFF),
            nobody().basic_auth("staff", Some(STAFF)),
        ] {
            let answer = send(request).await;
            assert_eq!(answer.problem(401), "unauthenticated", "{method} {path}");
            assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer"));
        }
    }
    // Who shows a wrong token is not taken for a guest.
    let order = keyed(world.guest(Method::POST, "/api/v1/orders")).json(&an_order(&[("cup", 1)]));
    assert_eq!(send(order.bearer_auth("wrong")).await.problem(401), "unauthenticated");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_an_unknown_method_405() {
    let world = World::new().await;
    for path in [
        "/",
        "/api/v1",
        "/api/v1/orders/",
        "/api/v2/orders",
        "/api/v1/orders/not-an-id",
        "/api/v1/orders/%ff",
        "/api/v1/orders/..%2f..%2fetc",
        &format!("/api/v1/orders/{NOBODY}"),
        &format!("/api/v1/orders/{NOBODY}/timeline"),
        &format!("/api/v1/payments/{NOBODY}"),
        "/api/v1/payments/%ff",
        "/api/v1/products/nothing",
        "/api/v1/inventory/nothing",
    ] {
        assert_eq!(world.get(path).await.problem(404), "not_found", "{path}");
    }
    for path in [
        &format!("/api/v1/orders/{NOBODY}"),
        "/api/v1/products/nothing",
    ] {
        assert_eq!(world.get(path).await.position(), 0, "it is not there at this position");
    }
    for path in [
        format!("/api/v1/orders/{NOBODY}/cancel"),
        format!("/api/v1/orders/{NOBODY}/refunds"),
        "/api/v1/orders/%ff/cancel".to_owned(),
        "/api/v1/projections/nothing/rebuild".to_owned(),
        "/api/v1/projections/%ff/rebuild".to_owned(),
    ] {
        let body = if path.ends_with("rebuild") {
            json!({})
        } else {
            json!({"reason": "none"})
        };
        assert_eq!(world.post(&path, body).await.problem(404), "not_found", "{path}");
    }
    let pay = json!({"payment_method": "cash"});
    let answer = world
        .post(&format!("/api/v1/orders/{NOBODY}/payments"), pay)
        .await;
    assert_eq!(answer.problem(404), "not_found");
    for (head, allow) in [
        ("DELETE /api/v1/orders", "GET,HEAD,POST"),
        ("BREW /api/v1/orders", "GET,HEAD,POST"),
        ("PATCH /api/v1/products/cup", "GET,HEAD,PUT"),
        ("POST /api/v1/events", "GET,HEAD"),
        ("GET /api/v1/projections/orders/rebuild", "POST"),
        ("POST /health/live", "GET,HEAD"),
    ] {
        let answer = speak(&world, &with_length(head, &[], b"")).await;
        assert_eq!(answer.problem(405), "method_not_allowed", "{head}");
        let mut methods: Vec<_> = answer
            .header("allow")
            .unwrap()
            .split(',')
            .map(str::to_owned)
            .collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allow, "{head}");
    }
}

#[tokio::test]
async fn headers_and_parameters_that_cannot_be_read_are_400() {
    let world = a_world_with_cups().await;
    let order = an_order(&[("cup", 1)]).to_string();
    let place = async |lines: &[&str]| {
        let lines: Vec<&str> = lines.iter().copied().chain([JSON]).collect();
        speak(&world, &with_length("POST /api/v1/orders", &lines, order.as_bytes())).await
    };
    assert_eq!(place(&[]).await.problem(400), "idempotency_key_missing");
    let long = format!("idempotency-key: {}", "x".repeat(256));
    for lines in [
        &["idempotency-key:"][..],
        &["idempotency-key: \"\""],
        &["idempotency-key: two words"],
        &["idempotency-key: caf\u{e9}"],
        &["idempotency-key: one", "idempotency-key: two"],
        &[long.as_str()],
        &["idempotency-key: k", "if-match: 1"],
        &["idempotency-key: k", "if-match: *"],
        &["idempotency-key: k", "if-match: \"one\""],
    ] {
        assert_eq!(place(lines).await.problem(400), "invalid_header", "{lines:?}");
    }
    for position in ["-1", "x", "1.0", "99999999999999999999", ""] {
        let request = world.guest(Method::GET, "/api/v1/products");
        let answer = send(request.header("daybook-min-position", position)).await;
        assert_eq!(answer.problem(400), "invalid_header", "{position}");
    }

    let path = "/api/v1/orders?limit=0&cursor=x&status=eaten&country=uk&sku=%00&placed_from=now\
                &colour=red&customer_email=a%40b.example&customer_email=c%40d.example";
    let answer = world.get(path).await;
    assert_eq!(answer.problem(400), "invalid_parameters");
    let expected = [
        "?limit",
        "?cursor",
        "?status",
        "?country",
        "?sku",
        "?placed_from",
        "?colour",
        "?customer_email",
    ];
    assert_eq!(pointers(&answer), these(&expected));
    let order = an_order(&[("cup", 1)]);
    let answer = world.post("/api/v1/orders?dry_run=true", order).await;
    assert_eq!(answer.problem(400), "invalid_parameters");
    assert_eq!(pointers(&answer), these(&["?dry_run"]));
}
