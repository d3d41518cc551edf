create table payments (
    payment_id uuid primary key,
    opened_at timestamptz not null,
    version bigint not null,
    updated_at timestamptz not null,
    -- json, not jsonb: jsonb refuses the escaped NUL that a text of the log may hold.
    payment json not null
-- A payment moves a few times in its first seconds: pages keep room for the next version of a row.
) with (fillfactor = 70);

create index payments_newest on payments (opened_at, payment_id);
