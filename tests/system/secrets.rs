//! No secret shows: in nothing that is logged at the finest level, in no span, no error, no answer
//! and no row; through each provider, whatever its calls come to.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::served::Served;
use tests::servers;
use tests::simulators::{Fault, Sent, Simulator};
use tests::world::{Answer, MASTER_KEY, STAFF, an_order, new_database, until};
use uuid::Uuid;

/// Everything that can go wrong with a call.
const FAULTS: [Fault; 10] = [
    Fault::Fails,
    Fault::ActsThenFails,
    Fault::ActsThenBreaksOff,
    Fault::ActsThenHangs,
    Fault::BreaksOff,
    Fault::Babbles,
    Fault::TurnsAway,
    Fault::RefusesAndRepeats,
    Fault::KnowsNoKey,
    Fault::ActsThenKnowsNoKey,
];

/// A Daybook that logs everything it has to say into a file.
struct Shop {
    served: Served,
    simulator: Arc<dyn Simulator>,
    database_url: String,
}

impl Shop {
    async fn open(simulator: Arc<dyn Simulator>, log: &Path) -> Self {
        let (stream, database_url) = new_database("").await;
        let own = [
            ("DATABASE_URL", database_url.clone()),
            ("NATS_URL", servers::nats_url().to_owned()),
            ("DAYBOOK_STREAM", stream),
            ("DAYBOOK_STREAM_BYTES_MAX", (16 * 1024 * 1024).to_string()),
            ("DAYBOOK_STAFF_TOKEN", STAFF.to_owned()),
            ("DAYBOOK_MASTER_KEY", MASTER_KEY.clone()),
            ("DAYBOOK_POLL_PAUSES", "1s".to_owned()),
            ("DAYBOOK_GATEWAY_TIMEOUT_MS", "300".to_owned()),
            ("DAYBOOK_LOG", "trace".to_owned()),
        ];
        let all = own.into_iter().chain(simulator.settings());
        let variables = all.map(|(name, value)| (name.to_owned(), value)).collect();
        let program = env!("CARGO_BIN_EXE_served");
        let served = Served::start_with_log(program, variables, Some(log.to_owned())).await;
        let shop = Self { served, simulator, database_url };
        let price = shop.simulator.price();
        let body = json!({
            "name": "The cup", "active": true,
            "price": {"amount": price.decimal(), "currency": price.currency.code()},
        });
        let _described = shop
            .say(Method::PUT, "/api/v1/products/cup", &body)
            .await
            .expect(200);
        let stock = json!({"quantity": 100, "reference": "opening stock"});
        let _received = shop
            .say(Method::POST, "/api/v1/inventory/cup/receipts", &stock)
            .await
            .expect(200);
        shop
    }

    async fn say(&self, method: Method, path: &str, body: &Value) -> Answer {
        let key = Uuid::now_v7().to_string();
        let request = || {
            let request = self.served.request(method.clone(), path);
            let request = request.bearer_auth(STAFF).header("idempotency-key", &key);
            request.json(body)
        };
        self.served.insist(request).await
    }

    async fn look(&self, path: &str) -> Answer {
        let get = || self.served.request(Method::GET, path).bearer_auth(STAFF);
        self.served.insist(get).await
    }

    async fn hear(&self, sent: &Sent) -> Answer {
        let path = format!("/api/v1/webhooks/{}", self.simulator.name());
        let post = || {
            let request = self.served.request(Method::POST, &path);
            request
                .headers(sent.headers.clone())
                .body(sent.body.clone())
        };
        self.served.insist(post).await
    }

    /// A new order; its id and its payment's.
    async fn place(&self) -> (String, String) {
        let mut order = an_order(&[("cup", 1)]);
        order["currency"] = self.simulator.price().currency.code().into();
        let mut methods = domain::placing::PaymentMethod::NAMES.iter();
        let method = methods.find(|(_, of)| *of == self.simulator.method());
        order["payment_method"] = method.unwrap().0.into();
        order["gateway"] = self.simulator.name().into();
        if let Some(token) = self.simulator.token() {
            order["payment_token"] = token.into();
        }
        let placed = self.say(Method::POST, "/api/v1/orders", &order).await;
        let placed = placed.expect(201).json();
        let id = |name: &str| placed[name].as_str().unwrap().to_owned();
        (id("id"), id("payment_id"))
    }

    /// The order's attempt, once a customer can pay it.
    async fn to_pay(&self, order_id: &str) -> String {
        let path = format!("/api/v1/orders/{order_id}/payment");
        until("the customer is told where to pay", async || {
            let answer = self.look(&path).await;
            let payment = answer.status.is_success().then(|| answer.json())?;
            let is_ready = payment["next_step"].is_object();
            is_ready.then(|| payment["reference"].as_str().unwrap().to_owned())
        })
        .await
    }

    async fn is(&self, order_id: &str, status: &str) {
        until(&format!("the order is {status}"), async || {
            let order = self.look(&format!("/api/v1/orders/{order_id}")).await;
            (order.json()["status"] == status).then_some(())
        })
        .await;
    }

