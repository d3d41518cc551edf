insert into sales_refunds (position, sku, at, order_id, day, country, currency, refunded_minor, vendor)
select
    unnest($1::bigint[]), unnest($2::text[]), unnest($3::timestamptz[]), unnest($4::uuid[]),
    unnest($5::date[]), unnest($6::text[]), unnest($7::text[]), unnest($8::bigint[]),
    unnest($9::text[])
