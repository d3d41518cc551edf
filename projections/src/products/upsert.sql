insert into products (
    sku, name, price_minor, currency, active, search_key, version, updated_at, prices, vendor_id,
    weight_grams
)
select
    unnest($1::text[]), unnest($2::text[]), unnest($3::bigint[]), unnest($4::text[]),
    unnest($5::boolean[]), unnest($6::text[]), unnest($7::bigint[]), unnest($8::timestamptz[]),
    unnest($9::text[])::json, unnest($10::uuid[]), unnest($11::integer[])
on conflict (sku) do update
set
    name = excluded.name,
    price_minor = excluded.price_minor,
    currency = excluded.currency,
    active = excluded.active,
    search_key = excluded.search_key,
    version = excluded.version,
    updated_at = excluded.updated_at,
    prices = excluded.prices,
    vendor_id = excluded.vendor_id,
    weight_grams = excluded.weight_grams
