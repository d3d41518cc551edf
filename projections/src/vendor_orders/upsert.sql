insert into vendor_orders (
    vendor_id, order_id, placed_at, is_paid, is_shipped, currency, lines
)
select
    unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::timestamptz[]), unnest($4::boolean[]),
    unnest($5::boolean[]), unnest($6::text[]), unnest($7::text[])::json
on conflict (vendor_id, order_id) do update
set
    is_paid = excluded.is_paid,
    is_shipped = excluded.is_shipped,
    lines = excluded.lines
