-- Orders of earlier batches: what is added to them, and which are purchases from now on.
update customer_orders
set
    refunded_minor = customer_orders.refunded_minor + moved.refunded_minor,
    is_booked = customer_orders.is_booked or moved.is_booked
from (
    select
        unnest($1::uuid[]) as order_id, unnest($2::bigint[]) as refunded_minor,
        unnest($3::boolean[]) as is_booked
) as moved
where customer_orders.order_id = moved.order_id
