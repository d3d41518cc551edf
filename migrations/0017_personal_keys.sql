-- Keys of personal data. What tells who somebody is, is sealed in the log with a key of its own; to
-- forget somebody is to destroy the keys of their orders, and nothing in the log changes.
--
-- Whoever backs the log up without this table, and this table beside it, can restore both and not
-- what was forgotten in between: see docs/PRIVACY.md.

-- Master keys that data keys are wrapped with. The keys themselves are in the environment alone.
create table master_keys (
    -- The first bytes of a digest of the key: tells keys apart and is no use to guess them.
    fingerprint bytea primary key
        constraint master_keys_are_named_by_eight_bytes check (length(fingerprint) = 8),
    since timestamptz not null default now()
);

create table personal_keys (
    -- UUIDv7, and named in the sealed payload. Each seals one text, once.
    key_id uuid primary key,
    -- Whose personal data it is: the person who placed this order.
    order_id uuid not null,
    -- The fingerprint of the master key, a nonce, and the data key sealed with it; null once
    -- destroyed.
    wrapped bytea,
    destroyed_at timestamptz,
    constraint personal_keys_are_whole_or_destroyed
        check ((wrapped is null) = (destroyed_at is not null))
);

create index personal_keys_by_order on personal_keys (order_id);

-- Snapshots of payments held what a customer had given to pay with. They only spare reading.
delete from snapshots where aggregate_type = 'payment';
