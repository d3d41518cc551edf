-- The version comes with the uses, of which the same batch may bring some.
insert into promotions (
    code, terms, automatic, listed, active, starts_at, ends_at, updated_at, held, used, version
)
select code, terms::json, automatic, listed, active, starts_at, ends_at, updated_at, 0, 0, 0
from unnest(
    $1::text[], $2::text[], $3::boolean[], $4::boolean[], $5::boolean[], $6::timestamptz[],
    $7::timestamptz[], $8::timestamptz[]
) as new (code, terms, automatic, listed, active, starts_at, ends_at, updated_at)
on conflict (code) do update
set
    terms = excluded.terms,
    automatic = excluded.automatic,
    listed = excluded.listed,
    active = excluded.active,
    starts_at = excluded.starts_at,
    ends_at = excluded.ends_at,
    updated_at = excluded.updated_at
