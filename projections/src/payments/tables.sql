create table payments (
    payment_id uuid primary key,
    opened_at timestamptz not null,
    version bigint not null,
    updated_at timestamptz not null,
    -- json, not jsonb: jsonb refuses the escaped NUL that a text of the log may hold.
    payment json not null,
    -- What lists are filtered by; all of it stands in the document as well.
    order_id uuid not null,
    status text collate "C" not null,
    -- Of the last attempt; null where there is none.
    gateway text collate "C",
    method text collate "C"
-- A payment moves a few times in its first seconds: pages keep room for the next version of a row.
) with (fillfactor = 70);

create index payments_newest on payments (opened_at, payment_id);
create index payments_by_order on payments (order_id);
-- What somebody looks for is what is not as most are; those are found by the index above.
create index payments_by_status on payments (status, opened_at, payment_id)
    where status <> 'captured';
