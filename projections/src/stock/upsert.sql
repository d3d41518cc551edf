insert into stock (sku, on_hand, reserved, version, updated_at)
select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[])
on conflict (sku) do update
set
    on_hand = excluded.on_hand,
    reserved = excluded.reserved,
    version = excluded.version,
    updated_at = excluded.updated_at
