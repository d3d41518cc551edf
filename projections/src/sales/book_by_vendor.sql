insert into sales_by_vendor (day, vendor, currency, orders, units, gross_minor, refunded_minor)
select
    unnest($1::date[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bigint[]),
    unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::bigint[])
on conflict (day, vendor, currency) do update
set
    orders = sales_by_vendor.orders + excluded.orders,
    units = sales_by_vendor.units + excluded.units,
    gross_minor = sales_by_vendor.gross_minor + excluded.gross_minor,
    refunded_minor = sales_by_vendor.refunded_minor + excluded.refunded_minor
