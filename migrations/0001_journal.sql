-- The journal: what happened, in the order in which it happened, and what was answered.

-- One row: the position of the newest event. Its row lock puts the commits of all writers, in all
-- processes, into one order, so that position order, commit order and visible order are the same.
create table log_head (
    only_row boolean primary key default true
        constraint log_head_has_one_row check (only_row),
    position bigint not null
        constraint log_head_position_is_not_negative check (0 <= position),
    -- Tells this log from any other, so that a stream of another database is never mistaken for ours.
    log_id uuid not null default gen_random_uuid()
);

insert into log_head (position) values (0);

-- The columns from aggregate_type to metadata are those that postgres-es reads.
create table events (
    -- 1, 2, 3 ... without a hole.
    position bigint not null constraint events_position_is_unique unique,
    event_id uuid not null,
    aggregate_type text not null,
    aggregate_id text not null,
    -- 1, 2, 3 ... within the aggregate.
    sequence bigint not null constraint events_sequence_is_positive check (0 < sequence),
    event_type text not null,
    -- An integer; text because postgres-es reads text.
    event_version text not null
        constraint events_version_is_an_integer check (event_version ~ '^[1-9][0-9]*$'),
    -- json, not jsonb: the stored bytes are kept as they are, so that they can be proved.
    payload json not null,
    metadata json not null,
    recorded_at timestamptz not null,
    -- Optimistic concurrency: two writers cannot both append the same next event.
    constraint events_stream_is_sequential primary key (aggregate_type, aggregate_id, sequence)
);

create function refuse_to_change_history() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % is refused', tg_table_name, lower(tg_op)
        using errcode = 'restrict_violation';
end
$$;

create trigger events_are_append_only
    before update or delete or truncate on events
    for each statement execute function refuse_to_change_history();

-- What every command was answered, for ever: the same command id acts at most once.
create table receipts (
    command_id uuid not null constraint receipts_command_acts_once primary key,
    -- SHA-256 of the request: the same id with another request is a mistake of the caller.
    fingerprint bytea not null,
    -- Refusals are remembered as well: a repeated step must not decide differently.
    refusal json,
    aggregate_type text not null,
    aggregate_id text not null,
    -- The aggregate's version after the command, or the one a refusal was decided on.
    version bigint not null,
    -- Where the effect is: the command's events, or the head of the log where it had none.
    first_position bigint not null,
    last_position bigint not null,
    -- The HTTP answer, byte for byte; null for commands of the checkout process.
    answer_status smallint,
    answer_body text,
    recorded_at timestamptz not null
);

create trigger receipts_are_append_only
    before update or delete or truncate on receipts
    for each statement execute function refuse_to_change_history();

-- Answers that waited for an outcome (`Prefer: wait`) and so differ from the receipt's own.
create table awaited_answers (
    command_id uuid primary key,
    status smallint not null,
    body text not null
);
