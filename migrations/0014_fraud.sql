-- What orders and payments are screened by. Ordinary rows and no events: administrators change them,
-- and each decision that follows from them is an event with its reasons.

create table fraud_rules (
    rule_id uuid primary key,
    -- What reasons call it.
    name text not null constraint fraud_rules_have_names_of_their_own unique,
    -- Rules are asked in this order, and among equals by age.
    priority integer not null,
    outcome text not null
        constraint fraud_rules_outcome_is_known check (outcome in ('accept', 'review', 'refuse')),
    condition json not null,
    note text,
    active boolean not null,
    created_by text not null,
    created_at timestamptz not null,
    updated_by text not null,
    updated_at timestamptz not null
);

create table blocklist (
    entry_id uuid primary key,
    kind text not null,
    -- In the one form in which it is compared.
    value text not null,
    note text not null,
    created_by text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    constraint blocklist_names_everything_once unique (kind, value)
);

create index blocklist_newest on blocklist (created_at desc, entry_id desc);
create index blocklist_newest_of_kind on blocklist (kind, created_at desc, entry_id desc);

-- Raised with every change of either, so that processes know when to read them again.
create table fraud_revision (
    only_row boolean primary key default true
        constraint fraud_revision_has_one_row check (only_row),
    revision bigint not null
);

insert into fraud_revision (revision) values (0);
