-- Reads parts of many streams: for each the snapshot that may stand for its older events, if there
-- is one, and the events after that, each stream's in order.
with wanted as (
    select *
    from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[]) with ordinality
         as w (aggregate_type, aggregate_id, after, state_schema, events_max, ordinal)
), found as (
    -- Materialized, because it is read twice and its rows may be large.
    select
        w.*, s.version, s.state, s.state_schema as stored_schema,
        -- Of the wanted schema, and of this history: the event that it ends with is still there.
        -- A statement sees one state of the database, so a sound snapshot is never ahead of it.
        s.state_schema = w.state_schema and exists (
            select from events e
            where e.aggregate_type = s.aggregate_type
              and e.aggregate_id = s.aggregate_id
              and e.sequence = s.version
              and e.event_id = s.event_id
        ) as is_sound
    from wanted w
    left join snapshots s
        on w.state_schema is not null
        and s.aggregate_type = w.aggregate_type
        and s.aggregate_id = w.aggregate_id
        and w.after < s.version
)
select
    f.ordinal,
    f.version as sequence,
    null as event_type,
    f.stored_schema as schema,
    case when f.is_sound then f.state::text end as body
from found f
where f.version is not null
union all
select f.ordinal, e.sequence, e.event_type, e.event_version, e.payload
from found f
cross join lateral (
    -- The primary key serves this in order, so that no more is read than is wanted.
    select e.sequence, e.event_type, e.event_version, e.payload::text as payload
    from events e
    where e.aggregate_type = f.aggregate_type
      and e.aggregate_id = f.aggregate_id
      and e.sequence > case when f.is_sound then f.version else f.after end
    order by e.sequence
    limit f.events_max
) e
-- The snapshot has the sequence of an event that is not among those after it.
order by ordinal, sequence
