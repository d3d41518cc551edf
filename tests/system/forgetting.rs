//! Somebody is forgotten: nothing of them is left anywhere, and history, totals and proofs stay.

mod kept;

use std::sync::Arc;

use accounts::{Password, Role};
use api::node::{Node, NodeSettings};
use reqwest::Method;
use sealing::keys::SealKey;
use sealing::online;
use serde_json::{Value, json};
use sqlx::Executor as _;
use tests::World;
use tests::log::{lines, seal_all, sealing_with};
use tests::looking::{in_database, on_stream};
use tests::people::prove;
use tests::simulators::Simulator;
use tests::simulators::mtn_momo::MtnMomo;
use tests::telling::{id_in, keyed};
use tests::world::{Answer, an_order, send, until};
use uuid::Uuid;

use self::kept::{BLOCKED, providers_said, staff_keep_her_in_mind};

/// What tells who somebody is. Each is found nowhere else.
const TRACES: [&str; 6] = [
    "Wilhelmina",
    "w.murray@example.org",
    "79460018",
    "Hillingham",
    "YO21 4EZ",
    "46733123450",
];
const EMAIL: &str = "W.Murray@example.org";

/// An order by her, for these articles.
fn her_order(quantity: u32) -> Value {
    let mut order = an_order(&[("cup", quantity)]);
    order["customer"] = json!({
        "name": "Wilhelmina Murray", "email": EMAIL, "phone": "+44 20 7946 0018",
    });
    order["shipping_address"] = json!({
        "line1": "Hillingham 1", "line2": "care of Westenra", "city": "Whitby",
        "postcode": "YO21 4EZ", "country": "GB",
    });
    order
}

/// The same, paid with a token of the sandbox.
fn her_order_paid_with(token: &str) -> Value {
    let mut order = her_order(1);
    order["payment_token"] = token.into();
    order
}

/// An order by her for a pot, where what pays is a telephone number.
fn her_order_by_phone() -> Value {
    let mut order = her_order(1);
    order["items"][0]["sku"] = "pot".into();
    order["currency"] = "EUR".into();
    order["gateway"] = "mtn-momo".into();
    order["payment_method"] = "mobile_money".into();
    order["payment_token"] = "46733123450".into();
    order
}

async fn forget(world: &World, key: &str, whom: &str) -> Answer {
    let request = world.staff(Method::DELETE, &format!("/api/v1/customers/{whom}/personal-data"));
    let body = json!({"reason": "asked for it, letter 17"});
    send(request.header("idempotency-key", key).json(&body)).await
}

async fn place(world: &World, order: Value) -> String {
    id_in(&world.post("/api/v1/orders", order).await.expect(201))
}

async fn order(world: &World, id: &str) -> Value {
    world
        .get(&format!("/api/v1/orders/{id}"))
        .await
        .expect(200)
        .json()
}

#[track_caller]
fn is_forgotten(order: &Value) {
    assert_eq!(order["customer"], json!({"name": "[forgotten]", "email": "forgotten@invalid"}));
    assert_eq!(order["shipping_address"], json!({"line1": "[forgotten]", "country": "GB"}));
}

/// A shop that sells cups for pounds, and pots for euros to whoever pays by telephone.
struct Shop {
    world: World,
    momo: Arc<dyn Simulator>,
}

impl Shop {
    async fn new() -> Self {
        let momo: Arc<dyn Simulator> = MtnMomo::start().await;
        let environment = momo.environment();
        let world = World::with(|settings| settings.environment = environment).await;
        world.article("cup", "4.50", 1_000).await;
        world.article("pot", "9.00", 1_000).await;
        let price = json!({"amount": "9.00", "currency": "EUR"});
        let body = json!({"name": "The pot", "price": price, "active": true});
        let put = keyed(world.staff(Method::PUT, "/api/v1/products/pot"));
        let _described = send(put.json(&body)).await.expect(200);
        Self { world, momo }
    }

    /// Waits until she is asked on her telephone; the attempt's reference.
    async fn asked_on_the_phone(&self, id: &str) -> String {
        let path = format!("/api/v1/orders/{id}/payment");
        until("she is asked on her telephone", async || {
            let answer = self.world.get(&path).await;
            let to_pay = answer.status.is_success().then(|| answer.json())?;
            let reference = to_pay["reference"].as_str()?.to_owned();
            (to_pay["next_step"].is_object() && self.momo.asked_for(&reference) == 1)
                .then_some(reference)
        })
        .await
    }

