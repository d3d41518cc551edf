//! What a provider lists, held against the log: what is found, what is repaired, what is left.

use std::path::Path;
use std::sync::Arc;

use chrono::{Days, Utc};
use client::{Connection, Error, reconcile};
use domain::money::Money;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::simulators::mtn_momo::MtnMomo;
use tests::simulators::paystack::Paystack;
use tests::simulators::sslcommerz::SslCommerz;
use tests::simulators::stripe::Stripe;
use tests::simulators::{Fault, Simulator};
use tests::world::{STAFF, send, until};

use crate::gateways::{delivered, pay, place, webhooks, worked_off, world};

/// An order whose attempt the provider has taken on; its id, its payment's, its reference. Nobody
/// looks at what there is to pay, because that would make us ask the provider.
async fn begun(world: &World, simulator: &Arc<dyn Simulator>) -> (String, String, String) {
    let (order_id, payment_id) = place(world, simulator).await;
    let path = format!("/api/v1/payments/{payment_id}");
    let reference = until("the provider has taken it on", async || {
        let answer = world.get(&path).await;
        let payment = answer.status.is_success().then(|| answer.json())?;
        let attempt = &payment["attempts"][0];
        let is_accepted = attempt["status"] == "accepted";
        is_accepted.then(|| attempt["reference"].as_str().unwrap().to_owned())
    })
    .await;
    (order_id, payment_id, reference)
}

/// The same, paid for, and heard of by webhook.
async fn paid(world: &World, simulator: &Arc<dyn Simulator>) -> (String, String, String) {
    let (order_id, payment_id, reference) = begun(world, simulator).await;
    pay(world, simulator, &order_id, &reference).await;
    (order_id, payment_id, reference)
}

/// Yesterday to tomorrow, so that no test minds midnight.
fn days() -> (String, String) {
    let today = Utc::now().date_naive();
    let (from, to) = (today - Days::new(1), today + Days::new(1));
    (from.to_string(), to.to_string())
}

/// What an answer came to.
struct Told {
    differences: Vec<Value>,
    last: Value,
}

async fn told(world: &World, gateway: &str, repair: bool, statement: Option<String>) -> Told {
    let (from, to) = days();
    let path =
        format!("/api/v1/reconciliations?gateway={gateway}&from={from}&to={to}&repair={repair}");
    let mut request = world.staff(Method::POST, &path);
    if let Some(statement) = statement {
        request = request.header("content-type", "text/csv").body(statement);
    }
    let answer = send(request).await.expect(200);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/x-ndjson"));
    let lines = answer.text.lines();
    let mut lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = lines.pop().unwrap();
    let differences = lines
        .into_iter()
        .filter(|line| line["line"] == "difference");
    let differences = differences.collect();
    Told { differences, last }
}

impl Told {
    /// What there is to say of each difference.
    fn in_words(&self) -> Vec<(&str, &str, &str)> {
        fn text<'v>(line: &'v Value, name: &str) -> &'v str {
            line[name].as_str().unwrap()
        }
        let words = |line| (text(line, "kind"), text(line, "what"), text(line, "outcome"));
        self.differences.iter().map(words).collect()
    }

    #[track_caller]
    fn agrees(&self) {
        assert_eq!(self.differences, Vec::<Value>::new());
        assert_eq!((&self.last["line"], &self.last["left"]), (&"done".into(), &0.into()));
    }
}

