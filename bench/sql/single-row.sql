-- One event, one commit: what a log costs that commits every event by itself.
insert into events (
    position, event_id, aggregate_type, aggregate_id, sequence,
    event_type, event_version, payload, metadata, recorded_at
)
values (
    nextval('positions'), gen_random_uuid(), 'order', gen_random_uuid()::text, 1,
    'order.placed', '1',
    '{"type":"order.placed","customer":{"name":"Ada Byron 0001","email":"ada.0001@example.com","phone":"+44 20 7946 0000"},"shipping_address":{"line1":"12 St James''s Square","city":"London","postcode":"SW1Y 4JH","country":"GB"},"currency":"GBP","lines":[{"sku":"BENCH-0001","name":"Article BENCH-0001","quantity":2,"unit_price_minor":450},{"sku":"BENCH-0002","name":"Article BENCH-0002","quantity":1,"unit_price_minor":450}],"shipping_minor":0,"payment_id":"01a1fc71-14f7-74f9-a6cc-8895a99b155a","payment":{"method":"credit_card","gateway":"sandbox","token":"ok"},"placed_at":"2026-11-21T04:50:31.797226001Z","pay_by":"2026-11-21T05:05:31.797226001Z"}',
    '{"command_id":"c272bf42-3b9c-59ef-ab94-766e1aeb9a09","correlation_id":"01a1fc71-14f6-733d-9833-c083518e1e25","actor":"guest","request_id":"01a1fc71-14f5-75ea-8a5e-6da1f8472d89","traceparent":"00-5e48e17fcd5a1bc4d170b5c585e67cbe-c93dd3720328aacf-01"}',
    clock_timestamp()
);
