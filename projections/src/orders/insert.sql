-- The mark keeps an order from being inserted twice, so a conflict is a mistake and must show.
with placed as (
    insert into orders (
        order_id, customer_name, customer_email, email_key, country, currency, total_minor,
        placed_at, placed, customer_id, shipping_minor, shipping_method
    )
    select
        unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]),
        unnest($5::text[]), unnest($6::text[]), unnest($7::bigint[]), unnest($8::timestamptz[]),
        unnest($9::text[])::json, unnest($16::uuid[]), unnest($18::bigint[]),
        unnest($19::text[])
)
insert into order_progress (
    order_id, placed_at, status, payment_status, refunded_minor, version, updated_at, progress,
    review
)
select
    unnest($1::uuid[]), unnest($8::timestamptz[]), unnest($10::text[]), unnest($11::text[]),
    unnest($12::bigint[]), unnest($13::bigint[]), unnest($14::timestamptz[]),
    unnest($15::text[])::json, unnest($17::text[])