async fn a_webhook_that_never_arrived_is_found_and_repaired(simulator: Arc<dyn Simulator>) {
    let (world, name) = (world(&simulator).await, simulator.name());
    simulator.pages_of(1);
    let price = simulator.price();
    paid(&world, &simulator).await;
    let (order_id, payment_id, reference) = begun(&world, &simulator).await;
    simulator.customer_pays(&reference);

    let report = told(&world, name, false, None).await;
    assert_eq!(report.in_words(), [("missing_in_log", "payment", "reported")]);
    let difference = &report.differences[0];
    assert_eq!(difference["reference"], reference);
    assert_eq!(difference["payment_id"], payment_id);
    assert_eq!(report.last["left"], 1);
    world.order_when(&order_id, "processing").await;

    let repair = told(&world, name, true, None).await;
    assert_eq!(repair.in_words(), [("missing_in_log", "payment", "repaired")]);
    assert_eq!((&repair.last["left"], &repair.last["line"]), (&0.into(), &"done".into()));
    world.order_when(&order_id, "confirmed").await;
    told(&world, name, true, None).await.agrees();

    // A refund that was paid out, and nobody said so.
    let part = Money { minor: price.minor / 3, ..price };
    let amount = json!({"amount": part.decimal(), "currency": price.currency.code()});
    let path = format!("/api/v1/orders/{order_id}/refunds");
    let asked = json!({"amount": amount, "reason": "a chip"});
    let refund = world.post(&path, asked).await.expect(201).json();
    let refund_id = refund["refund_id"].as_str().unwrap().to_owned();
    until("the provider has taken the refund on", async || {
        let payment = world
            .get(&format!("/api/v1/payments/{payment_id}"))
            .await
            .json();
        let is_taken_on = simulator.refunds_called(&refund_id) == 1;
        (is_taken_on && payment["refunds"][0]["status"] == "pending").then_some(())
    })
    .await;
    told(&world, name, false, None).await.agrees();
    simulator.works_off_refunds();
    let repair = told(&world, name, true, None).await;
    assert_eq!(repair.in_words(), [("missing_in_log", "refund", "repaired")]);
    world.settle().await;
    let payment = world
        .get(&format!("/api/v1/payments/{payment_id}"))
        .await
        .json();
    assert_eq!(payment["refunded"], amount);
    told(&world, name, true, None).await.agrees();
    world.verify().await;
}

async fn money_of_nobody_is_reported_and_parked_once(simulator: Arc<dyn Simulator>) {
    let (world, name) = (world(&simulator).await, simulator.name());
    let elsewhere = crate::gateways::world(&simulator).await;
    let (_, _, reference) = begun(&elsewhere, &simulator).await;
    told(&world, name, false, None).await.agrees();
    simulator.customer_pays(&reference);

    let report = told(&world, name, false, None).await;
    assert_eq!(report.in_words(), [("unknown_money", "payment", "reported")]);
    assert_eq!(report.differences[0]["reference"], reference);
    assert_eq!(webhooks(&world, "parked").await.len(), 0, "nobody asked for a repair");

    let repair = told(&world, name, true, None).await;
    assert_eq!(repair.in_words(), [("unknown_money", "payment", "parked")]);
    assert_eq!(repair.last["left"], 0);
    let parked = webhooks(&world, "parked").await;
    assert_eq!(parked.len(), 1);
    let (reason, body) = (parked[0]["reason"].as_str().unwrap(), parked[0]["body"].as_str());
    assert!(reason.contains("succeeded"), "{reason}");
    assert!(body.unwrap().contains(&reference), "{body:?}");

    told(&world, name, true, None).await.agrees();
    assert_eq!(webhooks(&world, "parked").await.len(), 1);
    told(&elsewhere, name, true, None).await;
    assert_eq!(webhooks(&elsewhere, "parked").await.len(), 0, "there it is known");

    let path = format!("/api/v1/webhooks/{}/refund", parked[0]["id"].as_str().unwrap());
    let asked = world
        .post(&path, json!({"reason": "nobody's"}))
        .await
        .expect(202)
        .json();
    assert_eq!(asked["amount"]["amount"], simulator.price().decimal().as_str());
    // What became of it is heard later, as with a refund of what a webhook told: see `unmatched`.
    let refund_id = asked["refund_id"].as_str().unwrap();
    until("the provider has taken the refund on", async || {
        (simulator.refunds_called(refund_id) == 1).then_some(())
    })
    .await;
}

