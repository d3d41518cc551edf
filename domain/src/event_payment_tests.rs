//! One of each event of payments.

use super::*;

pub(super) fn one_of_each() -> Vec<payment::Event> {
    use payment::Event as E;

    let (reference, provider_reference) = (|| "a".to_owned(), || "p-1".to_owned());
    let (refund_id, amount_minor) = (refund_id(1), 800);
    let reason = || "insufficient_funds".to_owned();
    vec![
        E::Opened(Terms { order_id: order_id(1), amount: gbp(1850), pay_by: noon() }),
        E::AttemptStarted(Attempt {
            reference: reference(),
            choice: by_card(),
            started_at: noon(),
            instead_of: None,
        }),
        E::AttemptAccepted {
            reference: reference(),
            provider_reference: provider_reference(),
            next_step: Some(NextStep::Redirect { url: "https://pay.example/1".into() }),
        },
        E::Declined { reference: reference(), reason: reason() },
        E::Mismatched {
            reference: reference(),
            provider_reference: provider_reference(),
            expected: gbp(1850),
            received: gbp(1849),
        },
        E::Captured {
            reference: reference(),
            provider_reference: provider_reference(),
            received: gbp(1850),
            assessment: None,
        },
        E::Captured {
            reference: reference(),
            provider_reference: provider_reference(),
            received: gbp(1850),
            assessment: Some(Assessment {
                risk: Some(Risk::Elevated),
                card_country: Some("NG".into()),
                fingerprint: Some("Xt5EWLLDS7FJjR1c".into()),
                hold: true,
            }),
        },
        E::CapturedAgain {
            reference: reference(),
            provider_reference: provider_reference(),
            received: gbp(1850),
        },
        E::Misnamed {
            reference: reference(),
            named: "z".into(),
            provider_reference: provider_reference(),
            received: gbp(1850),
        },
        E::Voided,
        E::RefundRequested {
            refund_id,
            amount_minor,
            reference: Some(reference()),
            reason: reason(),
        },
        E::RefundAccepted { refund_id, provider_reference: provider_reference() },
        E::RefundFailed { refund_id, amount_minor, reason: reason() },
        E::RefundReturned {
            refund_id,
            amount_minor,
            reference: Some(reference()),
            reason: reason(),
        },
        E::Refunded { refund_id, amount_minor, provider_reference: provider_reference() },
        E::ChargedBack {
            reference: reference(),
            dispute: "dp_1".into(),
            amount_minor,
            reason: reason(),
        },
        E::ChargebackReversed { reference: reference(), dispute: "dp_1".into(), amount_minor },
        E::UnmatchedReceived(Unmatched {
            gateway: "sandbox".into(),
            reference: reference(),
            provider_reference: provider_reference(),
            received: gbp(1850),
            told_at: noon(),
        }),
    ]
}
