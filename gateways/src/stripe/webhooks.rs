//! Stripe's webhooks: `Stripe-Signature: t=<unix>,v1=<hex>[,v1=...]`, where `v1` is the HMAC-SHA256
//! of `<t>.<raw body>` under the endpoint's secret (docs.stripe.com/webhooks/signature).

use serde::Deserialize;

use super::answers::Metadata;
use crate::secret::Secret;
use crate::signature::{from_hex, is_hmac_sha256};
use crate::webhook::{About, BadSignature, Delivery, Dispute, Notice, Unreadable};

/// How far the time of a signature may be from ours, as in Stripe's own libraries.
const TOLERANCE_SECONDS: i64 = 300;
const HEADER: &str = "stripe-signature";

#[derive(Deserialize)]
struct Event {
    id: String,
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    id: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    reason: Option<String>,
    payment_intent: Option<String>,
}

pub(super) fn check(secret: &Secret, delivery: &Delivery<'_>) -> Result<(), BadSignature> {
    let header = delivery.header(HEADER)?;
    let parts = || {
        header
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
    };
    let written = parts().find(|(scheme, _)| *scheme == "t");
    let (_, written) = written.ok_or(BadSignature::Malformed)?;
    let signed_at: i64 = written.parse().map_err(|_| BadSignature::Malformed)?;
    let key = secret.reveal().as_bytes();
    let signed = [written.as_bytes(), b".", delivery.body];
    // Several while the secret is being changed; other schemes are none of ours.
    let is_ours = parts()
        .filter(|(scheme, _)| *scheme == "v1")
        .filter_map(|(_, signature)| from_hex(signature).ok())
        .any(|signature| is_hmac_sha256(key, &signed, &signature));
    if !is_ours {
        return Err(BadSignature::Wrong);
    }
    let away = delivery.received_at.timestamp().saturating_sub(signed_at);
    if TOLERANCE_SECONDS < away.saturating_abs() {
        return Err(BadSignature::OutOfTime);
    }
    Ok(())
}

pub(super) fn read(delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
    let Event { id, r#type, data: Data { object } } = delivery.json()?;
    let metadata = object.metadata;
    let about = match r#type.as_str() {
        kind if kind.starts_with("charge.dispute.") => {
            let reason = object.reason.unwrap_or_default();
            let intent = object.payment_intent;
            let named = intent.as_deref().unwrap_or_default();
            About::Dispute(Dispute {
                what: format!("{kind}: {reason} {named}").trim().to_owned(),
                // Whoever is to answer it has until a day that Stripe shows; that it is closed tells
                // them what came of it.
                is_for_staff: matches!(kind, "charge.dispute.created" | "charge.dispute.closed"),
                is_urgent: kind == "charge.dispute.created",
                name: object.id,
                // A dispute has no metadata but what staff have given it.
                reference: None,
                provider_reference: intent.filter(|name| name.starts_with("pi_")),
            })
        }
        kind if kind.starts_with("payment_intent.") || kind.starts_with("checkout.session.") => {
            match metadata.reference {
                Some(reference) => About::Attempt { reference, provider_reference: None },
                None => of_no_order(kind, object.id, object.payment_intent),
            }
        }
        kind if kind.starts_with("refund.") || kind == "charge.refund.updated" => {
            let refund_id = metadata.refund_id.and_then(|name| name.parse().ok());
            match (refund_id, metadata.reference) {
                (Some(refund_id), _) => About::Refund { refund_id },
                (None, Some(reference)) => About::RefundsOf { reference },
                (None, None) => {
                    let what = format!("{kind}: a refund that was not asked for here");
                    About::Staff { reference: None, what }
                }
            }
        }
        "charge.refunded" => match metadata.reference {
            Some(reference) => About::RefundsOf { reference },
            None => About::Nothing,
        },
        _ => About::Nothing,
    };
    Ok(Notice { key: id, about })
}

