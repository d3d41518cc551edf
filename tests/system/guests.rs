//! Customers without an account: who has ordered as a guest, until they are forgotten or have one.

use accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::looking::in_database;
use tests::people::{ordered, prove, said, signed_in};
use tests::telling::{a_world_with_cups, id_in, items};
use tests::world::{World, an_order, send, until};

const PATH: &str = "/api/v1/customers";

async fn list(world: &World, filter: &str) -> Vec<Value> {
    items(&world.get(&format!("{PATH}?{filter}")).await.expect(200))
}

fn emails(customers: &[Value]) -> Vec<&str> {
    customers
        .iter()
        .map(|customer| customer["email"].as_str().unwrap())
        .collect()
}

/// Orders as a guest who says how to be called.
async fn placed_by(world: &World, name: &str, email: &str, phone: Option<&str>) -> String {
    let mut order = an_order(&[("cup", 1)]);
    order["customer"] = json!({"name": name, "email": email, "phone": phone});
    let placed = said(world, None, Method::POST, "/api/v1/orders", order).await;
    id_in(&placed.expect(201))
}

#[tokio::test]
async fn a_guest_has_one_record_per_address_as_the_newest_order_says() {
    let world = a_world_with_cups().await;
    let first = placed_by(&world, "Ada Byron", "Ada@Example.org", None).await;
    let _second = placed_by(&world, "Ada King", "ada@example.org", Some("+44 20 7946 0123")).await;
    let bob = signed_in(&world, "bob@example.org", Role::Customer).await;
    let _his = ordered(&world, Some(&bob), "ada@example.org", "cup").await;
    world.settle().await;

    let ada = json!({
        "id": first, "kind": "guest", "role": null, "email": "ada@example.org",
        "email_verified": false, "name": "Ada King", "phone": "+442079460123",
        "country": "GB", "orders": 2,
    });
    let shown = world.get(&format!("{PATH}/{first}")).await.expect(200);
    let mut shown = shown.json();
    for instant in ["created_at", "updated_at"] {
        assert!(shown.as_object_mut().unwrap().remove(instant).is_some());
    }
    assert_eq!(shown, ada);
    let all = list(&world, "").await;
    assert_eq!(emails(&all), ["bob@example.org", "ada@example.org"]);
    assert_eq!((&all[0]["kind"], &all[0]["orders"]), (&json!("account"), &Value::Null));
    for (filter, found) in [
        ("kind=guest", 1),
        ("kind=account", 1),
        ("role=customer", 1),
        ("role=customer&kind=guest", 0),
        ("search=KING", 1),
        ("search=example", 2),
        ("email=ADA@example.org", 1),
        ("email=example.org", 0),
        ("email_verified=false", 2),
        ("email_verified=true", 0),
        ("created_from=2100-01-01", 0),
        ("created_to=2100-01-01", 2),
    ] {
        assert_eq!(list(&world, filter).await.len(), found, "{filter}");
    }
    for wrong in ["kind=ghost", "email_verified=maybe", "created_from=soon"] {
        let refused = world.get(&format!("{PATH}?{wrong}")).await;
        assert_eq!(refused.problem(400), "invalid_parameters", "{wrong}");
    }
}

#[tokio::test]
async fn customers_are_told_as_of_a_position_that_may_be_waited_for() {
    let world = a_world_with_cups().await;
    let mut order = an_order(&[("cup", 1)]);
    order["customer"] = json!({"name": "Ada Byron", "email": "ada@example.org"});
    let placed = said(&world, None, Method::POST, "/api/v1/orders", order)
        .await
        .expect(201);
    let position = placed.header("daybook-position").unwrap();
    let ada = format!("{PATH}/{}", id_in(&placed));
    let reached = |answer: &tests::Answer| -> i64 {
        answer.header("daybook-position").unwrap().parse().unwrap()
    };
    // Without waiting for anything else.
    for path in [PATH, &ada] {
        let asked = world.staff(Method::GET, path);
        let told = send(asked.header("daybook-min-position", &position))
            .await
            .expect(200);
        assert!(told.text.contains("Ada Byron"), "{}", told.text);
        assert!(position.parse::<i64>().unwrap() <= reached(&told));
        let never = world.staff(Method::GET, path);
        let never = send(never.header("daybook-min-position", "1000000")).await;
        assert_eq!(never.problem(503), "read_model_behind");
    }
    let table = world.staff(Method::GET, PATH).header("accept", "text/csv");
    let table = send(table.header("daybook-min-position", &position))
        .await
        .expect(200);
    assert!(table.text.contains("Ada Byron") && 0 < reached(&table), "{}", table.text);
}

