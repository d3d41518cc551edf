//! Fraud rules: how administrators keep them, what each makes of an order before it is paid, and
//! who is told what.

use accounts::{Password, Role};
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::telling::{a_world_with_cups, fraud_rule, id_in, items, keyed, pointers, these};
use tests::world::{Answer, an_order, send, until};

const RULES: &str = "/api/v1/fraud-rules";
const BLOCKLIST: &str = "/api/v1/blocklist";

/// An order for cups, changed.
fn order(change: impl FnOnce(&mut Value)) -> Value {
    let mut order = an_order(&[("cup", 1)]);
    change(&mut order);
    order
}

fn by(email: &str) -> Value {
    order(|order| order["customer"]["email"] = email.into())
}

async fn place(world: &World, order: &Value) -> Value {
    world
        .post("/api/v1/orders", order.clone())
        .await
        .expect(201)
        .json()
}

/// Where the review of an order stands as soon as it is placed.
async fn review_of(world: &World, order: &Value) -> String {
    let placed = place(world, order).await;
    placed["review"].as_str().unwrap_or("none").to_owned()
}

async fn delete(world: &World, path: &str, id: &str) -> Answer {
    send(world.staff(Method::DELETE, &format!("{path}/{id}"))).await
}

async fn block(world: &World, kind: &str, value: &str) -> Answer {
    let entry = json!({"kind": kind, "value": value, "note": "seen before"});
    send(world.staff(Method::POST, BLOCKLIST).json(&entry)).await
}

