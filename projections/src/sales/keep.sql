-- Orders that were placed, some of them confirmed in the same batch.
insert into sales_orders (
    order_id, day, country, currency, units, gross_minor, goods, booked_position, booked_at,
    has_vendors
)
select
    unnest($1::uuid[]), unnest($2::date[]), unnest($3::text[]), unnest($4::text[]),
    unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::text[])::json, unnest($8::bigint[]),
    unnest($9::timestamptz[]), unnest($10::boolean[])
