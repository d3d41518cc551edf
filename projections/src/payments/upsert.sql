insert into payments (payment_id, opened_at, version, updated_at, payment)
select payment_id, opened_at, version, updated_at, payment::json
from unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::timestamptz[], $5::text[])
    as moved (payment_id, opened_at, version, updated_at, payment)
on conflict (payment_id) do update
set
    version = excluded.version,
    updated_at = excluded.updated_at,
    payment = excluded.payment
