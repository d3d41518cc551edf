-- Which payment provider is asked for what, as staff will have it. Ordinary rows and no events: an
-- order's own event says who was chosen and by which rule, and what a rule was then is kept below.

create table routing_rules (
    rule_id uuid primary key,
    -- Rules are tried by it, the lowest first.
    priority integer not null
        constraint routing_rules_have_an_order unique,
    -- Empty arrays and nulls hold for everything.
    currencies text[] not null,
    countries text[] not null,
    methods text[] not null,
    amount_currency text,
    amount_from_minor bigint,
    amount_to_minor bigint,
    -- Who is asked, the first first.
    gateways text[] not null
        constraint routing_rules_name_somebody check (0 < cardinality(gateways)),
    active boolean not null,
    note text,
    created_by text not null,
    created_at timestamptz not null,
    updated_by text not null,
    updated_at timestamptz not null,
    constraint routing_rules_amounts_have_a_currency check (
        (amount_currency is null) = (amount_from_minor is null and amount_to_minor is null)
    )
);

-- Every change, for ever: the rule as it was from then on, or, deleted, until then.
create table routing_changes (
    change_id bigint generated always as identity primary key,
    rule_id uuid not null,
    what text not null
        constraint routing_changes_what_is_known check (what in ('created', 'replaced', 'deleted')),
    rule jsonb not null,
    changed_by text not null,
    changed_at timestamptz not null
);

-- How it stands with providers, as the process that calls them knows it, for those that do not. Only
-- a hint: nothing is lost with it.
create table gateway_health (
    gateway text primary key,
    standing text not null,
    since timestamptz not null,
    away_until timestamptz,
    failed_at timestamptz,
    failure text
);

-- Whether the provider has certainly never heard of the reference: it was not reached, or not even
-- called. Where it may have, nobody else is asked in its place.
alter table provider_references add column unheard boolean not null default false;
