-- Snapshots: where the folding of a long stream may begin. Each only spares the reading of what it
-- was folded from, so its row may be deleted at any time.

create table snapshots (
    aggregate_type text not null,
    aggregate_id text not null,
    -- The sequence of the last event that is in the state.
    version bigint not null constraint snapshots_version_is_positive check (0 < version),
    -- That event: should another one, or none, stand there, the state is of another history.
    event_id uuid not null,
    -- json, not jsonb: it is read as a whole and never searched.
    state json not null,
    -- The shape of the state and the rules that led to it; to whoever has others it says nothing.
    state_schema text not null,
    taken_at timestamptz not null default now(),
    -- One for each aggregate: an older one says nothing that a newer one does not.
    constraint snapshots_are_one_per_aggregate primary key (aggregate_type, aggregate_id)
);
