//! Webhooks of Flutterwave v4: `flutterwave-signature` is the HMAC-SHA256 of the raw body under the
//! secret hash, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::answers::RefundMeta;
use crate::secret::Secret;
use crate::signature::{is_hmac_sha256, must};
use crate::webhook::{About, BadSignature, Delivery, Notice, Unreadable};

const HEADER: &str = "flutterwave-signature";

#[derive(Deserialize)]
struct Event {
    /// Some pages call it `id`.
    #[serde(alias = "id")]
    webhook_id: Option<String>,
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    id: Option<String>,
    reference: Option<String>,
    status: Option<String>,
    meta: Option<RefundMeta>,
}

pub(super) fn check(secret: &Secret, delivery: &Delivery<'_>) -> Result<(), BadSignature> {
    let signature = STANDARD.decode(delivery.header(HEADER)?.trim());
    let signature = signature.map_err(|_| BadSignature::Malformed)?;
    must(is_hmac_sha256(secret.reveal().as_bytes(), &[delivery.body], &signature))
}

pub(super) fn read(delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
    let Event { webhook_id, r#type: kind, data } = delivery.json()?;
    let nothing = || Unreadable(format!("{kind} names nothing"));
    let about = match kind.as_str() {
        kind if kind.contains("chargeback") || kind.contains("dispute") => {
            About::Staff { reference: data.reference, what: kind.to_owned() }
        }
        kind if kind.starts_with("charge.") => {
            let reference = data.reference.ok_or_else(nothing)?;
            About::Attempt { reference, provider_reference: None }
        }
        kind if kind.starts_with("refund.") => {
            let named = data.meta.and_then(|meta| meta.refund_id);
            let refund_id = named.and_then(|name| name.parse().ok());
            let what = || format!("{kind}: a refund that was not asked for here");
            refund_id.map_or_else(
                || About::Staff { reference: None, what: what() },
                |refund_id| About::Refund { refund_id },
            )
        }
        _ => About::Nothing,
    };
    // What is said of one thing in one state is said once, whatever the message is called.
    let key = match (data.id, data.status, webhook_id) {
        (Some(id), status, _) => format!("{kind} {id} {}", status.unwrap_or_default()),
        (None, _, Some(webhook_id)) => webhook_id,
        (None, _, None) => return Err(nothing()),
    };
    Ok(Notice { key, about })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use reqwest::header::HeaderMap;

    use super::*;

    const BODY: &[u8] = br#"{"type":"charge.completed","data":{"id":"chg_1"}}"#;
    // python3: base64.b64encode(hmac.new(b"hash", body, "sha256").digest())
    const SIGNATURE: &str = "OiRVnMwCNqj42blYR9yyzNq1e76PV3dlarMGE4muNrs=";

    fn checked(header: Option<&str>, body: &[u8]) -> Result<(), BadSignature> {
        let value = header.map(|header| (HEADER.parse().unwrap(), header.parse().unwrap()));
        let (headers, received_at) = (HeaderMap::from_iter(value), DateTime::UNIX_EPOCH);
        check(&Secret::new("hash"), &Delivery { headers: &headers, body, received_at })
    }

    #[test]
    fn a_signature_belongs_to_its_body_and_its_secret() {
        assert_eq!(checked(Some(SIGNATURE), BODY), Ok(()));
        assert_eq!(checked(Some(SIGNATURE), b"{}"), Err(BadSignature::Wrong));
        assert_eq!(checked(None, BODY), Err(BadSignature::Missing { header: HEADER }));
        // "hash" is base64 as well, of three bytes that sign nothing.
        assert_eq!(checked(Some("hash"), BODY), Err(BadSignature::Wrong), "the secret itself");
        assert_eq!(checked(Some("no base64"), BODY), Err(BadSignature::Malformed));
    }

    fn read_text(body: &str) -> Result<Notice, Unreadable> {
        let (headers, received_at) = (HeaderMap::new(), DateTime::UNIX_EPOCH);
        read(&Delivery { headers: &headers, body: body.as_bytes(), received_at })
    }

    #[test]
    fn each_event_says_what_to_ask_about() {
        let charge = r#"{"webhook_id":"wbk_1","type":"charge.completed",
            "data":{"id":"chg_1","reference":"A1","status":"succeeded"}}"#;
        let about = About::Attempt { reference: "A1".to_owned(), provider_reference: None };
        let key = "charge.completed chg_1 succeeded".to_owned();
        assert_eq!(read_text(charge), Ok(Notice { key, about }));
        let name = "00000000-0000-0000-0000-000000000001";
        let about = |body: &str| read_text(body).map(|notice| notice.about);
        let refund = format!(
            r#"{{"type":"refund.completed","data":{{"id":"rfd_1","meta":{{"refund_id":"{name}"}}}}}}"#
        );
        assert_eq!(about(&refund), Ok(About::Refund { refund_id: name.parse().unwrap() }));
        let foreign = r#"{"type":"refund.completed","data":{"id":"rfd_1","meta":{}}}"#;
        assert!(matches!(about(foreign), Ok(About::Staff { .. })));
        let dispute = r#"{"type":"chargeback.created","data":{"id":"chb_1"}}"#;
        assert!(matches!(about(dispute), Ok(About::Staff { .. })));
        let transfer = r#"{"type":"transfer.disburse","data":{"id":"trf_1"}}"#;
        assert_eq!(about(transfer), Ok(About::Nothing));
        for unreadable in [
            r#"{"type":"charge.completed","data":{"id":"chg_1"}}"#,
            "{}",
            "[",
        ] {
            assert!(about(unreadable).is_err(), "{unreadable}");
        }
    }
}