    /// An order is paid, and given back; both by calls that fail in every way before they succeed.
    async fn trade(&self) -> String {
        let faults = self.simulator.faults();
        for fault in FAULTS {
            faults.next(fault);
            self.place().await;
            until("the call has met it", async || faults.are_over().then_some(())).await;
        }
        let (order_id, _) = self.place().await;
        let reference = self.to_pay(&order_id).await;
        self.simulator.customer_pays(&reference);
        if let Some(forged) = self.simulator.forged_webhook(&reference) {
            assert_eq!(self.hear(&forged).await.problem(401), "webhook_signature_wrong");
        }
        let babble = Sent { body: b"{".to_vec(), ..self.simulator.webhook(&reference) };
        let _refused = self.hear(&babble).await;
        faults.next(Fault::KnowsNoKey);
        let _stored = self
            .hear(&self.simulator.webhook(&reference))
            .await
            .expect(200);
        self.is(&order_id, "confirmed").await;
        // Whatever a provider says of a refund that it does not make becomes a reason in the log.
        faults.next(Fault::RefusesAndRepeats);
        let path = format!("/api/v1/orders/{order_id}/refunds");
        let broken = json!({"reason": "broken"});
        let _asked = self.say(Method::POST, &path, &broken).await.expect(201);
        until("it was refused", async || faults.are_over().then_some(())).await;
        faults.next(Fault::KnowsNoKey);
        until("it has gone back", async || {
            // Again if it has failed; refused while it has not.
            let _again = self.say(Method::POST, &path, &broken).await;
            self.simulator.works_off_refunds();
            let payment = format!("/api/v1/orders/{order_id}/payment");
            let _asked_soon = self.look(&payment).await;
            let order = self.look(&format!("/api/v1/orders/{order_id}")).await;
            (order.json()["status"] == "refunded").then_some(())
        })
        .await;
        reference
    }

    /// Everything that Daybook answers to staff about providers, payments and itself.
    async fn answers(&self) -> String {
        let mut answers = String::new();
        for path in [
            "/api/v1/gateways",
            "/api/v1/webhooks",
            "/api/v1/payments",
            "/api/v1/parked-facts",
            "/api/v1/reports/settlement",
            "/metrics",
            "/health/ready",
        ] {
            answers.push_str(&self.look(path).await.text);
        }
        answers
    }
}

/// Every row of every table.
async fn rows(pool: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables \
         where table_schema not in ('pg_catalog', 'information_schema') \
         and table_type = 'BASE TABLE'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table == "public.events"), "{tables:?}");
    let mut rows = String::new();
    for table in tables {
        let select = format!("select row::text from {table} row");
        let of_table: Vec<String> = sqlx::query_scalar(&select).fetch_all(pool).await.unwrap();
        for row in of_table {
            rows.push_str(&row);
            rows.push('\n');
        }
    }
    rows
}

/// A secret in every form in which it may be written somewhere.
fn forms(secret: &str) -> Vec<String> {
    let in_an_address = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    vec![
        secret.to_owned(),
        in_an_address,
        hex::encode(secret),
        STANDARD.encode(secret),
    ]
}

fn secrets(simulator: &dyn Simulator) -> Vec<String> {
    let settings = simulator.settings();
    let value = |name: &str| settings.iter().find(|(of, _)| *of == name).map(|(_, v)| v);
    let mut secrets = simulator.secrets();
    secrets.extend([STAFF.to_owned(), MASTER_KEY.clone()]);
    if let (Some(user), Some(key)) = (value("MTN_MOMO_API_USER"), value("MTN_MOMO_API_KEY")) {
        secrets.push(format!("{user}:{key}"));
    }
    secrets
}

async fn nothing_shows_a_secret(simulator: Arc<dyn Simulator>) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log");
    let shop = Shop::open(Arc::clone(&simulator), &path).await;
    let reference = shop.trade().await;
    let answers = shop.answers().await;
    let pool = PgPool::connect(&shop.database_url).await.unwrap();
    let rows = rows(&pool).await;
    let log = std::fs::read_to_string(&path).unwrap();

    // It has been looked at where there is something to see.
    for told in [
        " TRACE ",
        "a provider was called",
        "result=\"200\"",
        "result=\"unknown\"",
        "result=\"not_sent\"",
        "result=\"unauthorised\"",
        "reqwest",
        "hyper",
    ] {
        let plain = log.contains(told) || log.contains(&told.replace('"', ""));
        assert!(plain, "{}: nobody logged {told}", simulator.name());
    }
    assert!(rows.contains(&reference) && answers.contains(simulator.name()));
    for secret in secrets(simulator.as_ref()) {
        for form in forms(&secret) {
            for (place, text) in [("the log", &log), ("an answer", &answers), ("a row", &rows)] {
                let shown = text.lines().find(|line| line.contains(&form));
                assert_eq!(shown, None, "{}: {place} shows a secret", simulator.name());
            }
        }
    }
}

/// The same for one provider each.
macro_rules! each {
    ($($provider:ident: $start:expr),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $provider() {
                nothing_shows_a_secret($start.await).await;
            }
        )+
    };
}

each! {
    stripe: tests::simulators::stripe::Stripe::start(),
    paystack: tests::simulators::paystack::Paystack::start(),
    flutterwave: tests::simulators::flutterwave::Flutterwave::start(),
    flutterwave_v4: tests::simulators::flutterwave_v4::FlutterwaveV4::start(),
    mtn_momo: tests::simulators::mtn_momo::MtnMomo::start(),
    sslcommerz: tests::simulators::sslcommerz::SslCommerz::start(),
}
