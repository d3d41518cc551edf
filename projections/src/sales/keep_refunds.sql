insert into sales_refunds (position, sku, at, day, country, currency, refunded_minor)
select
    unnest($1::bigint[]), unnest($2::text[]), unnest($3::timestamptz[]), unnest($4::date[]),
    unnest($5::text[]), unnest($6::text[]), unnest($7::bigint[])