async fn events_named(world: &World, name: &str) -> i64 {
    sqlx::query_scalar("select count(*) from events where event_type = $1")
        .bind(name)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn without_a_rule_nothing_is_judged() {
    let world = a_world_with_cups().await;
    let placed = place(&world, &by("ada@example.com")).await;
    assert_eq!((placed.get("review"), placed.get("notice")), (None, None));
    let order = world
        .order_when(placed["id"].as_str().unwrap(), "confirmed")
        .await;
    assert_eq!((&order["review"], order.get("screenings")), (&json!("none"), None));
    // One that looks at payments only says nothing about an order, nor one that is not asked.
    fraud_rule(&world, "risk", "refuse", json!({"kind": "provider_risk", "at_least": "normal"}))
        .await;
    let idle = json!({
        "name": "idle", "outcome": "refuse", "active": false,
        "condition": {"kind": "amount", "above": {"amount": "0.01", "currency": "GBP"}},
    });
    let _made = send(world.staff(Method::POST, RULES).json(&idle))
        .await
        .expect(201);
    let placed = place(&world, &by("ada@example.com")).await;
    world
        .order_when(placed["id"].as_str().unwrap(), "confirmed")
        .await;
    assert_eq!(events_named(&world, "order.screened").await, 0);
    world.verify().await;
}

#[tokio::test]
async fn every_kind_of_rule_holds_refuses_or_lets_pass() {
    let world = a_world_with_cups().await;
    let with = |change: fn(&mut Value)| order(change);
    let pounds = |amount: &str| json!({"amount": amount, "currency": "GBP"});
    let fine = order(|_| ());
    for (kind, value) in [
        ("email", "B.lock+ed@Example.com"),
        ("email_domain", "throwaway.example"),
        ("phone", "+44 7400 900999"),
        ("country", "kp"),
        ("postcode", "ZZ1 1ZZ"),
        ("ip", "203.0.113.0/24"),
    ] {
        let _blocked = block(&world, kind, value).await.expect(201);
    }
    let blocked = |what: &str| json!({"kind": "blocked", "what": what});
    let is = |what: &str, value: &str| json!({"kind": "is", "what": what, "value": value});
    let amount = json!({"kind": "amount", "above": pounds("4.50")});
    let mismatch = |with: &str| json!({"kind": "country_mismatch", "with": with});
    let two_cups = with(|order| order["items"][0]["quantity"] = 2.into());
    let nigerian = with(|order| order["customer"]["phone"] = "+234 803 123 4567".into());
    let payer = with(|order| order["payer_country"] = "FR".into());
    let email = with(|order| order["customer"]["email"] = "b.LOCK@example.com".into());
    let host = with(|order| order["customer"]["email"] = "x@mail.Throwaway.Example".into());
    let phone = with(|order| order["customer"]["phone"] = "07400-900 999".into());
    let country = with(|order| order["shipping_address"]["country"] = "KP".into());
    let postcode = with(|order| order["shipping_address"]["postcode"] = "zz11zz".into());
    let ip = with(|order| order["client_ip"] = "::ffff:203.0.113.77".into());
    let cases = [
        (amount, two_cups),
        (mismatch("phone"), nigerian),
        (mismatch("payer"), payer),
        (blocked("email"), email.clone()),
        (json!({"kind": "blocked"}), email.clone()),
        (blocked("email_domain"), host),
        (blocked("phone"), phone),
        (blocked("country"), country),
        (blocked("postcode"), postcode),
        (blocked("ip"), ip),
        (is("email", "b.lock@example.com"), email),
    ];
    for (condition, suspect) in cases {
        for (outcome, review) in [
            ("accept", "none"),
            ("review", "held"),
            ("refuse", "refused"),
        ] {
            let id = fraud_rule(&world, "the rule", outcome, condition.clone()).await;
            let what = format!("{condition} {outcome}");
            assert_eq!(review_of(&world, &suspect).await, review, "{what}");
            assert_eq!(review_of(&world, &fine).await, "none", "{what}: nothing is wrong");
            assert_eq!(delete(&world, RULES, &id).await.status, 204);
        }
        assert_eq!(review_of(&world, &suspect).await, "none", "{condition} is no more");
    }
    world.verify().await;
}

#[tokio::test]
async fn orders_of_one_party_are_counted_whoever_it_is() {
    let world = a_world_with_cups().await;
    let password = Password::chosen("a phrase of some words").unwrap();
    let accounts = &world.app().accounts;
    let registered = accounts.register("eve@example.com", &password, None, Role::Customer);
    let token = registered.await.unwrap().access;
    let mut number = 0;
    let mut other = |change: &dyn Fn(&mut Value)| {
        number += 1;
        let mut order = by(&format!("eve{number}@example.com"));
        order["shipping_address"]["line1"] = format!("{number} High Street").into();
        order["customer"]["phone"] = format!("+44 7400 9000{number:02}").into();
        change(&mut order);
        order
    };
    for party in ["email", "phone", "address", "account"] {
        let condition =
            json!({"kind": "velocity", "by": party, "orders": 2, "window_seconds": 3600});
        let id = fraud_rule(&world, party, "review", condition).await;
        let mut reviews = Vec::new();
        for _ in 0..3 {
            let order = other(&|order| match party {
                "email" => order["customer"]["email"] = "Eve+x@example.com".into(),
                "phone" => order["customer"]["phone"] = "07400 900999".into(),
                "address" => order["shipping_address"]["line1"] = "1, Low Street".into(),
                _ => {}
            });
            let request = keyed(world.guest(Method::POST, "/api/v1/orders")).bearer_auth(&token);
            let request = if party == "account" {
                request
            } else {
                keyed(world.guest(Method::POST, "/api/v1/orders"))
            };
            let placed = send(request.json(&order)).await.expect(201).json();
            reviews.push(placed["review"].as_str().unwrap_or("none").to_owned());
        }
        assert_eq!(reviews, ["none", "none", "held"], "{party}");
        assert_eq!(delete(&world, RULES, &id).await.status, 204);
    }
    let condition = json!({
        "kind": "velocity", "by": "email", "amount": {"amount": "10.00", "currency": "GBP"},
        "window_seconds": 3600,
    });
    fraud_rule(&world, "much", "refuse", condition).await;
    let mut reviews = Vec::new();
    for _ in 0..3 {
        reviews.push(review_of(&world, &by("mallory@example.com")).await);
    }
    assert_eq!(reviews, ["none", "none", "refused"], "4.50 each");
    world.verify().await;
}

#[tokio::test]
async fn an_order_counts_once_however_often_it_is_sent_and_not_if_it_is_not_placed() {
    let world = a_world_with_cups().await;
    let condition = json!({"kind": "velocity", "by": "email", "orders": 2, "window_seconds": 3600});
    fraud_rule(&world, "two", "refuse", condition).await;
    let order = by("ada@example.com");
    let first = world
        .post_as("one", "/api/v1/orders", order.clone())
        .await
        .expect(201);
    for _ in 0..3 {
        let again = world
            .post_as("one", "/api/v1/orders", order.clone())
            .await
            .expect(201);
        assert_eq!(again.text, first.text, "byte for byte");
        let free = self::order(|order| {
            order["items"][0]["unit_price"] = json!({"amount": "0.00", "currency": "GBP"});
        });
        let refused = world.post("/api/v1/orders", free).await;
        assert_eq!(refused.problem(422), "nothing_to_pay");
        // History is nobody's haste.
        let past = self::order(|order| order["placed_at"] = "2010-12-01T08:26:00Z".into());
        assert_eq!(review_of(&world, &past).await, "none");
    }
    assert_eq!(review_of(&world, &order).await, "none");
    assert_eq!(review_of(&world, &order).await, "refused");
}

#[tokio::test]
async fn two_processes_share_rules_and_count_together_and_a_restart_forgets_nothing() {
    let mut world = a_world_with_cups().await;
    let other = world.beside().await;
    let condition = json!({"kind": "velocity", "by": "email", "orders": 3, "window_seconds": 3600});
    let before = place(&world, &by("ada@example.com")).await;
    world
        .order_when(before["id"].as_str().unwrap(), "confirmed")
        .await;
    fraud_rule(&world, "three", "refuse", condition).await;
    // An order from before the rule counts as soon as it has been read back.
    until("the other process knows the rule, and both know the order", async || {
        let mut counted = 0;
        for world in [&world, &other] {
            let probe = place(world, &by("probe@example.com")).await;
            let path = format!("/api/v1/orders/{}", probe["id"].as_str().unwrap());
            let shown = until("it is shown", async || {
                let answer = world.get(&path).await;
                answer.status.is_success().then(|| answer.json())
            })
            .await;
            counted += usize::from(shown["screenings"].is_array());
        }
        (counted == 2).then_some(())
    })
    .await;
    let second = place(&other, &by("ada@example.com")).await;
    world
        .order_when(second["id"].as_str().unwrap(), "confirmed")
        .await;
    let third = place(&world, &by("ada@example.com")).await;
    assert_eq!(third.get("review"), None);
    world
        .order_when(third["id"].as_str().unwrap(), "confirmed")
        .await;
    until("the other process has heard of it", async || {
        (review_of(&other, &by("ada@example.com")).await == "refused").then_some(())
    })
    .await;
    drop(other);
    world.restart().await;
    until("what lies in the window has been read back", async || {
        (review_of(&world, &by("ada@example.com")).await == "refused").then_some(())
    })
    .await;
    world.verify().await;
}

#[tokio::test]
async fn who_is_known_to_be_good_is_asked_nothing_more() {
    let world = a_world_with_cups().await;
    let condition = json!({"kind": "amount", "above": {"amount": "0.01", "currency": "GBP"}});
    fraud_rule(&world, "everybody", "refuse", condition).await;
    assert_eq!(review_of(&world, &by("ada@example.com")).await, "refused");
    let known = json!({
        "name": "Ada", "outcome": "accept", "priority": 1,
        "condition": {"kind": "is", "what": "email", "value": "ada@example.com"},
    });
    let _made = send(world.staff(Method::POST, RULES).json(&known))
        .await
        .expect(201);
    let placed = place(&world, &by("Ada+1@example.com")).await;
    let order = world
        .order_when(placed["id"].as_str().unwrap(), "confirmed")
        .await;
    let screening = &order["screenings"][0];
    assert_eq!(
        (&screening["outcome"], &screening["reasons"][0]["rule"]),
        (&json!("accept"), &json!("Ada"))
    );
    assert_eq!(screening["reasons"].as_array().unwrap().len(), 1);
    assert_eq!(review_of(&world, &by("bob@example.com")).await, "refused");
}

#[tokio::test]
async fn a_refused_order_holds_nothing_calls_nobody_and_says_little() {
    let world = a_world_with_cups().await;
    let _blocked = block(&world, "email", "mallory@example.com")
        .await
        .expect(201);
    fraud_rule(&world, "the list of shame", "refuse", json!({"kind": "blocked"})).await;
    let request = keyed(world.guest(Method::POST, "/api/v1/orders"));
    let placed = send(request.json(&by("Mallory@example.com")))
        .await
        .expect(201)
        .json();
    assert_eq!((&placed["status"], &placed["review"]), (&json!("failed"), &json!("refused")));
    assert!(
        placed["notice"]
            .as_str()
            .unwrap()
            .contains("cannot take this order"),
        "{placed}"
    );
    let id = placed["id"].as_str().unwrap();
    let order = world.order_when(id, "failed").await;
    assert_eq!(order["failure"], json!({"cause": "refused"}));
    assert_eq!(order["screenings"][0]["reasons"][0]["rule"], "the list of shame");
    assert_eq!(world.stock("cup").await, (1_000, 0));
    assert_eq!(events_named(&world, "payment.opened").await, 0);
    assert_eq!(events_named(&world, "inventory.reserved").await, 0);

    let token = placed["order_token"].as_str().unwrap();
    for path in ["", "/timeline"] {
        let path = format!("/api/v1/orders/{id}{path}?token={token}");
        let told = send(world.guest(Method::GET, &path)).await.expect(200);
        assert!(!told.text.contains("shame") && !told.text.contains("blocked"), "{}", told.text);
        assert!(told.text.contains("refused"), "{}", told.text);
    }
    let at = format!("/api/v1/orders/{id}?as_of=2999-01-01&token={token}");
    let told = send(world.guest(Method::GET, &at)).await.expect(200);
    assert!(!told.text.contains("shame"), "{}", told.text);
    let staff = world
        .get(&format!("/api/v1/orders/{id}/timeline"))
        .await
        .expect(200);
    assert!(staff.text.contains("the list of shame"), "{}", staff.text);
    let names: Vec<Value> = items(&staff)
        .iter()
        .map(|entry| entry["event"].clone())
        .collect();
    assert_eq!(names, ["order.placed", "order.screened", "order.failed"]);
    let metrics = world.get("/metrics").await;
    assert!(
        metrics
            .text
            .contains("daybook_screenings_total{of=\"order\",outcome=\"refuse\"}")
    );
    world.verify().await;
}

#[tokio::test]
async fn administrators_keep_rules() {
    let world = World::new().await;
    let condition = json!({"kind": "velocity", "by": "email", "orders": 3, "window_seconds": 60});
    let id = fraud_rule(&world, "many", "review", condition.clone()).await;
    fraud_rule(&world, "later", "refuse", json!({"kind": "blocked", "what": "ip"})).await;
    let taken = json!({"name": "many", "outcome": "accept", "condition": {"kind": "blocked"}});
    let refused = send(world.staff(Method::POST, RULES).json(&taken)).await;
    assert_eq!(refused.problem(409), "rule_name_taken");
    let listed = items(&world.get(RULES).await.expect(200));
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[0]["condition"], &listed[0]["created_by"]),
        (&condition, &json!("staff"))
    );

    let path = format!("{RULES}/{id}");
    let first = json!({
        "name": "first", "outcome": "refuse", "priority": 1, "note": "a wave of cards",
        "condition": {"kind": "is", "what": "email", "value": "EVE+1@example.com"}, "active": false,
    });
    let replaced = send(world.staff(Method::PUT, &path).json(&first))
        .await
        .expect(200)
        .json();
    assert_eq!(replaced["condition"]["value"], "eve@example.com");
    assert_eq!((&replaced["active"], &replaced["priority"]), (&json!(false), &json!(1)));
    let unknown = format!("{RULES}/01890000-0000-7000-8000-000000000000");
    assert_eq!(
        send(world.staff(Method::PUT, &unknown).json(&first))
            .await
            .problem(404),
        "not_found"
    );
    assert_eq!(delete(&world, RULES, &id).await.status, 204);
    assert_eq!(delete(&world, RULES, &id).await.problem(404), "not_found");

    for (condition, at) in [
        (
            json!({"kind": "velocity", "by": "moon", "orders": 3, "window_seconds": 0}),
            &["/condition/by", "/condition/window_seconds"][..],
        ),
        (
            json!({"kind": "velocity", "by": "email", "window_seconds": 60}),
            &["/condition/orders"],
        ),
        (
            json!({"kind": "is", "what": "phone", "value": "07400 900123"}),
            &["/condition/value"],
        ),
        (json!({"kind": "amount"}), &["/condition/above"]),
        (json!({"kind": "provider_risk", "at_least": "some"}), &["/condition/at_least"]),
        (json!({"kind": "blocked", "above": 1}), &["/condition/above"]),
    ] {
        let rule = json!({"name": "x", "outcome": "review", "condition": condition});
        let refused = send(world.staff(Method::POST, RULES).json(&rule)).await;
        assert_eq!(refused.problem(422), "invalid_fields", "{condition}");
        assert_eq!(pointers(&refused), these(at), "{condition}");
    }
    assert_eq!(send(world.guest(Method::GET, RULES)).await.problem(401), "unauthenticated");
}

