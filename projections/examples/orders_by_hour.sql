-- Orders per hour: how many were placed, paid, and given up. An example of a read model that is a
-- SQL file; docs/PROJECTIONS.md says how Daybook runs it.

-- daybook:tables
create table orders_by_hour (
    hour timestamptz primary key,
    placed bigint not null,
    paid bigint not null,
    given_up bigint not null,
    -- Of the paid ones, in minor units of whatever currency.
    captured_minor numeric not null
);

-- daybook:batch
insert into orders_by_hour (hour, placed, paid, given_up, captured_minor)
select
    date_trunc('hour', recorded_at, 'UTC'),
    count(*) filter (where event_type = 'order.placed'),
    count(*) filter (where event_type = 'order.confirmed'),
    count(*) filter (where event_type in ('order.cancelled', 'order.failed')),
    coalesce(sum((payload ->> 'captured_minor')::numeric), 0)
from batch
where event_type in ('order.placed', 'order.confirmed', 'order.cancelled', 'order.failed')
group by 1
on conflict (hour) do update
set
    placed = orders_by_hour.placed + excluded.placed,
    paid = orders_by_hour.paid + excluded.paid,
    given_up = orders_by_hour.given_up + excluded.given_up,
    captured_minor = orders_by_hour.captured_minor + excluded.captured_minor;
