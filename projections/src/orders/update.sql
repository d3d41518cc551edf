-- Only what moves: the lines, which are most of the row, are not sent again.
update orders
set
    status = moved.status,
    payment_status = moved.payment_status,
    refunded_minor = moved.refunded_minor,
    version = moved.version,
    updated_at = moved.updated_at,
    progress = moved.progress::json
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[], $7::text[]
) as moved (order_id, status, payment_status, refunded_minor, version, updated_at, progress)
where orders.order_id = moved.order_id
