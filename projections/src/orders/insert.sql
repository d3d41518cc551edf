-- The mark keeps an order from being inserted twice, so a conflict is a mistake and must show.
insert into orders (
    order_id, status, payment_status, customer_name, customer_email, email_key, country, currency,
    total_minor, refunded_minor, version, placed_at, updated_at, placed, progress, customer_id
)
select
    order_id, status, payment_status, customer_name, customer_email, email_key, country, currency,
    total_minor, refunded_minor, version, placed_at, updated_at, placed::json, progress::json,
    customer_id
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::timestamptz[],
    $14::text[], $15::text[], $16::uuid[]
) as new (
    order_id, status, payment_status, customer_name, customer_email, email_key, country, currency,
    total_minor, refunded_minor, version, placed_at, updated_at, placed, progress, customer_id
)
