-- Whole months ($3 up to, but not including, $4) from the months, what is left at both ends from
-- the days.
select
    sku as key,
    currency,
    sum(orders)::bigint as orders,
    sum(units)::bigint as units,
    sum(gross_minor)::bigint as gross_minor,
    sum(refunded_minor)::bigint as refunded_minor
from (
    select sku, currency, orders, units, gross_minor, refunded_minor
    from sales_by_sku
    where $1 <= day and day <= $2 and (day < $3 or $4 <= day)
    union all
    select sku, currency, orders, units, gross_minor, refunded_minor
    from sales_by_sku_and_month
    where $3 <= month and month < $4
) as sales
group by sku, currency
order by sku, currency
