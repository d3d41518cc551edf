//! Support: tickets of customers and guests, and frequent questions.

use accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;
use tests::looking::in_database;
use tests::people::{asked, ordered, prove, said, signed_in};
use tests::telling::{a_world_with_cups, id_in, items, pointers, these};
use tests::world::{Answer, STAFF, World, send};

const PATH: &str = "/api/v1/tickets";
const FAQ: &str = "/api/v1/faq";

fn a_question(email: Option<&str>) -> Value {
    let mut question = json!({"subject": "A broken cup", "message": "The handle is off.\r\nHelp!"});
    if let Some(email) = email {
        question["name"] = "Ada".into();
        question["email"] = email.into();
    }
    question
}

async fn opened(world: &World, token: Option<&str>, body: Value) -> Value {
    let opened = said(world, token, Method::POST, PATH, body)
        .await
        .expect(201);
    let view = opened.json();
    let place = format!("{PATH}/{}", view["id"].as_str().unwrap());
    assert_eq!(opened.header("location"), Some(place));
    view
}

async fn write(world: &World, token: Option<&str>, ticket: &str, message: &str) -> Answer {
    let path = format!("{PATH}/{ticket}/messages");
    said(world, token, Method::POST, &path, json!({"message": message})).await
}

/// What was mailed to an address: kind and payload.
async fn mail(world: &World, recipient: &str) -> Vec<(String, Value)> {
    sqlx::query_as(
        "select kind, payload from notifications where recipient = $1 and kind = 'ticket_answered'",
    )
    .bind(recipient)
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// As if the process had ended before it kept an answer.
async fn lose_receipts(world: &World) {
    let lose = "alter table receipts disable trigger user; delete from receipts; \
                alter table receipts enable trigger user";
    world.pool.execute(lose).await.unwrap();
}

#[tokio::test]
async fn a_guest_asks_is_answered_by_mail_and_reads_the_ticket_by_its_token() {
    let world = World::new().await;
    let ticket = opened(&world, None, a_question(Some("Ada@Example.org"))).await;
    let (id, token) = (ticket["id"].as_str().unwrap(), ticket["ticket_token"].as_str().unwrap());
    let path = format!("{PATH}/{id}");
    let shown = async || {
        asked(&world, None, &format!("{path}?token={token}"))
            .await
            .expect(200)
    };
    assert_eq!(shown().await.header("cache-control").as_deref(), Some("no-store"));
    let first = shown().await.json();
    assert_eq!((&first["status"], &first["email"]), (&json!("open"), &json!("Ada@Example.org")));
    assert_eq!(first["messages"][0]["body"], "The handle is off.\nHelp!");
    assert_eq!(first["messages"][0]["from"], "customer");

    let answered = write(&world, Some(STAFF), id, "Another one is on its way.")
        .await
        .expect(201);
    assert_eq!(answered.json()["status"], "answered");
    let mails = mail(&world, "Ada@Example.org").await;
    assert_eq!(mails, [("ticket_answered".to_owned(), json!({"ticket_id": id}))]);
    let told = shown().await.json();
    assert_eq!(
        (&told["status"], &told["messages"][1]["from"]),
        (&json!("answered"), &json!("staff"))
    );
    assert_eq!(told["messages"][1]["written_by"], Value::Null, "who of them is for staff");
    let to_staff = world.get(&path).await.expect(200).json();
    assert_eq!(to_staff["messages"][1]["written_by"], "staff");

    let by_header = async |path: &str, body: Value| {
        let request = world
            .guest(Method::POST, path)
            .header("daybook-ticket-token", token);
        send(tests::telling::keyed(request).json(&body)).await
    };
    let close = format!("{path}/close");
    for _ in 0..2 {
        assert_eq!(by_header(&close, json!({})).await.expect(200).json()["status"], "closed");
    }
    let again = by_header(&format!("{path}/messages"), json!({"message": "It broke, too."})).await;
    assert_eq!(again.expect(201).json()["status"], "open");
    assert_eq!(shown().await.json()["messages"].as_array().unwrap().len(), 3);

    for wrong in ["", "x", &token[1..]] {
        let refused = asked(&world, None, &format!("{path}?token={wrong}")).await;
        assert_eq!(refused.problem(404), "not_found");
    }
    // Another ticket's token, and an order's that is made of the same secret.
    let other = opened(&world, None, a_question(Some("eve@example.org"))).await;
    let foreign = [
        other["ticket_token"].as_str().unwrap().to_owned(),
        world.app().accounts.link_token(id.parse().unwrap()),
    ];
    for token in foreign {
        let refused = asked(&world, None, &format!("{path}?token={token}")).await;
        assert_eq!(refused.problem(404), "not_found");
    }
}

#[tokio::test]
async fn a_question_sent_twice_is_one_ticket_and_a_message_sent_twice_is_one() {
    let world = World::new().await;
    let ask = async |key: &str, body: Value| {
        let request = world
            .guest(Method::POST, PATH)
            .header("idempotency-key", key);
        send(request.json(&body)).await
    };
    let question = a_question(Some("ada@example.org"));
    let (one, other) = tokio::join!(ask("k", question.clone()), ask("k", question.clone()));
    let (one, other) = (one.expect(201), other.expect(201));
    assert_eq!(one.text, other.text);
    assert_eq!(one.header("location"), other.header("location"));
    let reused = ask("k", a_question(Some("eve@example.org"))).await;
    assert_eq!(reused.problem(422), "idempotency_key_reused");
    let id = id_in(&one);

    // The ticket was opened, and the answer was lost before it was kept.
    lose_receipts(&world).await;
    let mut world = world;
    world.restart().await;
    let request = world
        .guest(Method::POST, PATH)
        .header("idempotency-key", "k");
    let again = send(request.json(&question)).await.expect(201);
    assert_eq!(again.json(), one.json());
    let path = format!("{PATH}/{id}/messages");
    for _ in 0..2 {
        let body = json!({"message": "Sorry."});
        let _sent = world.post_as("m", &path, body).await.expect(201);
        lose_receipts(&world).await;
        world.restart().await;
    }
    assert_eq!(items(&world.get(PATH).await.expect(200)).len(), 1);
    let ticket = world.get(&format!("{PATH}/{id}")).await.expect(200).json();
    assert_eq!(ticket["messages"].as_array().unwrap().len(), 2);
    assert_eq!(mail(&world, "ada@example.org").await.len(), 1);
    let no_key = send(world.guest(Method::POST, PATH).json(&question)).await;
    assert_eq!(no_key.problem(400), "idempotency_key_missing");
}

#[tokio::test]
async fn whoever_has_signed_in_sees_their_own_tickets_and_staff_all() {
    let world = a_world_with_cups().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let eve = signed_in(&world, "eve@example.org", Role::Customer).await;
    let own = opened(&world, Some(&ada), a_question(None)).await;
    assert_eq!(own["ticket_token"], Value::Null, "who has signed in needs none");
    let as_guest = opened(&world, None, a_question(Some("ADA@example.org"))).await;
    let count = async |token: &str, filter: &str| {
        let path = format!("{PATH}?{filter}");
        items(&asked(&world, Some(token), &path).await.expect(200)).len()
    };
    assert_eq!(
        (count(&ada, "").await, count(&eve, "").await, count(STAFF, "").await),
        (1, 0, 2)
    );
    prove(&world, "ada@example.org").await;
    assert_eq!(count(&ada, "").await, 2, "what she asked as a guest is hers");

    let id = own["id"].as_str().unwrap();
    let path = format!("{PATH}/{id}");
    let _seen = asked(&world, Some(&ada), &path).await.expect(200);
    for token in [None, Some(eve.as_str())] {
        assert_eq!(asked(&world, token, &path).await.problem(404), "not_found");
        assert_eq!(write(&world, token, id, "Mine").await.problem(404), "not_found");
        let close = format!("{path}/close");
        let refused = said(&world, token, Method::POST, &close, json!({})).await;
        assert_eq!(refused.problem(404), "not_found");
    }
    let _answered = write(&world, Some(STAFF), id, "We are looking.")
        .await
        .expect(201);
    assert_eq!(mail(&world, "ada@example.org").await.len(), 1);
    for (filter, found) in [
        ("status=answered", 1),
        ("status=open", 1),
        ("status=closed", 0),
        ("email=ada@EXAMPLE.org", 1),
        ("limit=1", 1),
    ] {
        assert_eq!(count(STAFF, filter).await, found, "{filter}");
    }
    let page = world.get(&format!("{PATH}?limit=1")).await.json();
    assert_eq!(page["items"][0]["id"], as_guest["id"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = items(&world.get(&format!("{PATH}?limit=1&cursor={cursor}")).await);
    assert_eq!((rest.len(), &rest[0]["id"]), (1, &own["id"]));
    for wrong in ["status=lost", "order_id=1", "colour=red"] {
        let refused = world.get(&format!("{PATH}?{wrong}")).await;
        assert_eq!(refused.problem(400), "invalid_parameters", "{wrong}");
    }
}

#[tokio::test]
async fn a_ticket_is_about_an_order_of_whoever_asks() {
    let world = a_world_with_cups().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let eve = signed_in(&world, "eve@example.org", Role::Customer).await;
    let order = ordered(&world, Some(&ada), "ada@example.org", "cup").await;
    let mut about = a_question(None);
    about["order_id"] = order["id"].clone();
    let refused = said(&world, Some(&eve), Method::POST, PATH, about.clone()).await;
    assert_eq!(refused.problem(404), "not_found");
    let _hers = opened(&world, Some(&ada), about).await;

    let order = ordered(&world, None, "bob@example.org", "cup").await;
    let mut about = a_question(Some("bob@example.org"));
    about["order_id"] = order["id"].clone();
    let without = said(&world, None, Method::POST, PATH, about.clone()).await;
    assert_eq!(without.problem(404), "not_found");
    let request = world
        .guest(Method::POST, PATH)
        .header("daybook-order-token", order["order_token"].as_str().unwrap());
    let _his = send(tests::telling::keyed(request).json(&about))
        .await
        .expect(201);
    let path = format!("{PATH}?order_id={}", order["id"].as_str().unwrap());
    assert_eq!(items(&world.get(&path).await).len(), 1);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_and_tickets_are_bounded() {
    let world = World::new().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let flaws = async |token: Option<&str>, body: Value| {
        let refused = said(&world, token, Method::POST, PATH, body).await;
        assert_eq!(refused.problem(422), "invalid_fields");
        pointers(&refused)
    };
    let wrong =
        json!({"subject": "", "message": "a\u{0}b", "order_id": 7, "email": "ada", "to": 1});
    let all = these(&["/subject", "/message", "/order_id", "/email", "/to"]);
    assert_eq!(flaws(None, wrong).await, all);
    assert_eq!(flaws(None, a_question(None)).await, these(&["/email"]));
    let known = flaws(Some(&ada), a_question(Some("eve@example.org"))).await;
    assert_eq!(known, these(&["/name", "/email"]));
    let long = json!({"subject": "s", "message": "x".repeat(4_001), "email": "a@example.org"});
    assert_eq!(flaws(None, long).await, these(&["/message"]));

    let mut last = String::new();
    for _ in 0..20 {
        let ticket = opened(&world, Some(&ada), a_question(None)).await;
        ticket["id"].as_str().unwrap().clone_into(&mut last);
    }
    let ask = async || said(&world, Some(&ada), Method::POST, PATH, a_question(None)).await;
    assert_eq!(ask().await.problem(409), "too_many_tickets");
    let close = format!("{PATH}/{last}/close");
    let _closed = said(&world, Some(&ada), Method::POST, &close, json!({}))
        .await
        .expect(200);
    let _again = ask().await.expect(201);

    sqlx::query(
        "insert into ticket_messages (message_id, ticket_id, from_staff, written_by, body, \
         created_at) select gen_random_uuid(), $1::uuid, false, 'guest', 'again', now() \
         from generate_series(1, 99)",
    )
    .bind(&last)
    .execute(&world.pool)
    .await
    .unwrap();
    assert_eq!(
        write(&world, Some(&ada), &last, "One more")
            .await
            .problem(409),
        "ticket_full"
    );
}

#[tokio::test]
async fn staff_keep_frequent_questions_and_everybody_reads_what_is_public() {
    let world = World::new().await;
    let staff = Some(STAFF);
    let add = async |body: Value| said(&world, staff, Method::POST, FAQ, body).await;
    let entry = |question: &str, place: i32| json!({"topic": "Delivery", "question": question, "answer": "Soon.", "place": place});
    let second = id_in(&add(entry("How long?", 20)).await.expect(201));
    let first = id_in(&add(entry("How much?", 10)).await.expect(201));
    let mut hidden = entry("Why?", 5);
    hidden["published"] = false.into();
    let hidden = id_in(&add(hidden).await.expect(201));
    assert_eq!(add(entry("Why?", 5)).await.problem(409), "question_stands");
    let wrong = json!({"question": "", "place": -1, "topic": 3});
    let flaws = these(&["/question", "/answer", "/place", "/topic"]);
    assert_eq!(pointers(&add(wrong).await), flaws);

    let ids = async |token: Option<&str>, filter: &str| -> Vec<String> {
        let listed = asked(&world, token, &format!("{FAQ}?{filter}"))
            .await
            .expect(200);
        let entries = items(&listed).into_iter();
        entries
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(None, "").await, [first.clone(), second.clone()]);
    assert_eq!(ids(staff, "").await, [hidden.clone(), first.clone(), second.clone()]);
    assert_eq!(ids(None, "search=LONG").await, [second.as_str()]);
    assert!(ids(None, "topic=Payment").await.is_empty());
    let page = asked(&world, None, &format!("{FAQ}?limit=1")).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(ids(None, &format!("limit=1&cursor={cursor}")).await, [second.as_str()]);

    let path = format!("{FAQ}/{first}");
    let moved = said(&world, staff, Method::PUT, &path, entry("How much?", 30)).await;
    assert_eq!(moved.expect(200).json()["place"], 30);
    assert_eq!(ids(None, "").await, [second.clone(), first]);
    let taken = said(&world, staff, Method::PUT, &path, entry("How long?", 30)).await;
    assert_eq!(taken.problem(409), "question_stands");
    for (status, why) in [(204, "deleted"), (404, "gone")] {
        let deleted = said(&world, staff, Method::DELETE, &path, json!({})).await;
        assert_eq!(deleted.status.as_u16(), status, "{why}");
    }
    let gone = said(&world, staff, Method::PUT, &path, entry("How much?", 30)).await;
    assert_eq!(gone.problem(404), "not_found");
}

#[tokio::test]
async fn whoever_is_forgotten_has_said_nothing() {
    let world = a_world_with_cups().await;
    let email = "w.murray@example.org";
    let mina = signed_in(&world, email, Role::Customer).await;
    prove(&world, email).await;
    let order = ordered(&world, Some(&mina), email, "cup").await;
    world
        .order_when(order["id"].as_str().unwrap(), "confirmed")
        .await;
    let review = json!({"author": "Wilhelmina", "rating": 5, "body": "As Hillingham likes it"});
    let path = "/api/v1/profile/reviews/cup";
    let _written = said(&world, Some(&mina), Method::PUT, path, review)
        .await
        .expect(200);
    let address = json!({"label": "Wilhelmina", "line1": "Hillingham", "country": "GB"});
    let path = "/api/v1/profile/addresses";
    let _kept = said(&world, Some(&mina), Method::POST, path, address)
        .await
        .expect(201);
    let list = json!({"name": "For Hillingham"});
    let _made = said(&world, Some(&mina), Method::POST, "/api/v1/wishlists", list)
        .await
        .expect(201);
    let mut question = a_question(None);
    question["message"] = "Hillingham 1, as ever".into();
    let ticket = opened(&world, Some(&mina), question.clone()).await;
    let answer = write(&world, Some(STAFF), ticket["id"].as_str().unwrap(), "To Hillingham").await;
    let _answered = answer.expect(201);
    question["email"] = email.into();
    let _as_guest = opened(&world, None, question).await;
    let others = opened(&world, None, a_question(Some("lucy@example.org"))).await;
    world.settle().await;

    let forget = async |whom: &str| {
        let path = format!("/api/v1/customers/{whom}/personal-data");
        let body = json!({"reason": "asked for it"});
        said(&world, Some(STAFF), Method::DELETE, &path, body).await
    };
    let told = forget(email).await.expect(200).json();

    assert_eq!((&told["orders"], &told["tickets"]), (&json!(1), &json!(2)));
    world.settle().await;
    let traces = ["Wilhelmina", "Hillingham", "murray"];
    assert_eq!(in_database(&world.pool, &traces).await, Vec::<String>::new());
    let left = items(&world.get(PATH).await);
    assert_eq!((left.len(), &left[0]["id"]), (1, &others["id"]));
    // Who has only asked is forgotten as well, and then is nobody.
    assert_eq!(forget("lucy@example.org").await.expect(200).json()["tickets"], 1);
    assert_eq!(forget("lucy@example.org").await.problem(404), "not_found");
    assert!(items(&world.get(PATH).await).is_empty());
}
