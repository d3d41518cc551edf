-- The checkout process: where each order stands, and what it could not make sense of.

create table checkouts (
    order_id uuid primary key,
    state jsonb not null,
    -- When the time to pay is over; null while nothing is awaited.
    due_at timestamptz,
    -- When the deadline was heard, until what followed from it is kept. The clock is not in the
    -- log: a crash in between must not let anything else be heard first the second time.
    deadline_heard_at timestamptz,
    updated_at timestamptz not null default now()
);

create index checkouts_due on checkouts (due_at) where due_at is not null;
create index checkouts_deadline_heard on checkouts (due_at) where deadline_heard_at is not null;

-- How far each worker has read the log.
create table worker_marks (
    worker text primary key,
    position bigint not null
);

-- Facts that no rule expected, and calls for a person.
create table parked_facts (
    parked_id uuid primary key,
    order_id uuid not null,
    -- The event that brought it; null for deadlines.
    position bigint,
    fact jsonb not null,
    reason text not null,
    parked_at timestamptz not null default now()
);

create index parked_facts_newest on parked_facts (parked_at desc, parked_id desc);

-- Attempts and refunds whose outcome is to be asked for, should no callback bring it.
create table provider_polls (
    payment_id uuid not null,
    -- The attempt's reference, or the refund's id.
    reference text not null,
    kind text not null constraint provider_polls_kind check (kind in ('attempt', 'refund')),
    -- How often it has been asked already; the pauses grow.
    asked integer not null default 0,
    due_at timestamptz not null,
    primary key (payment_id, reference)
);

create index provider_polls_due on provider_polls (due_at);
