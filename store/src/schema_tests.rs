//! What the states in snapshots look like, and what folding leads to: whoever changes either is
//! told to rename the schema, because what older programs have written down would be wrong.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::*;

/// Streams as stored, old versions of events among them: each event once, and the ways on which
/// the same event leads elsewhere.
const ORDERS: [&[(&str, &str, &str)]; 7] = [
    &[
        ("order.placed", "2", PLACED),
        ("order.processing", "1", ""),
        ("order.confirmed", "1", r#""captured_minor": 1850"#),
        ("order.refund_requested", "1", REFUND),
        (
            "order.refund_failed",
            "1",
            r#""refund_id": "00000000-0000-0000-0000-000000000001", "amount_minor": 800,
               "reason": "account closed""#,
        ),
        ("order.lines_shipped", "1", r#""lines": [1, 2], "carrier": "Royal Mail""#),
        ("order.completed", "1", ""),
        ("order.refund_requested", "1", REFUND),
        ("order.refunded", "1", REFUND),
    ],
    &[
        ("order.placed", "1", PLACED_BEFORE_SHIPPING_WAS_CHARGED),
        ("order.processing", "1", ""),
        ("order.failed", "1", r#""cause": "payment_timed_out""#),
        ("order.confirmed", "1", r#""captured_minor": 1500"#),
        ("order.cancelled", "1", r#""reason": "changed my mind""#),
    ],
    &[
        ("order.placed", "2", PLACED_AT_A_DISCOUNT),
        ("order.failed", "1", r#""cause": "promotion_used_up", "promotion": "SPRING""#),
    ],
    &[
        ("order.placed", "2", PLACED),
        ("order.failed", "1", r#""cause": "out_of_stock", "skus": ["cup"]"#),
    ],
    &[
        ("order.placed", "2", PLACED),
        ("order.screened", "1", HELD),
        (
            "order.review_approved",
            "1",
            r#""reason": "known to us", "pay_by": "2026-03-01T14:30:00Z""#,
        ),
        ("order.processing", "1", ""),
        ("order.screened", "1", HELD),
        ("order.review_refused", "1", r#""reason": "a stolen card""#),
        ("order.failed", "1", r#""cause": "refused""#),
    ],
    &[
        ("order.placed", "2", PLACED),
        ("order.processing", "1", ""),
        ("order.failed", "1", r#""cause": "payment_timed_out""#),
        ("order.screened", "1", HELD),
        ("order.failed", "1", r#""cause": "review_timed_out""#),
    ],
    &[
        ("order.placed", "2", PLACED),
        ("order.screened", "1", r#""outcome": "refuse", "reasons": []"#),
        ("order.failed", "1", r#""cause": "refused""#),
    ],
];

const HELD: &str = r#""outcome": "review", "review_by": "2026-03-02T12:00:00Z", "reasons":
    [{"rule": "many orders", "outcome": "review", "detail": "4 orders by the same account"}]"#;

const PLACED: &str = r#""shipping_minor": 350,
    "customer": {"name": "Ada Byron", "email": "ada@example.com"},
    "shipping_address": {"line1": "12 St James's Square", "country": "GB"},
    "currency": "GBP",
    "lines": [{"sku": "cup", "name": "Cup", "quantity": 2, "unit_price_minor": 450},
              {"sku": "pot", "name": "Pot", "quantity": 1, "unit_price_minor": 600}],
    "payment_id": "00000000-0000-0000-0000-000000000009",
    "payment": {"method": "credit_card", "gateway": "sandbox"},
    "placed_at": "2026-03-01T12:00:00Z", "pay_by": "2026-03-01T12:30:00Z""#;

const PLACED_AT_A_DISCOUNT: &str = r#""shipping_minor": 350,
    "discount": {"promotion": "SPRING", "name": "Spring", "amount_minor": 150,
                 "lines_minor": [90, 60]},
    "customer": {"name": "Ada Byron", "email": "ada@example.com"},
    "shipping_address": {"line1": "12 St James's Square", "country": "GB"},
    "currency": "GBP",
    "lines": [{"sku": "cup", "name": "Cup", "quantity": 2, "unit_price_minor": 450},
              {"sku": "pot", "name": "Pot", "quantity": 1, "unit_price_minor": 600}],
    "payment_id": "00000000-0000-0000-0000-000000000009",
    "payment": {"method": "credit_card", "gateway": "sandbox"},
    "placed_at": "2026-03-01T12:00:00Z", "pay_by": "2026-03-01T12:30:00Z""#;

const PLACED_BEFORE_SHIPPING_WAS_CHARGED: &str = r#"
    "customer": {"name": "Ada Byron", "email": "ada@example.com"},
    "shipping_address": {"line1": "12 St James's Square", "country": "GB"},
    "currency": "GBP",
    "lines": [{"sku": "pot", "name": "Pot", "quantity": 1, "unit_price_minor": 1500}],
    "payment_id": "00000000-0000-0000-0000-000000000009",
    "payment": {"method": "credit_card", "gateway": "sandbox"},
    "placed_at": "2026-03-01T12:00:00Z", "pay_by": "2026-03-01T12:30:00Z""#;

const REFUND: &str = r#""refund_id": "00000000-0000-0000-0000-000000000001", "amount_minor": 800,
    "goods": [{"sku": "cup", "amount_minor": 450, "quantity": 1}], "shipping_minor": 350,
    "restock": [{"sku": "cup", "quantity": 1}], "reason": "broken""#;

const PAYMENTS: [&[(&str, &str, &str)]; 2] = [PAYMENT_OF_AN_ORDER, PAYMENT_THAT_NOBODY_ASKED_FOR];

const PAYMENT_OF_AN_ORDER: &[(&str, &str, &str)] = &[
    (
        "payment.opened",
        "1",
        r#""order_id": "00000000-0000-0000-0000-000000000001",
           "amount": {"minor": 1850, "currency": "GBP"}, "pay_by": "2026-03-01T12:30:00Z""#,
    ),
    ("payment.attempt_started", "1", ATTEMPT),
    (
        "payment.attempt_accepted",
        "1",
        r#""reference": "A", "provider_reference": "p-1""#,
    ),
    ("payment.declined", "1", r#""reference": "A", "reason": "insufficient_funds""#),
    (
        "payment.mismatched",
        "1",
        r#""reference": "A", "provider_reference": "p-1",
           "expected": {"minor": 1850, "currency": "GBP"},
           "received": {"minor": 1849, "currency": "GBP"}"#,
    ),
    (
        "payment.misnamed",
        "1",
        r#""reference": "A", "named": "Z", "provider_reference": "p-1",
           "received": {"minor": 1850, "currency": "GBP"}"#,
    ),
    ("payment.captured", "1", CAPTURED),
    ("payment.captured_again", "1", CAPTURED),
    ("payment.voided", "1", ""),
    (
        "payment.refund_requested",
        "1",
        r#""refund_id": "00000000-0000-0000-0000-000000000001",
        "amount_minor": 800, "reason": "broken""#,
    ),
    (
        "payment.refund_failed",
        "1",
        r#""refund_id": "00000000-0000-0000-0000-000000000001",
        "amount_minor": 800, "reason": "account closed""#,
    ),
    (
        "payment.refund_requested",
        "1",
        r#""refund_id": "00000000-0000-0000-0000-000000000002",
        "amount_minor": 700, "reference": "A", "reason": "broken""#,
    ),
    (
        "payment.refund_accepted",
        "1",
        r#""refund_id": "00000000-0000-0000-0000-000000000002",
        "provider_reference": "r-1""#,
    ),
    (
        "payment.refunded",
        "1",
        r#""refund_id": "00000000-0000-0000-0000-000000000002",
        "amount_minor": 700, "provider_reference": "r-1""#,
    ),
    (
        "payment.refund_returned",
        "1",
        r#""refund_id": "00000000-0000-0000-0000-000000000002",
        "amount_minor": 700, "reason": "account closed""#,
    ),
    (
        "payment.charged_back",
        "1",
        r#""reference": "A", "dispute": "dp_1", "amount_minor": 500, "reason": "fraudulent""#,
    ),
    (
        "payment.charged_back",
        "1",
        r#""reference": "A", "dispute": "dp_2", "amount_minor": 20, "reason": "duplicate""#,
    ),
    (
        "payment.chargeback_reversed",
        "1",
        r#""reference": "A", "dispute": "dp_2", "amount_minor": 20"#,
    ),
];

const PAYMENT_THAT_NOBODY_ASKED_FOR: &[(&str, &str, &str)] = &[
    (
        "payment.unmatched_received",
        "1",
        r#""gateway": "paystack", "reference": "theirs", "provider_reference": "p-1",
           "received": {"minor": 700, "currency": "NGN"}, "told_at": "2026-03-01T12:00:00Z""#,
    ),
    (
        "payment.refund_requested",
        "1",
        r#""refund_id": "00000000-0000-0000-0000-000000000002",
        "amount_minor": 700, "reference": "theirs", "reason": "nobody's""#,
    ),
];

const ATTEMPT: &str = r#""reference": "A", "method": "credit_card", "gateway": "sandbox",
    "started_at": "2026-03-01T12:00:00Z""#;

const CAPTURED: &str = r#""reference": "A", "provider_reference": "p-1",
    "received": {"minor": 1850, "currency": "GBP"}"#;

const INVENTORIES: [&[(&str, &str, &str)]; 1] = [&[
    ("inventory.received", "1", r#""quantity": 9, "reference": "note 7""#),
    ("inventory.adjusted", "1", r#""quantity": -1, "reason": "counted""#),
    ("inventory.reserved", "1", RESERVED),
    (
        "inventory.released",
        "1",
        r#""order_id": "00000000-0000-0000-0000-000000000001", "quantity": 2"#,
    ),
    ("inventory.reserved", "1", RESERVED),
    (
        "inventory.issued",
        "1",
        r#""order_id": "00000000-0000-0000-0000-000000000001", "quantity": 2"#,
    ),
    (
        "inventory.restocked",
        "1",
        r#""order_id": "00000000-0000-0000-0000-000000000001",
           "refund_id": "00000000-0000-0000-0000-000000000002", "quantity": 1"#,
    ),
]];

const RESERVED: &str = r#""order_id": "00000000-0000-0000-0000-000000000001", "quantity": 2,
    "expires_at": "2026-03-01T12:30:00Z""#;

const PRODUCTS: [&[(&str, &str, &str)]; 1] = [&[
    (
        "product.described",
        "1",
        r#""name": "Cup", "price": {"minor": 450, "currency": "GBP"}, "active": true"#,
    ),
    (
        "product.described",
        "1",
        r#""name": "Cup", "price": {"minor": 450, "currency": "GBP"}, "active": true,
           "prices": [{"minor": 900, "currency": "JPY"}]"#,
    ),
    (
        "product.described",
        "1",
        r#""name": "Cup", "price": {"minor": 450, "currency": "GBP"}, "active": true,
           "vendor": "00000000-0000-0000-0000-000000000005", "weight_grams": 350"#,
    ),
]];

const PERSONS: [&[(&str, &str, &str)]; 1] = [&[(
    "person.forgotten",
    "1",
    r#""orders": ["00000000-0000-0000-0000-000000000001"], "reason": "asked for it""#,
)]];

const LISTINGS: [&[(&str, &str, &str)]; 1] = [&[
    (
        "listing.described",
        "1",
        r#""title": "Tea cup", "description": "For tea.", "images": ["https://shop.example/1"],
           "category": "cups", "tags": ["tea"], "active": true,
           "variants": [{"sku": "cup", "options": [{"name": "size", "value": "large"}]}],
           "vendor": "00000000-0000-0000-0000-000000000007""#,
    ),
    ("listing.described", "1", r#""title": "Tea cup", "active": false"#),
    ("listing.withdrawn", "1", ""),
    ("listing.described", "1", r#""title": "Pot", "active": true"#),
]];

const CATEGORIES: [&[(&str, &str, &str)]; 1] = [&[
    ("categories.added", "1", r#""handle": "kitchen", "name": "Kitchen""#),
    (
        "categories.added",
        "1",
        r#""handle": "cups", "name": "Cups", "parent": "kitchen""#,
    ),
    ("categories.renamed", "1", r#""handle": "cups", "name": "Mugs""#),
    ("categories.moved", "1", r#""handle": "cups""#),
    ("categories.removed", "1", r#""handle": "kitchen""#),
]];
const VENDORS: [&[(&str, &str, &str)]; 1] = [&[
    ("vendor.registered", "1", POTTERY),
    ("vendor.activated", "1", ""),
    ("vendor.profile_changed", "1", POTTERY),
    ("vendor.deactivated", "1", r#""reason": "sold fakes""#),
]];

const POTTERY: &str = r#""business_name": "Potts",
    "address": {"line1": "3 Kiln Lane", "country": "GB"}"#;
const PROMOTIONS: [&[(&str, &str, &str)]; 1] = [&[
    (
        "promotion.described",
        "1",
        r#""name": "Spring", "reduction": {"kind": "percentage", "basis_points": 1000},
           "automatic": false, "listed": false, "active": true, "uses_max": 5,
           "uses_per_customer_max": 2, "minimum": [{"minor": 900, "currency": "GBP"}]"#,
    ),
    ("promotion.use_reserved", "1", USE_OF_A_CUSTOMER),
    (
        "promotion.use_released",
        "1",
        r#""order_id": "00000000-0000-0000-0000-000000000001""#,
    ),
    ("promotion.use_reserved", "1", USE_OF_A_CUSTOMER),
    ("promotion.used", "1", r#""order_id": "00000000-0000-0000-0000-000000000001""#),
    (
        "promotion.use_reserved",
        "1",
        r#""order_id": "00000000-0000-0000-0000-000000000002""#,
    ),
    (
        "promotion.described",
        "1",
        r#""name": "Spring", "reduction": {"kind": "amount", "amounts":
           [{"minor": 100, "currency": "GBP"}]}, "automatic": true, "listed": true,
           "active": true, "skus": ["cup"]"#,
    ),
]];

const DELIVERY: [&[(&str, &str, &str)]; 1] = [&[
    (
        "delivery.point_described",
        "1",
        r#""point_id": "station", "point": {"name": "Kiosk", "active": true,
           "opening_hours": "Mo-Su", "address": {"line1": "Platform 1", "country": "GB"}}"#,
    ),
    (
        "delivery.method_described",
        "1",
        r#""method_id": "collect", "method": {"name": "Collect", "active": true,
           "to": {"kind": "pickup_point", "points": ["station"]},
           "rates": [{"currency": "GBP", "bands": [{"price_minor": 0}]}]}"#,
    ),
    (
        "delivery.method_described",
        "1",
        r#""method_id": "post", "method": {"name": "Post", "description": "By the postman.",
           "active": true, "to": {"kind": "address"}, "countries": ["GB"],
           "days": {"min": 1, "max": 3}, "rates": [{"currency": "GBP", "free_from_minor": 5000,
           "bands": [{"over_grams": 5, "up_to_grams": 9, "from_minor": 1, "below_minor": 2,
                      "price_minor": 350}]}]}"#,
    ),
]];

const USE_OF_A_CUSTOMER: &str = r#""order_id": "00000000-0000-0000-0000-000000000001",
    "customer_id": "00000000-0000-0000-0000-000000000007""#;

#[test]
fn whoever_changes_a_state_or_its_rules_renames_its_schema() {
    let changed: Vec<String> = [
        changed::<Order>(&ORDERS, order::Event::NAMES),
        changed::<Payment>(&PAYMENTS, payment::Event::NAMES),
        changed::<Inventory>(&INVENTORIES, inventory::Event::NAMES),
        changed::<Product>(&PRODUCTS, product::Event::NAMES),
        changed::<Person>(&PERSONS, person::Event::NAMES),
        changed::<Listing>(&LISTINGS, listing::Event::NAMES),
        changed::<Categories>(&CATEGORIES, categories::Event::NAMES),
        changed::<Vendor>(&VENDORS, vendor::Event::NAMES),
        changed::<Promotion>(&PROMOTIONS, promotion::Event::NAMES),
        changed::<Delivery>(&DELIVERY, delivery::Event::NAMES),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(
        changed.is_empty(),
        "snapshots of older programs would be read as if nothing had changed; \
         raise the number of the schema and set its hash: {changed:#?}"
    );
}

/// What the schema has to be called, if it is not called so.
fn changed<A: Kept>(streams: &[&[(&str, &str, &str)]], names: &[&str]) -> Option<String> {
    let told: BTreeSet<&str> = streams
        .iter()
        .copied()
        .flatten()
        .map(|(name, ..)| *name)
        .collect();
    let known: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(told, known, "each event has its example above");
    let mut hash = Sha256::new();
    for stream in streams {
        let mut state = A::default();
        for (name, version, fields) in *stream {
            let comma = if fields.is_empty() { "" } else { "," };
            let payload = format!(r#"{{"type": "{name}"{comma} {fields}}}"#);
            let event = Event::read(A::TYPE, name, version, &payload).unwrap();
            state.apply(event.try_into().ok().unwrap());
            let written = serde_json::to_string(&state).unwrap();
            let read: A = serde_json::from_str(&written).unwrap();
            assert!(read == state, "{written} is read back as it was");
            hash.update(written);
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, ..] = digest;
    let hash = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
    let (number, known) = A::STATE_SCHEMA.split_once('-').unwrap();
    (known != hash).then(|| format!("{} {number}-{hash}", A::TYPE))
}
