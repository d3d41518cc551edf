-- The first purchase of every customer, as in by_month.sql; the month it fell in is their cohort.
with firsts as (
    select distinct on (customer) customer, day
    from customer_orders
    where is_booked and customer is not null
    order by customer, placed_at, order_id
),
cohorts as (
    select customer, date_trunc('month', day)::date as cohort
    from firsts
    where $1 <= day and day <= $2
),
sizes as (
    select cohort, count(*) as cohort_customers
    from cohorts
    group by cohort
)
select
    to_char(cohort, 'YYYY-MM') as cohort,
    to_char(bought.day, 'YYYY-MM') as month,
    ((extract(year from bought.day) - extract(year from cohort)) * 12
        + extract(month from bought.day) - extract(month from cohort))::integer as months_since,
    bought.currency,
    cohort_customers,
    count(distinct customer) as customers,
    count(*) as orders,
    sum(gross_minor)::bigint as gross_minor,
    sum(refunded_minor)::bigint as refunded_minor
from customer_orders as bought
join cohorts using (customer)
join sizes using (cohort)
where is_booked
group by cohort, 2, 3, bought.currency, cohort_customers
order by 1, 2, bought.currency
