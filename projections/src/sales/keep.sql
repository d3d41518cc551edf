-- New orders, and known ones whose goods have been booked and need not be kept.
insert into sales_orders (order_id, day, country, currency, goods)
select
    unnest($1::uuid[]), unnest($2::date[]), unnest($3::text[]), unnest($4::text[]),
    unnest($5::text[])::json
on conflict (order_id) do update
set goods = excluded.goods
