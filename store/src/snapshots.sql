-- Keeps a snapshot, unless there is a better one.
insert into snapshots as kept (aggregate_type, aggregate_id, version, event_id, state, state_schema)
-- From the event that it ends with: without that event there is no snapshot.
select aggregate_type, aggregate_id, sequence, event_id, $4::json, $5
from events
where aggregate_type = $1 and aggregate_id = $2 and sequence = $3
on conflict (aggregate_type, aggregate_id) do update
set version = excluded.version,
    event_id = excluded.event_id,
    state = excluded.state,
    state_schema = excluded.state_schema,
    taken_at = excluded.taken_at
-- Of two processes the slower one comes with the older state.
where kept.version < excluded.version
    -- Of another program: the last one that ran is the one that will run again.
    or (kept.version = excluded.version and kept.state_schema <> excluded.state_schema)
    -- Of another history: nobody can use it, and it would stay for ever if it were ahead.
    or not exists (
        select from events
        where events.aggregate_type = kept.aggregate_type
          and events.aggregate_id = kept.aggregate_id
          and events.sequence = kept.version
          and events.event_id = kept.event_id
    )
    -- But not one that somebody has kept while this statement waited for the row: the statement
    -- sees the events as they were when it began.
    and exists (
        select from snapshots as seen
        where seen.aggregate_type = kept.aggregate_type
          and seen.aggregate_id = kept.aggregate_id
          and seen.version = kept.version
          and seen.event_id = kept.event_id
    )
