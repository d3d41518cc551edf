insert into customer_orders (
    order_id, customer, placed_at, day, currency, gross_minor, refunded_minor, is_booked
)
select
    unnest($1::uuid[]), sha256(convert_to(unnest($2::text[]), 'UTF8')),
    unnest($3::timestamptz[]), unnest($4::date[]),
    unnest($5::text[]), unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::boolean[])