/// What a webhook has parked is with staff already.
async fn money_that_a_webhook_has_parked_is_not_parked_again(simulator: Arc<dyn Simulator>) {
    let (world, name) = (world(&simulator).await, simulator.name());
    let elsewhere = crate::gateways::world(&simulator).await;
    let (_, _, reference) = begun(&elsewhere, &simulator).await;
    simulator.customer_pays(&reference);
    let webhook = simulator.webhook(&reference);
    let _stored = delivered(&world, name, &webhook).await.expect(200);
    worked_off(&world).await;
    assert_eq!(webhooks(&world, "parked").await.len(), 1);

    told(&world, name, true, None).await.agrees();
    assert_eq!(webhooks(&world, "parked").await.len(), 1);
}

async fn another_amount_is_reported_and_goes_the_way_of_a_webhook(simulator: Arc<dyn Simulator>) {
    let (world, name) = (world(&simulator).await, simulator.name());
    let price = simulator.price();
    let (order_id, _, reference) = begun(&world, &simulator).await;
    let less = Money { minor: price.minor - 1, ..price };
    simulator.customer_pays_instead(&reference, less);

    let report = told(&world, name, false, None).await;
    assert_eq!(report.in_words(), [("amount_differs", "payment", "reported")]);
    let (there, here) = (&report.differences[0]["there"], &report.differences[0]["here"]);
    assert_ne!(there, here);

    let repair = told(&world, name, true, None).await;
    assert_eq!(repair.in_words(), [("amount_differs", "payment", "repaired")]);
    let order = world.order_when(&order_id, "failed").await;
    assert!(order.to_string().contains("payment_mismatched"), "{order}");
    world.settle().await;
    told(&world, name, true, None).await.agrees();
    world.verify().await;
}

async fn money_that_the_provider_does_not_know_is_left_for_a_person(simulator: Arc<dyn Simulator>) {
    let (world, name) = (world(&simulator).await, simulator.name());
    let (_, _, reference) = paid(&world, &simulator).await;
    told(&world, name, false, None).await.agrees();
    simulator.forgets(&reference);

    for (repair, outcome) in [(false, "reported"), (true, "left")] {
        let told = told(&world, name, repair, None).await;
        let [(kind, what, fate)] = told.in_words()[..] else {
            panic!("{:?}", told.differences)
        };
        assert!(["missing_at_provider", "state_differs"].contains(&kind), "{kind}");
        if kind == "state_differs" && repair {
            assert_eq!((what, fate), ("payment", "parked"));
            break;
        }
        assert_eq!((what, fate), ("payment", outcome));
        assert_eq!(told.last["left"], 1);
    }
    if webhooks(&world, "parked").await.len() == 1 {
        told(&world, name, true, None).await.agrees();
    }
    // Reports come from the log; this is a read model, which rests between batches.
    world.settle().await;
    let payment = world.get("/api/v1/payments").await.json();
    assert_eq!(payment["items"][0]["status"], "captured", "nothing is undone");
}

async fn a_list_that_cannot_be_read_is_said_to_be_so(simulator: Arc<dyn Simulator>) {
    let (world, name) = (world(&simulator).await, simulator.name());
    let (order_id, _, reference) = begun(&world, &simulator).await;
    simulator.customer_pays(&reference);
    for _ in 0..3 {
        simulator.faults().next(Fault::Fails);
    }
    let told_of_it = told(&world, name, true, None).await;
    assert_eq!(told_of_it.last["line"], "failed", "{}", told_of_it.last);
    let detail = told_of_it.last["detail"].as_str().unwrap();
    assert!(detail.contains(name), "{detail}");
    world.order_when(&order_id, "processing").await;

    // A page that fails once is asked for again.
    simulator.faults().next(Fault::Babbles);
    let repair = told(&world, name, true, None).await;
    assert_eq!(repair.in_words(), [("missing_in_log", "payment", "repaired")]);
    world.order_when(&order_id, "confirmed").await;
}

