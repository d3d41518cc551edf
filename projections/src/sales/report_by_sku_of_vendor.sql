-- The vendor's orders of the days from $2 up to, but not including, $3 are found by the index of
-- `vendor_orders`; what was sold and what went back stands in the rows of the sales, which know whose
-- each article was.
with theirs as (
    select order_id from vendor_orders
    where vendor_id = $1 and is_paid and $2 <= placed_at and placed_at < $3
),
moved as (
    select
        good ->> 'sku' as sku, currency, 1 as orders, (good ->> 'units')::bigint as units,
        (good ->> 'gross_minor')::bigint as gross_minor, 0::bigint as refunded_minor
    from theirs
    join sales_orders using (order_id)
    cross join lateral json_array_elements(goods) as good
    where booked_position is not null and good ->> 'vendor' = $4
    union all
    select sku, currency, 0, 0, 0, refunded_minor
    from theirs
    join sales_refunds using (order_id)
    where vendor = $4
)
select
    sku collate "C" as key,
    currency,
    sum(orders)::bigint as orders,
    sum(units)::bigint as units,
    sum(gross_minor)::bigint as gross_minor,
    sum(refunded_minor)::bigint as refunded_minor
from moved
group by 1, 2
order by 1, 2