#[tokio::test]
async fn administrators_keep_the_list_of_what_is_blocked() {
    let world = a_world_with_cups().await;
    let blocked = block(&world, "email", "Eve+1@Example.com")
        .await
        .expect(201);
    assert_eq!(blocked.json()["value"], "eve@example.com");
    assert_eq!(block(&world, "email", "eve@example.com").await.problem(409), "already_blocked");
    let bad = block(&world, "ip", "203.0.113.0/99").await;
    assert_eq!(
        (bad.problem(422).as_str(), pointers(&bad)),
        ("invalid_fields", these(&["/value"]))
    );
    for number in 0..3 {
        let _blocked = block(&world, "postcode", &format!("AB{number}"))
            .await
            .expect(201);
    }
    let page = world
        .get(&format!("{BLOCKLIST}?kind=postcode&limit=2"))
        .await
        .expect(200)
        .json();
    assert_eq!(page["items"][0]["value"], "ab2", "newest first");
    let next = page["next_cursor"].as_str().unwrap();
    let rest = world
        .get(&format!("{BLOCKLIST}?kind=postcode&cursor={next}"))
        .await
        .expect(200);
    assert_eq!(items(&rest).len(), 1);
    let found = world
        .get(&format!("{BLOCKLIST}?kind=email&value=EVE%40example.com"))
        .await;
    assert_eq!(items(&found.expect(200)).len(), 1);
    let alone = world.get(&format!("{BLOCKLIST}?value=x")).await;
    assert_eq!(alone.problem(400), "invalid_parameters");

    // An entry that has expired blocks nobody, and makes room.
    fraud_rule(&world, "blocked", "refuse", json!({"kind": "blocked"})).await;
    let past = json!({
        "kind": "email", "value": "bob@example.com", "note": "a week off",
        "expires_at": "2020-01-01T00:00:00Z",
    });
    let _blocked = send(world.staff(Method::POST, BLOCKLIST).json(&past))
        .await
        .expect(201);
    assert_eq!(review_of(&world, &by("bob@example.com")).await, "none");
    let again = block(&world, "email", "bob@example.com").await.expect(201);
    assert_eq!(review_of(&world, &by("bob@example.com")).await, "refused");
    assert_eq!(delete(&world, BLOCKLIST, &id_in(&again)).await.status, 204);
    assert_eq!(review_of(&world, &by("bob@example.com")).await, "none");
    assert_eq!(delete(&world, BLOCKLIST, &id_in(&again)).await.problem(404), "not_found");
}
