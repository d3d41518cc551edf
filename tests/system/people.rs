//! Profiles, and accounts as administrators see them.

use accounts::{Password, Role};
use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{id_in, items, keyed, pointers, these};
use tests::world::{Answer, World, send};
use uuid::Uuid;

const PHRASE: &str = "a phrase of some words";

async fn signed_in(world: &World, email: &str) -> String {
    let password = Password::chosen(PHRASE).unwrap();
    let accounts = &world.app().accounts;
    let registered = accounts
        .register(email, &password, None, Role::Customer)
        .await;
    registered.unwrap().access
}

async fn said(world: &World, method: Method, path: &str, body: Value) -> Answer {
    send(keyed(world.staff(method, path)).json(&body)).await
}

#[tokio::test]
async fn a_profile_is_amended_field_by_field_and_replaced_as_a_whole() {
    let world = World::new().await;
    let ada = signed_in(&world, "ada@example.org").await;
    let profile = async |method: Method, body: Option<Value>| {
        let mut request = world.guest(method, "/api/v1/profile").bearer_auth(&ada);
        if let Some(body) = body {
            request = request.json(&body);
        }
        send(request).await
    };
    let told = profile(Method::GET, None).await.expect(200);
    assert_eq!(told.header("cache-control").as_deref(), Some("no-store"));
    let told = told.json();
    assert_eq!((&told["email"], &told["role"]), (&json!("ada@example.org"), &json!("customer")));
    assert_eq!((&told["email_verified"], &told["name"]), (&json!(false), &Value::Null));

    let (name, phone) = (json!({"name": "Ada Byron"}), json!({"phone": "+44 20 7946 0123"}));
    let _amended = profile(Method::PATCH, Some(name)).await.expect(200);
    let told = profile(Method::PATCH, Some(phone)).await.expect(200).json();
    assert_eq!((&told["name"], &told["phone"]), (&json!("Ada Byron"), &json!("+442079460123")));
    let told = profile(Method::PUT, Some(json!({"name": "A. Lovelace"})))
        .await
        .expect(200)
        .json();
    assert_eq!((&told["name"], &told["phone"]), (&json!("A. Lovelace"), &Value::Null));
    assert_eq!(profile(Method::GET, None).await.json(), told);

    let wrong = json!({"name": " ", "phone": 7, "email": "eve@example.org"});
    let refused = profile(Method::PUT, Some(wrong)).await;
    assert_eq!(refused.problem(422), "invalid_fields");
    assert_eq!(pointers(&refused), these(&["/name", "/phone", "/email"]));
    assert_eq!(
        send(world.staff(Method::GET, "/api/v1/profile"))
            .await
            .problem(403),
        "forbidden"
    );
}

#[tokio::test]
async fn an_administrator_opens_describes_and_closes_accounts() {
    let world = World::new().await;
    let path = "/api/v1/customers";
    let body = json!({"email": "Bob@Example.org", "name": "Bob", "role": "vendor"});
    let opened = said(&world, Method::POST, path, body.clone())
        .await
        .expect(201);
    let id = id_in(&opened);
    let one = format!("{path}/{id}");
    assert_eq!(opened.header("location"), Some(one.clone()));
    assert_eq!(
        (&opened.json()["role"], &opened.json()["name"]),
        (&json!("vendor"), &json!("Bob"))
    );
    let kind: String = sqlx::query_scalar("select kind from notifications where recipient = $1")
        .bind("Bob@Example.org")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(kind, "invitation");

    let bob = signed_in(&world, "eve@example.org").await;
    let eve = items(&world.get(&format!("{path}?search=EVE")).await)[0]["id"].clone();
    let eve = format!("{path}/{}", eve.as_str().unwrap());
    let described = json!({"name": "Eve", "role": "analyst"});
    let told = said(&world, Method::PUT, &eve, described)
        .await
        .expect(200)
        .json();
    assert_eq!((&told["name"], &told["role"]), (&json!("Eve"), &json!("analyst")));
    let asked = world
        .guest(Method::GET, "/api/v1/profile")
        .bearer_auth(&bob);
    assert_eq!(send(asked).await.problem(401), "unauthenticated", "tokens name the role");

    let close = || send(world.staff(Method::DELETE, &one));
    let _closed = close().await.expect(204);
    for answer in [close().await, world.get(&one).await] {
        assert_eq!(answer.problem(404), "not_found");
    }
    let gone = said(&world, Method::PUT, &one, json!({"name": "Bob"})).await;
    assert_eq!(gone.problem(404), "not_found");
    let (email, name): (Option<String>, Option<String>) =
        sqlx::query_as("select email, name from accounts where account_id = $1")
            .bind(id.parse::<Uuid>().unwrap())
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!((email, name), (None, None));
}

#[tokio::test]
async fn accounts_are_listed_newest_first_and_page_by_page() {
    let world = World::new().await;
    for number in 0..5 {
        signed_in(&world, &format!("customer-{number}@example.org")).await;
    }
    let body = json!({"email": "vera@example.org", "name": "Vera", "role": "vendor"});
    let _opened = said(&world, Method::POST, "/api/v1/customers", body)
        .await
        .expect(201);
    let mut emails = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world
            .get(&format!("/api/v1/customers?limit=4{cursor}"))
            .await
            .expect(200);
        emails.extend(
            items(&page)
                .iter()
                .map(|person| person["email"].as_str().unwrap().to_owned()),
        );
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected = [
        "vera",
        "customer-4",
        "customer-3",
        "customer-2",
        "customer-1",
        "customer-0",
    ];
    assert_eq!(emails, expected.map(|name| format!("{name}@example.org")));
    let count = async |filter: &str| {
        items(
            &world
                .get(&format!("/api/v1/customers?{filter}"))
                .await
                .expect(200),
        )
        .len()
    };
    assert_eq!((count("role=vendor").await, count("search=customer-").await), (1, 5));
    assert_eq!((count("search=%25").await, count("search=VERA&role=customer").await), (0, 0));
    for wrong in ["role=king", "limit=0", "cursor=x", "colour=red"] {
        let refused = world.get(&format!("/api/v1/customers?{wrong}")).await;
        assert_eq!(refused.problem(400), "invalid_parameters", "{wrong}");
    }
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused_with_every_flaw() {
    let world = World::new().await;
    let path = "/api/v1/customers";
    let wrong = json!({"email": "nobody", "name": "", "role": "king", "age": 3});
    let refused = said(&world, Method::POST, path, wrong).await;
    assert_eq!(refused.problem(422), "invalid_fields");
    assert_eq!(pointers(&refused), these(&["/email", "/name", "/role", "/age"]));

    let password = Password::chosen(PHRASE).unwrap();
    let accounts = &world.app().accounts;
    let _admin = accounts
        .create_admin("ada@example.org", &password, None)
        .await
        .unwrap();
    let taken = said(&world, Method::POST, path, json!({"email": "ADA@example.org"})).await;
    assert_eq!(taken.problem(409), "email_taken");
}
