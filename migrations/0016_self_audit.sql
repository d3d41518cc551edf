-- Self-audit: how much of history has been folded again and compared with the read models, and
-- every time when something was not what it should be.

create table self_audit (
    only_row boolean primary key default true
        constraint self_audit_has_one_row check (only_row),
    -- When the present round through history began.
    since timestamptz not null,
    -- Slices of the log, of 100 events each, in this round.
    blocks bigint not null,
    blocks_checked bigint not null,
    -- Orders that began in them.
    orders_checked bigint not null,
    -- Rounds that were finished before.
    rounds bigint not null,
    updated_at timestamptz not null
);

-- An alarm says which row and which fields, never what they hold: that may be somebody's name, and
-- an alarm is kept for ever.
create table self_audit_alarms (
    alarm_id bigint generated always as identity primary key,
    raised_at timestamptz not null default now(),
    -- Up to where the read model had been brought, or where the log is wrong.
    position bigint not null,
    block bigint not null,
    -- `log` where what must hold of stock or money does not.
    read_model text not null,
    table_name text not null,
    row_key text not null,
    fields text[] not null
);

create trigger self_audit_alarms_are_append_only
    before update or delete or truncate on self_audit_alarms
    for each statement execute function refuse_to_change_history();
