-- A reservation as a table of stock makes it: everybody queues for the lock of one row, and holds it
-- until the commit is on the disk.
begin;
update stock
set on_hand = on_hand - 1
where sku = 'HOT';
insert into events (
    position, event_id, aggregate_type, aggregate_id, sequence,
    event_type, event_version, payload, metadata, recorded_at
)
values (
    nextval('positions'), gen_random_uuid(), 'inventory', gen_random_uuid()::text, 1,
    'inventory.reserved', '1',
    '{"type":"inventory.reserved","order_id":"01a1fc71-14f6-733d-9833-c083518e1e25","quantity":1,"expires_at":"2026-11-21T05:05:31.797226001Z"}',
    '{"command_id":"c272bf42-3b9c-59ef-ab94-766e1aeb9a09","correlation_id":"01a1fc71-14f6-733d-9833-c083518e1e25","actor":"guest","request_id":"01a1fc71-14f5-75ea-8a5e-6da1f8472d89","traceparent":"00-5e48e17fcd5a1bc4d170b5c585e67cbe-c93dd3720328aacf-01"}',
    clock_timestamp()
);
commit;
