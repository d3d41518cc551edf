-- Records grow by what the batch adds: who they are comes from the newest order, what they are
-- called by us from the first. Counting anew would read all orders of whoever orders most.
with added as (
    select email_key, count(*) as orders, min(position) as first, max(position) as last
    from guest_orders where order_id = any($1) group by email_key
)
insert into guests (
    email_key, guest_id, name, email, phone, country, orders, created_at, updated_at
)
select
    added.email_key, first.order_id, last.name, last.email, last.phone, last.country,
    added.orders, first.placed_at, last.placed_at
from added
    join guest_orders as first
        on first.email_key = added.email_key and first.position = added.first
    join guest_orders as last
        on last.email_key = added.email_key and last.position = added.last
on conflict (email_key) do update
set
    name = excluded.name,
    email = excluded.email,
    phone = excluded.phone,
    country = excluded.country,
    orders = guests.orders + excluded.orders,
    updated_at = excluded.updated_at
