-- Keeps where orders are, what was parked on their way, and the mark behind which nothing is
-- missing: all of it or nothing.
with kept as (
    insert into checkouts (order_id, state, due_at, position)
    select
        unnest($1::uuid[]), unnest($2::text[])::json, unnest($3::timestamptz[]), unnest($4::bigint[])
    on conflict (order_id) do update
    set state = excluded.state,
        due_at = excluded.due_at,
        position = excluded.position,
        -- What follows from a deadline is kept with this.
        deadline_heard_at = null,
        updated_at = now()
    -- Another process may have taken over and be further than this one.
    where checkouts.position <= excluded.position
),
parked as (
    insert into parked_facts (parked_id, order_id, position, fact, reason, parked_at)
    select parked_id, order_id, position, fact::jsonb, reason, parked_at
    from unnest($5::uuid[], $6::uuid[], $7::bigint[], $8::text[], $9::text[], $10::timestamptz[])
        as p (parked_id, order_id, position, fact, reason, parked_at)
    -- A repetition finds them parked already.
    on conflict (parked_id) do nothing
)
insert into worker_marks (worker, position, begun_to)
values ($11, $12, $13)
on conflict (worker) do update
set position = excluded.position, begun_to = excluded.begun_to
