insert into sales_by_country (day, country, currency, orders, units, gross_minor, refunded_minor)
select *
from unnest(
    $1::date[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]
)
on conflict (day, country, currency) do update
set
    orders = sales_by_country.orders + excluded.orders,
    units = sales_by_country.units + excluded.units,
    gross_minor = sales_by_country.gross_minor + excluded.gross_minor,
    refunded_minor = sales_by_country.refunded_minor + excluded.refunded_minor
