update order_progress
set
    status = moved.status,
    payment_status = moved.payment_status,
    refunded_minor = moved.refunded_minor,
    version = moved.version,
    updated_at = moved.updated_at,
    progress = moved.progress::json,
    review = moved.review
from (
    select
        unnest($1::uuid[]) as order_id,
        unnest($2::text[]) as status,
        unnest($3::text[]) as payment_status,
        unnest($4::bigint[]) as refunded_minor,
        unnest($5::bigint[]) as version,
        unnest($6::timestamptz[]) as updated_at,
        unnest($7::text[]) as progress,
        unnest($8::text[]) as review
) as moved
where order_progress.order_id = moved.order_id
