-- New orders, and known ones whose goods have been booked and need not be kept.
insert into sales_orders (order_id, day, country, currency, goods)
select order_id, day, country, currency, goods::json
from unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::text[])
    as kept (order_id, day, country, currency, goods)
on conflict (order_id) do update
set goods = excluded.goods
