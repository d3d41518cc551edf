-- The newest rate of each currency up to a day. A history has hundreds of thousands of rows and a
-- few dozen currencies: so the index is asked for one currency after another, and for one row each.
with recursive currencies as (
    (
        select currency
        from exchange_rates
        order by currency
        limit 1
    )
    union all
    select (
        select next.currency
        from exchange_rates as next
        where currencies.currency < next.currency
        order by next.currency
        limit 1
    )
    from currencies
    where currencies.currency is not null
)
select newest.*
from
    currencies
cross join lateral (
    select currency, date, per_eur::text as per_eur, source, loaded_by, loaded_at
    from exchange_rates
    where
        exchange_rates.currency = currencies.currency
        and date <= $1
    order by date desc
    limit 1
) as newest