/// Every story, for one provider that has lists.
macro_rules! stories {
    ($provider:ident, $start:expr, [$($story:ident),+ $(,)?]) => {
        mod $provider {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story($start.await).await;
                }
            )+
        }
    };
    ($provider:ident, $start:expr) => {
        stories!($provider, $start, [
            a_webhook_that_never_arrived_is_found_and_repaired,
            money_of_nobody_is_reported_and_parked_once,
            money_that_a_webhook_has_parked_is_not_parked_again,
            another_amount_is_reported_and_goes_the_way_of_a_webhook,
            money_that_the_provider_does_not_know_is_left_for_a_person,
            a_list_that_cannot_be_read_is_said_to_be_so,
        ]);
    };
}

stories!(stripe, tests::simulators::stripe::Stripe::start());
stories!(paystack, tests::simulators::paystack::Paystack::start());
stories!(flutterwave, tests::simulators::flutterwave::Flutterwave::start());
stories!(flutterwave_v4, tests::simulators::flutterwave_v4::FlutterwaveV4::start());

#[tokio::test]
async fn a_webhook_that_the_provider_could_not_deliver_is_taken_in() {
    let stripe = Stripe::start().await;
    let simulator: Arc<dyn Simulator> = stripe.clone();
    let world = world(&simulator).await;
    let (order_id, _, reference) = begun(&world, &simulator).await;
    // Told before it was paid, so that the event alone leads nowhere, and the list does.
    stripe.fails_to_deliver(&reference);
    let report = told(&world, "stripe", false, None).await;
    assert_eq!(report.in_words(), [("webhook_undelivered", "payment", "reported")]);
    simulator.customer_pays(&reference);
    stripe.fails_to_deliver(&reference);

    let repair = told(&world, "stripe", true, None).await;
    assert_eq!(
        repair.in_words(),
        [
            ("missing_in_log", "payment", "repaired"),
            ("webhook_undelivered", "payment", "repaired"),
            ("webhook_undelivered", "payment", "repaired"),
        ]
    );
    world.order_when(&order_id, "confirmed").await;
    worked_off(&world).await;
    assert_eq!(webhooks(&world, "done").await.len(), 2);
    told(&world, "stripe", true, None).await.agrees();
}

fn args(world: &World, gateway: &str, folder: &Path) -> reconcile::Args {
    let today = Utc::now().date_naive();
    reconcile::Args {
        gateway: gateway.to_owned(),
        from: today - Days::new(1),
        to: today + Days::new(1),
        statement: None,
        rejects: Some(folder.join("rejects.csv")),
        repair: false,
        json: Some(folder.join("report.json")),
        connection: Connection {
            url: world.url.clone(),
            token: Some(STAFF.to_owned()),
            data_dir: folder.to_owned(),
        },
    }
}

