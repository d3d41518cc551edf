insert into stock (sku, on_hand, reserved, version, updated_at)
select
    unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[]), unnest($4::bigint[]),
    unnest($5::timestamptz[])
on conflict (sku) do update
set
    on_hand = excluded.on_hand,
    reserved = excluded.reserved,
    version = excluded.version,
    updated_at = excluded.updated_at
