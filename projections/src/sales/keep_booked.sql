-- Orders of earlier batches that were confirmed in this one. Their goods are not touched, so that they
-- stay where they are.
update sales_orders
set booked_position = booked.position, booked_at = booked.at
from (
    select
        unnest($1::uuid[]) as order_id, unnest($2::bigint[]) as position,
        unnest($3::timestamptz[]) as at
) as booked
where sales_orders.order_id = booked.order_id
