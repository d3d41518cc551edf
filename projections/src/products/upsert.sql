insert into products (
    sku, name, price_minor, currency, active, search_key, version, updated_at
)
select *
from unnest(
    $1::text[], $2::text[], $3::bigint[], $4::text[], $5::boolean[], $6::text[], $7::bigint[],
    $8::timestamptz[]
)
on conflict (sku) do update
set
    name = excluded.name,
    price_minor = excluded.price_minor,
    currency = excluded.currency,
    active = excluded.active,
    search_key = excluded.search_key,
    version = excluded.version,
    updated_at = excluded.updated_at
