-- Plans, puts off and forgets questions to providers, and moves the mark with them: all or nothing.
-- No question is in two of the lists, so the parts do not meet.
with planned as (
    insert into provider_polls (payment_id, reference, kind, gateway, called, due_at)
    select payment_id, reference, kind, gateway, called, due_at
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[])
        as p (payment_id, reference, kind, gateway, called, due_at)
    -- Planned before a crash, and heard of once more.
    on conflict (payment_id, reference) do nothing
),
put_off as (
    update provider_polls as polls
    set asked = p.asked, called = true, due_at = p.due_at
    from unnest($7::uuid[], $8::text[], $9::integer[], $10::timestamptz[])
        as p (payment_id, reference, asked, due_at)
    where polls.payment_id = p.payment_id and polls.reference = p.reference
),
forgotten as (
    delete from provider_polls as polls
    using unnest($11::uuid[], $12::text[]) as f (payment_id, reference)
    where polls.payment_id = f.payment_id and polls.reference = f.reference
)
insert into worker_marks (worker, position)
values ($13, $14)
on conflict (worker) do update
set position = excluded.position
