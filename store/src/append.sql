-- Appends a batch of commands: their events at the next positions, their receipts beside them.
-- One statement is one transaction and one round trip, unless the batch holds refusals or keys of
-- orders that were placed before, and others have written meanwhile (see below).
with head as (
    -- The row lock puts the writers of all processes into one order. The time is taken after the
    -- lock, so that it does not run against the positions.
    update log_head
    set position = position + $1
    -- Whoever had to wait for the lock looks at the row as it is then.
    where $25::bigint is null or position = $25
    returning position - $1 as base, clock_timestamp() as recorded_at
), appended as (
    insert into events (
        position, event_id, aggregate_type, aggregate_id, sequence,
        event_type, event_version, payload, metadata, recorded_at
    )
    select
        head.base + e.ordinal, e.event_id, e.aggregate_type, e.aggregate_id, e.sequence,
        e.event_type, e.event_version, e.payload::json, e.metadata::json, head.recorded_at
    -- In a select list, arrays are walked in step; in a from clause, each is first written to a
    -- store of its own, which costs a tenth of the whole statement.
    from head, (
        select
            generate_subscripts($2::uuid[], 1) as ordinal,
            unnest($2::uuid[]) as event_id,
            unnest($3::text[]) as aggregate_type,
            unnest($4::text[]) as aggregate_id,
            unnest($5::bigint[]) as sequence,
            unnest($6::text[]) as event_type,
            unnest($7::text[]) as event_version,
            unnest($8::text[]) as payload,
            unnest($9::text[]) as metadata
    ) as e
), keyed as (
    -- The keys of what is sealed in these events, so that neither is there without the other.
    insert into personal_keys (key_id, order_id, wrapped, destroyed_at)
    select
        k.key_id, k.order_id,
        case when past.is_forgotten then null else k.wrapped end,
        case when past.is_forgotten then head.recorded_at end
    from head, (
        select
            unnest($21::uuid[]) as key_id,
            unnest($22::uuid[]) as order_id,
            unnest($23::bytea[]) as wrapped,
            unnest($24::boolean[]) as is_late
    ) as k
    -- What is given for an order whose person was forgotten is not kept. Batches that hold such
    -- keys are appended where the log ends as we left it, or else take the head's lock in a
    -- statement before this one, as those with refusals do. The limit has the index looked into for each of the few, and never the whole table read.
    left join lateral (
        select true as is_forgotten
        from personal_keys
        where k.is_late
          and personal_keys.order_id = k.order_id
          and personal_keys.destroyed_at is not null
        limit 1
    ) as past on true
), receipted as (
    insert into receipts (
        command_id, fingerprint, refusal, aggregate_type, aggregate_id, version,
        first_position, last_position, answer_status, answer_body, recorded_at
    )
    select
        r.command_id, r.fingerprint, r.refusal::json, r.aggregate_type, r.aggregate_id, r.version,
        head.base + r.first_offset, head.base + r.last_offset,
        r.answer_status, r.answer_body, head.recorded_at
    from head, (
        select
            unnest($10::uuid[]) as command_id,
            unnest($11::bytea[]) as fingerprint,
            unnest($12::text[]) as refusal,
            unnest($13::text[]) as aggregate_type,
            unnest($14::text[]) as aggregate_id,
            unnest($15::bigint[]) as version,
            unnest($16::bigint[]) as first_offset,
            unnest($17::bigint[]) as last_offset,
            unnest($18::smallint[]) as answer_status,
            unnest($19::text[]) as answer_body,
            unnest($20::boolean[]) as eventless
    ) as r
    -- A refusal, or a change that changes nothing, inserts no event, so the primary key cannot tell
    -- whether it was decided on an outdated state: it holds only if nobody has appended to the
    -- stream since. This statement sees the log as it was when the statement began; so such batches
    -- are appended where the log ends as we left it, or else take the head's lock in a statement
    -- before this one. What this batch itself appends it does not see; the writer looks after that.
    where not r.eventless or not exists (
        select from events
        where events.aggregate_type = r.aggregate_type
          and events.aggregate_id = r.aggregate_id
          and events.sequence = r.version + 1
    )
    returning command_id
)
select
    head.base,
    head.recorded_at,
    (select coalesce(array_agg(command_id), '{}') from receipted) as receipted
from head
