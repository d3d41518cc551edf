//! What others keep of somebody, beside the shop itself: providers, and staff.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use tests::World;
use tests::world::{send, until};

use super::EMAIL;

/// What staff block stays: that somebody is to be recognised is why it is there.
pub(super) const BLOCKED: [&str; 4] = [
    "public.blocklist.value",
    "public.blocklist.note",
    "public.fraud_rules.condition",
    "public.fraud_rules.note",
];

/// Staff block her, and look back at when she was not.
pub(super) async fn staff_keep_her_in_mind(world: &World) {
    let block = json!({"kind": "email", "value": EMAIL, "note": "Wilhelmina never pays"});
    let block = world.staff(Method::POST, "/api/v1/blocklist").json(&block);
    let _blocked = send(block).await.expect(201);
    let rule = json!({
        "name": "whitby", "outcome": "review", "note": "Hillingham, and no other house",
        "condition": {"kind": "is", "what": "email", "value": EMAIL}, "active": false,
    });
    let rule = world.staff(Method::POST, "/api/v1/fraud-rules").json(&rule);
    let _made = send(rule).await.expect(201);
    let head = store::log::head(&world.pool).await.unwrap();
    for name in ["orders", "guests", "customers"] {
        let path = format!("/api/v1/projections/{name}/rebuild");
        let _started = world.post(&path, json!({"until": head})).await.expect(202);
        until(&format!("the replay of {name} is there"), async || {
            let projections = world.get("/api/v1/projections").await.json();
            let items = projections["items"].as_array()?.clone();
            let status = items.into_iter().find(|item| item["name"] == name)?;
            status["replay"].is_object().then_some(())
        })
        .await;
    }
}

/// What providers said of her payment, of nobody's that names her, and of somebody else.
pub(super) async fn providers_said(pool: &PgPool, payment: &str) {
    for (payment, body) in [
        (Some(payment), r#"{"phone":"46733123450"}"#),
        (None, "email=w.murray%40example.org&amount=9"),
        (None, "email=ada%40example.com&amount=9"),
    ] {
        sqlx::query(
            "insert into webhooks (webhook_id, gateway, event_key, body, state, payment_id) \
             values (gen_random_uuid(), 'stripe', gen_random_uuid()::text, $1, 'parked', $2::uuid)",
        )
        .bind(body.as_bytes())
        .bind(payment)
        .execute(pool)
        .await
        .unwrap();
    }
}
