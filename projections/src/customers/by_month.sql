-- The first purchase of every customer there ever was: whoever imports older orders makes it an older
-- one, so it is looked for each time and not kept.
with firsts as (
    select distinct on (customer) customer, order_id
    from customer_orders
    where is_booked and customer is not null
    order by customer, placed_at, order_id
)
select
    to_char(bought.day, 'YYYY-MM') as month,
    bought.currency,
    count(distinct bought.customer) as customers,
    count(*) filter (where bought.order_id = firsts.order_id) as new_customers,
    count(*) as orders,
    count(*) filter (where bought.customer is null) as forgotten_orders,
    sum(gross_minor)::bigint as gross_minor,
    sum(refunded_minor)::bigint as refunded_minor,
    coalesce(
        sum(gross_minor - refunded_minor) filter (where bought.customer is not null), 0
    )::bigint as known_net_minor
from customer_orders as bought
left join firsts using (customer)
where is_booked and $1 <= bought.day and bought.day <= $2
group by 1, 2
order by 1, 2