    /// An order that she has paid for by telephone.
    async fn paid_by_phone(&self) -> String {
        let id = place(&self.world, her_order_by_phone()).await;
        self.momo.customer_pays(&self.asked_on_the_phone(&id).await);
        self.world.order_when(&id, "confirmed").await;
        id
    }
}

async fn a_shop() -> World {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    world
}

/// What the shop has earned, and where from.
async fn books(world: &World) -> Vec<String> {
    let mut books = Vec::new();
    for group in ["sku", "country", "currency"] {
        let path = format!("/api/v1/reports/sales?group_by={group}");
        books.push(world.get(&path).await.expect(200).text);
    }
    books.push(world.get("/api/v1/inventory").await.expect(200).text);
    books
}

#[tokio::test]
async fn nothing_of_a_forgotten_person_is_left_anywhere_and_the_books_stay_as_they_were() {
    let shop = Shop::new().await;
    let world = &shop.world;
    let paid = shop.paid_by_phone().await;
    let plain = place(world, her_order(1)).await;
    let others = place(world, an_order(&[("cup", 3)])).await;
    world.order_when(&plain, "confirmed").await;
    let refund = json!({"amount": {"amount": "1.00", "currency": "EUR"}, "reason": "chipped"});
    let path = format!("/api/v1/orders/{paid}/refunds");
    let _refunded = world.post(&path, refund).await.expect(201);
    let password = Password::chosen("a phrase of some words").unwrap();
    let accounts = &world.app().accounts;
    let registered = accounts.register(EMAIL, &password, Some("Wilhelmina"), Role::Customer);
    let _tokens = registered.await.unwrap();
    world.settle().await;
    let payment = order(world, &paid).await["payment_id"]
        .as_str()
        .unwrap()
        .to_owned();
    providers_said(&world.pool, &payment).await;
    staff_keep_her_in_mind(world).await;
    // Before: where she is read from, and nowhere else. The log and the stream hold her sealed.
    let places = in_database(&world.pool, &TRACES).await;
    for place in [
        "read.orders.placed",
        "public.webhooks.body",
        "public.accounts.email",
        "replay_orders.orders.placed",
        "replay_guests.guests.email",
    ]
    .into_iter()
    .chain(BLOCKED)
    {
        assert!(places.contains(&place.to_owned()), "{place} in {places:?}");
    }
    let disposable = |place: &&String| {
        [
            "read.",
            "public.webhooks.",
            "public.accounts.",
            "public.notifications.",
            "public.blocklist.",
            "public.fraud_rules.",
            "replay_",
        ]
        .iter()
        .any(|holder| place.starts_with(holder))
    };
    let elsewhere: Vec<&String> = places.iter().filter(|place| !disposable(place)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    let events = world
        .get(&format!("/api/v1/events?order_id={paid}&limit=100"))
        .await;
    assert!(
        TRACES
            .iter()
            .all(|trace| events.text.contains(trace) || *trace == TRACES[1])
    );
    let (before, log) = (books(world).await, lines(&world.pool).await);

    let forgotten = forget(world, "k", "w.murray@EXAMPLE.org").await.expect(200);

    let told = forgotten.json();
    assert_eq!(
        (&told["orders"], &told["in_clear"], &told["accounts"]),
        (&2.into(), &0.into(), &1.into())
    );
    world.settle().await;
    assert_eq!(in_database(&world.pool, &TRACES).await, BLOCKED, "and no replay");
    let stream = on_stream(world).await;
    assert_eq!(
        stream.len(),
        usize::try_from(store::log::head(&world.pool).await.unwrap()).unwrap()
    );
    let export = world
        .staff(Method::GET, "/api/v1/events")
        .header("accept", "application/x-ndjson");
    let export = send(export).await.expect(200).text;
    let timeline = world
        .get(&format!("/api/v1/orders/{paid}/timeline"))
        .await
        .text;
    for text in stream.iter().chain([&export, &timeline]) {
        for trace in TRACES {
            assert!(!text.to_lowercase().contains(&trace.to_lowercase()), "{trace} in {text}");
        }
    }
    assert!(timeline.contains("personal data of the customer forgotten: asked for it, letter 17"));
    assert!(!timeline.contains(&plain), "which other orders are hers is nobody's business");
    for id in [&paid, &plain] {
        is_forgotten(&order(world, id).await);
    }
    assert_eq!(order(world, &others).await["customer"]["name"], "Ada Byron");
    let kept: i64 = sqlx::query_scalar("select count(*) from webhooks where body <> ''")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(kept, 1, "somebody else's stays");
    assert_eq!(books(world).await, before);
    assert_eq!(lines(&world.pool).await[..log.len()], log, "stored bytes never change");
    world.verify().await;
}

#[tokio::test]
async fn every_proof_of_a_forgotten_persons_events_stays_valid() {
    let world = a_shop().await;
    let placed = world
        .post("/api/v1/orders", her_order_paid_with("ok"))
        .await
        .expect(201);
    let (id, position) = (id_in(&placed), placed.position());
    world.order_when(&id, "confirmed").await;
    world.settle().await;
    let key = SealKey::random("daybook").unwrap();
    let sealing = sealing_with(&[&key]);
    let kept = seal_all(&world.pool, &sealing).await;
    let path = format!("/api/v1/log/proof/{position}?size={}", kept.head.size);
    let before = world.get(&path).await.expect(200).json();

    let _forgotten = forget(&world, "k", EMAIL).await.expect(200);
    world.settle().await;

    assert_eq!(world.get(&path).await.expect(200).json(), before);
    let line = before["line"].as_str().unwrap();
    assert!(TRACES.iter().all(|trace| !line.contains(trace)), "{line}");
    seal_all(&world.pool, &sealing).await;
    let proved = online::check(&world.pool, vec![key.public().clone()], &[kept], |_| ()).await;
    let proved = proved.unwrap();
    assert_eq!(proved.sealed, proved.events);
    assert!(2 <= proved.heads, "the kept one and another: {}", proved.heads);
}

#[tokio::test]
async fn a_rebuild_after_forgetting_comes_to_what_the_live_rows_are() {
    let mut world = a_shop().await;
    let forgotten = place(&world, her_order_paid_with("ok")).await;
    world.settle().await;
    let _forgotten = forget(&world, "k", EMAIL).await.expect(200);
    // She comes back: that is another matter.
    let again = place(&world, her_order(1)).await;
    world.settle().await;
    let rows = async |world: &World| -> Vec<String> {
        let sql = "select to_jsonb(o)::text from read.orders o \
                   union all select to_jsonb(t)::text from read.timeline t order by 1";
        sqlx::query_scalar(sql)
            .fetch_all(&world.pool)
            .await
            .unwrap()
    };
    let live = rows(&world).await;

    for name in ["orders", "timeline"] {
        let path = format!("/api/v1/projections/{name}/rebuild");
        let started = world.post(&path, json!({})).await;
        assert!(started.status.is_success(), "{}", started.text);
        until(&format!("{name} is rebuilt"), async || {
            let projections = world.get("/api/v1/projections").await.json();
            let items = projections["items"].as_array()?.clone();
            let status = items.iter().find(|item| item["name"] == name)?.clone();
            (status["rebuild"]["state"] == "done").then_some(())
        })
        .await;
    }
    assert_eq!(rows(&world).await, live);
    world.restart().await;
    is_forgotten(&order(&world, &forgotten).await);
    let back = order(&world, &again).await;
    assert_eq!(back["customer"]["name"], "Wilhelmina Murray");
    let hers = world
        .get(&format!("/api/v1/orders?customer_email={EMAIL}"))
        .await
        .json();
    assert_eq!(hers["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_is_forgotten_twice_is_told_the_same_and_then_is_nobody() {
    let world = a_shop().await;
    let _id = place(&world, her_order(1)).await;
    let first = forget(&world, "k", EMAIL).await.expect(200);
    let again = forget(&world, "k", EMAIL).await.expect(200);
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    world.settle().await;
    let other = forget(&world, "another", EMAIL).await;
    assert_eq!(other.problem(404), "not_found");
    assert!(!other.text.to_lowercase().contains("murray"), "{}", other.text);
    for nobody in ["nobody@example.org", "x", &Uuid::now_v7().to_string()] {
        assert_eq!(forget(&world, nobody, nobody).await.problem(404), "not_found");
    }
}

#[tokio::test]
async fn a_reason_that_names_the_person_is_refused() {
    let world = a_shop().await;
    let _id = place(&world, her_order(1)).await;
    let path = format!("/api/v1/customers/{EMAIL}/personal-data");
    for body in [json!({"reason": format!("{EMAIL} wrote to us")}), json!({})] {
        let refused = send(keyed(world.staff(Method::DELETE, &path)).json(&body)).await;
        assert_eq!(refused.problem(422), "invalid_fields");
    }
}

#[tokio::test]
async fn customers_forget_themselves_and_nobody_else() {
    let world = a_shop().await;
    let password = Password::chosen("a phrase of some words").unwrap();
    let accounts = &world.app().accounts;
    let mina = accounts
        .register(EMAIL, &password, None, Role::Customer)
        .await
        .unwrap();
    let ask = async |token: &str, whom: &str| {
        let path = format!("/api/v1/customers/{whom}/personal-data");
        let request = keyed(world.guest(Method::DELETE, &path)).bearer_auth(token);
        send(request.json(&json!({"reason": "asked for it"}))).await
    };
    let me = accounts.identify(&mina.access).unwrap();
    let accounts::Identity::Account { account_id, .. } = me else {
        panic!("she has signed in")
    };
    let as_guest = place(&world, her_order(1)).await;
    let order_as_her = keyed(world.guest(Method::POST, "/api/v1/orders"));
    let mut elsewhere = her_order(1);
    elsewhere["customer"]["email"] = "school@example.org".into();
    let signed_in = send(order_as_her.bearer_auth(&mina.access).json(&elsewhere)).await;
    let signed_in = id_in(&signed_in.expect(201));
    let for_her = async |token: &str| {
        let order = keyed(world.guest(Method::POST, "/api/v1/orders"));
        id_in(
            &send(order.bearer_auth(token).json(&her_order(1)))
                .await
                .expect(201),
        )
    };
    let analyst = accounts
        .register("a@example.org", &password, None, Role::Analyst)
        .await
        .unwrap();
    assert_eq!(ask(&analyst.access, EMAIL).await.problem(403), "forbidden");
    let stranger = accounts
        .register("b@example.org", &password, None, Role::Customer)
        .await
        .unwrap();
    let a_present = for_her(&stranger.access).await;
    world.settle().await;
    let own_id = account_id.to_string();
    for whom in [EMAIL, &own_id] {
        assert_eq!(ask(&stranger.access, whom).await.problem(404), "not_found");
    }
    assert_eq!(ask(&mina.access, EMAIL).await.problem(404), "not_found", "only claimed");
    // The address is proved: what a guest ordered under it is hers as well.
    prove(&world, EMAIL).await;

    let told = ask(&mina.access, EMAIL).await.expect(200).json();

    assert_eq!((&told["orders"], &told["accounts"]), (&2.into(), &1.into()));
    world.settle().await;
    is_forgotten(&order(&world, &as_guest).await);
    is_forgotten(&order(&world, &signed_in).await);
    assert_eq!(ask(&mina.access, EMAIL).await.problem(401), "unauthenticated");
    let present = order(&world, &a_present).await;
    assert_eq!(present["customer"]["email"], EMAIL, "what somebody else has ordered for her");
    let told = forget(&world, "staff", EMAIL).await.expect(200).json();
    assert_eq!((&told["orders"], &told["accounts"]), (&1.into(), &0.into()));
    world.settle().await;
    assert_eq!(in_database(&world.pool, &TRACES).await, Vec::<String>::new());
}

#[tokio::test]
async fn orders_placed_meanwhile_are_under_a_live_key_or_forgotten_and_never_between() {
    let world = a_shop().await;
    for round in 0..4 {
        let _first = place(&world, her_order_paid_with("ok")).await;
        let placing = (0..20).map(|n| {
            let order = if n % 2 == 0 {
                her_order(1)
            } else {
                her_order_paid_with("ok")
            };
            world.post("/api/v1/orders", order)
        });
        let forgetting = async {
            forget(&world, &format!("k{round}"), EMAIL)
                .await
                .expect(200)
        };
        let (placed, _forgotten) = tokio::join!(futures::future::join_all(placing), forgetting);
        world.settle().await;
        for placed in placed {
            let id = id_in(&placed.expect(201));
            let shown = order(&world, &id).await;
            let (live, destroyed): (i64, i64) = sqlx::query_as(
                "select count(wrapped), count(destroyed_at) from personal_keys where order_id = $1",
            )
            .bind(id.parse::<Uuid>().unwrap())
            .fetch_one(&world.pool)
            .await
            .unwrap();
            if shown["customer"]["email"] == EMAIL {
                assert_eq!(destroyed, 0, "{shown}");
            } else {
                is_forgotten(&shown);
                assert_eq!(live, 0, "{shown}");
            }
            assert!(0 < live + destroyed);
        }
    }
    let last = forget(&world, "last", EMAIL).await;
    assert!([200, 404].contains(&last.status.as_u16()), "{}", last.text);
    world.settle().await;
    assert_eq!(in_database(&world.pool, &TRACES).await, Vec::<String>::new());
    world.verify().await;
}

#[tokio::test]
async fn what_is_given_for_a_forgotten_order_is_not_kept() {
    let shop = Shop::new().await;
    let world = &shop.world;
    let id = place(world, her_order_by_phone()).await;
    shop.momo
        .customer_cannot_pay(&shop.asked_on_the_phone(&id).await);
    until("she is declined", async || {
        let order = world.get(&format!("/api/v1/orders/{id}")).await;
        (order.json()["payment_status"] == "declined").then_some(())
    })
    .await;
    world.settle().await;
    let _forgotten = forget(world, "k", EMAIL).await.expect(200);

    let attempt = json!({
        "payment_method": "mobile_money", "gateway": "mtn-momo", "payment_token": "46733123450",
    });
    let started = world
        .post(&format!("/api/v1/orders/{id}/payments"), attempt)
        .await;
    assert!(started.status.is_success(), "{}", started.text);

    // The provider was told, and the order is paid.
    shop.momo.customer_pays(&shop.asked_on_the_phone(&id).await);
    world.order_when(&id, "confirmed").await;
    world.settle().await;
    assert_eq!(in_database(&world.pool, &TRACES).await, Vec::<String>::new());
    let live: i64 = sqlx::query_scalar("select count(wrapped) from personal_keys")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(live, 0);
}

#[tokio::test]
async fn keys_are_destroyed_with_the_fact_or_not_at_all_and_the_request_can_be_repeated() {
    let world = a_shop().await;
    let id = place(&world, her_order(1)).await;
    world.settle().await;
    let head = store::log::head(&world.pool).await.unwrap();
    world
        .pool
        .execute(
            "create function crash() returns trigger language plpgsql as \
             $$ begin raise exception 'the disk is full' using errcode = '53100'; end $$; \
             create trigger crash before update on personal_keys execute function crash()",
        )
        .await
        .unwrap();
    let broken = forget(&world, "k", EMAIL).await;
    assert_eq!(broken.status.as_u16(), 503, "{}", broken.text);
    assert_eq!(store::log::head(&world.pool).await.unwrap(), head, "nothing was said");
    assert_eq!(order(&world, &id).await["customer"]["email"], EMAIL);

    world
        .pool
        .execute("drop trigger crash on personal_keys")
        .await
        .unwrap();
    let told = forget(&world, "k", EMAIL).await.expect(200).json();

    assert_eq!(told["orders"], 1);
    world.settle().await;
    is_forgotten(&order(&world, &id).await);
}

#[tokio::test]
async fn a_process_that_reads_the_stream_opens_what_is_sealed_there_until_it_is_forgotten() {
    use api::node::Role;
    let world =
        World::with(|settings| settings.roles = vec![Role::Api, Role::Relay, Role::Worker]).await;
    let settings = NodeSettings { roles: vec![Role::Projector], ..world.settings.clone() };
    let projector = Node::start(&settings, world.app().metrics.clone())
        .await
        .unwrap();
    world.article("cup", "4.50", 1_000).await;
    let id = place(&world, her_order_paid_with("ok")).await;
    world.order_when(&id, "confirmed").await;
    assert_eq!(order(&world, &id).await["customer"]["phone"], "+442079460018");

    let _forgotten = forget(&world, "k", EMAIL).await.expect(200);
    world.settle().await;

    is_forgotten(&order(&world, &id).await);
    let stream = on_stream(&world).await.join("\n");
    assert!(TRACES.iter().all(|trace| !stream.contains(trace)));
    projector.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_filled_up_again_holds_nothing_of_anybody() {
    let world = a_shop().await;
    let id = place(&world, her_order_paid_with("ok")).await;
    world.order_when(&id, "confirmed").await;
    let _forgotten = forget(&world, "k", EMAIL).await.expect(200);
    world.settle().await;
    let client = store::stream::connect(tests::servers::nats_url())
        .await
        .unwrap();
    let jetstream = async_nats::jetstream::new(client);
    jetstream
        .delete_stream(&world.settings.stream)
        .await
        .unwrap();

    let stream = until("the stream is filled up", async || {
        let messages = on_stream(&world).await;
        let head = store::log::head(&world.pool).await.ok()?;
        (messages.len() == usize::try_from(head).ok()?).then_some(messages)
    })
    .await;
    for trace in TRACES {
        assert!(!stream.iter().any(|message| message.contains(trace)), "{trace}");
    }
}