#[tokio::test]
async fn accounts_and_guests_are_one_list_page_by_page() {
    let world = a_world_with_cups().await;
    let mut expected = Vec::new();
    for number in 0..7 {
        let email = format!("customer-{number}@example.org");
        if number % 2 == 0 {
            let _order = ordered(&world, None, &email, "cup").await;
        } else {
            let _token = signed_in(&world, &email, Role::Customer).await;
        }
        expected.insert(0, email);
    }
    world.settle().await;
    let (mut told, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world
            .get(&format!("{PATH}?limit=2{cursor}"))
            .await
            .expect(200);
        let page_of = items(&page);
        assert!(page_of.len() <= 2);
        told.extend(emails(&page_of).into_iter().map(str::to_owned));
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(told, expected);
}

#[tokio::test]
async fn whoever_proves_an_address_takes_the_record_over() {
    let world = a_world_with_cups().await;
    let guest = placed_by(&world, "Ada Byron", "ada@example.org", None).await;
    world.settle().await;
    let _ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    assert_eq!(list(&world, "email=ada@example.org").await.len(), 2, "only claimed");

    prove(&world, "ada@example.org").await;

    let left = list(&world, "email=ada@example.org").await;
    assert_eq!((left.len(), &left[0]["kind"]), (1, &json!("account")));
    let gone = world.get(&format!("{PATH}/{guest}")).await;
    assert_eq!(gone.problem(404), "not_found");
}

#[tokio::test]
async fn a_guest_has_no_account_to_describe_or_close() {
    let world = a_world_with_cups().await;
    let guest = placed_by(&world, "Ada Byron", "ada@example.org", None).await;
    world.settle().await;
    let path = format!("{PATH}/{guest}");
    for method in [Method::PUT, Method::DELETE] {
        let staff = Some(tests::world::STAFF);
        let refused = said(&world, staff, method, &path, json!({"name": "Eve"})).await;
        assert_eq!(refused.problem(409), "customer_is_a_guest");
    }
    let nobody = format!("{PATH}/{}", uuid::Uuid::now_v7());
    assert_eq!(world.get(&nobody).await.problem(404), "not_found");
}

#[tokio::test]
async fn a_forgotten_guest_has_no_record_and_none_after_a_rebuild() {
    let mut world = a_world_with_cups().await;
    let mina = placed_by(&world, "Wilhelmina Murray", "w.murray@example.org", None).await;
    let _again = placed_by(&world, "Wilhelmina Murray", "w.murray@example.org", None).await;
    let lucy = placed_by(&world, "Lucy Westenra", "lucy@example.org", None).await;
    world.settle().await;
    assert!(!in_database(&world.pool, &["Wilhelmina"]).await.is_empty());

    let path = format!("{PATH}/{mina}/personal-data");
    let forget = async |world: &World| {
        let request = world.staff(Method::DELETE, &path);
        let body = json!({"reason": "asked for it"});
        send(request.header("idempotency-key", "k").json(&body)).await
    };
    let forgotten = forget(&world).await;

    let told = forgotten.expect(200).text;
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["orders"], 2);
    world.settle().await;
    assert_eq!(in_database(&world.pool, &["Wilhelmina", "murray"]).await, Vec::<String>::new());
    assert_eq!(world.get(&format!("{PATH}/{mina}")).await.problem(404), "not_found");
    assert_eq!(emails(&list(&world, "").await), ["lucy@example.org"]);
    assert_eq!(forget(&world).await.expect(200).text, told, "a repetition is told the same");

    // She comes back, and is somebody new.
    let back = placed_by(&world, "Wilhelmina Murray", "w.murray@example.org", None).await;
    world.settle().await;
    let live = list(&world, "").await;
    let started = world
        .post("/api/v1/projections/guests/rebuild", json!({}))
        .await;
    assert!(started.status.is_success(), "{}", started.text);
    until("guests are rebuilt", async || {
        let projections = items(&world.get("/api/v1/projections").await);
        let guests = projections.iter().find(|it| it["name"] == "guests")?;
        (guests["rebuild"]["state"] == "done").then_some(())
    })
    .await;
    assert_eq!(list(&world, "").await, live);
    assert_eq!((&live[0]["id"], &live[0]["orders"]), (&json!(back), &json!(1)));
    assert_eq!(live[1]["id"], json!(lucy));
    world.restart().await;
    assert_eq!(list(&world, "").await, live);
}
