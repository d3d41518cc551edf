-- What providers say over HTTP, kept before it is answered and worked off afterwards.

-- By which names of ours a provider knows attempts and refunds, written before it hears them.
create table provider_references (
    gateway text not null,
    -- An attempt's reference, or a refund's id.
    reference text not null,
    payment_id uuid not null,
    primary key (gateway, reference)
);

create table webhooks (
    webhook_id uuid primary key,
    gateway text not null,
    -- The provider's name for what it says, or a digest of it: repetitions carry the same for ever.
    event_key text not null,
    -- As it came in, byte for byte.
    body bytea not null,
    state text not null default 'received'
        constraint webhooks_state check (state in ('received', 'done', 'parked')),
    -- Why it is parked, for a person.
    reason text,
    -- The payment it turned out to be about.
    payment_id uuid,
    -- How often it came in, and how often it has been worked on.
    deliveries integer not null default 1,
    tries integer not null default 0,
    -- When it is to be worked on; moved ahead by whoever takes it, so that a crash only delays it.
    due_at timestamptz not null default now(),
    received_at timestamptz not null default now(),
    worked_at timestamptz,
    constraint webhooks_once unique (gateway, event_key)
);

create index webhooks_due on webhooks (due_at) where state = 'received';
create index webhooks_newest on webhooks (received_at desc, webhook_id desc);
create index webhooks_parked on webhooks (received_at desc, webhook_id desc) where state = 'parked';
