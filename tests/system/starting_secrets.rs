//! Secrets: production starts with none that can be guessed, and writes none into its log.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tests::command::{Ran, daybook, ran};
use tests::servers;
use tests::world::{MASTER_KEY, STAFF, new_database, until};
use tokio::io::AsyncBufReadExt as _;
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_daybook-under-test");
const PHRASE: &str = "a phrase that nobody shall read";

/// What the program says to these variables, which it does not start with.
async fn refused(variables: &[(&str, &str)]) -> String {
    let mut command = daybook(PROGRAM, &["serve", "--listen", "127.0.0.1:0"]);
    command
        .env("DATABASE_URL", "postgres:///nowhere?host=/nowhere")
        .env("NATS_URL", "nats://127.0.0.1:1")
        .env("DAYBOOK_STAFF_TOKEN", STAFF)
        .envs(variables.iter().copied());
    let Ran { is_well, complained, .. } = ran(command).await;
    assert!(!is_well, "it starts with {variables:?}");
    complained
}

#[tokio::test]
async fn production_refuses_secrets_that_can_be_guessed_and_says_what_to_do() {
    let zeros = "0".repeat(64);
    let ascending = "0123456789abcdef".repeat(4);
    for (variable, value, advice) in [
        ("DAYBOOK_STAFF_TOKEN", "secret", "openssl rand -hex 32"),
        ("DAYBOOK_STAFF_TOKEN", "changeme-changeme", "openssl rand -hex 32"),
        (
            "DAYBOOK_STAFF_TOKEN",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "openssl rand -hex 32",
        ),
        (
            "DAYBOOK_STAFF_TOKEN",
            "changeme-changeme-changeme-changeme",
            "openssl rand -hex 32",
        ),
        (
            "DAYBOOK_STAFF_TOKEN",
            "0123456789abcdef0123456789abcdef",
            "openssl rand -hex 32",
        ),
        ("DAYBOOK_STAFF_TOKEN", "", "--staff-token"),
        ("DAYBOOK_MASTER_KEY", "hunter2", "openssl rand -hex 32"),
        ("DAYBOOK_MASTER_KEY", &zeros, "openssl rand -hex 32"),
        ("DAYBOOK_MASTER_KEY", &ascending, "openssl rand -hex 32"),
        ("DATABASE_URL", "postgres://daybook:postgres@db.example/daybook", "openssl rand"),
        (
            "DATABASE_URL",
            "postgres://shop@db.example/daybook?password=letmein",
            "openssl rand",
        ),
        ("NATS_URL", "nats://daybook:daybook@nats.example:4222", "openssl rand"),
        ("NATS_URL", "nats://changeme@nats.example:4222", "openssl rand"),
        ("FLUTTERWAVE_SECRET_HASH", "my-secret-hash", "openssl rand -hex 24"),
        (
            "FLUTTERWAVE_V4_SECRET_HASH",
            "abcdefghijklmnopqrstuvwxyz",
            "openssl rand -hex 24",
        ),
        ("SANDBOX_WEBHOOK_SECRET", "changeme-changeme-changeme", "openssl rand -hex 24"),
        ("DAYBOOK_SEAL_KEY_FILE", "/nowhere/key", "/nowhere/key"),
    ] {
        let told = refused(&[(variable, value)]).await;
        assert!(told.contains(advice), "{variable}={value}: {told}");
        let shown = value.len() > 4 && variable != "DAYBOOK_SEAL_KEY_FILE" && told.contains(value);
        assert!(!shown, "{variable} is shown: {told}");
    }
}

#[tokio::test]
async fn settings_of_protection_that_cannot_be_read_are_told() {
    for (variable, value, advice) in [
        ("DAYBOOK_RATE_LIMITS", "guest.query=fast", "guest.query=1200/m"),
        ("DAYBOOK_TRUSTED_PROXIES", "everybody", "10.0.0.0/8"),
        ("DAYBOOK_CORS_ORIGINS", "*", "https://shop.example"),
        ("DAYBOOK_CONNECTIONS_PER_ADDRESS", "many", "invalid"),
    ] {
        let told = refused(&[(variable, value)]).await;
        assert!(told.contains(advice), "{variable}={value}: {told}");
    }
}

/// Production, with more than anybody would let it say.
struct Talkative {
    url: String,
    said: Arc<Mutex<String>>,
    http: Client,
    running: tokio::process::Child,
}

impl Talkative {
    async fn start(webhook_secret: &str) -> Self {
        let _there = rustls::crypto::ring::default_provider().install_default();
        let (stream, database_url) = new_database("").await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let mut running = Command::new(PROGRAM)
            .args(["serve", "--listen", &address])
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("NATS_URL", servers::nats_url())
            .env("DAYBOOK_STREAM", stream)
            .env("DAYBOOK_STREAM_BYTES_MAX", (16 * 1024 * 1024).to_string())
            .env("DAYBOOK_STAFF_TOKEN", STAFF)
            .env("DAYBOOK_MASTER_KEY", MASTER_KEY.as_str())
            .env("PAYSTACK_SECRET_KEY", webhook_secret)
            .env("DAYBOOK_RETURN_URL", "https://shop.example/thanks")
            .env("SANDBOX_PAYMENTS", "on")
            .env("DAYBOOK_LOG", "debug")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let mut lines = tokio::io::BufReader::new(running.stderr.take().unwrap()).lines();
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push_str(&line);
                heard.lock().unwrap().push('\n');
            }
        });
        let mut talkative =
            Self { url: format!("http://{address}"), said, http: Client::new(), running };
        until("it serves", async || {
            if let Ok(Some(ended)) = talkative.running.try_wait() {
                panic!("{ended}: {}", talkative.said.lock().unwrap());
            }
            let health = talkative.http.get(format!("{}/health/live", talkative.url));
            health
                .send()
                .await
                .ok()
                .filter(|answer| answer.status().is_success())
        })
        .await;
        talkative
    }

    async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: Value) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let key = uuid::Uuid::now_v7().to_string();
        let answer = request
            .header("idempotency-key", key)
            .json(&body)
            .send()
            .await
            .unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null)
    }
}

