insert into vendors (
    vendor_id, standing, business_name, address, reason, search_key, version, registered_at, updated_at,
    description, shows_place
)
select
    unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[])::json,
    unnest($5::text[]), unnest($6::text[]), unnest($7::bigint[]), unnest($8::timestamptz[]),
    unnest($9::timestamptz[]), unnest($10::text[]), unnest($11::boolean[])
on conflict (vendor_id) do update
set
    standing = excluded.standing,
    business_name = excluded.business_name,
    address = excluded.address,
    description = excluded.description,
    shows_place = excluded.shows_place,
    reason = excluded.reason,
    search_key = excluded.search_key,
    version = excluded.version,
    updated_at = excluded.updated_at