fn report(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("report.json")).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A provider without lists: the command, a statement with a bad row, and its exit status.
async fn a_statement_stands_in_for_lists(simulator: Arc<dyn Simulator>) {
    let (world, name) = (world(&simulator).await, simulator.name());
    let folder = tempfile::tempdir().unwrap();
    let price = simulator.price();
    let (_, _, heard_of) = paid(&world, &simulator).await;
    let (order_id, _, unheard_of) = begun(&world, &simulator).await;
    simulator.customer_pays(&unheard_of);
    let mut args = args(&world, name, folder.path());

    let refused = reconcile::run(args.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("statement_needed"), "{refused}");

    let (amount, currency) = (price.decimal(), price.currency);
    let statement = folder.path().join("november.csv");
    let row = |reference: &str| format!("{reference},{amount},{currency},succeeded\n");
    let head = "reference,amount,currency,status\n";
    let bad = format!("{head}{}{}X,many,{currency},succeeded\n", row(&heard_of), row(&unheard_of));
    std::fs::write(&statement, bad).unwrap();
    args.statement = Some(statement.clone());
    let left = reconcile::run(args.clone()).await.unwrap_err();
    assert!(matches!(left, Error::Disagrees { left: 1, rejected: 1 }), "{left}");
    let rejects = std::fs::read_to_string(folder.path().join("rejects.csv")).unwrap();
    let rejects: Vec<&str> = rejects.lines().collect();
    assert_eq!((rejects.len(), rejects[0]), (2, "line,reason,row"));
    assert!(rejects[1].starts_with("4,") && rejects[1].contains("many"), "{rejects:?}");
    let told = report(folder.path());
    assert_eq!(told["differences"][0]["kind"], "missing_in_log");
    assert_eq!(told["differences"][0]["reference"], unheard_of);
    assert_eq!((&told["summary"]["rejected"], &told["gateway"]), (&1.into(), &name.into()));

    args.repair = true;
    std::fs::write(&statement, format!("{head}{}{}", row(&heard_of), row(&unheard_of))).unwrap();
    for repaired in [1, 0] {
        reconcile::run(args.clone()).await.unwrap();
        let told = report(folder.path());
        assert_eq!(told["summary"]["repaired"], repaired);
        assert_eq!(told["differences"].as_array().unwrap().len(), repaired);
        world.order_when(&order_id, "confirmed").await;
    }

    // What the statement lacks, although the provider has it.
    std::fs::write(&statement, format!("{head}{}", row(&heard_of))).unwrap();
    let left = reconcile::run(args.clone()).await.unwrap_err();
    assert!(matches!(left, Error::Disagrees { left: 1, rejected: 0 }), "{left}");
    assert_eq!(report(folder.path())["differences"][0]["kind"], "missing_at_provider");
    world.verify().await;
}

#[tokio::test]
async fn a_statement_stands_in_for_lists_of_sslcommerz() {
    a_statement_stands_in_for_lists(SslCommerz::start().await).await;
}

#[tokio::test]
async fn a_statement_stands_in_for_lists_of_mtn_momo() {
    a_statement_stands_in_for_lists(MtnMomo::start().await).await;
}

#[tokio::test]
async fn what_cannot_be_reconciled_is_refused_with_a_reason() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = world(&simulator).await;
    let ask = async |query: &str, kind: &str, body: &str| {
        let path = format!("/api/v1/reconciliations?{query}");
        let request = world
            .staff(Method::POST, &path)
            .header("content-type", kind);
        send(request.body(body.to_owned())).await
    };
    let days = "from=2026-11-01&to=2026-11-30";
    let paystack = format!("gateway=paystack&{days}");
    for (query, kind, body, status, code) in [
        (days, "text/csv", "", 400, "invalid_parameters"),
        ("gateway=paystack", "text/csv", "", 400, "invalid_parameters"),
        (&format!("gateway=stripe&{days}"), "text/csv", "", 404, "not_found"),
        (&format!("gateway=sandbox&{days}"), "text/csv", "", 422, "statement_needed"),
        (&paystack, "application/json", "{}", 415, "unsupported_media_type"),
        (&paystack, "text/csv", "amount\n1\n", 422, "invalid_statement"),
    ] {
        let refused = ask(query, kind, body).await;
        assert_eq!(refused.problem(status), code, "{query} {body}: {}", refused.text);
    }
    let too_long = " ".repeat(17 * 1024 * 1024);
    let refused = ask(&paystack, "text/csv", &too_long).await;
    assert_eq!(refused.problem(413), "body_too_large");

    // One at a time.
    let taken = world.app().reconciling.clone().try_acquire_owned().unwrap();
    let refused = ask(&paystack, "text/csv", "").await;
    assert_eq!(refused.problem(409), "already_reconciling");
    drop(taken);
    let _done = ask(&paystack, "text/csv", "").await.expect(200);
}