#[tokio::test]
async fn no_secret_is_ever_written_into_the_log() {
    let provider_key = "sk_test_0f9d27c5ab3e4418";
    let server = Talkative::start(provider_key).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let post = async |path: &str, token: Option<&str>, body: Value| {
        server
            .ask(Method::POST, &format!("/api/v1{path}"), token, body)
            .await
    };
    let account = json!({"email": "ada@example.org", "password": PHRASE});
    let tokens = post("/auth/register", None, account.clone()).await;
    let (access, refresh) = (text(&tokens["access"]), text(&tokens["refresh"]));
    let _in = post("/auth/login", None, account).await;
    let wrong = json!({"email": "ada@example.org", "password": "another phrase of words"});
    let _wrong = post("/auth/login", None, wrong).await;
    let _profile = server
        .ask(Method::GET, "/api/v1/profile", Some(&access), json!({}))
        .await;
    let forged = format!("{access}x");
    let _forged = server
        .ask(Method::GET, "/api/v1/profile", Some(&forged), json!({}))
        .await;
    let renewed = post("/auth/refresh", None, json!({"refresh": refresh})).await;
    let _reused = post("/auth/refresh", None, json!({"refresh": refresh})).await;
    let key = post("/api-keys", Some(STAFF), json!({"name": "figures", "role": "analyst"})).await;
    let key = text(&key["key"]);
    let _orders = server
        .ask(Method::GET, "/api/v1/orders", Some(&key), json!({}))
        .await;
    let product = json!({
        "name": "Cup", "price": {"amount": "4.50", "currency": "GBP"}, "active": true,
    });
    let _put = server
        .ask(Method::PUT, "/api/v1/products/cup", Some(STAFF), product)
        .await;
    let placed = post("/orders", None, tests::world::an_order(&[("cup", 1)])).await;
    let (id, link) = (text(&placed["id"]), text(&placed["order_token"]));
    let by_link = format!("/api/v1/orders/{id}?token={link}");
    let _seen = server.ask(Method::GET, &by_link, None, json!({})).await;
    let _event = post("/webhooks/paystack", None, json!({"event": "charge.success"})).await;
    let _lost = server
        .ask(Method::GET, &format!("/nowhere?token={STAFF}"), None, json!({}))
        .await;
    until("all of it is logged", async || {
        server
            .said
            .lock()
            .unwrap()
            .contains("/nowhere")
            .then_some(())
    })
    .await;

    let said = server.said.lock().unwrap().clone();
    assert!(said.contains("request"), "it says something: {said}");
    let master = MASTER_KEY.clone();
    let basic = base64::engine::general_purpose::STANDARD.encode(STAFF);
    for (what, secret) in [
        ("the staff token", STAFF),
        ("the staff token, encoded", &basic),
        ("the master key", &master),
        ("a password", PHRASE),
        ("a wrong password", "another phrase of words"),
        ("an access token", &access),
        ("a refresh token", &refresh),
        ("a new refresh token", renewed["refresh"].as_str().unwrap_or("none was made")),
        ("an API key", &key),
        ("the token of an order", &link),
        ("a provider's key", provider_key),
    ] {
        let shown = said.lines().find(|said| said.contains(secret));
        assert!(shown.is_none(), "{what} is in the log: {shown:?}");
    }
}

/// Comparisons of secrets that tell nothing by their time, or of what no stranger sends.
const COMPARED: [&str; 3] = [
    // Of digests: where they differ says nothing of where the texts do.
    "Sha256::digest(shown) == Sha256::digest(expected)",
    // What the sandbox is told to do is no secret.
    ".find(|(name, _)| *name == token)",
    // Both are ours.
    "kept.take_if(|(kept, _)| kept == token)",
];

#[test]
fn what_strangers_show_is_compared_in_constant_time() {
    fn walk(folder: &std::path::Path, into: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                into.push(path);
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for name in ["api", "accounts", "gateways", "storefront", "workers"] {
        walk(&root.join(name).join("src"), &mut files);
    }
    let mut seen = 0;
    for path in files
        .iter()
        .filter(|path| !path.to_string_lossy().contains("_tests.rs"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (number, line) in text.lines().enumerate() {
            let compares = line.contains(" == ") || line.contains(" != ");
            let secret = [
                "token",
                "secret",
                "signature",
                "digest",
                "_mac",
                "password_hash",
            ]
            .into_iter()
            .any(|word| line.to_lowercase().contains(word));
            let is_comment = line.trim_start().starts_with("//");
            if !compares || !secret || is_comment {
                continue;
            }
            seen += 1;
            let is_known = COMPARED.iter().any(|known| line.contains(known))
                || line.contains("caller == Caller::Guest");
            assert!(
                is_known,
                "{}:{}: if a stranger shows one side of this, compare it with subtle's ct_eq, or \
                 look it up by its digest: {line}",
                path.display(),
                number + 1
            );
        }
    }
    assert!(COMPARED.len() <= seen, "the sources are read: {seen}");
}
