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
    -- Passed over when the stream was read: of another program, of another history, or damaged. That
    -- cannot be found out here: this statement may not see the events that a newer one ends with.
    or kept.version = $6
