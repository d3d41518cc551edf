insert into milestones (
    order_id, placed_at, reserved_at, paid_at, completed_at, cancelled_at, failed_at
)
select
    unnest($1::uuid[]), unnest($2::timestamptz[]), unnest($3::timestamptz[]),
    unnest($4::timestamptz[]), unnest($5::timestamptz[]), unnest($6::timestamptz[]),
    unnest($7::timestamptz[])
on conflict (order_id) do update
set
    placed_at = coalesce(excluded.placed_at, milestones.placed_at),
    reserved_at = coalesce(excluded.reserved_at, milestones.reserved_at),
    paid_at = coalesce(excluded.paid_at, milestones.paid_at),
    completed_at = coalesce(excluded.completed_at, milestones.completed_at),
    cancelled_at = coalesce(excluded.cancelled_at, milestones.cancelled_at),
    failed_at = coalesce(excluded.failed_at, milestones.failed_at)
