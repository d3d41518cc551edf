-- What a SQL file is given: the events of one batch, in order. Empty again after each transaction.
create temporary table batch (
    position bigint primary key,
    event_id uuid not null,
    aggregate_type text not null,
    aggregate_id text not null,
    sequence bigint not null,
    event_type text not null,
    recorded_at timestamptz not null,
    payload jsonb not null,
    metadata jsonb not null
) on commit delete rows
