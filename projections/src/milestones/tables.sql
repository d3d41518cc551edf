-- When an order reached what; null where it has not. An order that failed for want of money may be
-- paid later all the same, and then has both times.
create table milestones (
    order_id uuid primary key,
    placed_at timestamptz,
    reserved_at timestamptz,
    paid_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    failed_at timestamptz
);