/// Money that was taken elsewhere than here, such as by a payment link.
fn of_no_order(kind: &str, id: Option<String>, payment_intent: Option<String>) -> About {
    let what = format!("{kind} of no order");
    let is_intent = |name: &String| name.starts_with("pi_");
    match id.filter(is_intent).or(payment_intent.filter(is_intent)) {
        Some(provider_reference) => About::Unnamed { provider_reference, what },
        None => About::Staff { reference: None, what },
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use reqwest::header::HeaderMap;

    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1","type":"payment_intent.succeeded"}"#;
    const SIGNED_AT: i64 = 1_774_000_000;
    // python3: hmac.new(b"whsec_test", b"1774000000." + body, "sha256").hexdigest()
    const SIGNATURE: &str = "2eb3730bd9652e9aa08a1302ffff0ff2d43cb66af105babc202fa9d608109034";

    /// Stripe's own: `event_test_signature.json` and `EventUtilityTest.cs` of stripe/stripe-dotnet.
    #[test]
    fn the_vendors_own_example_is_taken() {
        let body = br#"{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
"#;
        let header = "t=1533204620,\
            v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,\
            v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef";
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), header.parse().unwrap())]);
        let checked = |secret: &str, body: &[u8], seconds_later: i64| {
            let received_at = DateTime::from_timestamp(1_533_204_620 + seconds_later, 0).unwrap();
            check(&Secret::new(secret), &Delivery { headers: &headers, body, received_at })
        };

        assert_eq!(checked("webhook_secret", body, 100), Ok(()));
        assert_eq!(checked("webhook_secret", body, 400), Err(BadSignature::OutOfTime));
        assert_eq!(checked("webhook_secret2", body, 100), Err(BadSignature::Wrong));
        let (_, without_its_last_line) = body.split_last().unwrap();
        let changed = checked("webhook_secret", without_its_last_line, 100);
        assert_eq!(changed, Err(BadSignature::Wrong));
    }

    fn checked(header: Option<&str>, body: &[u8], at: i64) -> Result<(), BadSignature> {
        let value = header.map(|header| (HEADER.parse().unwrap(), header.parse().unwrap()));
        let headers = HeaderMap::from_iter(value);
        let received_at = DateTime::from_timestamp(at, 0).unwrap();
        check(&Secret::new("whsec_test"), &Delivery { headers: &headers, body, received_at })
    }

    #[test]
    fn a_signature_belongs_to_its_body_its_time_and_its_secret() {
        let good = format!("t={SIGNED_AT},v1={SIGNATURE}");
        let older = format!("t={SIGNED_AT},v0=6ffbb59b,v1=00,v1={SIGNATURE}");
        assert_eq!(checked(Some(&good), BODY, SIGNED_AT), Ok(()));
        assert_eq!(checked(Some(&older), BODY, SIGNED_AT + 299), Ok(()), "among others");
        for (header, body, at, bad) in [
            (None, BODY, SIGNED_AT, BadSignature::Missing { header: HEADER }),
            (Some(good.as_str()), b"{}".as_slice(), SIGNED_AT, BadSignature::Wrong),
            (Some(&good), BODY, SIGNED_AT + 301, BadSignature::OutOfTime),
            (Some(&good), BODY, SIGNED_AT - 301, BadSignature::OutOfTime),
            (
                Some(&good.replace("1774000000", "1774000001")),
                BODY,
                SIGNED_AT,
                BadSignature::Wrong,
            ),
            (
                Some(&format!("t={SIGNED_AT},v0={SIGNATURE}")),
                BODY,
                SIGNED_AT,
                BadSignature::Wrong,
            ),
            (Some(&format!("v1={SIGNATURE}")), BODY, SIGNED_AT, BadSignature::Malformed),
            (Some("t=soon,v1=00"), BODY, SIGNED_AT, BadSignature::Malformed),
            (Some(""), BODY, SIGNED_AT, BadSignature::Malformed),
        ] {
            assert_eq!(checked(header, body, at), Err(bad), "{header:?}");
        }
    }

    fn about(kind: &str, metadata: &str) -> About {
        about_object(kind, &format!(r#"{{"metadata":{metadata}}}"#))
    }

    fn about_object(kind: &str, object: &str) -> About {
        let body = format!(r#"{{"id":"evt_1","type":"{kind}","data":{{"object":{object}}}}}"#);
        let (headers, received_at) = (HeaderMap::new(), DateTime::UNIX_EPOCH);
        let notice = read(&Delivery { headers: &headers, body: body.as_bytes(), received_at });
        let notice = notice.unwrap();
        assert_eq!(notice.key, "evt_1");
        notice.about
    }

    #[test]
    fn each_event_says_what_to_ask_about() {
        let reference = || "A1".to_owned();
        let attempt = About::Attempt { reference: reference(), provider_reference: None };
        for kind in [
            "payment_intent.succeeded",
            "payment_intent.payment_failed",
            "payment_intent.processing",
            "payment_intent.canceled",
            "checkout.session.completed",
            "checkout.session.expired",
        ] {
            assert_eq!(about(kind, r#"{"reference":"A1"}"#), attempt, "{kind}");
            assert!(matches!(about(kind, "{}"), About::Staff { .. }), "{kind}");
        }
        let name = "00000000-0000-0000-0000-000000000001";
        let refund = About::Refund { refund_id: name.parse().unwrap() };
        for kind in ["refund.updated", "refund.failed", "charge.refund.updated"] {
            assert_eq!(about(kind, &format!(r#"{{"refund_id":"{name}"}}"#)), refund);
            assert!(matches!(about(kind, "{}"), About::Staff { .. }), "{kind}");
        }
        let refunds = About::RefundsOf { reference: reference() };
        assert_eq!(about("charge.refunded", r#"{"reference":"A1"}"#), refunds);
        assert_eq!(about("charge.refunded", "{}"), About::Nothing);
        assert_eq!(about("refund.updated", r#"{"reference":"A1","refund_id":"no UUID"}"#), refunds);
        assert_eq!(about("customer.created", "{}"), About::Nothing);
    }

    #[test]
    fn a_dispute_is_known_by_its_intent_and_some_of_it_takes_a_person() {
        let object = r#"{"id":"dp_1","payment_intent":"pi_1","reason":"fraudulent"}"#;
        for (kind, is_for_staff) in [
            ("charge.dispute.created", true),
            ("charge.dispute.updated", false),
            ("charge.dispute.funds_withdrawn", false),
            ("charge.dispute.funds_reinstated", false),
            ("charge.dispute.closed", true),
        ] {
            let dispute = About::Dispute(Dispute {
                name: Some("dp_1".to_owned()),
                reference: None,
                provider_reference: Some("pi_1".to_owned()),
                what: format!("{kind}: fraudulent pi_1"),
                is_for_staff,
                is_urgent: kind == "charge.dispute.created",
            });
            assert_eq!(about_object(kind, object), dispute);
        }
    }

    #[test]
    fn money_without_a_name_of_ours_is_known_by_its_intent() {
        for (kind, object) in [
            ("payment_intent.succeeded", r#"{"id":"pi_1"}"#),
            ("checkout.session.completed", r#"{"id":"cs_1","payment_intent":"pi_1"}"#),
        ] {
            let what = format!("{kind} of no order");
            let unnamed = About::Unnamed { provider_reference: "pi_1".to_owned(), what };
            assert_eq!(about_object(kind, object), unnamed);
        }
        let unpaid = about_object("checkout.session.expired", r#"{"id":"cs_1"}"#);
        assert!(matches!(unpaid, About::Staff { reference: None, .. }));
    }

    #[test]
    fn what_is_no_event_is_unreadable() {
        let (headers, received_at) = (HeaderMap::new(), DateTime::UNIX_EPOCH);
        for body in [b"".as_slice(), b"{}", b"[", b"{\"id\":1}"] {
            assert!(read(&Delivery { headers: &headers, body, received_at }).is_err());
        }
    }
}
